"""`community init` on three repositories as people have them, each to a community that runs."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from cli_calls import community
from wrapped_repositories import AUTORESEARCH, PACKAGE, PLAIN, everything, git, repository

from community.archive.ledger import LedgerReader
from community.archive.state import RunState

WHAT = {
    "plain": (PLAIN, ["python", "train.py"], "accuracy", "higher", ["train.py"], "train.py"),
    "pack": (
        PACKAGE,
        ["python", "src/pack/train.py"],
        "val_loss",
        "lower",
        ["src/pack/train.py", "config.toml", "src/pack/model.py"],
        "config.toml",
    ),
    "autoresearch": (
        AUTORESEARCH,
        ["python", "train.py"],
        "val_bpb",
        "lower",
        ["train.py"],
        "train.py",
    ),
}


@pytest.mark.parametrize("name", list(WHAT))
def test_a_repository_becomes_a_running_community(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Nothing is asked, nothing of the repository changes, and the scenario runs as it is told."""
    files, command, metric, direction, editable, knobs = WHAT[name]
    home = tmp_path / "home"
    shards = home / ".cache" / "autoresearch-stub"
    shards.mkdir(parents=True)
    (shards / "shard_06542.txt").write_text("0.9\n")
    monkeypatch.setenv("HOME", str(home))
    root = repository(tmp_path / name, files)
    if name == "pack":
        (root / "data").mkdir()
        (root / "data" / "target.txt").write_text("2.5\n")
        (root / ".env").write_text("API_KEY=1\n")
    before, status = everything(root), git(root, "status", "--porcelain", "--ignored")
    before = everything(root)  # git status may have refreshed its index
    monkeypatch.chdir(tmp_path)
    made = community("init", name, "--yes", "--python", sys.executable)
    assert made.exit_code == 0, made.output
    assert "noise: " in made.output
    assert made.output.endswith(f"next:  community run {name}_task/community.toml\n")
    task = tmp_path / f"{name}_task"
    told = tomllib.loads((task / "task.toml").read_text())
    assert told["script"]["command"] == command
    assert (told["metric"], told["direction"]) == (metric, direction)
    assert told["editable"] == editable
    assert told["knobs"]["path"] == knobs
    assert not [path for path in task.rglob("*") if path.name == ".env"]
    scenario = f"{name}_task/community.toml"
    ran = community("run", scenario, "--experiments", "3", "--run-dir", "run", "--headless")
    assert ran.exit_code == 0, ran.output
    assert everything(root) == before
    assert git(root, "status", "--porcelain", "--ignored") == status
    with LedgerReader(tmp_path / "run" / "ledger.db") as ledger:
        state = RunState.from_rows(ledger.rows())
    assert state.experiments_done >= 2
    assert {v.measured_by for v in state.verdicts.values()} == {"candidate"}
    screens = [e.verdict for e in state.experiments.values() if e.queued.purpose == "screen"]
    assert "ok" in [verdict.outcome for verdict in screens if verdict is not None]
