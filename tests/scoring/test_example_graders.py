"""The examples of users' graders: each start is graded with the number that plain code gives it."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from community.grading_phase import judging_of
from scoring.data_grading import Grade, GraderFile, grade
from scoring.held_out import read_held_out
from scoring.verdict import Split
from trainer.harness import PACKING
from trainer.task import BUNDLED, Task, load_task

EXAMPLES = BUNDLED / "examples"


def module_of(path: Path) -> ModuleType:
    """Import one file of an example."""
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def graded(task: Task, left: Any, tmp_path: Path, split: Split = "dev") -> Grade:
    """Grade what a program left as the scorer's child does."""
    judging = judging_of(task)
    assert judging is not None
    module = module_of(task.locked / "grade.py")
    path = tmp_path / "left"
    path.write_bytes(PACKING[judging.format](left))
    with path.open("rb") as file:
        held_out, _ = read_held_out(task.locked)
        return grade(
            file.fileno(), judging, GraderFile(module.check, module.score), held_out[split]
        )


def start_of(task: Task) -> Any:
    """Return what the start's program leaves."""
    return module_of(task.folder / "start" / "solve.py").solve(SimpleNamespace(seed=1))


def told(task: Task, split: str, name: str) -> Any:
    """Return a held-out file."""
    return json.loads((task.locked / "held_out" / split / name).read_text())


@pytest.fixture(autouse=True)
def _no_caches() -> Iterator[None]:
    """Leave no __pycache__ in a task's folder."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    yield
    sys.dont_write_bytecode = before


def test_accuracy_with_a_guard_for_the_rarest_class(tmp_path: Path) -> None:
    """Right answers over answers; who gives up the rarest class is refused whatever the whole."""
    task = load_task(EXAMPLES / "accuracy")
    left = start_of(task)
    for split in ("dev", "vault", "seal"):
        labels = {int(k): v for k, v in told(task, split, "labels.json").items()}
        right = [left[place] == label for place, label in labels.items()]
        found = graded(task, left, tmp_path, split)
        assert found.measures["accuracy"] == pytest.approx(np.mean(right))
        assert 0.6 < found.measures["accuracy"] < 1
    careless = np.where(left == 2, 1, left)
    assert (graded(task, careless, tmp_path).reason) == "guard"
    assert graded(task, left[:-1], tmp_path).reason == "refused"
    assert graded(task, left + 0.5, tmp_path).reason == "refused"
    assert graded(task, left - 9, tmp_path).reason == "refused"


def test_ranking_by_ndcg_and_reciprocal_rank(tmp_path: Path) -> None:
    """The ideal order has 1; the start lies below; another order is worse in the way of logs."""
    task = load_task(EXAMPLES / "ranking")
    left = start_of(task)
    relevant = told(task, "dev", "relevant.json")
    ideal = dict(left) | {
        query: sorted(grades, key=lambda name: -grades[name])[:10]
        for query, grades in relevant.items()
    }
    best = graded(task, ideal, tmp_path).measures
    assert best == {"ndcg_at_10": pytest.approx(1), "mrr": 1, "ndcg_of_rare": pytest.approx(1)}
    found = graded(task, left, tmp_path).measures
    query = min(relevant)
    gain = sum(
        (2 ** relevant[query].get(name, 0) - 1) / math.log2(rank + 2)
        for rank, name in enumerate(left[query])
    )
    top = sorted(relevant[query].values(), reverse=True)[:10]
    most = sum((2**value - 1) / math.log2(rank + 2) for rank, value in enumerate(top))
    alone = graded(task, ideal | {query: left[query]}, tmp_path).measures["ndcg_at_10"]
    assert alone == pytest.approx((len(relevant) - 1 + gain / most) / len(relevant))
    assert 0.3 < found["ndcg_at_10"] < 1
    assert graded(task, {q: [] for q in left}, tmp_path).reason == "constraint"
    assert graded(task, left | {query: ["d00", "d00"]}, tmp_path).reason == "refused"
    assert graded(task, left | {query: "d00"}, tmp_path).reason == "refused"


def test_latency_is_counted_and_its_tail_is_bounded(tmp_path: Path) -> None:
    """The mean of what requests cost; a placement by frequency is better; no file twice."""
    task = load_task(EXAMPLES / "latency")
    left = start_of(task)
    requests = told(task, "dev", "requests.json")
    cost = {**dict.fromkeys(left["memory"], 0.2), **dict.fromkeys(left["disk"], 6.0)}
    took = [cost.get(file, 50.0) for file in requests]
    found = graded(task, left, tmp_path).measures
    assert found["mean_ms"] == pytest.approx(np.mean(took))
    assert found["p95_ms"] == 50.0
    seen = json.loads(task.start["requests.json"])
    often = sorted(range(120), key=lambda file: -seen.count(file))
    better = {"memory": often[:12], "disk": often[12:52]}
    assert graded(task, better, tmp_path).measures["mean_ms"] < 0.6 * found["mean_ms"]
    assert graded(task, {"memory": often[:13], "disk": []}, tmp_path).reason == "refused"
    assert graded(task, {"memory": [1], "disk": [1]}, tmp_path).reason == "refused"
    assert graded(task, {"memory": [True], "disk": []}, tmp_path).reason == "refused"
