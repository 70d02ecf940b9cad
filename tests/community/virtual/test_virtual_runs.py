"""Whole runs in virtual time: one seed, one ledger, wherever and in whatever process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from community.archive.codec import ledger_hash
from community.archive.ledger import LedgerReader
from community.errors import VirtualWorldError
from community.loading import parse_scenario, read_scenario
from community.virtual.run import VirtualRun, run_virtual

SCENARIO = """
run = { task = "nk", seed = 3, time = "virtual" }
stop = { experiments = 60 }
pool = { slots = 3 }
topology = { family = "small_world", k = 2, p = 0.3 }
noise = { baseline_runs = 3 }
seal = { runs = 1 }
model = { n = 10, k = 3, noise = 0.003, thinking_s = 40, thinking_spread = 0.5 }

[[agents]]
name = "ada"
role = "explorer"
mind = "policy:social"
count = 2

[[agents]]
name = "emmy"
role = "synthesiser"
mind = "policy:merge"

[[agents]]
name = "karl"
role = "reviewer"
mind = "policy:judge"

[[agents]]
name = "marie"
role = "reproducer"
mind = "policy:verify"

[[agents]]
name = "otto"
role = "explorer"
mind = "policy:tpe"
"""


def run(text: str = SCENARIO, folder: Path | None = None) -> VirtualRun:
    """Run a scenario to its end."""
    loaded = parse_scenario(text, Path("mine.toml"))
    return run_virtual(loaded.scenario, loaded.text, folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the usual run."""
    return tmp_path_factory.mktemp("runs") / "here"


@pytest.fixture(scope="module")
def usual(folder: Path) -> VirtualRun:
    """Give the run of the scenario above."""
    return run(folder=folder)


@pytest.mark.timeout(170)
def test_one_seed_gives_one_ledger_in_every_process(usual: VirtualRun, folder: Path) -> None:
    """Under other hash seeds, on one processor and on two, in memory and in a folder."""
    here = usual
    script = (
        "import sys; from pathlib import Path\n"
        "from community.loading import parse_scenario\n"
        "from community.virtual.run import run_virtual\n"
        "loaded = parse_scenario(sys.stdin.read(), Path('mine.toml'))\n"
        "print(run_virtual(loaded.scenario, loaded.text).ledger_hash)\n"
    )
    cpus = sorted(os.sched_getaffinity(0))
    for hash_seed, few in (("1", cpus[:1]), ("2", cpus[:2])):
        prefix = ["taskset", "-c", ",".join(map(str, few))]
        done = subprocess.run(
            [*prefix, sys.executable, "-c", script],
            input=SCENARIO,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        assert done.stdout.strip() == here.ledger_hash, done.stderr[-2000:]
    with LedgerReader(folder / "ledger.db") as reader:
        assert ledger_hash(reader.rows()) == here.ledger_hash


def test_what_happens_is_a_communitys_life(usual: VirtualRun) -> None:
    """Turns, posts, reviews, screens and confirmations, all of them modelled."""
    state = usual.state
    assert state.stop_reason == "experiments"
    assert {v.measured_by for v in state.verdicts.values()} == {"model"}
    assert {v.isolation for v in state.verdicts.values()} == {"none"}
    assert state.opened is not None
    assert state.opened.measured_by == "model"
    kinds = {record.posted.body["kind"] for record in state.posts.values()}
    assert {"hypothesis", "finding", "review"} <= kinds
    assert any(claim.confirmations for claim in state.hypotheses.values())
    assert sum(agent.cost_usd for agent in state.agents.values()) > 0


def test_another_seed_is_another_life(usual: VirtualRun) -> None:
    """Nothing is left of the first."""
    other = SCENARIO.replace("seed = 3", "seed = 4")
    assert run(other).ledger_hash != usual.ledger_hash


def test_dollars_end_a_run() -> None:
    """As soon as turns have cost that much."""
    text = SCENARIO.replace("experiments = 60", "usd = 1.0").replace(
        "k = 3,", "k = 3, cost_usd = 0.1,"
    )
    ended = run(text)
    spent = sum(agent.cost_usd for agent in ended.state.agents.values())
    assert ended.why == "usd"
    assert 1.0 <= spent < 2.0


def test_slots_are_really_shared(usual: VirtualRun) -> None:
    """Never more at once than there are, and with fewer it takes longer."""
    few, many = run(SCENARIO.replace("slots = 3", "slots = 1")).state, usual.state
    for state, slots in ((few, 1), (many, 3)):
        moves = sorted(
            (at, way)
            for e in state.experiments.values()
            for a in e.attempts
            for at, way in ((a.started_us, 1), (a.ended_us or 0, -1))
        )
        running = most = 0
        for _, way in moves:
            running += way
            most = max(most, running)
        assert most == slots
    assert few.last_us > 1.5 * many.last_us


def test_a_real_scenario_is_refused() -> None:
    """There is a command for that."""
    loaded = read_scenario("quickstart")
    with pytest.raises(VirtualWorldError, match="real time"):
        run_virtual(loaded.scenario, loaded.text)
