"""What was taken back, and how far it reached: the record and its lines."""

from __future__ import annotations

from community.archive.state import RunState
from community.evidence_events import VerdictRetracted
from community.plain_text import one_line
from community.show.records import RetractionShown, Shown

_PLURALS = {
    "hypothesis": "hypotheses",
    "commit": "commits",
    "post": "posts",
    "review": "reviews",
    "frontier": "times it led",
    "credit": "credit of",
    "seal": "final scores of",
}
WORDS = 300
"""Characters that are shown of why."""


def retractions(state: RunState) -> tuple[RetractionShown, ...]:
    """Return everything that was taken back in a run, oldest first."""
    found = []
    for at_us, event in state.evidence.retractions:
        verdict = event.verdict_id if isinstance(event, VerdictRetracted) else None
        if isinstance(event, VerdictRetracted):
            given = state.verdicts[event.verdict_id]
            hypothesis = state.experiments[given.experiment_id].queued.hypothesis or None
        else:
            hypothesis = event.hypothesis
        reach: dict[str, list[str]] = {}
        for node in event.reach:
            kind, _, name = node.partition(":")
            reach.setdefault(kind, []).append(name)
        found.append(
            RetractionShown(
                verdict=verdict,
                hypothesis=hypothesis,
                at_s=at_us / 1e6,
                by=one_line(event.by, 64),
                why=one_line(event.why, WORDS),
                reach={kind: tuple(names) for kind, names in reach.items()},
            )
        )
    return tuple(found)


def retraction_lines(record: Shown) -> list[str]:
    """Return what was taken back as plain lines, with the present status of what rested on it."""
    if not record.retractions:
        return ["nothing was taken back in this run"]
    now = {entry.hypothesis: entry.status.replace("_", " ") for entry in record.leaderboard}
    lines: list[str] = []
    for one in record.retractions:
        what = f"claim {one.hypothesis}" if one.verdict is None else f"verdict {one.verdict}"
        lines.append(f"{what}, by {one.by} at {one.at_s:.0f} s of the run: {one.why}")
        for kind, names in one.reach.items():
            if kind == "hypothesis":
                shown = [f"{name} ({now[name]} now)" if name in now else name for name in names]
            else:
                shown = [name[:10] if kind in ("commit", "seal") else name for name in names]
            lines.append(f"    {_PLURALS.get(kind, kind)}: {', '.join(shown)}")
        if not one.reach:
            lines.append("    nothing rested on it")
    return lines
