"""The report's picture of the best data that a run has left, where a task says how to draw them.

The bytes are those of the ledger's hash or nothing is drawn; what they hold has passed the task's
check, and is still read as data: bounded, numbers alone.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import matplotlib as mpl
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from community.archive.state import RunState
from community.artefacts import best_data, data_file
from community.report.drawing import DARK, STYLE, svg
from community.run_folder import RunFolder

MOST_BYTES: Final = 1 << 20
"""A picture of more would be no picture."""
MOST_CIRCLES: Final = 2000


def best_picture_svg(state: RunState, folder: RunFolder) -> str:
    """Draw the best data of a run; nothing where there are none, or none that can be drawn."""
    manifest = state.opened.manifest if state.opened is not None else {}
    draw = _PICTURES.get(manifest.get("task/picture", ""))
    best = best_data(state)
    if draw is None or not best:
        return ""
    run = best[0]
    path = data_file(folder, run, manifest.get("task/leaves", "json"))
    try:
        content = path.read_bytes() if path.stat().st_size <= MOST_BYTES else b""
        digest = hashlib.sha256(content).hexdigest()
        if digest != state.evidence.graded[run.queued.experiment_id].sha256:
            return ""
        figure = draw(json.loads(content))
    except (OSError, ValueError, TypeError, RecursionError):
        return ""
    assert run.verdict is not None
    with mpl.rc_context(STYLE):
        axes = figure.axes[0]
        opened, score = state.opened, run.verdict.score
        assert opened is not None
        axes.set_title(f"{opened.metric} = {score:.12g}", loc="left")
        axes.set_xlabel(
            f"experiment {run.queued.experiment_id}, commit {run.queued.commit[:10]}, "
            f"data {digest[:12]}", fontsize=8, color=DARK,
        )  # fmt: skip
        return svg(figure)


def _circles(data: Any) -> Figure:
    """Draw ``{"circles": [[x, y, r], ...]}`` in the unit square, coloured by radius.

    Raises:
        ValueError, TypeError: it is not that.
    """
    circles = [[float(value) for value in circle] for circle in data["circles"][:MOST_CIRCLES]]
    if not circles or not all(math.isfinite(value) for circle in circles for value in circle):
        raise ValueError("no circles that could be drawn")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 6.0), layout="constrained")
        axes = figure.add_subplot()
        axes.grid(visible=False)
        shapes = PatchCollection(
            [Circle((x, y), r) for x, y, r in circles],
            cmap="cividis", edgecolors="white", linewidths=0.6,
        )  # fmt: skip
        shapes.set_array([r for *_, r in circles])
        axes.add_collection(shapes)
        axes.add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor=DARK, linewidth=1.2))
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xticks=(), yticks=())
        for spine in axes.spines.values():
            spine.set_visible(False)
        figure.colorbar(shapes, ax=axes, shrink=0.6, pad=0.02, label="radius")
    return figure


_PICTURES: Final = MappingProxyType[str, Callable[[Any], Figure]]({"circles": _circles})
"""By the word that a task's ``artifact.picture`` has."""
