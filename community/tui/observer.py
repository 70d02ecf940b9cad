"""A run somewhere else, over its board: the observer's credential opens all of its rows.

It asks for pages of rows until it has them all, then takes what is published, and asks again where
something is missing: after a loss of the network, or of the broker. A source like the ledger
(`community.tui.feed`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from community.archive.codec import decode_event
from community.errors import LedgerEventError
from community.events import Row
from community.observing import OVER_TOPIC, ROW_TOPIC
from community.plain_text import one_line
from community.tui.feed import BATCH_ROWS, News, RowsRead, Unread
from forum.credentials import load_credential
from forum.errors import ForumError
from forum.plain_text import plain

if TYPE_CHECKING:
    from forum.board import Watch

AGAIN_S: Final = 2.0
"""Between two tries to reach a run."""
LOOK_S: Final = 5.0
"""Without a word for so long it is asked whether something was missed."""


class ObserverFeed:
    """Watches a run over its broker.

    Args:
        url: Where the broker is, ``mqtt[s]://host:port[/run]``.
        credential: The observer's credential, a file.
    """

    def __init__(self, url: str, credential: Path) -> None:
        self._url = url
        self._credential = load_credential(credential)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_closing = False
        self._after_seq = 0
        self._is_over = False
        """Whether the run said that its research is over, and was not taken up again."""

    def follow(self, post: Callable[[News], object]) -> None:
        """Hand over rows until `close`; runs a loop of its own in this thread."""
        asyncio.run(self._follow(post))

    def close(self) -> None:
        """Have the thread end."""
        self._is_closing = True
        if self._loop is not None and self._task is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)

    async def _follow(self, post: Callable[[News], object]) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        while not self._is_closing:
            try:
                await self._watch(post)
            except asyncio.CancelledError:
                return  # nobody but `close` cancels it
            except LedgerEventError as error:
                post(Unread(f"{self._url}: {error}", is_absent=False))
                return
            except ForumError as error:
                if not self._is_over:  # then that is what there is to say
                    post(RowsRead((), is_live=False))
                    post(Unread(f"{error}\nTrying again; q leaves.", is_absent=True))
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(AGAIN_S)

    async def _watch(self, post: Callable[[News], object]) -> None:
        from forum.mqtt_board import MqttBoard  # the network's libraries only where it is used

        board = MqttBoard.joining(self._url, self._credential)
        async with board.observe() as watch:
            await self._catch_up(watch, post)
            while True:
                try:
                    async with asyncio.timeout(LOOK_S):
                        seen = await anext(watch)
                except TimeoutError:
                    await self._look(watch, post)
                    continue
                if seen.name == OVER_TOPIC:
                    self._say_over(seen.payload, post)
                if seen.name != ROW_TOPIC:
                    continue
                rows = [row for row in _rows(json.loads(seen.payload)) if row.seq > self._after_seq]
                if rows and rows[0].seq != self._after_seq + 1:
                    await self._catch_up(watch, post)
                else:
                    self._hand_over(rows, post)

    def _say_over(self, payload: bytes, post: Callable[[News], object]) -> None:
        """Say that nothing more comes, unless the run is taken up again."""
        why = plain(payload.decode("utf-8", "replace"))[:300]
        self._is_over = True
        post(RowsRead((), is_live=False))
        words = (
            f"{one_line(why)}. Nobody is seated any more, and this is all that a broker carries: "
            "the last runs, on seal, are in the run's ledger.\nWhere its folder is, `community "
            "show` and `community watch` tell of them."
        )
        post(Unread(words, is_absent=True))

    async def _look(self, watch: Watch, post: Callable[[News], object]) -> None:
        """Ask whether something was missed, and say so where nobody answers."""
        try:
            async with asyncio.timeout(LOOK_S):
                await self._catch_up(watch, post)
        except TimeoutError:
            if not self._is_over:
                post(RowsRead((), is_live=False))

    async def _catch_up(self, watch: Watch, post: Callable[[News], object]) -> None:
        while True:
            args = {"after_seq": self._after_seq, "limit": BATCH_ROWS}
            result = await watch.request("rows", args, secrets.token_hex(8))
            self._hand_over([*_rows(result["rows"])], post)
            if result["is_last"]:
                self._hand_over([], post)
                return

    def _hand_over(self, rows: list[Row], post: Callable[[News], object]) -> None:
        post(RowsRead(tuple(rows), is_live=True))
        if rows:
            self._after_seq = rows[-1].seq
            self._is_over = False


def _rows(packed: Any) -> Iterable[Row]:
    """Yield the rows of a page.

    Raises:
        LedgerEventError: they are no rows.
    """
    try:
        for seq, at_us, kind, body in packed:
            yield Row(int(seq), int(at_us), decode_event(str(kind), str(body)))
    except (TypeError, ValueError) as error:
        raise LedgerEventError(f"the run sent something else than rows: {error}") from error
