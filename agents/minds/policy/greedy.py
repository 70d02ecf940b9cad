"""The ``greedy`` mind: autoresearch's rule. Mutate the best visible commit, keep it if better.

Keeping needs no action: the next turn's best commit is the one that was better.

Source: A. Karpathy 2026, "autoresearch", program.md ("LOOP FOREVER": tune, run, keep or discard).
Differs: it turns knobs instead of rewriting code, and "better" means the lab's ``improved``.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from agents.actions import Action
from agents.lab import LabReader
from agents.minds.policy.leads import following, lead_of
from agents.minds.policy.proposing import proposal
from agents.minds.policy.reserve import must_hold, waiting
from agents.minds.policy.surrogate import Surrogate
from agents.minds.policy.turning import lessons_of, next_change
from agents.minds.policy.view import view_of
from agents.observation import Observation


class Greedy:
    """Hill climbing from the best visible commit."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with one change of the best visible commit, a step on a lead, or wait."""
        view = view_of(observation)
        if not view.knobs or must_hold(view):
            return [waiting(view)]
        rng = Random(observation.seed)  # noqa: S311  # not cryptography
        surrogate = Surrogate(view)
        led = following(view, surrogate, "greedy")
        if led is not None:
            return [led]
        lessons = lessons_of(view)
        for _, base in view.ranked()[:5]:
            changes = next_change(view, base, rng, lessons)
            if changes is None:
                continue
            because = "A change of the best commit I can see; kept if it is better."
            run = proposal(view, surrogate, base, changes, policy="greedy", because=because)
            if run is not None:
                # Others' good changes are not its rule to take over; it points at them.
                lead = lead_of(view, surrogate, rng)
                return [run] if lead is None else [lead, run]
        return [waiting(view)]
