"""The embedded broker is kept up, within reason, and each of its ends is told."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from community import board_opening
from community.board_opening import BROKER_LIVES, open_board
from community.scenario import BoardSection
from forum.broker import EmbeddedBroker
from forum.credentials import load_credential
from forum.errors import BrokerStartError
from forum.ids import AgentName
from forum.incidents import Incident
from forum.messages import Notice
from forum.mqtt_board import MqttBoard


class ShortLivedBroker:
    """Ends as soon as it is waited for, `lives` times; then it lives for ever."""

    def __init__(self, lives: int) -> None:
        self.lives = lives
        self.is_closed = False

    async def incidents(self) -> AsyncIterator[Incident]:
        """Have turned nothing away."""
        return
        yield

    async def wait(self) -> int:
        """End, or never return."""
        if not self.lives:
            await asyncio.Event().wait()
        self.lives -= 1
        return -9

    async def again(self) -> ShortLivedBroker:
        """Return a successor: itself."""
        return self

    async def aclose(self) -> None:
        """Note it."""
        self.is_closed = True


async def keep_up(broker: ShortLivedBroker) -> None:
    """Keep the scripted broker up."""
    await board_opening._keep_up(broker)  # type: ignore[arg-type]


async def test_a_broker_that_ends_again_and_again_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each end but the last is told of and made good; the last is an error that says what to do."""
    broker = ShortLivedBroker(lives=10 * BROKER_LIVES)
    with pytest.raises(BrokerStartError, match=r"ended 25 times in a row.* code -9.*--resume"):
        await keep_up(broker)
    assert broker.lives == 9 * BROKER_LIVES
    assert broker.is_closed
    told = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    again = "the embedded broker ended with code -9; it is started again"
    assert told == [again] * BROKER_LIVES


async def test_a_broker_that_ends_while_it_starts_is_started_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kill may fall between two brokers; only start after start that fails is given up."""
    monkeypatch.setattr(board_opening, "START_PAUSE_S", 0.0)
    broker = ShortLivedBroker(lives=2)
    failing = 3

    async def again() -> ShortLivedBroker:
        nonlocal failing
        failing -= 1
        if failing >= 0:
            raise BrokerStartError("it ended before it listened")
        return broker

    monkeypatch.setattr(broker, "again", again)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(keep_up(broker), 0.2)
    assert (broker.lives, broker.is_closed) == (0, True)
    failing = 10 * BROKER_LIVES
    broker.lives = 1
    with pytest.raises(BrokerStartError, match="before it listened"):
        await keep_up(broker)


async def test_lives_that_were_not_short_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run outlives more broken brokers than `BROKER_LIVES`, as long as they served."""
    monkeypatch.setattr(board_opening, "SHORT_LIFE_S", 0.0)  # no life is shorter than that
    broker = ShortLivedBroker(lives=3 * BROKER_LIVES)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(keep_up(broker), 0.2)
    assert broker.lives == 0
    assert broker.is_closed


async def test_a_board_goes_on_when_its_broker_is_killed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next broker stands where the first was: desk and seats come back by themselves."""
    brokers: list[EmbeddedBroker] = []
    start = EmbeddedBroker.start

    async def started(*args: object, **options: object) -> EmbeddedBroker:
        brokers.append(await start(*args, **options))  # type: ignore[arg-type]
        return brokers[-1]

    monkeypatch.setattr(EmbeddedBroker, "start", started)
    async with (
        asyncio.timeout(60),
        open_board(BoardSection(broker="embedded"), "r1", ["ada"]) as board,
        board.desk() as desk,
        board.seat(AgentName("ada")) as seat,
    ):
        os.kill(brokers[0].pid, signal.SIGKILL)
        await seat.link.next_connection  # type: ignore[attr-defined]
        notice = Notice(kind="resume", text="again")
        await desk.notify(notice)
        assert await anext(seat.notices()) == notice
        assert [broker.port for broker in brokers] == [brokers[0].port] * 2
        assert "ended with code -9; it is started again" in caplog.text


async def test_guests_find_their_credentials_and_keep_them(tmp_path: Path) -> None:
    """One file for each guest and the observer, none for agents within; good after a restart."""
    folder = tmp_path / "credentials"
    for _ in range(2):
        async with open_board(
            BoardSection(), "r1", ["ada"], guests=["~anna"], folder=folder
        ) as board:
            assert sorted(path.name for path in folder.iterdir()) == ["observer.json", "~anna.json"]
            first = load_credential(folder / "~anna.json")
            seat = MqttBoard.joining(None, first).seat(AgentName("~anna"))
            async with seat as anna, board.desk() as desk:
                await desk.notify(Notice(kind="start", text="hello"))
                assert (await anext(anna.notices())).text == "hello"
            async with MqttBoard.joining(None, load_credential(folder / "observer.json")).observe():
                pass
        assert load_credential(folder / "~anna.json") == first
    # What others may have read is worth nothing any more.
    (folder / "~anna.json").chmod(0o644)
    async with open_board(BoardSection(), "r1", ["ada"], guests=["~anna"], folder=folder):
        assert load_credential(folder / "~anna.json").password != first.password
