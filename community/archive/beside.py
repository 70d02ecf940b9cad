"""What was measured beside the score: of the start and of what leads, side by side.

A function of the fold. Slices of a score (``share_of_3``) are left to the ledger; of everything
else there is a mean with its interval on one split for both, ``seal`` where both have run there.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from community.archive.queries import best_commit
from community.archive.state import RunState
from scoring.evidence.sequential import quantile

_SPLITS: tuple[Literal["seal", "dev"], ...] = ("seal", "dev")
"""In which order they are looked at; on vault the two hardly ever run alike."""


@dataclass(frozen=True, slots=True)
class MeanShown:
    """A mean over runs."""

    mean: float
    half: float | None
    """Of its 95 % interval, from these runs alone; None of one run."""
    runs: int


@dataclass(frozen=True, slots=True)
class Beside:
    """One measure."""

    measure: str
    split: str
    start: MeanShown
    best: MeanShown | None
    """Of what leads; None while nothing does."""


def beside(state: RunState) -> tuple[Beside, ...]:
    """Return the measures of the start and of the best commit, in the order of their names."""
    opened, leading = state.opened, best_commit(state)
    if opened is None:
        return ()
    tree = leading.hypothesis.tree_key if leading is not None else ""
    for split in _SPLITS:
        start = _measured(state, opened.baseline_tree_key, split)
        best = _measured(state, tree, split)
        if start and (best or split == _SPLITS[-1]):
            return tuple(
                Beside(name, split, _mean(values), _mean(best[name]) if name in best else None)
                for name, values in sorted(start.items())
                if name != opened.metric and not name[-1:].isdigit()
            )
    return ()


def _measured(state: RunState, tree_key: str, split: str) -> Mapping[str, list[float]]:
    """Return every measure of a tree's valid runs on a split."""
    found: dict[str, list[float]] = {}
    for verdict in state.verdicts_by_tree.get((tree_key, split), ()):
        if verdict.outcome == "ok":
            for name, value in state.evidence.measures(verdict.experiment_id).items():
                found.setdefault(name, []).append(value)
    return found


def _mean(values: Sequence[float]) -> MeanShown:
    count = len(values)
    mean = statistics.fmean(values)
    if count < 2:
        return MeanShown(mean, None, count)
    error = statistics.stdev(values) / count**0.5
    return MeanShown(mean, quantile(0.025, count - 1) * error if error else 0.0, count)
