"""The ``random`` mind: the control that learns nothing.

Each proposal starts from the baseline and draws a few knobs evenly from their whole ranges. It
reads results only in order not to measure one setting twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from agents.actions import Action
from agents.lab import LabReader
from agents.minds.policy.proposing import proposal
from agents.minds.policy.reserve import must_hold, waiting
from agents.minds.policy.steps import anywhere
from agents.minds.policy.surrogate import Surrogate
from agents.minds.policy.view import view_of
from agents.observation import Observation
from forum.messages import KnobValue

MOST_KNOBS = 4
"""Drawing all of some twenty knobs at once would almost never beat the start."""


class RandomSearch:
    """Random search around the start."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with one random proposal, or wait where there is nothing to turn."""
        view = view_of(observation)
        if not view.knobs or must_hold(view):
            return [waiting(view)]
        rng = Random(observation.seed)  # noqa: S311  # not cryptography
        for _ in range(60):
            drawn = rng.sample(view.knobs, rng.randint(1, min(MOST_KNOBS, len(view.knobs))))
            changes: dict[str, KnobValue] = {}
            for knob in drawn:
                value = anywhere(knob, view.baseline.setting[knob.name], rng)
                if value is not None:
                    changes[knob.name] = value
            if not changes or view.is_tried({**view.baseline.setting, **changes}):
                continue
            run = proposal(
                view,
                Surrogate(view),
                view.baseline,
                changes,
                policy="random",
                because="Drawn by chance, whatever is known.",
            )
            if run is not None:
                return [run]
        return [waiting(view)]
