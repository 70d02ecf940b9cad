"""The series that a progress plot shows: one point per screen. A function of the fold."""

from __future__ import annotations

from dataclasses import dataclass

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


def progress_points(state: RunState) -> list[ProgressPoint]:
    """Return one point per valid screen on dev, in order of their verdicts."""
    points: list[ProgressPoint] = []
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
        points.append(
            ProgressPoint(
                at_us=experiment.verdict_us or 0,
                experiments=done,
                score=verdict.score,
                status=hypothesis.status if hypothesis else "measured",
                best=best,
                hypothesis=experiment.queued.hypothesis,
            )
        )
    return points
