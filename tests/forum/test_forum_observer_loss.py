"""Who watches a run over its broker loses the network, and hears that research is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from silent_network import Network, network

from community.archive.ledger import Ledger
from community.chronicle import Chronicle
from community.clock import RunClock
from community.counter import Counter
from community.events import Noticed, Row, RunOpened
from community.observing import Observing
from community.tui import observer
from community.tui.feed import News, RowsRead, Unread
from community.tui.observer import ObserverFeed
from forum import mqtt_link
from forum.broker import EmbeddedBroker
from forum.credentials import Credential, credential_path, write_credentials
from forum.mqtt_board import MqttBoard
from forum.topics import OBSERVER


@dataclass
class Watched:
    """A run's ledger, who serves observers, and what one of them was handed."""

    chronicle: Chronicle
    observing: Observing
    between: Network
    news: list[News] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        """All rows that arrived, in the order in which they did."""
        return [row for each in self.news if isinstance(each, RowsRead) for row in each.rows]

    def say(self, *words: str) -> None:
        """Let rows be recorded."""
        for word in words:
            self.chronicle.record(Noticed("budget", word))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until that is so."""
        while not holds():  # noqa: ASYNC110 - the feed's thread sets no event of this loop's
            await asyncio.sleep(0.01)

    async def until_known(self) -> None:
        """Wait until the whole ledger has arrived."""
        await self.until(lambda: len(self.rows) >= self.chronicle.ledger.last_seq)


@asynccontextmanager
async def watched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    """Serve a run's rows on a broker of its own; an observer reads them over a network."""
    monkeypatch.setattr(mqtt_link, "_KEEPALIVE_S", 1)
    monkeypatch.setattr(mqtt_link, "_CALL_S", 1.0)
    monkeypatch.setattr(observer, "AGAIN_S", 0.1)
    monkeypatch.setattr(observer, "LOOK_S", 0.5)
    async with (
        asyncio.timeout(90),
        await EmbeddedBroker.start("r1", []) as broker,
        network(broker.port) as (between, port),
        MqttBoard(broker.host, broker.port, "r1", broker.credentials).desk() as desk,
    ):
        password = broker.credentials.logins[OBSERVER].password
        url = f"mqtt://{broker.host}:{port}"
        write_credentials(folder / "c", [Credential(OBSERVER, password, "r1", url)])
        feed = ObserverFeed(url, credential_path(folder / "c", OBSERVER))
        with Ledger.create(folder / "ledger.db") as ledger:
            chronicle = Chronicle(ledger, RunClock())
            chronicle.record(_opened())
            observing = Observing(chronicle, desk)
            counter = Counter(chronicle, desk, lambda who: observing if who == OBSERVER else None)
            found = Watched(chronicle, observing, between)
            tasks = [asyncio.create_task(counter.serve()), asyncio.create_task(observing.publish())]
            reading = asyncio.create_task(asyncio.to_thread(feed.follow, found.news.append))
            try:
                yield found
            finally:
                feed.close()
                await reading
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("loss", ["swallow", "cut"])
async def test_an_observer_who_loses_the_network_misses_no_row(
    loss: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was recorded meanwhile comes when the network is back: all of it, in order, once."""
    async with watched(tmp_path, monkeypatch) as run:
        run.say("one", "two")
        await run.until_known()
        getattr(run.between, loss)()
        run.say(*(f"meanwhile {number}" for number in range(20)))
        await run.between.refused.wait()  # it has noticed, and tries to come back
        await run.until(lambda: isinstance(run.news[-1], RowsRead) and not run.news[-1].is_live)
        assert len(run.rows) == 3
        run.between.mend()
        await run.until_known()
        run.say("later")
        await run.until_known()
        await run.until(lambda: isinstance(run.news[-1], RowsRead) and run.news[-1].is_live)
        assert run.rows == list(run.chronicle.ledger.rows())


async def test_an_observer_is_told_that_research_is_over_and_where_the_rest_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words stay when the broker goes; a run that is taken up again is shown again."""
    async with watched(tmp_path, monkeypatch) as run:
        run.say("one")
        await run.until_known()
        await run.observing.close("the run is over: experiments")
        await run.until(lambda: isinstance(run.news[-1], Unread))
        run.between.cut()
        await run.between.refused.wait()
        await asyncio.sleep(1.0)  # it has looked, and nobody answered
        last = run.news[-1]
        assert isinstance(last, Unread)
        assert "the run is over: experiments" in last.why
        assert "on seal" in last.why
        assert last.is_absent
        run.between.mend()
        run.say("taken up again")
        await run.until_known()


def _opened() -> RunOpened:
    return RunOpened(
        *("r1", "run = {}\n", "nanolm", 7, "0", "val_bpb", "bits per byte", "lower"),
        *("steps", 60.0, ("cpu0",), "cpu", "lock", "corpus", "b" * 40, "t"),
    )  # type: ignore[arg-type]  # in the order of its fields
