"""Claude, a GPT, a local model and a coding agent beside policies, in a run killed in the middle.

The models are servers of ours behind the real SDKs; the coding agent is a program of ours that one
of them tells what to do, in the real sandbox. Nothing is paid or run twice, the ledger's sums are
the servers' own, and the key is nowhere.
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
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e_life import Life, call, recorded, state_of
from e2e_scenarios import scenario_text

from agents.prices import Usage
from community.archive.state import RunState
from community.events import Row, RunResumed, TurnTaken
from community.mind_events import Answered, MindsPrepared, SpendReserved, SpendSettled
from community.run_folder import RunFolder
from community.tui.app import WatchApp
from community.tui.pictures.thread import thread_picture
from community.tui.scene import Scene

sys.path.append(str(Path(__file__).parent.parent / "contracts"))
sys.path.append(str(Path(__file__).parent.parent / "community"))
from canary import CANARY, FORMS, everything_in, leaks
from model_servers import FLAVOURS, PROGRAMS, Flavour, Say, Served, Status, serving
from tui_pilot import press, screen_text, until_shown

EXPERIMENTS = 12
AGENTS = ("ada explorer anthropic:claude", "bob exploiter openai:gpt",
          "dan reproducer verify", "eve explorer social", "fay explorer cli:claude")  # fmt: skip
KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_COMPATIBLE_API_KEY")
PRICES = "{ input = 2.0, output = 10.0, cache_read = 0.1, cache_write = 2.5 }"


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


def script_of(flavour: Flavour, billed: list[tuple[str, Usage]]):
    """Return a server that turns one knob of the code it is shown, and sometimes has no time.

    Its first proposal looks around, and everything it says has a form of the key in it.
    """
    chance = random.Random(flavour)

    def script(body, number):
        if chance.random() < 0.15:
            return Status(chance.choice([429, 529, 500]), f"busy, {FORMS['base64']}")
        text = json.dumps(body)
        name = chance.choice(["EMBED_LR", "MATRIX_LR", "HEAD_LR"])
        found = re.search(rf"{name} = ([0-9.e-]+)\\n", text)
        assert found is not None
        value = float(found[1]) * chance.choice([1.7, 2.3, 3.1])
        edit = {"path": "train.py", "how": "replace"}
        turned = f"{name} = {value:.6g}\n" + ("" if billed else SPY)
        edit |= {"search": f"{name} = {found[1]}\n", "text": turned}
        proposal = {
            "title": f"{name} {value:.3g}", "rationale": f"Rates: {FORMS['url']}.", "parent": "",
            "edits": [edit], "gain": 0.05, "confidence": 0.7, "lead": "", "insists": True,
        }  # fmt: skip
        usage = Usage(*(chance.randrange(1, 900) for _ in range(4)))
        billed.append((body["model"], usage))
        calls = (
            ("notebook", {"text": f"Key: {CANARY}, {FORMS['hex']}. Tried {name}."}),
            ("propose", proposal),
        )
        does: tuple[tuple[str, object], ...] = ()
        if flavour in PROGRAMS:  # which changes its tree
            does = (("edits", [[edit["path"], edit["search"], edit["text"]]]),)
            del proposal["edits"], proposal["parent"]
        return Say(calls=calls, text="Rates.", usage=usage, does=does)

    return script


@contextmanager
def served_by_threads(flavour: Flavour, billed) -> Iterator[Served]:
    """Run a server on a loop in a thread of its own for the block."""
    ready: list[Served] = []
    is_up, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving(flavour, script_of(flavour, billed)) as served:
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


def program_of(where: Path, url: str, environment: pytest.MonkeyPatch) -> str:
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


def _is_later_call(row: Row) -> bool:
    return isinstance(row.event, SpendReserved) and row.event.turn > 0


@dataclass(frozen=True)
class Ended:
    """The run, and what the servers counted."""

    folder: Path
    state: RunState
    billed: list[tuple[str, Usage]]
    printed: str


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, small: Path) -> Iterator[Ended]:
    """Give a finished run that was killed while models were asked, and resumed."""
    where = tmp_path_factory.mktemp("minds")
    billed: list[tuple[str, Usage]] = []
    with ExitStack() as stack, pytest.MonkeyPatch.context() as environment:
        flavours = (*FLAVOURS, "cli:claude")
        servers = {name: stack.enter_context(served_by_threads(name, billed)) for name in flavours}
        for key in KEYS:
            environment.setenv(key, CANARY)
        environment.setenv("ANTHROPIC_BASE_URL", servers["anthropic"].url)
        environment.setenv("OPENAI_BASE_URL", f"{servers['openai'].url}/v1")
        local = f"openai-compatible:m@{servers['openai-compatible'].url}/v1"
        agents = (*AGENTS, f"cyd explorer {local}")
        text = scenario_text(
            small, agents, stop={"experiments": EXPERIMENTS}, topology={"family": "complete"},
            board={"broker": "memory"}, spend={"usd": 20.0},
        )  # fmt: skip
        prices = f'{{ "anthropic:*" = {PRICES}, "openai*" = {PRICES} }}'
        text = text.replace("usd = 20.0", f"usd = 20.0, prices = {prices}")
        text = program_of(where, servers["cli:claude"].url, environment) + text
        (where / "mine.toml").write_text(text)
        life = Life.begin("mine.toml", cwd=where)
        assert life.await_row(_is_later_call, 90) is not None, life.text
        life.pause(0.02)
        life.kill()
        assert "finished" not in life.text
        again = Life.begin("--resume", cwd=where)
        assert again.finish(150) == 0, again.text[-4000:]
        shown = "".join(
            call(*command, cwd=where).stdout
            for command in (
                ("show", "run"), ("show", "run", "--json"), ("report", "run"),
                ("estimate", "mine.toml"), ("prompt", "mine.toml", "--agent", "bob"),
                ("prompt", "run", "--agent", "nobody", "--turn", "0"),
                ("export", "run", "--out", "exported"),
            )
        )  # fmt: skip
        shown += call("prompt", "run", "--agent", "fay", "--turn", "0", cwd=where).stdout
        for turn in ("0", "1"):
            shown += call("prompt", "run", "--agent", "ada", "--turn", turn, cwd=where).stdout
        yield Ended(life.folder, state_of(life.folder), billed, again.text + shown)


def test_models_take_part_like_everybody(ended: Ended) -> None:
    """Their hypotheses are measured, and each API was asked."""
    minds = {agent.name: agent.mind for agent in ended.state.agents.values()}
    proposers = {claim.proposer for claim in ended.state.hypotheses.values() if claim.experiments}
    assert {"ada", "bob", "cyd", "fay"} <= proposers
    assert ended.state.experiments_done >= EXPERIMENTS - 3
    asked = {row.event.model for row in recorded(ended.folder)
             if isinstance(row.event, SpendReserved)}  # fmt: skip
    assert asked == {minds[name] for name in ("ada", "bob", "cyd", "fay")}


def test_a_kill_pays_for_nothing_twice(ended: Ended) -> None:
    """A turn has one first answer; what was under way when it came is lost, and stays spent."""
    rows = recorded(ended.folder)
    answers = Counter(
        (row.event.agent, row.event.turn, row.event.round)
        for row in rows
        if isinstance(row.event, Answered)
    )
    turns = Counter((e.agent, e.turn) for row in rows if isinstance(e := row.event, TurnTaken))
    assert set(answers.values()) == {1}
    assert set(turns.values()) == {1}
    resumed = next(row.seq for row in rows if isinstance(row.event, RunResumed))
    before = {row.event.call_id for row in rows
              if row.seq < resumed and isinstance(row.event, SpendReserved)}  # fmt: skip
    before -= {row.event.call_id for row in rows
               if row.seq < resumed and isinstance(row.event, SpendSettled)}  # fmt: skip
    lost = {row.event.call_id for row in rows
            if isinstance(row.event, SpendSettled) and row.event.outcome == "lost"}  # fmt: skip
    assert lost == before
    assert ended.state.minds.under_way == {}


def test_what_was_settled_is_what_the_servers_counted(ended: Ended) -> None:
    """All answers that arrived, and no others; cut ones are in doubt."""
    mine = Counter(
        (e.input, e.output, e.cache_read, e.cache_write)
        for row in recorded(ended.folder)
        if isinstance(e := row.event, SpendSettled) and e.outcome == "ok"
    )
    theirs = Counter((u.input, u.output, u.cache_read, u.cache_write) for _, u in ended.billed)
    assert mine <= theirs
    unheard = sum((theirs - mine).values())
    in_doubt = sum(
        isinstance(row.event, SpendSettled) and row.event.doubt_micro_usd > 0
        for row in recorded(ended.folder)
    )
    assert unheard <= in_doubt
    assert ended.state.minds.taken_micro_usd <= 20_000_000


def test_prices_and_prompts_are_pinned(ended: Ended) -> None:
    """Once, before the first call."""
    (first,) = [row for row in recorded(ended.folder) if isinstance(row.event, MindsPrepared)]
    assert isinstance(first.event, MindsPrepared)
    assert "system.md" in first.event.prompts
    assert len(first.event.prices) == 3


def test_what_a_mind_saw_can_be_shown_again(ended: Ended) -> None:
    """Rebuilt from the ledger, turns are what their recorded hashes say."""
    assert ended.printed.count("You are ada") == 2
    assert ended.printed.count("You are fay") == 1
    assert "not as it was shown" not in ended.printed


def test_the_key_is_nowhere(ended: Ended) -> None:
    """No form of it: in rows, commits, logs, transcripts, reports, exports, or what was printed."""
    assert not leaks(ended.printed)
    found = [*everything_in(ended.folder.parent)]
    assert sum("object" in where for where, _ in found) > 20
    assert sum("ledger.db: " in where for where, _ in found) > 100
    assert {"exported", "report"} <= {part for where, _ in found for part in where.split("/")}
    assert not [(where, leaks(data)) for where, data in found if leaks(data)]


def test_candidate_code_sees_no_key_of_ours(ended: Ended) -> None:
    """It prints its environment and all that it finds of processes; the log of that is there."""
    logs = (data for where, data in everything_in(ended.folder) if "jobs" in where)
    seen = b"".join(data for data in logs if b"SPY" in data)
    assert b"SPY [" in seen
    assert b"/proc/1/environ" in seen or b"/proc/self/mountinfo" in seen
    assert b"API_KEY" not in seen
    assert not leaks(seen)


async def test_the_terminal_shows_no_key(ended: Ended) -> None:
    """On no screen, nor in what is copied from one."""
    app = WatchApp(RunFolder(ended.folder))
    async with app.run_test(size=(160, 48)) as pilot:
        await until_shown(pilot, app, ended.state.last_seq)
        for key in "1234567":
            await press(pilot, app, key)
            assert not leaks(screen_text(app) + app.export_screenshot())
        scene = Scene(app.fold.told, ended.state.last_us, False, 0, False, False, {})
        for post_id in ended.state.posts:
            picture = thread_picture(scene, post_id)
            assert not leaks("\n".join([picture.patch, *(each.plain for each in picture.lines)]))
