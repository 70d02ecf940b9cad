"""A run in virtual time through the public face: hours in seconds, stopped and resumed, marked."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e_life import Life, call, recorded, state_of

from community.archive.codec import ledger_hash
from community.archive.ledger import LedgerReader
from community.loading import read_scenario
from community.virtual.run import run_virtual

SCENARIO = """
run = { task = "nk", seed = 5, time = "virtual" }
stop = { experiments = 24 }
pool = { slots = 2 }
noise = { baseline_runs = 4 }
seal = { runs = 2 }
credit = { share = 0.0 }
model = { n = 10, k = 2 }

[[agents]]
name = "ada"
role = "explorer"
mind = "policy:social"
count = 2

[[agents]]
name = "marie"
role = "reproducer"
mind = "policy:verify"
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """Give the scenario's file."""
    path = tmp_path / "mine.toml"
    path.write_text(SCENARIO)
    return path


def test_the_command_runs_hours_in_seconds_and_leaves_the_ledger_of_any_other_way(scenario: Path):
    """Two hours of run time; the ledger is the one that `run_virtual` gives; views say modelled."""
    life = Life.begin("mine.toml", cwd=scenario.parent)
    assert life.finish(120) == 0, life.text[-4000:]
    state = state_of(life.folder)
    assert state.stop_reason == "experiments"
    assert state.last_us > 3600 * 1_000_000
    with LedgerReader(life.folder / "ledger.db") as reader:
        rows = list(reader.rows())
    loaded = read_scenario(str(scenario))
    assert ledger_hash(rows) == run_virtual(loaded.scenario, loaded.text).ledger_hash
    assert {verdict.measured_by for verdict in state.verdicts.values()} == {"model"}
    for command in ("show", "report", "export"):
        told = call(command, str(life.folder), cwd=scenario.parent)
        assert told.returncode == 0, told.stdout
    assert "modelled" in call("show", str(life.folder), cwd=scenario.parent).stdout


def test_a_terminated_run_goes_on(scenario: Path):
    """SIGTERM ends it in order; resumed, it comes to its end with every experiment once."""
    life = Life.begin("mine.toml", "--experiments", "400", cwd=scenario.parent)
    assert life.await_row(lambda row: row.event.kind == "status_changed", 60)
    life.process.terminate()
    assert life.finish(30) == 143, life.text[-4000:]
    done = state_of(life.folder).experiments_admitted
    again = Life.begin("--resume", "--experiments", str(done + 8), cwd=scenario.parent)
    assert again.finish(120) == 0, again.text[-4000:]
    state = state_of(life.folder)
    assert state.stop_reason == "experiments"
    assert len(recorded(life.folder)) == state.last_seq
    assert all(e.is_done for e in state.experiments.values())
