"""What a confirmation may spend of error: the same for every claim, or what LORD++ gives it.

With one alpha for all, the false discovery rate depends on how many claims are true; LORD++ keeps
it below a rate of one's choice, at the price of asking more of each claim for as long as nothing
passes. A function of ledger rows; `community.reproduction` applies it.
"""

from __future__ import annotations

from typing import Literal

from community.archive.state import RunState
from community.archive.state_records import HypothesisState
from community.pairing import confirmations
from scoring.evidence.multiplicity import lord_levels
from scoring.evidence.sequential import ALPHA

Multiplicity = Literal["fixed", "lord"]
RATE = 0.05
"""The false discovery rate that LORD++ keeps."""


def alpha_of(state: RunState, claim: HypothesisState, multiplicity: Multiplicity) -> float:
    """Return the one-sided error that the confirmation of `claim` may spend, all looks together.

    By LORD++ (`scoring.evidence.multiplicity.lord_levels`) claims are tests in the order in which
    their confirmations began. One that had not ended by the time the next began counts as not
    rejected for that one: what is unknown earns no wealth (Zrnic, Ramdas & Jordan 2021, Journal of
    Machine Learning Research 22(33), section 3, for tests that overlap). Claims that only the draw
    brought there are no part of it.
    """
    if multiplicity == "fixed":
        return ALPHA
    began = _began_us(state, claim)
    assert began is not None
    tests = sorted(
        (other_us, _p_by(other, began))
        for other in state.hypotheses.values()
        if other is not claim and not other.was_drawn
        if (other_us := _began_us(state, other)) is not None and other_us < began
    )
    return lord_levels([p for _, p in tests], alpha=RATE)[-1]


def _began_us(state: RunState, claim: HypothesisState) -> int | None:
    return min((run.queued_at_us for run in confirmations(state, claim)), default=None)


def _p_by(claim: HypothesisState, now_us: int) -> float:
    """Return the p of a claim's first confirmation if it had ended by then, else 1."""
    for at_us, change in claim.changes:
        if change in claim.confirmations:
            return change.p if at_us <= now_us and change.p is not None else 1.0
    return 1.0
