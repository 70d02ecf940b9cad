"""The toolbox: which tools and resources a client is offered, and what answers each.

Tools that act are those of the minds that ask a model (`agents.minds.prompting`), word for word, of
these the role's; the others read. Everything is answered with an `Answer`; that nothing but the
agent's own view can be read follows from what `community.mcp.showing` has.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.called_agent import CalledAgent
from agents.minds.prompting import tools_for
from community.mcp import showing
from community.mcp.acting import ANSWER_S, REQUEST_CHARACTERS, Acting
from community.mcp.answers import Answer, CallRefusedError

SCHEME: Final = "community://"
MOST_ARGUMENT_BYTES: Final = 512 * 1024
"""Of one call; a proposal's edits hold 256 Ki characters at most."""


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _None(_Arguments):
    pass


class _Thread(_Arguments):
    post: Annotated[str, Field(max_length=64, description="Id of any of its posts.")]
    part: Annotated[int, Field(ge=1, description="Which part, where it is long.")] = 1


class _Code(_Arguments):
    commit: Annotated[
        str, Field(max_length=64, description="Empty: the commit that edits are made on.")
    ] = ""
    path: Annotated[
        str, Field(max_length=300, description="One file, whole lines; empty: all, cut to fit.")
    ] = ""
    line: Annotated[int, Field(ge=1, description="First line of that file.")] = 1


class _Verdict(_Arguments):
    hypothesis: Annotated[str, Field(max_length=64, description="Post id of the hypothesis.")]


class _Wait(_Arguments):
    seconds: Annotated[
        float, Field(ge=0, le=showing.LONGEST_WAIT_S, description="How long at most.")
    ] = 45.0
    after: Annotated[
        int | None, Field(ge=0, description="Cursor of an earlier answer; else of the last one.")
    ] = None


@dataclass(frozen=True, slots=True)
class Offered:
    """One tool as a client sees it."""

    name: str
    description: str
    schema: Mapping[str, Any]
    """JSON schema of its arguments."""
    is_reading: bool


@dataclass(frozen=True, slots=True)
class Page:
    """One resource, or with a name in braces a family of them, as a client sees it."""

    uri: str
    name: str
    description: str


_READING: Final[Mapping[str, tuple[type[_Arguments], str]]] = {
    "briefing": (_None, "The task, its metric and baseline, your role, and what is left to use."),
    "observe": (_None, "What you would decide on now: results, failures, leads, what you are asked "
                "to review, your notebook, the newest posts."),
    "threads": (_None, "List the threads that have reached you, the newest first."),
    "read_thread": (_Thread, "Read all posts of one thread, with their diffs."),
    "read_code": (_Code, "Read the files of a commit whose code has reached you."),
    "leaderboard": (_None, "The measured commits that have reached you, ranked."),
    "queue": (_None, "What is being measured for you, what waits for your review or confirmation, "
              "and what others have under way."),
    "verdict": (_Verdict, "What came of a hypothesis, with the end of its log where it is yours."),
    "read_notebook": (_None, "Your notebook."),
    "wait_for_news": (_Wait, "Wait until something new reaches you (a post, a request for a "
                      "review, your verdict) and read it."),
}  # fmt: skip

PAGES: Final = (
    Page("briefing", "Briefing", "The task, your role and what is left."),
    Page("observation", "Observation", "What you would decide on now."),
    Page("threads", "Threads", "Threads that have reached you."),
    Page("leaderboard", "Leaderboard", "Measured commits that have reached you."),
    Page("queue", "Queue", "What waits, of yours and of others."),
    Page("notebook", "Notebook", "Your notebook."),
    Page("thread/{post}", "Thread", "All posts of one thread."),
    Page("code/{commit}", "Code", "The files of one commit."),
    Page("verdict/{hypothesis}", "Verdict", "What came of one hypothesis."),
)
"""Without `SCHEME`."""

_A = TypeVar("_A", bound=_Arguments)


class Toolbox:
    """Tools and resources over one agent.

    Args:
        agent: Whose.
    """

    def __init__(self, agent: CalledAgent) -> None:
        self._agent = agent
        self._acting = Acting(agent)
        self._news = showing.News(agent)

    def offered(self) -> list[Offered]:
        """Return the tools that the agent's role grants."""
        reading = [
            Offered(name, words, _schema(shape), is_reading=True)
            for name, (shape, words) in _READING.items()
        ]
        acting = [
            Offered(tool.name, tool.description, _named(tool.parameters), is_reading=False)
            for tool in tools_for(self._agent.role.rights)
            if tool.name != "wait"
        ]
        return [*reading, *acting]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Answer:
        """Answer one tool call.

        Raises:
            CallRefusedError, UnusableError, LabError: it cannot be answered; says why.
            BoardClosedError: the agent takes no part any more.
            TimeoutError: the run does not answer.
        """
        known = [each.name for each in self.offered()]
        if name not in known:
            raise CallRefusedError(
                f"there is no tool {name[:64]!r} for a {self._agent.role.name}; yours are "
                f"{', '.join(known)}"
            )
        if len(json.dumps(arguments)) > MOST_ARGUMENT_BYTES:
            raise CallRefusedError(f"a call has at most {MOST_ARGUMENT_BYTES} bytes")
        if name in _READING:
            return await self._read(name, _checked(_READING[name][0], arguments))
        return await self._acting.call(name, arguments)

    async def _read(self, name: str, asked: _Arguments) -> Answer:
        agent = self._agent
        match asked:
            case _Wait():
                news = self._news.wait(asked.seconds, asked.after)
                return await _soon(news, asked.seconds)
            case _Thread():
                return await _soon(showing.thread(agent, asked.post, asked.part))
            case _Code():
                return await _soon(showing.code(agent, asked.commit, asked.path, asked.line))
            case _Verdict():
                return await _soon(showing.verdict(agent, asked.hypothesis))
        return await _soon(_PLAIN[name](agent))

    async def page(self, uri: str) -> Answer:
        """Return a resource. Raises as `call`."""
        what = uri.removeprefix(SCHEME) if uri.startswith(SCHEME) else ""
        place, _, name = what.partition("/")
        if place in _PLAIN_PAGES and not name:
            return await _soon(_PLAIN[_PLAIN_PAGES[place]](self._agent))
        if place == "thread" and name:
            return await _soon(showing.thread(self._agent, name))
        if place == "code" and name:
            return await _soon(showing.code(self._agent, name))
        if place == "verdict" and name:
            return await _soon(showing.verdict(self._agent, name))
        known = ", ".join(SCHEME + each.uri for each in PAGES)
        raise CallRefusedError(f"there is no resource {uri[:120]!r}; there are {known}")


_PLAIN: Final[Mapping[str, Callable[[CalledAgent], Awaitable[Answer]]]] = {
    "briefing": showing.briefing,
    "observe": showing.observe,
    "threads": showing.threads,
    "leaderboard": showing.leaderboard,
    "queue": showing.queue,
    "read_notebook": showing.notebook,
}
_PLAIN_PAGES: Final = {
    "briefing": "briefing",
    "observation": "observe",
    "threads": "threads",
    "leaderboard": "leaderboard",
    "queue": "queue",
    "notebook": "read_notebook",
}


async def _soon(answer: Awaitable[Answer], more_s: float = 0.0) -> Answer:
    async with asyncio.timeout(ANSWER_S + more_s):
        return await answer


def _checked(shape: type[_A], arguments: Mapping[str, Any]) -> _A:
    try:
        return shape.model_validate(dict(arguments))
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part)[:40] for part in each['loc']) or 'arguments'}: {each['msg']}"
            for each in error.errors()[:5]
        ]
        raise CallRefusedError("; ".join(faults)) from None


def _schema(shape: type[_Arguments]) -> dict[str, Any]:
    schema = shape.model_json_schema()
    schema.pop("title", None)
    for each in schema.get("properties", {}).values():
        each.pop("title", None)
    return {"type": "object", "properties": {}, **schema}


def _named(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema to which the name of the call is added."""
    schema = deepcopy(dict(parameters))
    schema["properties"]["request"] = {
        "type": "string",
        "maxLength": REQUEST_CHARACTERS,
        "description": "A word of your own for this call, so that it can be repeated safely; left "
        "out, the same arguments are the same call.",
    }
    return schema
