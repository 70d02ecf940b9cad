"""Those who take part from outside the run's process: people and observers, each as himself.

Puts together who serves whom at the counter. Who somebody is follows from his credential, which the
board proved; on a board in memory nobody is outside.
"""

from __future__ import annotations

import asyncio

from community.archive.state import RunState
from community.chronicle import Chronicle
from community.counter import Counter, Service
from community.observing import Observing
from community.people import PersonService, join_person, person_of
from community.scenario import Scenario
from forum.board import Desk
from forum.topics import is_observer


def guests_of(scenario: Scenario, state: RunState) -> tuple[str, ...]:
    """Return who may come from outside and needs a credential for it."""
    # on somebody else's broker whoever has its one login could come as anybody
    return (person_of(state),) if scenario.board.broker == "embedded" else ()


class Outside:
    """Serves everybody outside.

    Args:
        chronicle: The ledger and its fold.
        desk: The institution's place at the board.
        guests: Who may come, as `guests_of` said.
    """

    def __init__(self, chronicle: Chronicle, desk: Desk, guests: tuple[str, ...]) -> None:
        self._chronicle = chronicle
        self._guests = guests
        self._people = PersonService(chronicle)
        self._observing = Observing(chronicle, desk)
        self._counter = Counter(chronicle, desk, self._service_of)

    def serve(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Serve in tasks of `group`, which are returned, until they are cancelled."""
        for person in self._guests:
            join_person(self._chronicle, person)
        return [
            group.create_task(self._counter.serve(), name="counter"),
            group.create_task(self._observing.publish(), name="rows for observers"),
        ]

    async def close(self, why: str) -> None:
        """Tell who still waits that the run is over."""
        await self._counter.close("stopped", f"the run is over: {why}")

    def _service_of(self, who: str) -> Service | None:
        if is_observer(who):
            return self._observing
        return self._people if who in self._chronicle.state.forum.people else None
