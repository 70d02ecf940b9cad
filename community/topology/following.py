"""Following: whom a reader would rather hear, by whose predictions came true as far as he knows.

Of an author a reader knows the hypotheses that reached him and the findings and failures about them
that did, no matter who reported; nothing else counts. Each hypothesis states a probability c that
its gain is positive; what came of it is what the newest such report says: by its status where that
is a word about the claim, else by the gain on dev that was told, in steps. Numbers from vault, and
verdicts that nobody told the reader of, are never looked at, so that who follows whom gives nothing
away.

An author's record with a reader is ``sum(1/4 - (c - y)^2) / (n + PRIOR)`` over the n hypotheses of
which the reader knows what came, y = 1 where it came true and 0 where it did not: by how much the
author's Brier score is better than a coin's, shrunk towards 0, which is also the record of somebody
unknown.

Source:
    Brier, G. W. (1950). Verification of forecasts expressed in terms of probability. Monthly
    Weather Review 78, 1-3. https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from community.archive.state import RunState
from community.topology.drawing import Arc, Edge

PRIOR = 2
"""How many hypotheses' worth of not knowing an author are counted with what is known of him."""

_CAME_TRUE = {"improved": True, "reproduced": True, "not_improved": False, "retracted": False}
"""What a status says; others (undecided, contested, measured) leave it to the told gain."""


def record_with(state: RunState, reader: str) -> dict[str, float]:
    """Return each author's record with `reader`; authors of whom he knows nothing are left out."""
    reached = [state.posts[post_id].posted for post_id in state.delivered.get(reader, {})]
    told: dict[str, bool | None] = {}
    for posted in reached:
        if posted.body["kind"] in ("finding", "failure"):
            told[str(posted.body["hypothesis"])] = _came_true(posted.body["evidence"])
    sums: defaultdict[str, float] = defaultdict(float)
    counts: defaultdict[str, int] = defaultdict(int)
    for posted in reached:
        outcome = told.get(posted.post_id)
        if posted.body["kind"] == "hypothesis" and outcome is not None:
            sure = float(posted.body["prediction"]["confidence"])
            sums[posted.author] += 0.25 - (sure - outcome) ** 2
            counts[posted.author] += 1
    return {author: total / (counts[author] + PRIOR) for author, total in sums.items()}


def follow(
    state: RunState, names: Sequence[str], arcs: dict[Arc, Edge], usual: Edge, chance: random.Random
) -> dict[Arc, Edge]:
    """Return the edges after every reader has chosen anew whom he hears.

    Each hears as many as before: those with the best record; among equals those whom he hears
    already, then by lot. An edge that stays keeps what it does, a new one is the `usual`.
    """
    chosen: dict[Arc, Edge] = {}
    for reader in names:
        record = record_with(state, reader)
        heard = {author for author, other in arcs if other == reader}
        others = [name for name in names if name != reader]
        lots = dict(zip(others, chance.sample(range(len(others)), len(others)), strict=True))
        others.sort(key=lambda name: (-record.get(name, 0.0), name not in heard, lots[name]))
        for author in others[: len(heard)]:
            chosen[author, reader] = arcs.get((author, reader), usual)
    return chosen


def _came_true(evidence: dict[str, Any]) -> bool | None:
    """Say whether a told result is an improvement; None where it says nothing."""
    word = _CAME_TRUE.get(str(evidence["status"]))
    if word is not None:
        return word
    if evidence["outcome"] == "invalid":
        return False
    gain = evidence["gain"]
    return None if gain is None else float(gain) > 0
