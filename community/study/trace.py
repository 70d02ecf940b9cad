"""How good the best was after so much of the budget: the curves of one run, from its fold.

A trace is a staircase: one point per change, on three axes of spending at once. Three values are
followed, all in the task's own unit: what was *confirmed* (the true score of the commit that
leads), what was *told* of it (its score on record) and what was *found* (the best true score of
anything that was run, whether or not anybody knows it). True scores are known of modelled tasks
alone; a trace of a real run follows what was told.

Differs:
    On a real task ``told`` is the calibrated baseline plus the leader's gain on vault: vault and
    dev are other text, and a step from one to the other is no progress.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from agents.prices import MICRO_USD
from community.archive.progress import verdict_ends
from community.archive.queries import baseline_mean
from community.archive.state import RunState
from community.study.records import Trace

Truths = Mapping[str, float | None]
"""Tree key -> true score; None of a tree that cannot run."""


@dataclass(frozen=True, slots=True)
class _Moment:
    at_us: int
    tree: str
    """Empty at the end of the run."""
    leads: float | None
    """Score on record where this is a move of the frontier."""


def trace_of(state: RunState, truths: Truths) -> Trace:
    """Return the curves of a run that was calibrated.

    Args:
        state: The run.
        truths: Empty for a real task.

    Raises:
        ValueError: the run has no calibrated baseline.
    """
    if state.opened is None or state.noise is None:
        raise ValueError("the run was never calibrated, so there is no curve")
    known = truths.get(state.opened.baseline_tree_key)
    start = state.noise.mean if known is None else known
    sign = 1.0 if state.opened.direction == "higher" else -1.0
    spending = _Spending(state)
    points = [((0, 0.0, 0.0, 0.0), (start, start, start))]
    confirmed = found = told = start
    for moment in _moments(state):
        truth = truths.get(moment.tree)
        if moment.leads is not None:
            told = moment.leads if truths else _anchored(state, moment.leads)
            confirmed = told if truth is None else truth
        elif truth is not None:
            found = max(found, truth, key=lambda score: sign * score)
        if not truths:
            found = confirmed
        last = points[-1]
        if (confirmed, found, told) != last[1] or not moment.tree:
            points.append((spending.until(moment.at_us), (confirmed, found, told)))
    experiments, charged, run_s, usd = zip(*(spent for spent, _ in points), strict=True)
    held, best, said = zip(*(reached for _, reached in points), strict=True)
    return Trace(experiments, charged, run_s, held, best, said, usd if any(usd) else ())


def research_began_us(state: RunState) -> int:
    """Return the run time at which calibration was done."""
    ends = [e.verdict_us or 0 for e in state.experiments.values() if e.is_baseline]
    return max(ends, default=state.opened_us)


class _Spending:
    """What had been spent by a run time."""

    def __init__(self, state: RunState) -> None:
        self._began_us = research_began_us(state)
        self._verdicts = verdict_ends(state)
        charges = sorted(
            (attempt.ended_us, attempt.charge_s)
            for experiment in state.experiments.values()
            if not experiment.is_apart
            for attempt in experiment.attempts
            if attempt.ended_us is not None
        )
        self._charged_us = [at_us for at_us, _ in charges]
        self._charged_s = [0.0, *accumulate(seconds for _, seconds in charges)]
        self._paid_us = [at_us for at_us, _ in state.minds.paid]
        self._paid = [0, *accumulate(micro_usd for _, micro_usd in state.minds.paid)]

    def until(self, at_us: int) -> tuple[int, float, float, float]:
        """Return experiments, device-seconds, seconds of run time, and dollars."""
        return (
            bisect_right(self._verdicts, at_us),
            self._charged_s[bisect_right(self._charged_us, at_us)],
            max(0, at_us - self._began_us) / 1e6,
            self._paid[bisect_right(self._paid_us, at_us)] / MICRO_USD,
        )


def _moments(state: RunState) -> Sequence[_Moment]:
    """Return in order of time: valid runs, moves of the frontier, and the end of research."""
    runs = [
        _Moment(e.verdict_us or 0, e.queued.tree_key, None)
        for e in state.by_verdict
        if not e.is_apart and (verdict := e.standing_verdict) and verdict.outcome == "ok"
    ]
    moves = [
        _Moment(at_us, proposal.tree_key, moved.score)
        for at_us, moved in state.frontier
        if (proposal := state.proposals.get(moved.commit))
    ]
    ends = verdict_ends(state)
    last = max([*(m.at_us for m in moves), *ends[-1:], research_began_us(state)])
    # at one time a run comes before the move that it led to
    return [*sorted([*runs, *moves], key=lambda m: (m.at_us, m.leads is not None)),
            _Moment(last, "", None)]  # fmt: skip


def _anchored(state: RunState, score: float) -> float:
    """Return a score on vault as one on dev: the calibrated mean and the gain over the baseline."""
    assert state.noise is not None
    vault = baseline_mean(state, "vault")
    shift = 0.0 if vault is None else state.noise.mean - vault
    return score + shift if math.isfinite(score) else state.noise.mean
