"""Ctrl-C and SIGKILL of ``community study``: what is finished is kept, nobody is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parent.parent.parent
VIRTUAL = """
study = { replicates = 8 }
budget = { experiments = 30 }
controls = []
scenario = "virtual"
[set]
"model.n" = 8
"model.k" = 2
[factors]
topology = ["isolated", "complete"]
"""
REAL = """
study = { replicates = 1 }
budget = { experiments = 4 }
controls = []
[factors]
topology = ["isolated", "ring"]
[scenario]
run = { task = "nanolm" }
budget = { kind = "steps", amount = 2 }
pool = { slots = 1 }
noise = { baseline_runs = 2, confirm_pairs = 2 }
seal = { runs = 1 }
[[scenario.agents]]
name = "ada"
role = "explorer"
mind = "policy:social"
count = 2
"""


def command(folder: Path, text: str) -> list[str]:
    """Return the command line of a study in `folder`."""
    path = folder / "mine.toml"
    path.write_text(text)
    out = str(folder / "out")
    return [sys.executable, "-m", "community", "study", str(path), "--out", out, "--jobs", "2"]


def until(condition: Path, pattern: str, process: subprocess.Popen[str], count: int = 1) -> None:
    """Wait until so many files are there."""
    while len(list(condition.glob(pattern))) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.parametrize(
    "how", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL]
)
def test_an_interrupted_study_keeps_its_runs_and_leaves_no_worker(
    tmp_path: Path, how: signal.Signals
):
    """Also after SIGKILL the workers end, and the same command finishes what is left."""
    call = command(tmp_path, VIRTUAL)
    runs = tmp_path / "out" / "runs"
    process = subprocess.Popen(call, cwd=ROOT, stdout=-1, stderr=-1, text=True)
    until(runs, "*.json", process)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert workers
    os.kill(process.pid, how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (130 if how == signal.SIGINT else -how)
    if how == signal.SIGINT:
        assert "finished runs are kept" in errors
    gone, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive
    assert gone
    kept = {path: path.stat().st_mtime_ns for path in runs.glob("*.json")}
    assert 0 < len(kept) < 16
    again = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "16 of 16 runs" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.slow
def test_a_killed_real_run_of_a_study_is_taken_up_again(tmp_path: Path):
    """SIGKILL in the first run's research: it goes on in its own ledger, the second shares it."""
    call = command(tmp_path, REAL)
    process = subprocess.Popen(call, cwd=ROOT, stdout=-1, stderr=-1, text=True)
    until(tmp_path / "out" / "real", "*/jobs/e*", process)
    process.kill()
    process.communicate()
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out" / "runs").glob("*.json"))) == 2
