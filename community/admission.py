"""Admission: how many experiments a run may still start, and whether it is time to stop.

Reads the folded ledger and decides nothing about order. A confirmation admits one look at a time;
one that cannot afford its next look ends. So near the end of a run what a good confirmation takes
is kept for the best open claim.
"""

from __future__ import annotations

import math

from agents.prices import MICRO_USD
from community.archive.queries import leader
from community.archive.state import RunState
from community.claims import better, leading_claims
from community.scenario import Scenario, StopSection
from scoring.evidence.noise_models import NOISE_MODELS
from trainer.task import Task

KEPT_PAIRS = 4
"""Near the end so many pairs' runs are kept: a gain of three sigma mostly passes with them. What is
left of them is free again."""


class Admission:
    """Counts experiments against the scenario's stop conditions.

    Args:
        stop: The scenario's stop conditions.
        confirm_pairs: The most pairs of one confirmation.
        confirm_share: Largest share of experiments in confirmations for the lab to open another.
        noise: The task's noise model.
    """

    def __init__(
        self,
        stop: StopSection,
        confirm_pairs: int,
        confirm_share: float = 1.0,
        noise: str = "seeds",
    ) -> None:
        self._stop = stop
        self._confirm_share = confirm_share
        self._is_closed = False
        model = NOISE_MODELS[noise]
        looks = model.looks(confirm_pairs)
        self._references = model.references(1)
        self.first_look = 2 * looks[0]
        """Experiments that a confirmation takes at least."""
        self.whole = 2 * looks[-1]
        """Experiments that it takes at most."""
        self.kept = 2 * max(look for look in looks if look <= max(KEPT_PAIRS, looks[0]))
        """Experiments that are kept near the end."""

    @classmethod
    def of(cls, scenario: Scenario, task: Task) -> Admission:
        """Return what a scenario allows, for a task's noise model."""
        pairs, share = scenario.noise.confirm_pairs, scenario.lab.confirm_share
        return cls(scenario.stop, pairs, share, task.noise)

    def close(self) -> None:
        """Admit nothing any more."""
        self._is_closed = True

    @property
    def is_closed(self) -> bool:
        """Whether the run has stopped admitting for good."""
        return self._is_closed

    def remaining(self, state: RunState) -> int | None:
        """Return how many experiments may still be admitted; None without a limit."""
        if self._is_closed:
            return 0
        if self._stop.experiments is None:
            return None
        return max(0, self._stop.experiments - state.experiments_admitted)

    def told(self, state: RunState) -> int | None:
        """Return what researchers are told remains; None without a limit.

        Further looks of a confirmation count when its word is out: how many it has taken says how
        large the gain on vault is.
        """
        if self._is_closed or self._stop.experiments is None:
            return self.remaining(state)
        looks = sum(
            state.experiments[name].queued_at_us > claim.reproduction_us
            for claim in state.index.confirming.values()
            for name in claim.experiments
            if state.experiments[name].queued.purpose.startswith("confirm")
        )
        return max(0, self._stop.experiments - state.experiments_admitted + looks)

    def affords(self, state: RunState, experiments: int) -> bool:
        """Whether so many experiments may still be admitted."""
        remaining = self.remaining(state)
        return remaining is None or experiments <= remaining

    def refuses_screen(self, state: RunState) -> str:
        """Say why a screen cannot be admitted now; empty when it can."""
        remaining = self.remaining(state)
        if remaining is None:
            return ""
        if remaining == 0:
            return "the run's experiments are used up"
        if self.keeps_the_rest(state):
            return f"the last {remaining} experiments are kept to confirm a leading claim"
        return ""

    def refuses_hypothesis(self, state: RunState) -> str:
        """Say why nothing new can be screened now; empty when it can.

        What is being screened already may need fresh runs of its parent, without which nothing
        could be said of it: so many are left to it until it is judged.
        """
        refusal, remaining = self.refuses_screen(state), self.remaining(state)
        if refusal or remaining is None:
            return refusal
        unjudged = len(state.index.screening)
        is_kept = bool(state.index.confirming) or bool(leading_claims(state))
        if remaining - self._references * unjudged <= (self.kept if is_kept and unjudged else 0):
            return f"the last {remaining} experiments are kept to judge what is being screened"
        return ""

    def keeps_the_rest(self, state: RunState) -> bool:
        """Whether what remains is kept: for a claim that is open, or that is being confirmed.

        Fewer than a first look takes are free; those that a confirmation under way may need for its
        next look are not.
        """
        remaining = self.remaining(state)
        if remaining is None or not 0 < remaining <= self.kept:
            return False
        if state.index.confirming:
            return True
        return remaining >= self.first_look and bool(leading_claims(state))

    def lab_may_confirm(self, state: RunState) -> bool:
        """Whether another confirmation keeps confirmations within their share, or is the last."""
        if self.keeps_the_rest(state):
            return True
        spent = state.index.admitted["confirm_child"] + state.index.admitted["confirm_parent"]
        after = spent + self.first_look
        screens = state.experiments_admitted - spent
        return after <= self._confirm_share * (screens + after)

    def may_settle_drawn(self, state: RunState) -> bool:
        """Whether a claim without a right to it may be confirmed now because it was drawn.

        How many are drawn is the scenario's choice; it takes nothing from what is kept for the end.
        """
        return self.affords(state, self.kept + self.first_look)

    def reason_to_stop(self, state: RunState, now_s: float) -> str:
        """Return the stop condition that holds now, or an empty string.

        The experiment limit holds once all admitted experiments have ended.
        """
        stop = self._stop
        if stop.wall_s is not None and now_s >= stop.wall_s:
            return "wall_s"
        if stop.research_s is not None and now_s >= _research_from_s(state) + stop.research_s:
            return "research_s"
        if stop.device_seconds is not None and state.device_seconds >= stop.device_seconds:
            return "device_seconds"
        if stop.usd is not None and spent_usd(state) >= stop.usd:
            return "usd"
        if stop.target is not None and self._reached_target(state, stop.target):
            return "target"
        is_spent = stop.experiments is not None and state.experiments_admitted >= stop.experiments
        if is_spent and state.experiments_done >= state.experiments_admitted:
            return "experiments"
        return ""

    def _reached_target(self, state: RunState, target: float) -> bool:
        leading = leader(state)
        if state.opened is None or leading is None:
            return False
        score = leading.score
        return score == target or better(score, target, state.opened.direction)


def _research_from_s(state: RunState) -> float:
    """Return when the baseline was measured; never, where it is not yet."""
    return math.inf if state.index.calibrated_us is None else state.index.calibrated_us / 1e6


def spent_usd(state: RunState) -> float:
    """Return what thinking has cost so far, in dollars: calls of models, and modelled turns."""
    turns = sum(agent.cost_usd for agent in state.agents.values())
    return turns + state.minds.taken_micro_usd / MICRO_USD
