"""Attendance: who is there, who has left for good, and whether anybody is left to propose.

An agent whose mind is elsewhere (``mind = "remote"``) comes and goes as the ledger tells. While
others propose nothing waits for it; where nobody else is left, the run waits a while for it.
"""

from __future__ import annotations

from collections.abc import Mapping

from agents.roles import Role
from community.archive.state import RunState
from community.chronicle import Chronicle
from community.leads import give_back
from community.quotas import has_used_up
from community.scenario import REMOTE


def is_there(state: RunState, agent: str) -> bool:
    """Whether an agent could do now what it is asked for."""
    known = state.agents.get(agent)
    return known is None or known.mind != REMOTE or agent in state.forum.present


class Attendance:
    """Counts who is left.

    Args:
        chronicle: The ledger and its fold.
        roles: Role of each agent by name.
        await_remote_s: How long an agent from elsewhere that is away is waited for, seconds of run
            time since it left, or since the run began or was resumed.
    """

    def __init__(
        self, chronicle: Chronicle, roles: Mapping[str, Role], await_remote_s: float
    ) -> None:
        self._chronicle = chronicle
        self._roles = roles
        self._await_remote_us = round(1e6 * await_remote_s)
        self._began_us = chronicle.clock.now_us()
        self._gone: set[str] = set()

    def begin(self) -> None:
        """Take note that research begins now."""
        self._began_us = self._chronicle.clock.now_us()

    def take_leave(self, agent: str) -> None:
        """Take note that `agent` has left for good; what he leased is free again."""
        self._gone.add(agent)
        give_back(self._chronicle, agent)

    def is_deserted(self) -> bool:
        """Whether everybody who may propose has left, or has used up his experiments."""
        return all(
            self.has_left(name) for name, role in self._roles.items() if "propose" in role.rights
        )

    def moments_us(self) -> list[int]:
        """Return the run times at which those who are away will not be waited for any more."""
        state = self._chronicle.state
        return [
            self._since_us(name) + self._await_remote_us
            for name, known in state.agents.items()
            if known.mind == REMOTE and name in self._roles and not is_there(state, name)
        ]

    def _since_us(self, agent: str) -> int:
        left_us = self._chronicle.state.forum.left_us.get(agent, 0)
        return max(self._began_us, left_us)

    def may_propose(self, agent: str) -> bool:
        """Whether an agent's role may propose."""
        return "propose" in self._roles[agent].rights

    def has_left(self, agent: str) -> bool:
        """Whether nothing more is to be expected of an agent."""
        state = self._chronicle.state
        if agent in self._gone or has_used_up(state, agent, self._roles[agent].quotas):
            return True
        if is_there(state, agent):
            return False
        return self._chronicle.clock.now_us() >= self._since_us(agent) + self._await_remote_us
