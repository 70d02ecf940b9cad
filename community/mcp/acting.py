"""Acting: a tool call that changes something, carried out once under its name.

A call's name is what it says, or the `request` that its caller gives it. Asked again, here or after
this process was lost, it is the same call. What it may do is decided where the run is.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from agents.actions import Wait
from agents.called_agent import CalledAgent
from agents.minds.exchange import ToolCall
from agents.minds.parsing import parse_calls
from community.mcp.answers import Answer, CallRefusedError, refused
from forum.errors import BoardClosedError

ANSWER_S: Final = 50.0
"""How long a call waits; clients give up after a minute."""
REMEMBERED: Final = 256
"""Calls whose answers are kept."""
REQUEST_CHARACTERS: Final = 100
_RENEWED: Final = "claim_lead"
"""Said again it is meant again: a lease is renewed by it."""

_MADE: Final[Mapping[str, str]] = {
    "propose": "Posted as {post}. It is measured when its turn comes; wait_for_news or verdict "
    "tells what came of it.",
    "merge": "The merge is posted as {post}. wait_for_news or verdict tells what came of it.",
    "reproduce": "Claimed as {post}; it is measured on fresh seeds. wait_for_news tells the word.",
    "review": "Your review is recorded as {post}, sealed until the experiment begins.",
    "lead": "The lead is posted as {post}.",
    "claim_lead": "The lead is yours for some time ({post}); follow it with propose and `lead`.",
    "comment": "Said as {post}.",
    "notebook": "Your notebook is rewritten.",
}


class Acting:
    """Carries out what a client asks for.

    Args:
        agent: In whose name.
    """

    def __init__(self, agent: CalledAgent) -> None:
        self._agent = agent
        self._asked: OrderedDict[str, tuple[str, asyncio.Task[Answer | Exception]]] = OrderedDict()

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Answer:
        """Do what the tool `name` says, or answer as before where that was done.

        Raises:
            CallRefusedError: it took too long, or its name is another call's.
            BoardClosedError: the agent takes no part any more.
            TimeoutError: the run does not answer, or still measures its baseline.
        """
        asked = dict(arguments)
        request = asked.pop("request", "")
        if not isinstance(request, str) or len(request) > REQUEST_CHARACTERS:
            raise CallRefusedError(f"request is a word of at most {REQUEST_CHARACTERS} characters")
        content = _digest(name, json.dumps(asked, sort_keys=True))
        key = _digest(name, request) if request else content
        if name == _RENEWED and not request:
            key = secrets.token_hex(10)
        async with asyncio.timeout(ANSWER_S):
            await self._agent.ready()
        known = self._asked.get(key)
        if known is not None and known[0] != content:
            raise CallRefusedError(
                f"request {request!r} was another {name}; give this one another request"
            )
        return await self._answer(name, asked, key, content)

    async def _answer(self, name: str, asked: Mapping[str, Any], key: str, content: str) -> Answer:
        if key not in self._asked:
            task = self._agent.start(self._tried(name, asked, key), name)
            self._asked[key] = (content, task)
            while len(self._asked) > REMEMBERED:
                self._asked.popitem(last=False)
        task = self._asked[key][1]
        await asyncio.wait({task}, timeout=ANSWER_S)
        if not task.done():
            raise CallRefusedError(
                f"no answer from the run for {ANSWER_S:.0f} s: its broker is away, or somebody has "
                "paused you. The call goes on; ask again in the same words, nothing is done twice"
            )
        if task.cancelled():
            raise BoardClosedError(self._agent.ending or "the server is ending")
        answer = task.result()
        if isinstance(answer, Exception) or answer.is_error:
            self._asked.pop(key, None)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _tried(self, name: str, asked: Mapping[str, Any], key: str) -> Answer | Exception:
        """Return what came of it, an error too: it is the caller's, and ends nothing else."""
        try:
            return await self._done(name, asked, key)
        except Exception as error:
            return error

    async def _done(self, name: str, asked: Mapping[str, Any], key: str) -> Answer:
        key = f"{self._agent.name}-m{key}"
        sight = await self._agent.look()
        if said := self._agent.said(key):
            return Answer(f"This was done before, as {said}; nothing new was done.", {"post": said})
        call = ToolCall("call", name, json.dumps(asked))
        parsed = await parse_calls([call], sight, self._agent.reading)
        if parsed.faults:
            return refused("; ".join(parsed.faults.values()))
        action = parsed.actions[0]
        if isinstance(action, Wait):
            raise CallRefusedError("call wait_for_news to wait")
        done = await self._agent.act(action, key)
        if done.fault:
            return refused(f"{name}: {done.fault}")
        return Answer(_MADE[name].format(post=done.post), {"post": done.post})


def _digest(*parts: str) -> str:
    whole = "\0".join(parts).encode("utf-8", "replace")
    return hashlib.sha256(whole).hexdigest()[:20]
