"""The ``verify`` mind: reproduces the open claims that would move the frontier furthest.

A confirmation costs several runs, so it is choosy: a claim must be far enough ahead of what is
reproduced, likely to hold, and affordable. Near the end of a run it stops saving and confirms the
best there is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agents.actions import Action, Reproduce
from agents.lab import LabReader
from agents.minds.policy.reserve import confirmation_runs, patience_s, waiting
from agents.minds.policy.view import View, view_of
from agents.observation import Observation, OpenClaim

SHARE = 0.25
"""Of all experiments so far, what confirmations may take before the end is near."""
STRIDE = 0.02
"""Of the baseline's score: a lead over the reproduced best that is worth a confirmation midway."""
LEAST_LEAD_SIGMAS = 1.0
"""What a lead must be worth even at the end."""
NEED_DEVIATIONS = 2.33
"""Mean gain over the parent that a confirmation must show, in deviations of such a mean."""
TAIL_RUNS = 3.0
"""How long to wait at the end for results still on their way, in durations of a run."""


@dataclass(frozen=True, slots=True)
class _Offer:
    claim: OpenClaim
    lead: float
    """How far it is ahead of the best reproduced commit, in cost."""
    chance: float
    """Probability that a confirmation succeeds."""

    @property
    def worth(self) -> float:
        return self.lead * self.chance


class Verify:
    """Confirms claims; proposes nothing."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with the reproduction most worth its cost, or wait."""
        view = view_of(observation)
        left = observation.remaining_experiments
        if left is not None and left < confirmation_runs(view):
            return [waiting(view)]
        offers = [_offer(view, claim) for claim in _open(view)]
        offers = [each for each in offers if each.lead > LEAST_LEAD_SIGMAS * view.sigma]
        if not offers:
            return [waiting(view)]
        best = max(offers, key=lambda each: (each.claim.status == "improved", each.worth))
        if left is not None and left < 2 * confirmation_runs(view):
            if left > confirmation_runs(view):
                return [waiting(view)]  # what would be left could not confirm anything any more
            is_settled = len(observation.open_hypotheses) <= 1
            if is_settled or observation.idle_s > patience_s(view, TAIL_RUNS):
                return [Reproduce(best.claim.hypothesis)]
            return [waiting(view)]
        midway = max(3 * view.sigma, STRIDE * abs(observation.briefing.baseline_mean))
        if best.lead >= midway and _affordable(view):
            return [Reproduce(best.claim.hypothesis)]
        return [waiting(view)]


def _open(view: View) -> list[OpenClaim]:
    return [claim for claim in view.observation.open_claims if not claim.is_claimed]


def _offer(view: View, claim: OpenClaim) -> _Offer:
    lead = view.best_reproduced_cost() - view.cost_of(claim.score)
    # Variances in sigmas: of the mean over pairs, and of the one run of each side seen so far.
    of_mean = 2 / view.confirmation_pairs
    spare = claim.gain / view.sigma - NEED_DEVIATIONS * math.sqrt(of_mean)
    spare /= math.sqrt(2.0 + of_mean)
    return _Offer(claim, lead, 0.5 * math.erfc(-spare / math.sqrt(2.0)))


def _affordable(view: View) -> bool:
    """Return whether another confirmation keeps within its share of visible experiments."""
    done = view.observation.confirmations
    running = sum(claim.is_claimed for claim in view.observation.open_claims)
    confirming = confirmation_runs(view) * (done + running + 1)
    screened = len(view.observation.known) - 1
    return confirming <= SHARE * (screened + confirming)
