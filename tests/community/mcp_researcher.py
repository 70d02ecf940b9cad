"""A researcher behind the official MCP client, as a coding agent would be: scripted, no model.

Looks, reviews what it is asked to, changes one constant of the code it is shown, reads its verdict,
and so on until it is told that it takes no part any more. By itself it is a program:
``python mcp_researcher.py RUN NAME KNOB=VALUE,VALUE ...`` starts ``community mcp`` over stdio.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client import Transport
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_types import TextContent

from community.mcp.server import FACTS

ROOT = Path(__file__).resolve().parents[2]
OVER = "take no part"
"""Stands in the answer to every call once the researcher's seat is gone."""
WAIT_S = 20.0


@dataclass(frozen=True)
class Told:
    """What a call was answered with."""

    text: str
    facts: Mapping[str, Any]
    is_error: bool


async def call(client: Client, name: str, **arguments: Any) -> Told:
    """Call a tool."""
    result = await client.call_tool(name, arguments)
    text = "\n".join(each.text for each in result.content if isinstance(each, TextContent))
    return Told(text, (result.meta or {}).get(FACTS, {}), result.is_error)


def community(*arguments: str, **environment: str) -> StdioServerParameters:
    """Return how ``community mcp ARGUMENTS`` is started."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "community", "mcp", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def over_stdio(*arguments: str) -> Transport:
    """Return a transport that starts ``community mcp ARGUMENTS`` and ends it."""
    return stdio_client(community(*arguments))


@asynccontextmanager
async def over_http(url: str, token: str) -> AsyncIterator[Any]:
    """Give a transport to a server that listens."""
    shown = {"authorization": f"Bearer {token}"}
    async with (
        create_mcp_http_client(headers=shown) as client,
        streamable_http_client(url, http_client=client) as streams,
    ):
        yield streams


class McpResearcher:
    """Proposes small changes of constants, and does what it is asked to.

    Args:
        client: Connected.
        knobs: Values by constant, of which it tries any.
        path: The file they stand in.
        seed: Of its choices.
    """

    def __init__(
        self, client: Client, knobs: Mapping[str, Sequence[float]], path: str, seed: int = 0
    ) -> None:
        self._client = client
        self._knobs = knobs
        self._path = path
        self._chance = random.Random(seed)
        self.verdicts: dict[str, str] = {}
        """What its hypotheses came to."""
        self.refusals: list[str] = []
        """What it was told where it asked for something in vain."""

    async def research(self, hypotheses: int | None = None) -> str:
        """Go on until so many of its hypotheses have a verdict, or the seat is gone.

        Returns:
            What it was told last.
        """
        while hypotheses is None or sum(map(bool, self.verdicts.values())) < hypotheses:
            sight = await call(self._client, "observe")
            if sight.is_error:
                if OVER in sight.text:
                    return sight.text
                self.refusals.append(sight.text)
                await asyncio.sleep(1.0)
                continue
            for asked in sight.facts["review"]:
                await self._review(asked)
            if not sight.facts["under_way"]:
                await self._propose(sight.facts["parent"])
            busy = sight.facts["under_way"] or self._waiting()
            await call(self._client, "wait_for_news", seconds=WAIT_S if busy else 1.0)
            await self._read_verdicts()
        return ""

    async def _review(self, hypothesis: str) -> None:
        told = await call(
            self._client, "review", hypothesis=hypothesis, opinion="doubt", reproduced=0.3,
            gain_low=-0.1, gain_mid=0.0, gain_high=0.1, fails=0.1, text="most changes do nothing",
        )  # fmt: skip
        if told.is_error:
            self.refusals.append(told.text)

    async def _propose(self, parent: str) -> None:
        code = await call(self._client, "read_code", commit=parent, path=self._path)
        name = self._chance.choice(sorted(self._knobs))
        line = re.search(rf"(?m)^{name} = .*$", code.text)
        if code.is_error or line is None:
            self.refusals.append(code.text)
            return
        others = [value for value in self._knobs[name] if line[0] != f"{name} = {value}"]
        value = self._chance.choice(others)
        edit = {
            "path": self._path,
            "how": "replace",
            "search": line[0],
            "text": f"{name} = {value}",
        }
        told = await call(
            self._client, "propose", title=f"{name} at {value}", rationale="a small step",
            parent=parent, edits=[edit], gain=0.01, confidence=0.5, lead="", insists=True,
        )  # fmt: skip
        if told.is_error:
            self.refusals.append(told.text)
        else:
            self.verdicts.setdefault(told.facts["post"], "")

    def _waiting(self) -> list[str]:
        return [name for name, status in self.verdicts.items() if not status]

    async def _read_verdicts(self) -> None:
        for hypothesis in self._waiting():
            told = await call(self._client, "verdict", hypothesis=hypothesis)
            if not told.is_error:
                self.verdicts[hypothesis] = told.facts["status"]


async def main(run: str, name: str, *knobs: str) -> None:
    """Take part in a run of this machine until it is over."""
    values = dict(each.split("=") for each in knobs)
    chosen = {knob: [float(one) for one in given.split(",")] for knob, given in values.items()}
    async with Client(over_stdio(run, "--as", name)) as client:
        researcher = McpResearcher(client, chosen, "train.py")
        print(await researcher.research())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
