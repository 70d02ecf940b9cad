"""The ``verify`` mind: reproduces the open claims that would move the frontier furthest.

A confirmation costs several runs, so it is choosy: a claim must be far enough ahead of what is
reproduced, likely to hold, and affordable. Near the end of a run it stops saving and confirms the
best there is.

It never challenges what was reproduced, though its role may. Two more pairs could refute little:
what stands has passed at an error of a hundredth, and four experiments are a first look at a claim
of which nothing is known. What leads goes on being measured without that, as parent of its children
and as the lab's sentinel. Challenges are for minds that have a reason to doubt one claim.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agents.actions import Action, Reproduce
from agents.lab import LabReader
from agents.minds.policy.reserve import confirmation_runs, kept_runs, patience_s, waiting
from agents.minds.policy.view import View, view_of
from agents.observation import Observation, OpenClaim

SHARE = 0.25
"""Of all experiments so far, what confirmations may take before the end is near."""
STRIDE = 0.02
"""Of the baseline's score: a lead over the reproduced best that is worth a confirmation midway."""
LEAST_LEAD_SIGMAS = 1.0
"""What a lead must be worth even at the end."""
NEEDS = ((2, 5.0), (3, 3.7), (4, 3.0), (6, 2.1), (8, 1.6))
"""(pairs, mean gain over the parent in sigmas that passes with them), while sigma is known from
some ten runs: the lab looks at these numbers of pairs, and the larger the gain, the sooner it has
seen enough."""
TAIL_RUNS = 3.0
"""How long to wait at the end for results still on their way, in durations of a run."""


@dataclass(frozen=True, slots=True)
class _Offer:
    claim: OpenClaim
    lead: float
    """How far it is ahead of the best reproduced commit, in cost."""
    chance: float
    """Probability that a confirmation succeeds."""
    runs: int
    """What it takes, if its gain is what it seems."""

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
        if left is not None and left <= kept_runs(view):
            is_settled = len(observation.open_hypotheses) <= 1
            if is_settled or observation.idle_s > patience_s(view, TAIL_RUNS):
                return [Reproduce(best.claim.hypothesis)]
            return [waiting(view)]
        midway = max(3 * view.sigma, STRIDE * abs(observation.briefing.baseline_mean))
        if best.lead >= midway and _affordable(view, best.runs):
            return [Reproduce(best.claim.hypothesis)]
        return [waiting(view)]


def _open(view: View) -> list[OpenClaim]:
    return [claim for claim in view.observation.open_claims if not claim.is_claimed]


def _offer(view: View, claim: OpenClaim) -> _Offer:
    lead = view.best_reproduced_cost() - view.cost_of(claim.score)
    gain = claim.gain / view.sigma
    looks = looks_allowed(view)
    pairs = next((pairs for pairs, need in looks if gain >= need), looks[-1][0])
    # Variances in sigmas: of the mean over the last look's pairs, and of the one run seen so far
    # beside its parent's.
    most, need = looks[-1]
    spare = (gain - need) / math.sqrt(2.0 + 2 / most)
    chance = 0.5 * math.erfc(-spare / math.sqrt(2.0))
    return _Offer(claim, lead, chance, 2 * pairs)


def looks_allowed(view: View) -> list[tuple[int, float]]:
    """Return those of `NEEDS` that rules and remaining experiments allow; at least one."""
    left = view.observation.remaining_experiments
    most = view.observation.briefing.confirmation_runs_most
    allowed = most if left is None else min(most, left)
    return [look for look in NEEDS if 2 * look[0] <= allowed] or [NEEDS[0]]


def _affordable(view: View, runs: int) -> bool:
    """Return whether another confirmation keeps within its share of visible experiments."""
    done = view.observation.confirmations
    running = sum(claim.is_claimed for claim in view.observation.open_claims)
    confirming = confirmation_runs(view) * (done + running) + runs
    screened = len(view.observation.known) - 1
    return confirming <= SHARE * (screened + confirming)
