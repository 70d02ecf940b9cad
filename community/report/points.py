"""What the figures show, as plain records: one point per screened hypothesis. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

from community.archive.queries import baseline_mean, standing_moves
from community.archive.state import RunState


@dataclass(frozen=True, slots=True)
class Point:
    """One screened hypothesis."""

    number: int
    """Which experiment of the run its screen was, from 1, in order of verdicts."""
    at_s: float
    """Run time of the verdict."""
    commit: str
    parents: tuple[str, ...]
    author: str
    title: str
    status: str
    score: float | None
    """On dev; None when invalid."""
    vault: float | None
    """Mean on vault of its own confirmation, or None."""


@dataclass(frozen=True, slots=True)
class Lead:
    """A moment at which the frontier moved; number 0 is the baseline."""

    number: int
    """Experiments with a verdict by then."""
    score: float
    """Mean on vault."""


def points(state: RunState) -> tuple[Point, ...]:
    """Return the screened hypotheses in the order of their verdicts."""
    numbers = _numbers(state)
    found = []
    for claim in state.hypotheses.values():
        for name in claim.experiments:
            experiment = state.experiments[name]
            verdict = experiment.standing_verdict
            if experiment.queued.purpose != "screen" or verdict is None:
                continue
            is_confirmed = claim.status == "reproduced"
            found.append(
                Point(
                    number=numbers[name],
                    at_s=(experiment.verdict_us or 0) / 1e6,
                    commit=claim.commit,
                    parents=claim.parents,
                    author=claim.author,
                    title=claim.title,
                    status=claim.status,
                    score=verdict.score,
                    vault=state.mean_score(claim.tree_key, "vault") if is_confirmed else None,
                )
            )
    return tuple(sorted(found, key=lambda point: point.number))


def leads(state: RunState) -> tuple[Lead, ...]:
    """Return the standing moves, oldest first, after the baseline where vault has it."""
    ends = sorted(
        e.verdict_us or 0 for e in state.experiments.values() if e.is_done and not e.is_apart
    )
    moves = [
        Lead(sum(end <= at_us for end in ends), moved.score)
        for at_us, moved in standing_moves(state)
    ]
    start = baseline_mean(state, "vault")
    return (*([] if start is None or not moves else [Lead(0, start)]), *moves)


def _numbers(state: RunState) -> dict[str, int]:
    done = [e for e in state.experiments.values() if e.is_done and not e.is_apart]
    done.sort(key=lambda e: (e.verdict_us or 0, e.queued.experiment_id))
    return {e.queued.experiment_id: number for number, e in enumerate(done, start=1)}
