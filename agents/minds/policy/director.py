"""The ``director`` mind: points at what is most worth trying, one direction at a time.

It reads as `social` does and runs nothing: what it would propose it gives away as a lead, no two
that change the same, so that those who follow leads share the directions out among themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from agents.actions import Action, PostLead
from agents.lab import LabReader
from agents.minds.policy.reserve import must_hold, waiting
from agents.minds.policy.social import exploit
from agents.minds.policy.view import differences, view_of
from agents.observation import Observation
from forum.messages import Lead

AT_ONCE = 2
"""Own leads that nobody has followed yet; more would be a list, and no direction."""


class Director:
    """Says what should be tried next."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with one lead, or wait."""
        view = view_of(observation)
        mine = sum(lead.is_mine for lead in observation.open_leads)
        is_heard = any(
            known.author not in (observation.agent, "lab") for known in observation.known
        )
        if not view.knobs or mine >= AT_ONCE or not is_heard or must_hold(view):
            return [waiting(view)]
        run = exploit(view, Random(observation.seed), "director")  # noqa: S311  # not cryptography
        if run is None:
            return [waiting(view)]
        best = view.best()
        base = view.by_commit.get(run.parents[0], best)
        changes = differences(best.setting, {**base.setting, **run.knobs})
        pointed_at = [
            lead.post.body.knobs
            for lead in observation.open_leads
            if isinstance(lead.post.body, Lead)
        ]
        if not changes or changes in pointed_at:
            return [waiting(view)]
        text = f"{run.rationale} Whoever is free may take it; I run nothing."
        return [PostLead(title=run.title, text=text, knobs=changes)]
