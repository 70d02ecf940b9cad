"""What the runs of a plan say at each size: gains with intervals, and which of them carried over.

Trees are run in blocks, all of them in each, so a score is the tree's plus the block's plus chance
(a randomised complete block design; Montgomery, Design and Analysis of Experiments, chapter 4).
The spread is pooled over trees: with four seeds a tree's own would make every interval half as
wide again. Functions of two folded ledgers; nothing is measured here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import statsmodels.api as sm
from scipy import stats

from community.archive.state import RunState
from community.study.statistics import holm
from community.transfer.measuring import Name, commits_of
from community.transfer.plan import Plan
from scoring.verdict import Direction

LEVEL: Final = 0.95
ALPHA: Final = 0.05
Outcome = Literal["carried", "reversed", "lost", "open", "none", "invalid"]
Block = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Gain:
    """A difference between two trees at one size, positive where better, in the task's unit."""

    value: float
    low: float
    high: float
    se: float
    df: float
    p: float
    """Two-sided, of no difference; 1 where both are the same tree."""


@dataclass(frozen=True, slots=True)
class Sized:
    """What one size showed."""

    label: str
    budget: str
    start: float
    """Mean score of the start."""
    leader: float
    sigma: float
    """Standard deviation between seeds, pooled, the blocks' part taken out."""
    runs: int
    whole: Gain | None
    """Of the leader over the start; None where one of them could not be run."""
    without: tuple[Gain | None, ...]
    """Per group: what the leader has with it over what it has without."""
    only: tuple[Gain | None, ...]
    """Per group: what the start has with nothing but it over the start."""
    invalid: Mapping[Name, str]
    """Trees that could not be run to a score, and why."""


@dataclass(frozen=True, slots=True)
class Carried:
    """One gain at both sizes."""

    title: str
    before: Gain | None
    after: Gain | None
    p: float
    """Of the gain at the other size, adjusted by Holm over all groups."""
    change: tuple[float, float, float] | None
    """After less before, with its 95 % interval (Welch)."""
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Findings:
    """All of it."""

    plan: Plan
    before: Sized
    after: Sized
    whole: Carried
    groups: tuple[Carried, ...]
    """By leave-one-out, where the leader without the group could be run; else by add-one-in."""


def findings_of(plan: Plan, before: tuple[str, RunState], after: tuple[str, RunState]) -> Findings:
    """Compare the two sizes.

    Args:
        plan: What was run.
        before: Label and run of the size that the leader was found at.
        after: Label and run of the other size.
    """
    small, large = sized(plan, *before), sized(plan, *after)
    rows = [(group.title, *_better(small, large, at)) for at, group in enumerate(plan.groups)]
    adjusted = holm([1.0 if gain is None else gain.p for _, _, gain in rows]) if rows else []
    first = holm([1.0 if gain is None else gain.p for _, gain, _ in rows]) if rows else []
    groups = tuple(
        carried(title, one, other, p_before, p)
        for (title, one, other), p_before, p in zip(rows, first, adjusted, strict=True)
    )
    p = large.whole.p if large.whole is not None else 1.0
    p_before = small.whole.p if small.whole is not None else 1.0
    whole = carried("all of it", small.whole, large.whole, p_before, p)
    return Findings(plan, small, large, whole, groups)


def carried(
    title: str, before: Gain | None, after: Gain | None, p_before: float, p: float
) -> Carried:
    """Say of one gain whether it carried over.

    carried: it is there at the other size. reversed: it is a loss there. lost: it was there before,
    and is certainly smaller, and not shown. open: the runs cannot tell. none: there was nothing to
    carry over, and there is nothing. invalid: one of its trees has no score.
    """
    if before is None or after is None:
        return Carried(title, before, after, p, None, "invalid")
    change = _change(before, after)
    outcome: Outcome = "open"
    if p < ALPHA:
        outcome = "carried" if after.value > 0 else "reversed"
    elif p_before < ALPHA and before.value > 0 and change[2] < 0:
        outcome = "lost"
    elif p_before >= ALPHA:
        outcome = "none"
    return Carried(title, before, after, p, change, outcome)


def _change(before: Gain, after: Gain) -> tuple[float, float, float]:
    value, se = after.value - before.value, math.hypot(before.se, after.se)
    if se == 0.0:
        return value, value, value
    parts = (before.se**2, after.se**2)
    df = sum(parts) ** 2 / (parts[0] ** 2 / before.df + parts[1] ** 2 / after.df)
    half = float(stats.t.ppf((1 + LEVEL) / 2, df)) * se
    return value, value - half, value + half


def _better(small: Sized, large: Sized, at: int) -> tuple[Gain | None, Gain | None]:
    """Return the gains of a group by the design that has both sizes."""
    if small.without[at] is not None and large.without[at] is not None:
        return small.without[at], large.without[at]
    return small.only[at], large.only[at]


def sized(plan: Plan, label: str, state: RunState) -> Sized:
    """Read one size out of its run."""
    opened = state.opened
    assert opened is not None
    commits = commits_of(state)
    table = _scores(state)
    invalid = {name: why for name, commit in commits.items() if (why := _invalid(state, commit))}
    usable = [commit for commit in dict.fromkeys(commits.values()) if _is_whole(state, commit)]
    fit = _Fit(table, usable, opened.direction)

    def gain(one: Name, other: Name) -> Gain | None:
        if one not in commits or other not in commits:
            return None
        return fit.gain(commits[one], commits[other])

    start: Name = ("start", -1)
    leader: Name = ("leader", -1)
    count = len(plan.groups)
    return Sized(
        label,
        f"{opened.budget_amount:g} {opened.budget_kind.replace('_', ' ')}",
        _mean(table, commits.get(start)),
        _mean(table, commits.get(leader)),
        fit.sigma,
        len(table),
        gain(leader, start),
        tuple(gain(leader, ("without", at)) for at in range(count)),
        tuple(gain(("only", at), start) for at in range(count)),
        invalid,
    )


def _scores(state: RunState) -> dict[tuple[str, Block], float]:
    """Return the scores of all blocks that stand, by commit and block."""
    found: dict[tuple[str, Block], float] = {}
    for run in state.experiments.values():
        queued, verdict = run.queued, run.standing_verdict
        if queued.purpose == "transfer" and verdict is not None and verdict.score is not None:
            block = verdict.device_class, queued.slot, queued.pair
            found[queued.commit, block] = verdict.score
    return found


def _invalid(state: RunState, commit: str) -> str:
    """Return why a tree has runs without a score, or an empty string."""
    for run in state.experiments.values():
        verdict = run.standing_verdict
        is_ours = run.queued.purpose == "transfer" and run.queued.commit == commit
        if is_ours and verdict is not None and verdict.score is None:
            return verdict.reason
    return ""


def _is_whole(state: RunState, commit: str) -> bool:
    """Whether every run of a tree has a score: some of them alone would be the lucky ones."""
    return not _invalid(state, commit)


def _mean(table: Mapping[tuple[str, Block], float], commit: str | None) -> float:
    values = [score for (one, _), score in table.items() if one == commit]
    return float(np.mean(values)) if values else math.nan


class _Fit:
    """Least squares of score = tree + block + chance.

    Args:
        table: Scores by commit and block.
        commits: The trees that count.
        direction: Which way is better.
    """

    def __init__(
        self,
        table: Mapping[tuple[str, Block], float],
        commits: Sequence[str],
        direction: Direction,
    ) -> None:
        self._commits = list(commits)
        cells = {key: score for key, score in table.items() if key[0] in self._commits}
        blocks = list(dict.fromkeys(block for _, block in cells))
        self._width = len(self._commits) + max(0, len(blocks) - 1)
        rows = np.zeros((len(cells), self._width))
        sign = -1.0 if direction == "lower" else 1.0
        scores = np.array([sign * score for score in cells.values()])
        for at, (commit, block) in enumerate(cells):
            rows[at, self._commits.index(commit)] = 1.0
            place = blocks.index(block)
            if place:
                rows[at, len(self._commits) + place - 1] = 1.0
        is_fitted = len(cells) > self._width > 0
        self._model = sm.OLS(scores, rows).fit() if is_fitted else None

    @property
    def sigma(self) -> float:
        """Standard deviation of chance; nan where nothing is left to tell it by."""
        return math.nan if self._model is None else math.sqrt(self._model.mse_resid)

    def gain(self, one: str, other: str) -> Gain | None:
        """Return how much better `one` is than `other`; None where either has no place here."""
        if self._model is None or one not in self._commits or other not in self._commits:
            return None
        df = float(self._model.df_resid)
        if one == other:
            return Gain(0.0, 0.0, 0.0, 0.0, df, 1.0)
        contrast = np.zeros(self._width)
        contrast[self._commits.index(one)] = 1.0
        contrast[self._commits.index(other)] = -1.0
        test = self._model.t_test(contrast)
        low, high = (float(each) for each in test.conf_int(1 - LEVEL)[0])
        return Gain(float(test.effect[0]), low, high, float(test.sd[0, 0]), df, float(test.pvalue))
