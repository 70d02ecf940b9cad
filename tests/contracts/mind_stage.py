"""A language mind on a stage: the real SDK, a server of ours, and everything it left behind."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from model_servers import PROGRAMS, Flavour, Script, Served, serving

from agents.account import Account, Caps, Reserved, Settled
from agents.minds.catalogue import make_mind
from agents.minds.cli_presets import PRESETS, Cli
from agents.minds.exchange import Options
from agents.minds.language_mind import LanguageMind
from agents.minds.means import Answer, Means
from agents.minds.providers import Pace, Providers
from agents.prices import Price
from community.command_runs import CommandRuns, Places

sys.path.append(str(Path(__file__).parent.parent / "agents"))
from made_observations import WORLD, ModelLab, observation

SEEN = observation()
CANARY = "sk-canary-0123456789abcdef"
PRICE = Price(input=2.0, output=10.0, cache_read=0.1, cache_write=2.5)
USD_PER_TURN = 0.5
QUICK = Pace(
    down_after=3, first_probe_s=0.05, longest_probe_s=0.2, tries=3, first_pause_s=0.01,
    longest_pause_s=0.02, patience_s=20.0,
)  # fmt: skip


@dataclass
class Ledger:
    """What was written down, in order."""

    entries: list[Reserved | Settled] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    told: list[tuple[str, bool]] = field(default_factory=list)

    def reserved(self, entry: Reserved) -> None:
        """Keep it."""
        self.entries.append(entry)

    def write_bill(self, agent: str) -> None:
        """Do nothing: bills are written at once."""

    def settled(self, entry: Settled, *, is_answer: bool = False) -> None:
        """Keep it."""
        self.entries.append(entry)

    @property
    def outcomes(self) -> list[str]:
        """How each call ended."""
        return [each.outcome for each in self.entries if isinstance(each, Settled)]


@dataclass
class Stage:
    """A mind, its server, and what it left behind."""

    mind: LanguageMind
    served: Served
    account: Account
    ledger: Ledger
    places: Places | None = None
    """Folders of a coding program."""

    async def decide(self, **changed):
        """Return the mind's answer to an observation of the modelled task."""
        return await self.mind.decide(replace(SEEN, **changed), ModelLab(WORLD, "ada"))


@asynccontextmanager
async def stage(
    flavour: Flavour,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    *,
    caps: Caps | None = None,
    pace: Pace = QUICK,
    options: Options | None = None,
    program: Mapping[str, Any] | None = None,
) -> AsyncIterator[Stage]:
    """Set up a mind of this flavour that talks to a server with this script.

    `program` changes how a coding program is run.
    """
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(flavour, script))
        name = mind_name(flavour, served.url, monkeypatch)
        ledger = Ledger()
        account = Account({name: PRICE}, caps or Caps(), ledger)
        providers = Providers(pace, lambda who, is_up: ledger.told.append((who, is_up)))
        means = Means(
            "ada", "explorer", account, providers, options or Options(),
            ledger.answers.append,
            lambda turn: [each for each in ledger.answers if each.turn == turn],
        )  # fmt: skip
        places = None
        if flavour in PROGRAMS:
            folder = stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
            places = Places(Path(folder) / "run" / "minds" / "ada")
            cli = scripted(flavour, served.url, Path(folder), monkeypatch, program or {})
            commands = CommandRuns(cli, places, [Path(folder) / "run"])
            means = replace(means, cli=cli, commands=commands)
        mind = make_mind(name, means)
        assert isinstance(mind, LanguageMind)
        try:
            yield Stage(mind, served, account, ledger, places)
        finally:
            await mind.aclose()


def scripted(
    flavour: Flavour,
    url: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: Mapping[str, Any],
) -> Cli:
    """Return a real preset whose program, found in PATH, is ours and asks a server what to do."""
    name = flavour.partition(":")[2]
    source = Path(__file__).parent / "scripted_cli.py"
    (folder / "bin").mkdir()
    shutil.copy(source, folder / "bin" / name)
    (folder / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    usual = {
        "environment": {"MODEL_URL": url},
        "hosts": (url.removeprefix("http://"),),
        "usd_per_turn": USD_PER_TURN,
        "price": PRICE if name == "codex" else None,
    }
    return replace(PRESETS[name], **{**usual, **changed})


def mind_name(flavour: Flavour, url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point the SDK of a flavour at `url`, with the canary for a key; returns the mind's name."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", CANARY)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
    if flavour in PROGRAMS:
        return flavour
    if flavour == "openai-compatible":
        return f"openai-compatible:m@{url}/v1"
    return f"{flavour}:m"
