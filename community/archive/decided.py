"""Whose confirmations decided something: counted beside credit, not paid out of it.

A function of the fold.
"""

from __future__ import annotations

from collections import defaultdict

from community.archive.state import BASELINE, RunState
from community.events import StatusChanged

_SETTLED = {
    "reproduced": ("reproduced",),
    "not_improved": ("not_improved",),
    "contested": ("contested", "retracted"),
    "retracted": ("retracted",),
}
"""What a confirmation decided -> the statuses under which it still does."""


def decided(state: RunState) -> dict[str, int]:
    """Count the confirmations that decided something and still stand, by who brought them about."""
    counts: defaultdict[str, int] = defaultdict(int)
    for claim in state.hypotheses.values():
        before = "measured"
        for _, change in claim.changes:
            is_decision = any(change is confirmed for confirmed in claim.confirmations)
            if is_decision and change.by != BASELINE:
                counts[change.by] += _decides(change, before, claim.status)
            before = change.status
    return {name: count for name, count in sorted(counts.items()) if count}


def _decides(change: StatusChanged, before: str, now: str) -> bool:
    """Whether a confirmation changed what is believed, and is believed still."""
    is_news = before == "improved" if change.status == "not_improved" else change.status != before
    return is_news and now in _SETTLED.get(change.status, ())
