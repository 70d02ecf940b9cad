"""SIGKILLs of a whole run, each followed by ``--resume``: nothing lost, nothing counted twice.

The moments are drawn from a fixed seed and spread over start-up, calibration, training, scoring,
posting and confirmation; what a moment falls on still varies with the machine, on purpose.
Calibration, training and confirmation are tried each time, all ten moments with ``-m slow``.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e_life import Life, call, recorded, state_of, survivors
from e2e_scenarios import scenario_text

from community.archive.export import results_tsv
from community.archive.state import RunState
from community.events import (
    AttemptStarted,
    ExperimentQueued,
    Posted,
    ReproductionOpened,
    Row,
    RunResumed,
    StatusChanged,
    VerdictGiven,
)
from community.run_secret import secret_hash
from community.screening import MOST_RUNS
from trainer.repository import Repository

EXPERIMENTS = 12
BASELINES = 2
AGENTS = ("ada explorer social", "grace exploiter greedy", "karl reviewer judge",
          "alan explorer social", "emmy synthesiser merge", "marie reproducer verify")  # fmt: skip
"""The quick start's six."""


@dataclass(frozen=True)
class Moment:
    """When a life ends: between 0 and `spread_s` seconds after its first row that `is_it`."""

    name: str
    is_it: Callable[[Row], bool] | None
    """None: after the process was started."""
    spread_s: float


def _started(letter: str) -> Callable[[Row], bool]:
    return lambda row: (
        isinstance(row.event, AttemptStarted) and row.event.experiment_id[0] == letter
    )


def _judged(letter: str) -> Callable[[Row], bool]:
    return lambda row: isinstance(row.event, VerdictGiven) and row.event.experiment_id[0] == letter


def _posted(*kinds: str) -> Callable[[Row], bool]:
    return lambda row: isinstance(row.event, Posted) and row.event.body["kind"] in kinds


def _is_confirming(row: Row) -> bool:
    """A confirmation began; or the end is near, in a run that has nothing to confirm."""
    event = row.event
    if isinstance(event, ExperimentQueued):
        return event.purpose.startswith("confirm") or event.experiment_id == f"e{EXPERIMENTS:04d}"
    return isinstance(event, ReproductionOpened | StatusChanged) and event.by == "lab"


MOMENTS = (
    Moment("start-up", None, 3.0),
    Moment("calibration", _started("b"), 1.5),
    Moment("a baseline's verdict", _judged("b"), 0.1),
    Moment("start-up after a resume", None, 4.0),
    Moment("posting hypotheses", _posted("hypothesis"), 0.1),
    Moment("training", _started("e"), 1.2),
    Moment("scoring", _started("e"), 3.0),
    Moment("a verdict", _judged("e"), 0.05),
    Moment("posting results", _posted("finding", "failure"), 0.1),
    Moment("confirmation", _is_confirming, 2.0),
)


def _next_life(where: Path) -> Life:
    """Start the run, or go on with whatever a kill left of it."""
    begun = (where / "run").exists()
    return Life.begin("mine.toml", *(["--resume"] if begun else []), cwd=where)


def _live_and_be_killed(where: Path, moment: Moment, chance: random.Random) -> None:
    known = recorded(where / "run")
    life = _next_life(where)
    if moment.is_it is not None:
        row = life.await_row(moment.is_it, 120, after_seq=known[-1].seq if known else 0)
        assert row is not None, f"over before {moment.name}:\n{life.text[-3000:]}"
    life.pause(chance.uniform(0, moment.spread_s))
    assert life.process.poll() is None, f"over before {moment.name}:\n{life.text[-3000:]}"
    life.kill()
    assert survivors(within_s=2.0) == [], f"outlived a kill at {moment.name}"
    kept = recorded(where / "run")
    assert kept[: len(known)] == known, "a kill took rows back"
    RunState.from_rows(kept)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "moments",
    [MOMENTS[1::4], pytest.param(MOMENTS, marks=pytest.mark.slow)],
    ids=["three times", "ten times"],
)
def test_a_killed_run_ends_as_if_it_had_not_been(
    tmp_path: Path, moments: tuple[Moment, ...]
) -> None:
    """12 experiments of a CPU-second: whole ledger, whole repository, no process left."""
    text = scenario_text(
        "nanolm",
        AGENTS,
        stop={"experiments": EXPERIMENTS},
        budget={"kind": "cpu_seconds", "amount": 1},
        noise={"baseline_runs": BASELINES, "confirm_pairs": 2},
        topology={"family": "small_world", "k": 4, "p": 0.1},
        board={"broker": "embedded"},
    )
    (tmp_path / "mine.toml").write_text(text)
    chance = random.Random(20260501)
    for moment in moments:
        _live_and_be_killed(tmp_path, moment, chance)
    last = _next_life(tmp_path)
    assert last.finish(120) == 0, last.text[-4000:]
    state = state_of(last.folder)
    _check_experiments(state)
    _check_lost_attempts(state, recorded(last.folder))
    _check_posts(state)
    _check_files(state, last.folder)


def _check_experiments(state: RunState) -> None:
    """Every admitted experiment has one verdict, from its own last attempt; the count is exact."""
    assert state.stop_reason == "experiments"
    assert state.experiments_admitted == EXPERIMENTS == state.experiments_done
    names = list(state.experiments)
    classes = {e.verdict.device_class for e in state.experiments.values() if e.verdict}
    baselines = [name for name in names if name[0] == "b"]
    assert baselines == [f"b{n:04d}" for n in range(1, len(baselines) + 1)]
    # a life on a machine that had changed its speed measured them anew
    assert BASELINES <= len(baselines) <= BASELINES * len(classes)
    assert [n for n in names if n[0] == "e"] == [f"e{n:04d}" for n in range(1, EXPERIMENTS + 1)]
    assert Counter(v.experiment_id for v in state.verdicts.values()) == Counter(names)
    seeds = Counter((e.queued.tree_key, e.queued.measurement) for e in state.experiments.values())
    assert set(seeds.values()) == {1}
    for experiment in state.experiments.values():
        verdict, attempts = experiment.verdict, experiment.attempts
        assert verdict is not None
        assert (verdict.commit, verdict.seed) == (experiment.queued.commit, experiment.queued.seed)
        assert [a.attempt for a in attempts] == list(range(1, len(attempts) + 1))
        assert attempts[-1].ended is not None
        assert attempts[-1].ended.outcome == verdict.outcome
        assert not any(a.ended is not None and a.ended.outcome == "ok" for a in attempts[:-1])


def _check_lost_attempts(state: RunState, rows: list[Row]) -> None:
    """What a kill cut off is shown and charged to whom the experiment is charged."""
    attempts = [(e, a) for e in state.experiments.values() for a in e.attempts]
    lost = [(e, a) for e, a in attempts if a.is_lost]
    ended = [a for _, a in attempts if a.ended is not None and a.ended.outcome == "interrupted"]
    void = sum(a.is_void for _, a in attempts)  # this machine slows down now and then
    assert len(lost) + len(ended) == state.lost_attempts + state.cut_off_attempts + void
    assert state.lost_attempts > 0
    named = [
        name for r in rows if isinstance(r.event, RunResumed) for name in r.event.lost_attempts
    ]
    assert sorted(e.queued.experiment_id for e, _ in lost) == sorted(named)
    assert state.opened is not None
    assert {attempt.charge_s for _, attempt in lost} == {state.opened.budget_amount}
    charged = sum(spend.lost_s for spend in state.spend.values())
    assert charged == pytest.approx(sum(attempt.charge_s for _, attempt in lost))


def _check_posts(state: RunState) -> None:
    """Posts are unique, every measured hypothesis has one status for its screen and a report."""
    posts = [record.posted for record in state.posts.values()]
    assert len({(p.author, p.message_id) for p in posts}) == len(posts)
    reported = {p.body["hypothesis"] for p in posts if p.body["kind"] in ("finding", "failure")}
    for name, claim in state.hypotheses.items():
        screens = [e for e in claim.experiments if state.experiments[e].queued.purpose == "screen"]
        assert len(screens) <= MOST_RUNS
        assert len(claim.changes) == bool(screens) + len(claim.confirmations)
        assert claim.reproduction_by is None
        assert name in reported or not screens


def _check_files(state: RunState, folder: Path) -> None:
    """Commits are readable, the table is the ledger's, and the views work."""
    repository = Repository.open(folder / "repo.git", writer=False)
    for commit, proposal in state.proposals.items():
        assert "train.py" in repository.read(commit)
        assert all(repository.read(parent) for parent in proposal.parents)
    assert (folder / "results.tsv").read_text() == results_tsv(state)
    assert state.opened is not None
    assert state.stopped is not None
    assert secret_hash(bytes.fromhex(state.stopped.secret)) == state.opened.secret_hash
    shown = call("show", str(folder), cwd=folder)
    assert shown.returncode == 0, shown.stdout
    assert f"{state.lost_attempts} attempts lost" in shown.stdout
