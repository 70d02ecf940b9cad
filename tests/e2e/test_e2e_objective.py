"""Time to a target: what counts is how long a program takes, if what it leaves is good enough."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from e2e_life import Life, call, state_of
from e2e_scenarios import scenario_text

from community.lock_writing import write_lock
from trainer.errors import TaskError
from trainer.task import load_task

TOML = """kind = "artifact"
metric = "share"
unit = "of the peak"
direction = "higher"
editable = ["solve.py"]
[artifact]
format = "json"
[objective]
kind = "time_to_target"
target = 0.9
[budget]
kind = "steps"
amount = 2000
[limits]
memory_bytes = 1073741824
[knobs]
path = "solve.py"
"""
SOLVE = """import numpy as np

# rounds of work
ROUNDS = 900

def solve(run):
    found = np.random.default_rng(run.seed).normal(size=(220, 220))
    for done, _ in enumerate(run.steps()):
        if done == ROUNDS:
            break
        found = np.tanh(found @ found / 50)
    return {"share": min(1.0, ROUNDS / 250)}
"""
KNOBS = '[ROUNDS]\nkind = "int"\nlow = 100\nhigh = 1200\nscale = "log"\n'
GRADE = """
def check(artifact):
    if not isinstance(artifact, dict) or type(artifact.get("share")) is not float:
        raise ValueError("leave a share")

def score(artifact, held_out):
    return {"share": artifact["share"]}
"""


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a task whose programs may stop when they like: rounds below 225 miss the target."""
    folder = tmp_path_factory.mktemp("tasks") / "sooner"
    for name, text in {"task.toml": TOML, "brief.md": "Be quick.\n", "knobs.toml": KNOBS,
                       "start/solve.py": SOLVE, "locked/grade.py": GRADE}.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_least_time_to_a_target_is_found_and_confirmed(task: Path, tmp_path: Path) -> None:
    """Scores are seconds, the lower the better, with a spread; who stops too early has none."""
    asyncio.run(write_lock(load_task(task), None))
    text = scenario_text(
        task,
        ("ada exploiter greedy", "alan explorer random"),
        stop={"experiments": 16},
        board={"broker": "memory"},
        pool={"slots": 1},
        seal={"runs": 1},
    )
    (tmp_path / "mine.toml").write_text(text)
    life = Life.begin("mine.toml", cwd=tmp_path)
    assert life.finish(150) == 0, life.text[-4000:]
    state = state_of(life.folder)
    opened = state.opened
    assert opened is not None
    assert (opened.metric, opened.direction) == ("seconds to share >= 0.9", "lower")
    runs = [run for run in state.experiments.values() if run.verdict is not None]
    for run in runs:
        verdict = run.verdict
        assert verdict is not None
        told = state.proposals.get(verdict.commit)
        rounds = told.knobs.get("ROUNDS", 900) if told is not None else 900
        if rounds >= 225:
            assert verdict.score == pytest.approx(verdict.train_cpu_s, abs=2e-3)
        else:
            assert (verdict.outcome, verdict.reason) == ("invalid", "target")
    assert state.noise is not None
    assert state.noise.sigma > 0  # time is a draw, and gains have to clear its spread
    best = call("show", str(life.folder), cwd=tmp_path)
    assert "device-seconds" in best.stdout


def test_a_target_belongs_to_one_objective_and_to_scores_that_are_measured(
    task: Path, tmp_path: Path
) -> None:
    """Without one there is nothing to reach; with facts there is nothing to draw."""
    path = task / "task.toml"
    for old, new, fault in (
        ("target = 0.9", "", "time_to_target has a target"),
        ('"time_to_target"', '"best_score"', "best_score has none"),
        ("[limits]", '[noise]\nmodel = "exact"\n[limits]', "time is a draw"),
        ("target = 0.9", "target = nan", "objective.target"),
    ):
        path.write_text(TOML.replace(old, new, 1))
        with pytest.raises(TaskError, match=fault):
            load_task(task)
    path.write_text(TOML)
