"""Stalling: a run in which nobody is left who may propose but those whose models do not answer.

One provider that is down pauses its agents, and the community goes on without them. When everybody
who could propose anything waits for a provider, nothing will happen until one answers; after
``lab.await_models_s`` of that the run stops. It is no end of the research: nothing is sealed, the
secret stays, and the run goes on with `community run --resume`.
"""

from __future__ import annotations

import asyncio

from agents.minds.catalogue import provider_of
from community.attendance import Attendance
from community.chronicle import Chronicle
from community.errors import ModelsSilentError
from community.mind_faults import is_language_mind
from community.minds_opening import Minds
from community.scenario import Scenario

SILENT = "no model answers"
"""Why such a run stopped, in its last row."""
LOOK_S = 60.0
"""At the latest one looks after this."""


async def watch_models(
    scenario: Scenario, chronicle: Chronicle, minds: Minds, attendance: Attendance
) -> None:
    """Look on for as long as the run goes on.

    Raises:
        ModelsSilentError: everybody who may propose has waited too long for a provider.

    Cancellation: nothing remains.
    """
    members = scenario.members()
    if not any(is_language_mind(member.mind) for member in members):
        return
    await_s = scenario.lab.await_models_s
    proposers = [member for member in members if attendance.may_propose(member.name)]
    loop = asyncio.get_running_loop()
    while True:
        left_s = LOOK_S
        names = {
            provider_of(member.mind) if is_language_mind(member.mind) else ""
            for member in proposers
            if not attendance.has_left(member.name)
        }
        if names and "" not in names and not chronicle.state.pending():
            providers = [minds.providers.get(name) for name in sorted(names)]
            since = [each.silent_since_s for each in providers]
            if None not in since:
                left_s = max(each for each in since if each is not None) + await_s - loop.time()
            if left_s <= 0.0:
                raise ModelsSilentError(await_s, [f"{p.name}: {p.last_words}" for p in providers])
        try:
            async with asyncio.timeout(min(left_s, LOOK_S)):
                await chronicle.next_row()
        except TimeoutError:
            continue
