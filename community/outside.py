"""Those who take part from outside the run's process, each as himself.

Agents whose minds are elsewhere, people and observers: here is put together who serves whom at the
counter. Who somebody is follows from his credential, which the board proved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from agents.knobs import Knob
from agents.roles import Role
from community.archive.state import RunState
from community.counter import Counter, Service
from community.institution import Institution
from community.observing import Observing
from community.people import PersonService, join_person, person_of
from community.remote_seats import RemoteSeats
from community.scenario import REMOTE, Scenario
from forum.board import Desk
from forum.topics import is_observer, is_person


def guests_of(scenario: Scenario, state: RunState) -> tuple[str, ...]:
    """Return who may come from outside and needs a credential for it."""
    remote = tuple(member.name for member in scenario.members() if member.mind == REMOTE)
    # on a broker with one login for all whoever has it could come as anybody
    return (*remote, person_of(state)) if scenario.board.has_logins else ()


class Outside:
    """Serves everybody outside.

    Args:
        institution: What they deal with.
        desk: The institution's place at the board.
        guests: Who may come, as `guests_of` said.
        roles: The role of each agent by name.
        knobs: The task's.
        secret: The run's.
    """

    def __init__(
        self,
        institution: Institution,
        desk: Desk,
        guests: tuple[str, ...],
        roles: Mapping[str, Role],
        knobs: tuple[Knob, ...],
        secret: bytes,
    ) -> None:
        self._chronicle = institution.chronicle
        self._people = PersonService(self._chronicle)
        self._observing = Observing(self._chronicle, desk)
        self._counter = Counter(self._chronicle, desk, self._service_of)
        remote = {name: roles[name] for name in guests if name in roles}
        self._seats = RemoteSeats(institution, remote, knobs, secret, self._counter.turn_down)
        for person in filter(is_person, guests):
            join_person(self._chronicle, person)

    def serve(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Serve in tasks of `group`, which are returned, until they are cancelled."""
        return [
            group.create_task(self._counter.serve(), name="counter"),
            group.create_task(self._observing.publish(), name="rows for observers"),
            group.create_task(self._seats.watch(), name="remote seats"),
        ]

    async def close(self, why: str) -> None:
        """Tell everybody outside that the run is over, and see that they have heard it.

        The broker ends right after, with whatever it has not passed on by then.
        """
        why = f"the run is over: {why}"
        await self._counter.close("stopped", why)
        await self._seats.see_off(why)
        await self._observing.close(why)

    def _service_of(self, who: str) -> Service | None:
        if is_observer(who):
            return self._observing
        if who in self._seats:
            return self._seats
        return self._people if who in self._chronicle.state.forum.people else None
