"""A run's last stage: nobody proposes any more, and what leads is measured for the report.

It begins when the researchers have left, and nothing that it measures decides anything. Its runs
have a queue of their own, so that what a limit cut off stays cut off. A stop or a kill in it is
taken up by the next life, before anybody is seated again.
"""

from __future__ import annotations

import asyncio

from community.archive.state import RunState
from community.chronicle import Chronicle
from community.crediting import measure_credit
from community.events import FINAL
from community.queueing import Queue
from community.scenario import Scenario
from community.scheduler import Bench, Scheduler
from community.sealing import score_seal


def is_ending(state: RunState, limit: int | None) -> bool:
    """Whether the run had reached its end under this limit of experiments when it last stopped.

    Then nobody is seated any more: only the last stage is left to do. Unless a verdict was taken
    back since, so that claims are open again.
    """
    finals = state.evidence.finals
    is_over = finals is not None and finals.experiments == limit
    return is_over and not state.evidence.is_open_again


async def run_finals(chronicle: Chronicle, bench: Bench, scenario: Scenario) -> None:
    """Carry out the last stage, if one was opened and is not done.

    Raises:
        LockBrokenError: something that decides scores changed.

    Cancellation: running attempts are recorded as interrupted; the next life goes on.
    """
    if chronicle.state.evidence.finals is None:
        return
    queue = Queue(lambda: chronicle.clock.now_us() / 1e6, lambda _: 1.0)
    scheduler = Scheduler(chronicle, queue, bench)
    scheduler.requeue_unfinished(FINAL)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(scheduler.serve(), name="scheduler of the last runs")
        await measure_credit(chronicle, scheduler, bench, scenario.credit.share)
        await score_seal(chronicle, scheduler, bench.pool.names, scenario.seal.runs)
        serving.cancel("the last runs are done")
