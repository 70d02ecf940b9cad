"""What a broker turned away: who tried what, and how often. Counted, never quoted.

An incident names topics and sizes, not content. However many there are, they stay few: they are
counted by user and kind. The embedded broker counts them (`forum.guarded_broker`), and so does who
reads Mosquitto's log (`forum.mosquitto_log`); what becomes of them is the institution's affair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from forum.plain_text import plain

IncidentKind = Literal[
    "login",  # a wrong password, no password, an unknown user
    "client_id",  # somebody else's client id
    "session",  # a session that outlives its connection
    "will",  # a last will that its author could not publish alive
    "publish",  # a topic that is not his to write
    "subscribe",  # a filter that covers more than is his to read
    "retain",  # a message that shall stay
    "packet",  # too large, malformed, or not MQTT as it is served here
    "slow",  # takes in too little of what he subscribed to, or says nothing
]
Note = Callable[[str, IncidentKind, str], None]
"""Called with user (empty: not known), kind, and what he did."""
UNKNOWN: Final = "(unknown)"
"""Who nobody has proved to be; no name of a participant."""
_DETAIL_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class Incident:
    """Attempts of one user, of one kind, since the last time."""

    user: str
    """A user name that was proved by its password, or `UNKNOWN`."""
    what: IncidentKind
    detail: str
    """What he did, the first time."""
    count: int = 1


class IncidentTally:
    """Counts attempts until they are taken away; holds one record per user and kind."""

    def __init__(self) -> None:
        self._counted: dict[tuple[str, IncidentKind], Incident] = {}

    def note(self, user: str, what: IncidentKind, detail: str) -> None:
        """Count one attempt; `user` must be proved, or empty."""
        user = user or UNKNOWN
        known = self._counted.get((user, what))
        if known is None:
            detail, count = plain(detail)[:_DETAIL_CHARACTERS], 1
        else:
            detail, count = known.detail, known.count + 1
        self._counted[user, what] = Incident(user, what, detail, count)

    def take(self) -> list[Incident]:
        """Return what was counted and forget it."""
        taken = list(self._counted.values())
        self._counted.clear()
        return taken

    def give_back(self, incidents: list[Incident]) -> None:
        """Count `incidents`, which could not be told, among those to come."""
        for incident in incidents:
            since = self._counted.get((incident.user, incident.what))
            count = incident.count + (since.count if since else 0)
            self._counted[incident.user, incident.what] = Incident(
                incident.user, incident.what, incident.detail, count
            )
