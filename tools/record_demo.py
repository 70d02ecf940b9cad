"""Record the shipped demonstration again: ``scenarios/records/demo.jsonl.gz``.

A real run of two models, a coding agent and three policies on nanolm, with a budget of few steps.
The models are the tests' servers on loopback, behind the real SDKs: they turn one knob of the code
that they are shown, now and then have no time, and now and then answer nonsense. The coding agent
is the tests' program, in the real sandbox. To be done again when prompts,
roles or the institution's ways have changed, since the record does not come out the same then:

    PYTHONPATH=. python tools/record_demo.py [FOLDER]     (about two minutes on two processors)

FOLDER keeps the run; it is left out of the way otherwise.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from community.archive.row_file import export_rows
from community.cli.progress import LineProgress
from community.loading import parse_scenario
from community.recorded.record import open_record
from community.recorded.run import play_again
from community.run import run_community
from community.run_folder import RunFolder

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "scenarios" / "records" / "demo.jsonl.gz"
KNOBS = ("EMBED_LR", "MATRIX_LR", "HEAD_LR")
SCENARIO = """\
# A small community as it was recorded: `community run replay:demo` plays it again.
run = { task = "nanolm", seed = 1 }
stop = { experiments = 8 }
budget = { kind = "steps", amount = 4 }
pool = { slots = 2 }
board = { broker = "embedded" }
topology = { family = "complete" }
noise = { baseline_runs = 2, confirm_pairs = 2 }
seal = { runs = 1 }
credit = { share = 0.0 }

[minds.cli.claude]
usd_per_turn = 0.1
env = ["ANTHROPIC_API_KEY", "MODEL_URL"]
hosts = ["HOST"]

[spend]
usd = 2.0
[spend.prices]
"anthropic:*" = { input = 2.0, output = 10.0, cache_read = 0.2, cache_write = 2.5 }
"openai:*" = { input = 1.25, output = 10.0, cache_read = 0.125 }

[[agents]]
name = "ada"
role = "explorer"
mind = "anthropic:claude-sonnet-5-5"
[[agents]]
name = "bob"
role = "exploiter"
mind = "openai:gpt-6.1-terra"
[[agents]]
name = "fay"
role = "explorer"
mind = "cli:claude"
[[agents]]
name = "cyd"
role = "explorer"
mind = "policy:social"
[[agents]]
name = "dan"
role = "reproducer"
mind = "policy:verify"
[[agents]]
name = "eve"
role = "reviewer"
mind = "policy:judge"
"""


def script_of(name: str) -> Any:
    """Return what a server answers: a turn of a knob, an overload, or a tool that is none."""
    from model_servers import PROGRAMS, Say, Status

    chance = random.Random(name)  # noqa: S311 - the same demonstration each time

    def script(body: dict[str, Any], number: int) -> Any:
        if chance.random() < 0.1:
            return Status(529 if name == "anthropic" else 503, "overloaded")
        if chance.random() < 0.1:
            return Say(calls=(("dig", {"where": "here"}),), text="There may be more below.")
        knob = chance.choice(KNOBS)
        found = re.search(rf"{knob} = ([0-9.e-]+)\\n", json.dumps(body))
        assert found is not None
        value = float(found[1]) * chance.choice([0.5, 1.6, 2.5])
        edit = {"path": "train.py", "how": "replace"}
        edit |= {"search": f"{knob} = {found[1]}\n", "text": f"{knob} = {value:.6g}\n"}
        proposal = {
            "title": f"{knob} {value:.3g}", "rationale": f"{knob} {found[1]} looks untuned.",
            "parent": "", "edits": [edit], "gain": 0.05, "confidence": 0.6, "lead": "",
            "insists": True,
        }  # fmt: skip
        note = {"text": f"Tried {knob} at {value:.3g}."}
        if name in PROGRAMS:  # which changes its tree
            del proposal["edits"], proposal["parent"]
            does = (("edits", [[edit["path"], edit["search"], edit["text"]]]), ("usd", 0.01))
            return Say(calls=(("propose", proposal),), text="One knob.", does=does)
        return Say(calls=(("notebook", note), ("propose", proposal)), text="One knob at a time.")

    return script


async def record(folder: RunFolder, programs: Path) -> None:
    """Run the scenario with the tests' servers for models; their program is put in `programs`."""
    sys.path.append(str(ROOT / "tests" / "contracts"))
    from model_servers import serving

    shutil.copy(ROOT / "tests" / "contracts" / "scripted_cli.py", programs / "claude")
    (programs / "claude").chmod(0o755)

    async with AsyncExitStack() as stack:
        claude = await stack.enter_async_context(serving("anthropic", script_of("anthropic")))
        gpt = await stack.enter_async_context(serving("openai", script_of("openai")))
        told = await stack.enter_async_context(serving("cli:claude", script_of("cli:claude")))
        os.environ["ANTHROPIC_BASE_URL"] = claude.url
        os.environ["OPENAI_BASE_URL"] = f"{gpt.url}/v1"
        os.environ |= {"ANTHROPIC_API_KEY": "none", "OPENAI_API_KEY": "none"}
        os.environ |= {"MODEL_URL": told.url, "PATH": f"{programs}:{os.environ['PATH']}"}
        text = SCENARIO.replace("HOST", told.url.removeprefix("http://"))
        loaded = parse_scenario(text, Path("demo.toml"))
        show = LineProgress(lambda line: print(line, flush=True))  # noqa: T201
        await run_community(loaded.scenario, loaded.text, folder, on_row=show.on_row)


def main() -> None:
    """Record, play it again to see that it can be, and keep it."""
    with tempfile.TemporaryDirectory() as place:
        kept = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else Path(place) / "demo"
        folder = RunFolder.create(kept.parent, kept.name)
        programs = Path(place) / "bin"
        programs.mkdir()
        asyncio.run(record(folder, programs))
        rows = Path(place) / "demo.jsonl.gz"
        export_rows(folder.ledger, rows, is_whole=True)
        done = play_again(open_record(rows), RunFolder.create(Path(place), "again"))
        assert done.is_whole
        OUT.parent.mkdir(exist_ok=True)
        OUT.write_bytes(rows.read_bytes())
    size = OUT.stat().st_size
    sys.stdout.write(f"{OUT}: {done.rows} rows, {size} bytes, ledger hash {done.ledger_hash}\n")


if __name__ == "__main__":
    main()
