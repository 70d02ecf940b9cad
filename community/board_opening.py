"""Opening the board a scenario asks for: in memory, on our own broker, or on somebody else's."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from community.scenario import BoardSection
from forum.board import Board
from forum.errors import BrokerStartError
from forum.memory_board import MemoryBoard

if TYPE_CHECKING:
    from forum.broker import EmbeddedBroker

PASSWORD_VARIABLE = "COMMUNITY_BROKER_PASSWORD"  # noqa: S105 - the name of one, not one
"""Where the password of an external broker's user comes from: a scenario is kept in the ledger."""
BROKER_LIVES = 5
BROKER_SPAN_S = 600.0
"""A broker that ends so often within this span will not be cured by starting it again; one that
ends now and then in a run of weeks is."""

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_board(
    section: BoardSection, run_id: str, names: Sequence[str]
) -> AsyncIterator[Board]:
    """Open a board with a seat for each of `names`, and close it with everything it started.

    Raises:
        BrokerStartError: the embedded broker cannot start, for example because its port is in use.
        BoardUnreachableError: nobody answers at the broker's address.
    """
    if section.broker == "memory":
        yield MemoryBoard()
        return
    from forum.mqtt_board import MqttBoard  # the network's libraries only where a network is used

    if section.broker == "embedded":
        from forum.broker import EmbeddedBroker

        broker = await EmbeddedBroker.start(run_id, names, port=section.port or 0)
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(_keep_up(broker), name="broker")
            try:
                yield MqttBoard(broker.host, broker.port, run_id, broker.credentials)
            finally:
                keeping.cancel()
        return
    yield MqttBoard.at(section.broker, run_id, os.environ.get(PASSWORD_VARIABLE))


async def _keep_up(broker: EmbeddedBroker) -> None:
    """Start the broker again, where its clients look for it, when it ends unasked.

    Raises:
        BrokerStartError: it does not come back, or ended `BROKER_LIVES` times in `BROKER_SPAN_S`.

    Cancellation: the broker is ended.
    """
    loop = asyncio.get_running_loop()
    ends: deque[float] = deque(maxlen=BROKER_LIVES)
    try:
        while True:
            code = await broker.wait()
            ends.append(loop.time())
            if len(ends) == BROKER_LIVES and ends[-1] - ends[0] <= BROKER_SPAN_S:
                raise BrokerStartError(
                    f"the embedded broker ended {BROKER_LIVES} times in {ends[-1] - ends[0]:.0f} s,"
                    f" the last time with code {code}; see whether memory is short, then go on "
                    "with `community run --resume`"
                )
            _log.warning("the embedded broker ended with code %d; it is started again", code)
            broker = await broker.again()
    finally:
        await broker.aclose()
