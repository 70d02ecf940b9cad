"""Clients by MCP: what others wrote stands in quotations, in every answer that a client reads."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from said_everywhere import PLAIN, everywhere, hidden, skeleton

from agents.called_agent import CalledAgent
from agents.lab import Outcome
from agents.minds.policy.hostile.injections import Injection, injections
from community.mcp import showing
from community.mcp.answers import Answer, CallRefusedError


class Reader:
    """As much of a called agent as answers are made of: it has seen a text everywhere."""

    name = "ada"

    def __init__(self, text: str) -> None:
        self._text, self._sight = text, everywhere(text)
        self.notebook = text

    async def look(self) -> Any:
        """Return what it sees."""
        return self._sight

    async def posts(self) -> Any:
        """Return what has reached it."""
        return self._sight.posts

    async def since(self, count: int) -> Any:
        """Return how many posts there are, and those after so many."""
        return len(self._sight.posts), self._sight.posts[count:]

    async def outcome(self, verdict_id: str) -> Outcome:
        """Return what came of it, with a log that holds the text."""
        return Outcome("invalid", "c9", verdict_id, None, "improved", None, "crash", self._text)

    def under_way(self) -> tuple[str, ...]:
        """Return nothing: it waits for nothing."""
        return ()


async def answers(text: str) -> list[Answer]:
    """Return every answer of a client's reading tools, where the text is all over."""
    agent = cast(CalledAgent, Reader(text))
    asked: list[Callable[[], Awaitable[Answer]]] = [
        *(lambda what=what: what(agent) for what in (  # type: ignore[misc]
            showing.briefing, showing.observe, showing.threads, showing.leaderboard, showing.queue,
            showing.notebook, showing.code)),
        *(lambda post=post: showing.thread(agent, post) for post in ("p2", "p3", "p6", "p7")),  # type: ignore[misc]
        lambda: showing.verdict(agent, "p-c1"),
        lambda: showing.News(agent).wait(),
    ]  # fmt: skip
    return [await each() for each in asked]


@pytest.fixture(scope="module")
def usual() -> list[str]:
    """Give what stands outside of quotations where nothing in particular was said."""
    import asyncio

    return [skeleton(each.text) for each in asyncio.run(answers(PLAIN))]


@pytest.mark.parametrize("each", injections(), ids=lambda each: each.name)
async def test_an_answer_quotes_it(each: Injection, usual: list[str]) -> None:
    """Outside quotations the same words, and no facts that anybody wrote."""
    told = await answers(each.text)
    assert [skeleton(answer.text) for answer in told] == usual
    for answer in told:
        assert not hidden(answer.text)
        facts = {name: value for name, value in answer.facts.items() if name != "paths"}
        assert not hidden(json.dumps(facts, ensure_ascii=False))
        assert each.text[:40] not in json.dumps(facts, ensure_ascii=False)


async def test_a_name_that_is_a_text_is_refused_in_our_words() -> None:
    """What a client itself sends comes back short and without unseen letters."""
    for each in injections():
        agent = cast(CalledAgent, Reader(PLAIN))
        for ask in (showing.thread, showing.verdict):
            with pytest.raises(CallRefusedError) as caught:
                await ask(agent, each.text)
            assert len(str(caught.value)) < 300
            assert not hidden(str(caught.value))
