"""Agents whose minds are elsewhere, beside those of `bench_script`'s house."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bench_script import House, calibrated, scenario_of

from agents.lab import Proposal
from agents.remote_lab import RemoteLab
from community.chronicle import Chronicle
from community.events import AgentJoined
from community.scenario import Scenario
from forum.ids import AgentName

NAMES = ("ada", "bob", "cleo")
ROLES = {"ada": "synthesiser", "bob": "explorer", "cleo": "reproducer"}


def enrolled(chronicle: Chronicle, *remote: str) -> Chronicle:
    """Record who takes part, some of them from elsewhere, and a measured baseline."""
    for name in NAMES:
        mind = "remote" if name in remote else "policy:random"
        chronicle.record(AgentJoined(name, ROLES[name], mind, ()))
    return calibrated(chronicle)


def scenario(**lab: Any) -> Scenario:
    """Return the scenario of `enrolled`."""
    data = scenario_of(None, **lab).model_dump()
    for agent in data["agents"]:
        agent["role"] = ROLES[agent["name"]]
    return Scenario.model_validate(data)


@asynccontextmanager
async def far(home: House, name: str) -> AsyncIterator[RemoteLab]:
    """Give the lab of `name` as it is elsewhere, seated."""
    async with home.board.seat(AgentName(name)) as seat:
        lab = RemoteLab(seat, "policy:random")
        await lab.take_seat()
        yield lab


def proposal(home: House, rate: float, *parents: str) -> Proposal:
    """Return a tree with this rate."""
    opened = home.chronicle.state.opened
    assert opened is not None
    text = f"RATE = {rate}\n# knob\nWIDTH = 4\n"
    return Proposal(parents or (opened.baseline_commit,), {"train.py": text}, f"rate {rate}")
