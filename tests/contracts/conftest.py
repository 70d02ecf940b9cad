"""The boards that the contract suites are run against."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from forum.board import Board
from forum.broker import EmbeddedBroker
from forum.memory_board import MemoryBoard
from forum.mqtt_board import MqttBoard


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broker() -> AsyncIterator[EmbeddedBroker]:
    """Run one embedded broker for the module."""
    async with await EmbeddedBroker.start("contract", ["ada", "bob", "carl"]) as running:
        yield running


@pytest.fixture(params=["memory", "mqtt"])
def board(request: pytest.FixtureRequest, broker: EmbeddedBroker) -> Board:
    """Give each implementation in turn."""
    if request.param == "memory":
        return MemoryBoard()
    return MqttBoard(broker.host, broker.port, broker.run_id, broker.credentials)
