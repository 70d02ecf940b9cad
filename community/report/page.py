"""The report page: one self-contained HTML file, safe to open and to send to a colleague.

Every text of a researcher is escaped by the template; no script, no link to anywhere else.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from community.archive.ledger import LedgerReader
from community.archive.queries import best_commit, isolation_note, pool_use
from community.archive.state import RunState
from community.events import Purpose
from community.plain_text import isolation_words, note_words
from community.report.drift_figure import drift_svg
from community.report.figures import lineage_svg, pool_svg
from community.report.picture import best_picture_svg
from community.report.progress_figure import progress_svg
from community.report.spend_figure import spend_svg
from community.run_folder import RunFolder
from community.show import shown
from community.show.evidence_lines import (
    NOTHING_REPRODUCED,
    against_baseline,
    against_parent,
    alarm_line,
    has_nothing,
    signed,
    sure,
)
from community.show.text import measure_words

ROWS = 40
"""Contributions listed; the ledger holds all of them."""

PURPOSES: dict[Purpose, str] = {
    "baseline": "calibration of the baseline",
    "screen": "screens on dev",
    "parent": "references: a declared parent, beside a screen",
    "sentinel": "sentinels: what leads, once more",
    "confirm_child": "confirmations on vault",
    "confirm_parent": "their declared parents",
    "credit": "whose change was it",
    "seal": "last runs, on seal",
    "transfer": "commits at another size",
}
_WORDS = {
    "isolation_words": isolation_words,
    "note_words": note_words,
    "against_baseline": against_baseline,
    "against_parent": against_parent,
    "alarm_line": alarm_line,
    "signed": signed,
    "sure": sure,
    "measure_words": measure_words,
}


def write_report(folder: RunFolder) -> Path:
    """Write ``report/index.html`` and the figures beside it; works on a run that still goes on.

    Returns:
        The page.

    Raises:
        LedgerError: the folder's ledger cannot be read.
        OSError: the report's folder cannot be written.
    """
    with LedgerReader(folder.ledger) as reader:
        state = RunState.from_rows(reader.rows())
    use = pool_use(state)
    drawn = {
        "progress": progress_svg(state),
        "spend": spend_svg(state),
        "lineage": lineage_svg(state),
        "drift": drift_svg(state),
        "pool": pool_svg(use),
        "best": best_picture_svg(state, folder),
    }
    folder.report.mkdir(parents=True, exist_ok=True)
    for name, svg in drawn.items():
        if svg:
            _write(folder.report / f"{name}.svg", svg)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(
        files("community.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    )
    record = shown(state, "")
    page = template.render(
        state=state,
        replay_of=record.replay_of,
        headline=record.headline,
        nothing_reproduced=NOTHING_REPRODUCED.capitalize() if has_nothing(record) else "",
        best_title=record.best.title,
        credit=record.credit,
        finals=record.finals,
        beside=record.beside,
        retractions=record.retractions,
        yardstick=record.yardstick,
        purposes=PURPOSES,
        **_WORDS,
        isolation=isolation_note(state),
        opened=state.opened,
        best=best_commit(state),
        use=use,
        contributions=record.leaderboard[:ROWS],
        researchers=record.agents,
        figures={name: Markup(svg) for name, svg in drawn.items()},  # noqa: S704 - our own drawing
    )
    return _write(folder.report / "index.html", page)


def _write(path: Path, text: str) -> Path:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
    return path
