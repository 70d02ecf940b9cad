"""The boards that the contract suites are run against."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from forum.board import Board
from forum.broker import EmbeddedBroker
from forum.credentials import BrokerAddress, Credentials, load_credentials
from forum.memory_board import MemoryBoard
from forum.mosquitto_files import CREDENTIALS_NAME, MosquittoPlan, write_mosquitto
from forum.mqtt_board import MqttBoard

sys.path.append(str(Path(__file__).parent.parent / "forum"))
from fortress import free_port, mosquitto_with

AGENTS = ("ada", "bob", "carl")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "mqtt", "mosquitto"])
async def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[EmbeddedBroker | tuple[int, Credentials] | None]:
    """Run each broker in turn, once for the module."""
    if request.param == "memory":
        yield None
    elif request.param == "mqtt":
        async with await EmbeddedBroker.start("contract", AGENTS) as running:
            yield running
    else:
        home = tmp_path_factory.mktemp("mosquitto")
        plan = MosquittoPlan("contract", AGENTS, BrokerAddress("127.0.0.1", free_port()))
        async with mosquitto_with(write_mosquitto(home, plan), plan.address.port):
            held = load_credentials(home / CREDENTIALS_NAME)
            logins = {name: one.login for name, one in held.items()}
            yield plan.address.port, Credentials(logins=logins)


@pytest.fixture
def board(opened: EmbeddedBroker | tuple[int, Credentials] | None) -> Board:
    """Give each implementation in turn."""
    if opened is None:
        return MemoryBoard()
    if isinstance(opened, EmbeddedBroker):
        return MqttBoard(opened.host, opened.port, opened.run_id, opened.credentials)
    return MqttBoard("127.0.0.1", opened[0], "contract", opened[1])
