"""Incidents at the broker as rows of the ledger: each kind by each user, few rows however many.

The first of a kind is a row at once, further ones are counted: the next rows are for the tenth, the
hundredth and so on, and one with the total when the board closes. Who floods the broker with
attempts adds a handful of rows. What incidents are is in `forum.incidents`.
"""

from __future__ import annotations

from dataclasses import dataclass

from community.chronicle import Chronicle
from community.events import Refused
from forum.incidents import Incident


@dataclass(slots=True)
class _Count:
    total: int = 0
    told: int = 0
    first: str = ""


class IncidentLog:
    """Records incidents of one run."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle
        self._counts: dict[tuple[str, str], _Count] = {}

    def take(self, incident: Incident) -> None:
        """Count `incident`, and record it if it is the first or ten times as many as the last."""
        count = self._counts.setdefault((incident.user, incident.what), _Count())
        count.first = count.first or incident.detail
        count.total += incident.count
        if count.total >= 10 * count.told:
            self._record(incident.user, incident.what, count)

    def close(self) -> None:
        """Record what has been counted since."""
        for (user, what), count in self._counts.items():
            if count.total > count.told:
                self._record(user, what, count)

    def _record(self, user: str, what: str, count: _Count) -> None:
        count.told = count.total
        times = f" ({count.total:,} times so far)" if count.total > 1 else ""
        self._chronicle.record(Refused(user, "connection", f"{count.first}{times}", what))
