"""Which claims may be confirmed, and which stand: read from the fold, decided nowhere else.

A tree is confirmed once in its life: whoever proposes it again, its error probability is not
renewed. What was reproduced may be challenged, by somebody who had no part in it.
"""

from __future__ import annotations

from community.archive.standing import standing_places
from community.archive.state import HypothesisState, RunState


def better(first: float, second: float, direction: str) -> bool:
    """Whether score `first` is better than `second`."""
    return first < second if direction == "lower" else first > second


def standing_claims(state: RunState) -> list[HypothesisState]:
    """Return the reproduced claims, the best first: by the lower bounds of their gains."""
    return [place.hypothesis for place in standing_places(state)]
