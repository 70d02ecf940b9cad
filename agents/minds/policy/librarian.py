"""The ``librarian`` mind: tells of dead ends, and of what is open again; runs nothing.

It points, by leads, at what others' good changes promise together and nobody tries, and at failures
whose conditions have changed. When enough has failed since it last did, it says which knobs were
turned in vain, and by whose results.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from agents.actions import Action, PostComment, PostLead, WriteNotebook
from agents.lab import LabReader
from agents.minds.policy.leads import lead_of
from agents.minds.policy.proposing import in_words, short
from agents.minds.policy.reserve import waiting
from agents.minds.policy.surrogate import Surrogate
from agents.minds.policy.view import View, view_of
from agents.observation import KnownFailure, Observation

EVERY = 10
"""New dead ends after which the catalogue is told anew."""
MOST_LINES = 30
MOST_CITED = 6
"""Of one knob's results."""


class Librarian:
    """Keeps what is known in order."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with a lead, or the catalogue of dead ends, or wait."""
        view = view_of(observation)
        if not view.knobs:
            return [waiting(view)]
        surrogate = Surrogate(view)
        rng = Random(observation.seed)  # noqa: S311  # not cryptography
        lead = _open_again(view, surrogate) or lead_of(view, surrogate, rng)
        if lead is not None:
            return [lead]
        closed = [each for each in observation.failures if not each.is_expired and each.changes]
        told = int(observation.notebook) if observation.notebook.isdecimal() else 0
        if len(closed) >= told + EVERY and "comment" in observation.rights:
            return [PostComment(_catalogue(closed)), WriteNotebook(str(len(closed)))]
        return [waiting(view)]


def _open_again(view: View, surrogate: Surrogate) -> PostLead | None:
    """Return the most promising failure whose conditions have changed, unless one is pointed at."""
    seen = view.observation
    if "lead" not in seen.rights or any(lead.is_mine for lead in seen.open_leads):
        return None
    best = view.best()
    known = {knob.name for knob in view.knobs}
    rated: list[tuple[float, int, KnownFailure]] = []
    for index, each in enumerate(seen.failures):
        if not each.is_expired or not each.changes or not set(each.changes) <= known:
            continue
        if view.is_closed(best.setting, each.changes):
            continue
        gain, _ = surrogate.gain(best.setting, {**best.setting, **each.changes})
        if gain > 0.0:
            rated.append((gain, -index, each))
    if not rated:
        return None
    gain, _, chosen = max(rated, key=lambda each: each[:2])
    return PostLead(
        title=f"again: {in_words(best, chosen.changes)} on {short(best)}",
        text=(
            f"It did not help in {chosen.hypothesis} by {chosen.author}, under conditions that no "
            f"longer hold; the results since let me expect {gain:+.4f}."
        ),
        knobs=dict(chosen.changes),
    )


def _catalogue(closed: Sequence[KnownFailure]) -> str:
    by_knob: dict[str, list[KnownFailure]] = {}
    for each in closed:
        by_knob.setdefault(" with ".join(sorted(each.changes)), []).append(each)
    most = sorted(by_knob.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_LINES]
    lines = [f"Dead ends, {len(closed)} in all, under what holds now:"]
    for knobs, failed in most:
        cited = ", ".join(f"{each.hypothesis} by {each.author}" for each in failed[-MOST_CITED:])
        lines.append(f"- {knobs}: {len(failed)} in vain ({cited})")
    return "\n".join(lines)
