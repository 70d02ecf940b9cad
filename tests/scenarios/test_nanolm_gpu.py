"""`nanolm-gpu`: nanolm's program under other knobs, on token shards, refused without a card."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from typer.testing import CliRunner

from agents.knobs import load_knobs, turn
from community.archive.ledger import LedgerReader
from community.archive.state import RunState
from community.cli.application import application
from trainer.devices import find_gpus
from trainer.task import load_task

TASKS = Path(__file__).parents[2] / "scenarios" / "tasks"
GPU = load_task(TASKS / "nanolm-gpu")
NANOLM = load_task(TASKS / "nanolm")
SCENARIO = """
run = { task = "TASK", seed = 7 }
stop = { experiments = 3 }
noise = { baseline_runs = 2 }
pool = { slots = 1 }
[[agents]]
name = "ada"
role = "exploiter"
mind = "policy:greedy"
"""


def program(text: str) -> str:
    """Return what stands below the knobs."""
    return text[text.index("# ---- the model ----") :]


def test_its_program_is_nanolms_word_for_word():
    """But for the two sizes that the scorer's blocks and the vocabulary dictate."""
    own, other = (program(task.start["train.py"].decode()) for task in (GPU, NANOLM))
    own = own.replace(f"VOCAB = {GPU.vocab}\n", f"VOCAB = {NANOLM.vocab}\n")
    own = own.replace(
        f"LONGEST = {GPU.block - 1}  # the scorer's blocks hold {GPU.block - 1} inputs",
        f"LONGEST = {NANOLM.block - 1}  # the scorer's blocks hold {NANOLM.block - 1} inputs",
    )
    assert own == other


def test_one_dial_sets_width_heads_and_size():
    """The constants below the knobs follow from DEPTH; every corner stays below the cap."""
    text = GPU.start["train.py"].decode()
    knobs = load_knobs(GPU.knobs_toml or "", text)
    widths = {}
    for depth in (2, 8, 12):
        changed = turn(text, {"DEPTH": depth}, knobs)
        assert not changed.skipped
        module = ModuleType("train")
        head = changed.text[: changed.text.index("# ---- the model ----")]
        exec(compile(head, "train.py", "exec"), module.__dict__)
        widths[depth] = (module.DIM, module.HEADS)
    assert widths == {2: (128, 2), 8: (512, 8), 12: (768, 12)}
    high = {knob.name: int(knob.high or 0) for knob in knobs if knob.high is not None}
    width = high["ASPECT"] * high["DEPTH"]
    blocks = high["DEPTH"] * width * width * (4 + 2 * high["MLP_RATIO"])
    tables = GPU.vocab * width * (2 + -(-high["DEPTH"] // 2))
    assert 4 * (blocks + tables) < GPU.artefact_bytes * 0.98


@pytest.mark.skipif(bool(find_gpus()), reason="there is a card here")
@pytest.mark.parametrize("command", [("run", "mine.toml"), ("scenario", "check", "mine.toml")])
def test_without_a_card_it_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
):
    """Before anything is made."""
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(SCENARIO.replace("TASK", "nanolm-gpu"))
    result = CliRunner().invoke(application(), list(command))
    assert result.exit_code == 2
    said = " ".join(result.output.split())
    assert "task nanolm-gpu trains on a CUDA device, and there is none here" in said
    assert "run nanolm, the same program" in said
    assert not Path("runs").exists()


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards made by the task's own tool of some of the standard library."""
    place = tmp_path_factory.mktemp("made")
    text = place / "text"
    text.mkdir()
    library = Path(os.__file__).parent
    for path in sorted(library.glob("*.py"))[:40]:
        shutil.copy(path, text / path.name)
    tool = TASKS / "nanolm-gpu" / "make_shards.py"
    options = ("--vocab", "320", "--suffix", ".py", "--heldout", "0.05", "--learn-bytes", "100000")
    made = subprocess.run(
        [sys.executable, str(tool), str(text), str(place / "shards"), *options],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    return place / "shards"


def test_the_tools_tokens_stand_for_the_text(shards: Path):
    """Decoded they are the files again, and the table of bytes is that of the pieces."""
    spec = importlib.util.spec_from_file_location(
        "make_shards", TASKS / "nanolm-gpu/make_shards.py"
    )
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = b"def f(x):\n    return 'caf\xc3\xa9'  # 12345\n" * 3
    merges = tool.learn(tool.Counter(tool.WORD.findall(text)), 290)
    pieces = [bytes([value]) for value in range(256)] + [b""]
    for left, right in merges:
        pieces.append(pieces[left] + pieces[right])
    tokens = tool.Encoder(merges).tokens(text)
    assert b"".join(pieces[token] for token in tokens) == text
    assert tokens[0] == 256
    assert len(tokens) < len(text) / 2
    assert tool.token_bytes(merges) == [len(piece) for piece in pieces]
    held = {path.parent.name for path in shards.glob("*/*.bin")}
    assert held == {"train", "dev", "vault", "seal"}


def small_task(folder: Path) -> None:
    """Copy the task at a size for one processor and a few steps: the same files, other numbers."""
    shutil.copytree(TASKS / "nanolm-gpu", folder, ignore=shutil.ignore_patterns("__pycache__"))
    changes = {
        "task.toml": [
            (r"(?m)^device = .*$", ""),
            (r'(?m)^kind = "device_seconds".*$', 'kind = "steps"'),
            (r"(?m)^amount = 300$", "amount = 4"),
            (r"(?m)^untimed_s = .*$", ""),
            (r"(?m)^memory_bytes = \d+", "memory_bytes = 2147483648"),
            (r"(?m)^block = 257", "block = 33"),
            (r"(?m)^vocab = 8192", "vocab = 320"),
        ],
        "locked/grade.py": [
            (
                r"TokenLanguageModel\(\)",
                "TokenLanguageModel(vocab=320, block=33, blocks=48, dev_probes=24, edges=(1, 32))",
            )
        ],
        "start/train.py": [
            (r"(?m)^VOCAB = 8192", "VOCAB = 320"),
            (r"(?m)^LONGEST = 256", "LONGEST = 32"),
            (r"(?m)^DEPTH = 8", "DEPTH = 2"),
            (r"(?m)^ASPECT = 64", "ASPECT = 16"),
            (r"(?m)^HEAD_WIDTH = 64", "HEAD_WIDTH = 16"),
            (r"(?m)^BATCH = 256", "BATCH = 4"),
            (r"(?m)^CONTEXT = 256", "CONTEXT = 32"),
        ],
        "knobs.toml": [(r"(?m)^low = (?:32|64)$", "low = 2")],
    }
    for name, pairs in changes.items():
        text = (folder / name).read_text()
        for pattern, new in pairs:
            text, count = re.subn(pattern, new, text)
            assert count, (name, pattern)
        (folder / name).write_text(text)


def test_a_community_runs_on_a_users_shards(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The real loader, sandboxes and scorer, from the recorded folder to verdicts."""
    monkeypatch.chdir(tmp_path)
    small_task(tmp_path / "small")
    (tmp_path / "mine.toml").write_text(SCENARIO.replace("TASK", "./small"))
    told = CliRunner().invoke(application(), ["lock", "write", "./small", "--heldout", str(shards)])
    assert told.exit_code == 0, told.output
    done = CliRunner().invoke(application(), ["run", "mine.toml", "--headless"])
    assert done.exit_code == 0, done.output
    with LedgerReader(tmp_path / "runs" / "latest" / "ledger.db") as reader:
        state = RunState.from_rows(reader.rows())
    scores = [verdict.score for verdict in state.verdicts.values() if verdict.outcome == "ok"]
    sizes = np.array(json.loads((shards / "meta.json").read_text())["token_bytes"])
    dev = np.fromfile(next((shards / "dev").glob("*.bin")), "<u2")
    ignorant = np.log2(320) / sizes[dev].mean()  # bits per byte of who knows nothing
    assert len(scores) >= 3
    assert all(score is not None and 0.8 * ignorant < score < 1.05 * ignorant for score in scores)
    published = tmp_path / "runs" / "latest" / "data" / "train.bin"
    assert published.stat().st_size == sum(p.stat().st_size for p in (shards / "train").iterdir())
