"""What the figures show, as plain records: one point per screened hypothesis. Draws nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from agents.prices import MICRO_USD
from community.archive.progress import score_sign, verdict_ends
from community.archive.queries import baseline_mean, standing_moves
from community.archive.state import HypothesisState, RunState


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
    low: float | None
    """Lower end of the 95 % interval that its screen gave it, on the axis of scores."""
    high: float | None


@dataclass(frozen=True, slots=True)
class Lead:
    """A moment at which the frontier moved; number 0 is the baseline."""

    number: int
    """Experiments with a verdict by then."""
    score: float
    """Mean on vault."""


def points(state: RunState) -> tuple[Point, ...]:
    """Return the screens in the order of their verdicts.

    Where a hypothesis was screened on several seeds, the last one has the interval of all.
    """
    numbers = _numbers(state)
    found = []
    for claim in state.hypotheses.values():
        screens = [
            (name, verdict)
            for name in claim.experiments
            if state.experiments[name].queued.purpose == "screen"
            and (verdict := state.experiments[name].standing_verdict) is not None
        ]
        edges = _screened(state, claim, [v.score for _, v in screens if v.score is not None])
        for place, (name, verdict) in enumerate(screens, start=1):
            low, high = edges if place == len(screens) else (None, None)
            found.append(
                Point(
                    number=numbers[name],
                    at_s=(state.experiments[name].verdict_us or 0) / 1e6,
                    commit=claim.commit,
                    parents=claim.parents,
                    author=claim.author,
                    title=claim.title,
                    status=claim.status,
                    score=verdict.score,
                    low=low,
                    high=high,
                )
            )
    return tuple(sorted(found, key=lambda point: point.number))


def frame(
    state: RunState, scores: Sequence[float], moves: Sequence[Lead] = ()
) -> tuple[float, float]:
    """Return the interesting part of the axis of scores, whatever lies far beyond it.

    From a little beyond the best to a little beyond the baseline; (0, 0) without any score.
    """
    values = [*scores, *(lead.score for lead in moves)]
    if state.noise is not None:
        values.append(state.noise.mean)
    if not values:
        return 0.0, 0.0
    sign = -score_sign(state)
    baseline = state.noise.mean if state.noise else values[0]
    sigma = state.noise.sigma if state.noise else 0.0
    best = sign * min(sign * value for value in values)
    span = max(abs(baseline - best), 4 * sigma, 1e-9)
    worst = sign * max(sign * score for score in (baseline, *(m.score for m in moves[:1])))
    edges = best - sign * 0.12 * span, worst + sign * max(0.25 * span, 3 * sigma)
    band = (baseline - 3 * sigma, baseline + 3 * sigma)
    return min(*edges, *band), max(*edges, *band)


def _screened(
    state: RunState, claim: HypothesisState, scores: list[float]
) -> tuple[float | None, float | None]:
    """Return the interval of a screen's gain, set about the mean of its scores."""
    judged = [c for c in claim.standing_changes if not c.pairs and c.gain is not None]
    if not judged or not scores:
        return None, None
    change, mean = judged[-1], sum(scores) / len(scores)
    if change.gain is None or change.low is None or change.high is None:
        return None, None
    edges = [mean + score_sign(state) * (gain - change.gain) for gain in (change.low, change.high)]
    return min(edges), max(edges)


def leads(state: RunState) -> tuple[Lead, ...]:
    """Return the standing moves, oldest first, after the baseline where vault has it."""
    ends = verdict_ends(state)
    moves = [Lead(bisect_right(ends, at_us), m.score) for at_us, m in standing_moves(state)]
    start = baseline_mean(state, "vault")
    return (*([] if start is None or not moves else [Lead(0, start)]), *moves)


@dataclass(frozen=True, slots=True)
class Worth:
    """A moment at which the best confirmed score, or what is known of it, changed."""

    usd: float
    """Dollars that thinking had cost by then."""
    score: float


def usd_by(state: RunState, moments_us: Sequence[int]) -> list[float]:
    """Return the dollars that thinking had cost by each of `moments_us`, doubt included."""
    times = [at_us for at_us, _ in state.minds.paid]
    sums = [0, *accumulate(micro_usd for _, micro_usd in state.minds.paid)]
    return [sums[bisect_right(times, at_us)] / MICRO_USD for at_us in moments_us]


def worths(state: RunState) -> tuple[Worth, ...]:
    """Return the moves of the frontier by dollars, from the baseline at none to all that was spent.

    Nothing where nothing was spent, or nothing was reproduced.
    """
    moves, start = standing_moves(state), baseline_mean(state, "vault")
    if not state.minds.paid or not moves or start is None:
        return ()
    spent = usd_by(state, [at_us for at_us, _ in moves])
    found = [Worth(0.0, start)]
    found += [Worth(usd, move.score) for usd, (_, move) in zip(spent, moves, strict=True)]
    return (*found, Worth(usd_by(state, [state.last_us])[0], moves[-1][1].score))


def _numbers(state: RunState) -> dict[str, int]:
    done = [e for e in state.experiments.values() if e.is_done and not e.is_apart]
    done.sort(key=lambda e: (e.verdict_us or 0, e.queued.experiment_id))
    return {e.queued.experiment_id: number for number, e in enumerate(done, start=1)}
