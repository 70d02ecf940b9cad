"""A community of everybody who can take part: models, a coding agent, an MCP client, policies.

The models are servers of ours behind the real SDKs; the coding agent is a program of ours that one
of them tells what to do, in the real sandbox; the MCP client is the official one, at the other end
of ``community mcp``, and stays for as long as the test wants, however often the run goes away.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from e2e_scenarios import scenario_text

from agents.prices import MICRO_USD, Price, Usage

sys.path.append(str(Path(__file__).parent.parent / "contracts"))
sys.path.append(str(Path(__file__).parent.parent / "community"))
from canary import CANARY, FORMS
from mcp import Client
from mcp_researcher import McpResearcher, over_stdio
from model_servers import FLAVOURS, PROGRAMS, Flavour, Say, Script, Served, Status, serving

KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_COMPATIBLE_API_KEY")
PRICE = Price(input=2.0, output=10.0, cache_read=0.1, cache_write=2.5)
CAP_USD = 20.0
MODELS = ("ada", "bob", "cyd", "fay")
CLIENT = "gus"
KNOBS = {"HEAD_LR": (0.004, 0.009, 0.03, 0.06), "LOGIT_CAP": (8.0, 12.0, 20.0, 25.0)}
"""What the MCP client turns."""

SPY = """import os, glob
print("SPY", sorted(os.environ.items()))
for place in ["/proc/*/environ", "/proc/*/cmdline", "/proc/self/mountinfo", "/proc/keys"]:
    for path in glob.glob(place):
        try:
            print("SPY", path, open(path, "rb").read())
        except OSError as error:
            print("SPY", path, error)
"""
"""What candidate code can see of the program that runs it."""


@dataclass(frozen=True)
class Paid:
    """One answer that a server has billed."""

    agent: str
    turn: int
    usage: Usage
    """No two are the same."""


@dataclass
class Books:
    """What all servers together were asked, and what they want to be paid."""

    requests: int = 0
    paid: list[Paid] = field(default_factory=list)
    """In the order of answering."""
    numbers: Iterator[int] = field(default_factory=lambda: count(1))


def script_of(flavour: Flavour, books: Books):
    """Return a server that turns one knob of the code it is shown, and sometimes has no time.

    Its first proposal looks around, and everything it says has a form of the key in it.
    """
    chance = random.Random(flavour)

    def script(body, number):
        books.requests += 1
        if chance.random() < 0.15:
            return Status(chance.choice([429, 529, 500]), f"busy, {FORMS['base64']}")
        text = json.dumps(body)
        name = chance.choice(["EMBED_LR", "MATRIX_LR", "HEAD_LR"])
        found = re.search(rf"{name} = ([0-9.e-]+)\\n", text)
        assert found is not None
        value = float(found[1]) * chance.choice([1.7, 2.3, 3.1])
        edit = {"path": "train.py", "how": "replace"}
        turned = f"{name} = {value:.6g}\n" + ("" if books.paid else SPY)
        edit |= {"search": f"{name} = {found[1]}\n", "text": turned}
        proposal = {
            "title": f"{name} {value:.3g}", "rationale": f"Rates: {FORMS['url']}.", "parent": "",
            "edits": [edit], "gain": 0.05, "confidence": 0.7, "lead": "", "insists": True,
        }  # fmt: skip
        usage = Usage(*(chance.randrange(1, 900) for _ in range(3)), next(books.numbers))
        who, turn = re.search(r"You are (\w+)\.", text), re.search(r"This is your turn (\d+)", text)
        assert who is not None
        assert turn is not None
        books.paid.append(Paid(who[1], int(turn[1]), usage))
        calls = (
            ("notebook", {"text": f"Key: {CANARY}, {FORMS['hex']}. Tried {name}."}),
            ("propose", proposal),
        )
        does: tuple[tuple[str, object], ...] = ()
        if flavour in PROGRAMS:  # which changes its tree
            cost = (PRICE.micro_usd(usage) - 0.5) / MICRO_USD  # which is rounded up
            does = (("edits", [[edit["path"], edit["search"], edit["text"]]]), ("usd", cost))
            del proposal["edits"], proposal["parent"]
        return Say(calls=calls, text="Rates.", usage=usage, does=does)

    return script


@contextmanager
def served_by_threads(flavour: Flavour, script: Script) -> Iterator[Served]:
    """Run a server on a loop in a thread of its own for the block."""
    ready: list[Served] = []
    is_up, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving(flavour, script) as served:
            ready.append(served)
            is_up.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name=f"server {flavour}")
    thread.start()
    assert is_up.wait(10)
    try:
        yield ready[0]
    finally:
        over.set()
        thread.join(10)


@contextmanager
def client_of(run: Path) -> Iterator[list[str]]:
    """Have the MCP client take part in a run for the block; yields what it was told in the end.

    Whenever its server is turned away or has gone it is started again, as by somebody who wants to
    be there.
    """
    told: list[str] = []
    over = threading.Event()

    async def take_part() -> None:
        async with Client(over_stdio(str(run), "--as", CLIENT)) as client:
            told.append(await McpResearcher(client, KNOBS, "train.py", len(told)).research())

    async def until_over() -> None:
        leaving = asyncio.create_task(asyncio.to_thread(over.wait))
        while not leaving.done():
            if (run / "credentials" / f"{CLIENT}.json").exists():
                there = asyncio.create_task(take_part())
                await asyncio.wait({there, leaving}, return_when=asyncio.FIRST_COMPLETED)
                there.cancel()
                await asyncio.gather(there, return_exceptions=True)  # nobody served it, say
            await asyncio.wait({leaving}, timeout=0.2)

    thread = threading.Thread(target=lambda: asyncio.run(until_over()), name="MCP client")
    thread.start()
    try:
        yield told
    finally:
        over.set()
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def mixed(where: Path, task: Path, *, is_long: bool) -> Iterator[Books]:
    """Write ``mine.toml`` of such a community and serve its models for the block.

    Args:
        where: In which folder.
        task: What is researched.
        is_long: Whether a local model and a reproducer take part as well.
    """
    books = Books()
    with ExitStack() as stack, pytest.MonkeyPatch.context() as environment:
        flavours = (*FLAVOURS, "cli:claude")
        servers = {
            name: stack.enter_context(served_by_threads(name, script_of(name, books)))
            for name in flavours
        }
        for key in KEYS:
            environment.setenv(key, CANARY)
        environment.setenv("ANTHROPIC_BASE_URL", servers["anthropic"].url)
        environment.setenv("OPENAI_BASE_URL", f"{servers['openai'].url}/v1")
        local = f"openai-compatible:m@{servers['openai-compatible'].url}/v1"
        more = ("dan reproducer verify", f"cyd explorer {local}") if is_long else ()
        agents = (
            "ada explorer anthropic:claude", "bob exploiter openai:gpt", "eve explorer social",
            "fay explorer cli:claude", f"{CLIENT} explorer remote", *more,
        )  # fmt: skip
        text = scenario_text(
            task, agents, stop={"experiments": 200}, topology={"family": "complete"},
            spend={"usd": CAP_USD}, seal={"runs": 1}, credit={"share": 0.0},
        )  # fmt: skip
        price = ", ".join(f"{kind} = {usd}" for kind, usd in PRICE)
        prices = f'{{ "anthropic:*" = {{ {price} }}, "openai*" = {{ {price} }} }}'
        text = text.replace(f"usd = {CAP_USD}", f"usd = {CAP_USD}, prices = {prices}")
        text = program(where, servers["cli:claude"].url, environment) + text
        (where / "mine.toml").write_text(text)
        yield books


def program(where: Path, url: str, environment: pytest.MonkeyPatch) -> str:
    """Put a program called claude into PATH; returns the scenario's line about it."""
    (where / "bin").mkdir()
    source = Path(__file__).parent.parent / "contracts" / "scripted_cli.py"
    shutil.copy(source, where / "bin" / "claude")
    (where / "bin" / "claude").chmod(0o755)
    environment.setenv("PATH", f"{where / 'bin'}:{os.environ['PATH']}")
    environment.setenv("MODEL_URL", url)
    passes = 'env = ["ANTHROPIC_API_KEY", "MODEL_URL"]'
    hosts = f'hosts = ["{url.removeprefix("http://")}"]'
    return f"minds = {{ cli = {{ claude = {{ usd_per_turn = 0.5, {passes}, {hosts} }} }} }}\n"
