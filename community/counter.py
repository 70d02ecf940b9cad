"""The counter: where requests over the board are answered, by whoever serves their asker.

What arrives is hostile until it is judged: bounded before it is parsed, paced and counted per
asker, of known operations only, with arguments of their shape. A request is carried out once under
its name: a repeat of one that is under way waits with it, and a repeat of one that was granted gets
the kept reply. What must hold across a restart of the run is the business of who serves it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter as Tally
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from community.chronicle import Chronicle
from community.errors import CommunityError
from community.events import Refused
from forum.board import Desk, Requested
from forum.codec import decode_request, encode
from forum.errors import MessageRefusedError, RequestRefusedError
from forum.requests import JsonObject, Reply, Request, refusal

MOST_OPEN: Final = 32
"""Unanswered requests of one asker; a mind has one or two."""
REQUESTS_PER_S: Final = 50.0
"""What one asker's requests are paced to; who asks faster waits longer."""
KEPT_REPLIES: Final = 128
KEPT_BYTES: Final = 8 * 1024
"""Replies of an asker that are kept for repeats, and the largest of them; others are made again."""
REFUSALS_NOTED: Final = 20
"""Refusals of one asker that go into the ledger in one life of the run."""
UNNOTED: Final = frozenset(
    {"stopped", "not_seated", "replaced", "proposal_refused", "merge_failed", "lab"}
)
"""Kinds of refusals that are nobody's fault, or in the ledger already."""

_Args = TypeVar("_Args", bound=BaseModel)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as far as the counter knows it."""

    who: str
    request_id: str
    op: str
    args: Mapping[str, Any]

    def read(self, model: type[_Args]) -> _Args:
        """Return the arguments as `model`.

        Raises:
            RequestRefusedError: they are not of its shape.
        """
        try:
            return model.model_validate(self.args)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise RequestRefusedError("malformed", f"{self.op}: {where}: {first['msg']}") from None


class Service(Protocol):
    """Who answers one kind of asker."""

    async def serve(self, asked: Asked) -> JsonObject:
        """Carry `asked` out and return the result.

        Raises:
            RequestRefusedError: it is turned down; the asker is told.
        """
        ...


@dataclass(slots=True)
class _Window:
    """What is known of one asker."""

    open: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    kept: OrderedDict[str, Reply] = field(default_factory=OrderedDict)
    next_us: int = 0
    """Loop time before which nothing more of his is begun."""

    def keep(self, reply: Reply, size_bytes: int) -> None:
        if size_bytes <= KEPT_BYTES:
            self.kept[reply.request_id] = reply
            while len(self.kept) > KEPT_REPLIES:
                self.kept.popitem(last=False)


class Counter:
    """Answers requests for as long as the run lives.

    Args:
        chronicle: Where refusals are noted.
        desk: Where requests come in and replies go out.
        service_of: Who serves an asker; None for those who take no part, who are not heard.
    """

    def __init__(
        self, chronicle: Chronicle, desk: Desk, service_of: Callable[[str], Service | None]
    ) -> None:
        self._chronicle = chronicle
        self._desk = desk
        self._service_of = service_of
        self._windows: dict[str, _Window] = {}
        self._refusals: Tally[str] = Tally()

    async def serve(self) -> None:
        """Take requests in until cancelled, or until the board hands in no more.

        Cancellation: what is under way is given up without a reply; its asker repeats it.
        """
        async with asyncio.TaskGroup() as group:
            async for requested in self._desk.requests():
                await self._take(requested, group)

    async def close(self, kind: str, reason: str) -> None:
        """Turn down whatever is still under way."""
        for who in list(self._windows):
            await self.turn_down(who, lambda _: True, kind, reason)

    async def turn_down(
        self, who: str, which: Callable[[str], bool], kind: str, reason: str
    ) -> None:
        """Give up requests of `who` that are under way, and tell him why.

        Args:
            who: The asker.
            which: Whether the request of this id is meant.
            kind: A word for programs.
            reason: For people.
        """
        window = self._windows.get(who)
        mine = asyncio.current_task()
        for request_id, task in list(window.open.items()) if window else ():
            if which(request_id) and task is not mine:
                task.cancel()
                await self._desk.reply(who, refusal(request_id, kind, reason))

    async def _take(self, requested: Requested, group: asyncio.TaskGroup) -> None:
        who = requested.who
        service = self._service_of(who)
        if service is None:
            return  # without a word: a stranger must not be able to make anything grow
        try:
            request = decode_request(requested.payload)
        except MessageRefusedError as error:
            await self._refuse(who, error.message_id, "malformed", error.reason)
            return
        window = self._windows.setdefault(who, _Window())
        if request.request_id in window.open:
            return
        if request.request_id in window.kept:
            await self._desk.reply(who, window.kept[request.request_id])
            return
        if len(window.open) >= MOST_OPEN:
            text = f"{MOST_OPEN} requests of {who} are open; wait for their replies"
            await self._refuse(who, request.request_id, "too_many", text)
            return
        task = group.create_task(self._answer(who, request, service, window))
        window.open[request.request_id] = task
        task.add_done_callback(lambda _: window.open.pop(request.request_id, None))

    async def _answer(self, who: str, request: Request, service: Service, window: _Window) -> None:
        await _pace(window)
        asked = Asked(who, request.request_id, request.op, request.args)
        reply, size_bytes = await self._reply_to(asked, service.serve(asked))
        if reply.ok:
            window.keep(reply, size_bytes)
        elif reply.error_kind not in UNNOTED:
            said = reply.reason.removeprefix(f"{request.op}: ")
            self._note(who, f"{request.op}: {said}", request.request_id)
        await self._desk.reply(who, reply)

    async def _reply_to(self, asked: Asked, result: Awaitable[JsonObject]) -> tuple[Reply, int]:
        """Return the reply and its size, whatever becomes of the request.

        Who asks must not end the run by what he asks for.
        """
        try:
            reply = Reply(request_id=asked.request_id, ok=True, result=await result)
            return reply, len(encode(reply))
        except RequestRefusedError as error:
            reply = refusal(asked.request_id, error.kind, error.reason)
        except MessageRefusedError as error:
            reply = refusal(asked.request_id, "too_large", error.reason)
        except CommunityError:
            raise  # the ledger cannot be written, say: nothing could go on
        except Exception as error:
            _log.warning("request %r of %s failed: %r", asked.op, asked.who, error)
            reply = refusal(asked.request_id, "failed", "the lab could not answer")
        return reply, 0

    async def _refuse(self, who: str, request_id: str, kind: str, reason: str) -> None:
        self._note(who, reason, request_id)
        if request_id:
            await self._desk.reply(who, refusal(request_id, kind, reason))

    def _note(self, who: str, reason: str, request_id: str) -> None:
        self._refusals[who] += 1
        if self._refusals[who] > REFUSALS_NOTED:
            return
        is_last = self._refusals[who] == REFUSALS_NOTED
        noted = f"{reason} (more like it are not noted)" if is_last else reason
        self._chronicle.record(Refused(who, "request", noted[:300], request_id))


async def _pace(window: _Window) -> None:
    loop = asyncio.get_running_loop()
    now_us = round(1e6 * loop.time())
    begin_us = max(now_us, window.next_us)
    window.next_us = begin_us + round(1e6 / REQUESTS_PER_S)
    if begin_us > now_us:
        await asyncio.sleep((begin_us - now_us) / 1e6)
