"""Ends that come in the middle: Ctrl-C, SIGTERM, a wall limit, a second writer. Nothing is lost."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from e2e_life import Life, call, recorded, state_of, survivors
from e2e_scenarios import SEAL_RUNS, scenario_text

from community.archive.queries import experiment_limit
from community.events import (
    AttemptStarted,
    FrontierMoved,
    Row,
    RunStopped,
    TurnTaken,
    VerdictGiven,
)
from community.evidence_events import FinalsOpened

AGENTS = ("ada explorer social", "grace exploiter greedy", "marie reproducer verify")


def _scenario(where: Path, task: Path, **sections: dict[str, object]) -> str:
    sections = {"stop": {"experiments": 6}, "board": {"broker": "embedded"}, **sections}
    (where / "mine.toml").write_text(scenario_text(task, AGENTS, **sections))
    return "mine.toml"


def _is_screen_running(row: Row) -> bool:
    return isinstance(row.event, AttemptStarted) and row.event.experiment_id.startswith("e")


def _signal(life: Life, number: int) -> float:
    """Send a signal to the whole group, as a terminal does; returns seconds until the end."""
    began = time.monotonic()
    os.killpg(life.process.pid, number)
    life.finish(20)
    return time.monotonic() - began


def _last_runs(life: Life) -> list[str]:
    """Return the ids of the last runs that have a verdict, in order."""
    events = (row.event for row in recorded(life.folder))
    return [e.experiment_id for e in events if isinstance(e, VerdictGiven) and e.split == "seal"]


def _is_last_run(row: Row) -> bool:
    return isinstance(row.event, AttemptStarted) and row.event.experiment_id.startswith("s")


def test_ctrl_c_ends_in_seconds_and_resume_goes_on(tmp_path: Path, small: Path) -> None:
    """130, a ledger that says so, no process left; a second life finishes under a new limit."""
    life = Life.begin(_scenario(tmp_path, small, stop={"experiments": 12}), cwd=tmp_path)
    assert life.await_row(_is_screen_running, 60) is not None
    busy = call("run", "--resume", "--run-dir", "run", cwd=tmp_path)
    assert busy.returncode == 2, busy.stdout
    assert "is in use" in busy.stdout
    assert _signal(life, signal.SIGINT) < 5
    assert life.process.returncode == 130, life.text
    assert "Traceback" not in life.text
    assert survivors(within_s=0.5) == []
    last = recorded(life.folder)[-1].event
    assert last == RunStopped("interrupted")
    assert _last_runs(life) == []
    resumed = Life.begin("--resume", "--experiments", "14", cwd=tmp_path)
    assert resumed.finish(90) == 0, resumed.text[-4000:]
    state = state_of(life.folder)
    assert state.stop_reason == "experiments"
    assert state.experiments_done == state.experiments_admitted == experiment_limit(state) == 14
    assert state.evidence.finals is not None
    again = call("run", "--resume", "--run-dir", "run", cwd=tmp_path)
    assert (again.returncode, state_of(life.folder).last_seq) == (0, state.last_seq)
    assert "is finished (experiments)" in again.stdout
    interrupted = [
        attempt
        for experiment in state.experiments.values()
        for attempt in experiment.attempts
        if attempt.ended is not None and attempt.ended.outcome == "interrupted"
    ]
    assert interrupted, "what ran at the interruption is shown"
    assert all(attempt.charge_s > 0 for attempt in interrupted)
    assert (state.cut_off_attempts, state.lost_attempts) == (len(interrupted), 0)


def test_the_last_runs_follow_the_first_end_and_a_signal_or_a_kill_in_them_loses_none(
    tmp_path: Path, small: Path
) -> None:
    """SIGTERM while something leads: none; the limit: all, in three lives; another limit: the same.

    The lives that end the last runs seat nobody: no turn is taken in them.
    """
    life = Life.begin(_scenario(tmp_path, small, stop={"experiments": 60}), cwd=tmp_path)
    assert life.await_row(lambda row: isinstance(row.event, FrontierMoved), 90) is not None
    life.process.send_signal(signal.SIGTERM)
    assert life.finish(20) == 143, life.text
    assert _last_runs(life) == []
    limit = state_of(life.folder).experiments_admitted + 2
    seq = 0
    for number in (signal.SIGTERM, signal.SIGKILL):
        life = Life.begin("--resume", "--experiments", str(limit), cwd=tmp_path)
        row = life.await_row(_is_last_run, 90, after_seq=seq)
        assert row is not None, life.text[-4000:]
        seq = recorded(life.folder)[-1].seq
        life.process.send_signal(number)
        life.finish(20)
    life = Life.begin("--resume", cwd=tmp_path)
    assert life.finish(90) == 0, life.text[-4000:]
    rows = recorded(life.folder)
    (opened,) = (row for row in rows if isinstance(row.event, FinalsOpened))
    assert not any(isinstance(row.event, TurnTaken) for row in rows if row.seq > opened.seq)
    assert rows[-1].event.kind == "run_stopped"
    assert state_of(life.folder).stop_reason == "experiments"
    first = _last_runs(life)
    assert len(first) == SEAL_RUNS * (1 + len(opened.event.commits))
    more = Life.begin("--resume", "--experiments", str(limit + 6), cwd=tmp_path)
    assert more.finish(90) == 0, more.text[-4000:]
    assert _last_runs(more) == first


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_during_the_start_ends_it_as_cleanly(
    tmp_path: Path, small: Path, number: signal.Signals
) -> None:
    """While the warm parent and the scorer start: the signal's code, no traceback, no process."""
    life = Life.begin(_scenario(tmp_path, small), cwd=tmp_path)
    while not (life.folder / "ledger.db").exists():
        life.pause(0.01)
        assert life.process.poll() is None, life.text
    life.pause(0.5)
    assert _signal(life, number) < 5
    assert life.process.returncode == 128 + number, life.text
    assert "Traceback" not in life.text
    assert survivors(within_s=0.5) == []


def _children(life: Life) -> list[psutil.Process]:
    return psutil.Process(life.process.pid).children()


def _command(process: psutil.Process) -> str:
    """Return its command line; nothing of one that has ended, whoever has yet to notice."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def test_processes_of_the_run_that_die_alone_are_replaced(tmp_path: Path, small: Path) -> None:
    """Scorer's worker, warm parent, broker: each killed once, and the run still finishes."""
    life = Life.begin(_scenario(tmp_path, small), cwd=tmp_path)
    seq = 0
    for program in ("scoring.worker", "trainer.zygote", "forum.broker_process"):
        row = life.await_row(_is_screen_running, 60, after_seq=seq)
        assert row is not None, life.text[-3000:]
        seq = row.seq
        (victim,) = (child for child in _children(life) if program in _command(child))
        victim.kill()
    assert life.finish(90) == 0, life.text[-3000:]
    state = state_of(life.folder)
    assert state.stop_reason == "experiments"
    assert state.experiments_done == state.experiments_admitted >= 4


def test_a_wall_limit_ends_a_run_whose_experiments_are_under_way(
    tmp_path: Path, small: Path
) -> None:
    """The limit holds although experiments run: they are cut off, recorded, and nobody waits."""
    slow = {"budget": {"kind": "cpu_seconds", "amount": 3}, "stop": {"wall_s": 9}}
    life = Life.begin(_scenario(tmp_path, small, **slow), cwd=tmp_path)
    assert life.finish(60) == 0, life.text[-4000:]
    rows = recorded(life.folder)
    stopped = rows[-1].event
    assert isinstance(stopped, RunStopped)
    assert stopped.why == "wall_s"
    state = state_of(life.folder)
    attempts = [a for e in state.experiments.values() if not e.is_baseline for a in e.attempts]
    assert all(attempt.ended is not None for attempt in attempts)
    research = [a for e in state.experiments.values() if not e.is_apart for a in e.attempts]
    over = next((row for row in rows if isinstance(row.event, FinalsOpened)), rows[-1])
    began_us = max((attempt.started_us for attempt in research), default=over.at_us)
    assert over.at_us - max(9_000_000, began_us) < 5_000_000
