"""The series that a progress plot shows: a point per screen, a bar per confirmed commit.

Functions of the fold; `community.report.points` adds what only the report draws.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from sys import intern

from community.archive.leaderboard import Contribution, contributions
from community.archive.queries import baseline_mean
from community.archive.state import RunState


@dataclass(frozen=True, slots=True)
class ProgressPoint:
    """One screened experiment in the series a progress plot shows."""

    at_us: int
    """Run time of the verdict."""
    experiments: int
    """How many experiments, those listed apart left out, had a verdict by then, with this one."""
    score: float
    """Its score on dev."""
    status: str
    """The present status of its hypothesis."""
    best: float
    """Best dev score so far, this one included."""
    hypothesis: str
    """Post id."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A commit that went through a confirmation, on the axis of mean scores on vault."""

    number: int
    """Experiments with a verdict when it ended."""
    at_us: int
    """Run time at which it ended."""
    hypothesis: str
    status: str
    """At present."""
    centre: float
    """The baseline's mean on vault, less the gain over it."""
    low: float
    high: float


def progress_points(state: RunState) -> list[ProgressPoint]:
    """Return one point per valid screen on dev, in order of their verdicts."""
    return [*each_point(state)]


def each_point(state: RunState) -> Iterator[ProgressPoint]:
    """Yield the `progress_points`, one at a time."""
    done = 0
    best: float | None = None
    pick = max if state.opened and state.opened.direction == "higher" else min
    for experiment in state.by_verdict:
        done += not experiment.is_apart
        verdict = experiment.standing_verdict
        if verdict is None or verdict.score is None or experiment.queued.purpose != "screen":
            continue
        best = verdict.score if best is None else pick(best, verdict.score)
        hypothesis = state.hypotheses.get(experiment.queued.hypothesis)
        yield ProgressPoint(
            at_us=experiment.verdict_us or 0,
            experiments=done,
            score=verdict.score,
            status=intern(hypothesis.status) if hypothesis else "measured",
            best=best,
            hypothesis=experiment.queued.hypothesis,
        )


def confirmed(
    state: RunState, board: Iterable[Contribution] | None = None
) -> tuple[Confirmed, ...]:
    """Return the gains over the baseline of what was confirmed, in the order of confirmations.

    Args:
        state: The run.
        board: Its `contributions`, where they are known already.
    """
    baseline, ends = baseline_mean(state, "vault"), verdict_ends(state)
    sign = score_sign(state)
    found = []
    for entry in contributions(state) if board is None else board:
        claim = state.hypotheses[entry.hypothesis]
        at_us = next((at for at, change in claim.changes if change.pairs), None)
        if baseline is None or at_us is None:
            continue
        if entry.estimate is None or entry.low is None or entry.high is None:
            continue
        edges = sorted(baseline + sign * gain for gain in (entry.low, entry.high))
        found.append(
            Confirmed(
                number=bisect_right(ends, at_us),
                at_us=at_us,
                hypothesis=claim.post_id,
                status=claim.status,
                centre=baseline + sign * entry.estimate,
                low=edges[0],
                high=edges[1],
            )
        )
    return tuple(sorted(found, key=lambda one: one.number))


def verdict_ends(state: RunState) -> list[int]:
    """Return the run times at which experiments had their verdicts, in order."""
    return sorted(
        e.verdict_us or 0 for e in state.experiments.values() if e.is_done and not e.is_apart
    )


def score_sign(state: RunState) -> float:
    """Return by what a gain is multiplied on the axis of scores."""
    return 1.0 if state.opened is not None and state.opened.direction == "higher" else -1.0
