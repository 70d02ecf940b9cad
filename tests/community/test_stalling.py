"""A run in which no model answers ends, and says why; whoever else may propose keeps it going."""

from __future__ import annotations

import asyncio

import pytest

from agents.minds.catalogue import make_mind
from agents.minds.exchange import CallFailedError
from agents.roles import load_role
from community.attendance import Attendance
from community.chronicle import Chronicle
from community.errors import ModelsSilentError
from community.minds_opening import Minds
from community.scenario import Scenario
from community.stalling import watch_models


def stage(chronicle: Chronicle, *minds: str) -> tuple[Scenario, Minds, Attendance]:
    """Return a scenario of explorers with these minds, patient for no time at all."""
    agents = [
        {"name": f"ada{number}", "role": "explorer", "mind": mind}
        for number, mind in enumerate(minds)
    ]
    data = {"run": {"task": "nanolm"}, "lab": {"await_models_s": 1e-6}, "agents": agents}
    scenario = Scenario.model_validate(data)
    roles = {member.name: load_role(member.role) for member in scenario.members()}
    opened = Minds(scenario, chronicle, lambda member: make_mind(member.mind))
    return scenario, opened, Attendance(chronicle, roles, 3600.0)


async def fail(minds: Minds, provider: str) -> None:
    """Have one call of a provider fail."""
    with pytest.raises(CallFailedError):
        async with minds.providers.get(provider).turn(float("inf")):
            raise CallFailedError("bad_request", "no such thing")


async def test_a_run_in_which_nobody_answers_stops_with_the_reason(chronicle: Chronicle) -> None:
    """Whatever kind of failure it is, and not before every provider has failed."""
    scenario, minds, attendance = stage(chronicle, "anthropic:m", "openai:m")
    await fail(minds, "anthropic")
    watching = asyncio.create_task(watch_models(scenario, chronicle, minds, attendance))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not watching.done()
    watching.cancel()
    await fail(minds, "openai")
    with pytest.raises(ModelsSilentError, match="anthropic: bad_request: no such thing; openai"):
        await watch_models(scenario, chronicle, minds, attendance)


@pytest.mark.parametrize("other", ["policy:social", "an answer"])
async def test_it_goes_on_while_somebody_may_propose(chronicle: Chronicle, other: str) -> None:
    """A built-in policy, or a model that has answered since."""
    second = other if other.startswith("policy:") else "openai:m"
    scenario, minds, attendance = stage(chronicle, "anthropic:m", second)
    await fail(minds, "anthropic")
    if second == "openai:m":
        await fail(minds, "openai")
        async with minds.providers.get("openai").turn(float("inf")):
            pass
    watching = asyncio.create_task(watch_models(scenario, chronicle, minds, attendance))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not watching.done()
    watching.cancel()
