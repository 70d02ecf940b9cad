"""Which claims may be confirmed, and which stand: read from the fold, decided nowhere else.

A tree is confirmed once in its life: whoever proposes it again, its error probability is not
renewed. What was reproduced may be challenged, by somebody who had no part in it.
"""

from __future__ import annotations

from community.archive.state import HypothesisState, RunState


def better(first: float, second: float, direction: str) -> bool:
    """Whether score `first` is better than `second`."""
    return first < second if direction == "lower" else first > second


def standing_claims(state: RunState) -> list[HypothesisState]:
    """Return the reproduced claims, the best first: by their trees' means on vault."""
    sign = -1.0 if state.opened and state.opened.direction == "higher" else 1.0
    scored = [
        (sign * score, claim)
        for claim in state.hypotheses.values()
        if claim.status == "reproduced"
        and (score := state.mean_score(claim.tree_key, "vault")) is not None
    ]
    return [claim for _, claim in sorted(scored, key=lambda pair: pair[0])]
