"""Models under constraints and guards: their size, slices of their score, what the start has."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from archive_script import S, opened, verdict
from safetensors.torch import save_file

from community import events as ev
from community.archive.beside import beside
from community.archive.state import RunState
from community.bounds import BoundingScorePhase, held_to_start, least_beside
from community.evidence_events import ModelMeasured
from community.score_phase import Scored
from community.show.text import beside_line
from scoring.verdict import Score, Split
from trainer.devices import Slot
from trainer.gpu_pool import Lease
from trainer.task import BUNDLED, Task, load_task
from trainer.task_file import BoundTable
from trainer.train_phase import LOG_NAME

LEASE = Lease(Slot("cpu0", "cpu", frozenset({0})))


class Scorer:
    """Measures what a test says."""

    def __init__(self, **measures: float) -> None:
        self.measures = measures
        self.asked = 0

    async def score(
        self,
        artefact: Path,
        workspace: Path,
        split: Split,
        lease: Lease,
        seed: int,
        baseline_cpu_s: float | None = None,
    ) -> Scored:
        """Say it."""
        self.asked += 1
        return scored(**self.measures)


def scored(**measures: float) -> Scored:
    """Return a valid score with numbers beside it."""
    return Scored(Score("ok", 0.9, "", 10, 10, 0.1, measures=measures), 0.2)


@pytest.fixture
def task() -> Task:
    """Give digits: a cap on parameters, and a guard beside the start."""
    return load_task(BUNDLED / "digits")


async def score(task: Task, folder: Path, tensors: int, **measures: float) -> tuple[Score, int]:
    """Score a model of so many float32 numbers; how often it was asked comes with the score."""
    folder.mkdir()
    artefact = folder / "artefact.safetensors"
    save_file({"weight": torch.zeros(tensors)}, artefact)
    scorer = Scorer(**measures)
    phase = BoundingScorePhase(scorer, task)
    found = await phase.score(artefact, folder, "dev", LEASE, 1)
    return found.score, scorer.asked


async def test_too_large_a_model_is_not_asked(task: Task, tmp_path: Path) -> None:
    """The cap is on the state dict; at it is fine, and one number beyond is told why."""
    at, asked = await score(task, tmp_path / "at", 300_000, worst_class=0.9)
    assert (at.outcome, at.measures["parameters"], asked) == ("ok", 300_000, 1)
    above, asked = await score(task, tmp_path / "above", 300_001, worst_class=0.9)
    assert (above.outcome, above.reason, above.value, asked) == ("invalid", "constraint", None, 0)
    assert above.measures == {"parameters": 300_001}
    told = (tmp_path / "above" / LOG_NAME).read_text()
    assert "constraint parameters, most = 300000 is not kept: 300001" in told


async def test_half_precision_counts_half(task: Task, tmp_path: Path) -> None:
    """Bytes are what counts: nothing is gained by packing."""
    save_file(
        {"a": torch.zeros(7, dtype=torch.bfloat16), "b": torch.zeros(1, dtype=torch.int64)},
        tmp_path / "artefact.safetensors",
    )
    phase = BoundingScorePhase(Scorer(worst_class=1.0), task)
    found = await phase.score(tmp_path / "artefact.safetensors", tmp_path, "dev", LEASE, 1)
    assert found.score.measures["parameters"] == 6  # 14 + 8 bytes, a part of one counts whole


async def test_a_guard_of_a_number(
    task: Task, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A slice below its least is no score, whatever the whole is; the number is for people."""
    bounded = replace(task, guards=(BoundTable(measure="worst_class", least=0.7),))
    kept, _ = await score(bounded, tmp_path / "kept", 8, worst_class=0.7)
    assert kept.outcome == "ok"
    low, _ = await score(bounded, tmp_path / "low", 8, worst_class=0.69)
    assert (low.outcome, low.reason, low.value) == ("invalid", "guard", None)
    assert low.measures["worst_class"] == 0.69
    told = (tmp_path / "low" / LOG_NAME).read_text()
    assert "guard worst_class, least = 0.7 is not kept" in told
    assert "0.69" not in told
    with caplog.at_level(logging.WARNING):
        unknown, _ = await score(bounded, tmp_path / "unknown", 8, accuracy=0.9)
    assert (unknown.outcome, unknown.reason) == ("scorer_failed", "scorer")
    assert "bounds 'worst_class', which is not measured; accuracy, parameters are" in caplog.text


def history(task: Task, worst: dict[Split, tuple[float, ...]]) -> RunState:
    """Return a ledger in which the start ran with these shares of the class it reads worst."""
    rows: list[ev.Event] = [opened()]
    for split, shares in worst.items():
        for number, share in enumerate(shares):
            name = f"b{len(rows):04d}"
            queued = run("t-base", split, name, number)
            rows += [queued, ev.AttemptStarted(name, 1, "cpu0"), verdict(queued, 0.9)]
            rows.append(ModelMeasured(name, {"worst_class": share, "parameters": 9.0}))
    state = RunState()
    for seq, event in enumerate(rows, start=1):
        state.apply(ev.Row(seq, seq * S, event))
    return state


def test_numbers_beside_the_score_are_shown_with_intervals(task: Task) -> None:
    """Of the start while nothing leads: every measure but the slices, on dev."""
    size, worst = beside(history(task, {"dev": (0.84, 0.86, 0.85, 0.87)}))
    assert (size.measure, size.start.mean, size.start.half, size.best) == ("parameters", 9, 0, None)
    assert worst.start.half == pytest.approx(3.182446 * 0.0129099 / 2, rel=1e-4)
    assert beside_line(worst) == "worst_class: 0.8550 ± 0.0205 (n = 4) on dev"


def run(tree: str, split: Split, name: str, number: int = 0) -> ev.ExperimentQueued:
    """Return an experiment on a tree."""
    return ev.ExperimentQueued(name, "baseline", "c" * 40, tree, "", "lab", "lab", split, number, 1)


def test_a_guard_beside_the_start(task: Task, tmp_path: Path) -> None:
    """Below its mean by more than the margin and noise: no score; per split, and not the start."""
    shares = (0.84, 0.86, 0.85, 0.87)
    state = history(task, {"dev": shares, "vault": (0.5,)})
    assert state.opened is not None
    base = state.opened.baseline_tree_key
    least = least_beside(shares, 0.03)
    assert least == pytest.approx(0.855 - 0.03 - 3 * 0.0129099 * 1.25**0.5, abs=1e-6)

    def outcome(share: float, split: Split = "dev", tree: str = "t-other") -> tuple[str, str]:
        given = scored(worst_class=share, parameters=1.0)
        score = held_to_start(given, task, run(tree, split, "e0001"), state, tmp_path).score
        return score.outcome, score.reason

    assert outcome(least + 1e-9) == ("ok", "")
    assert not (tmp_path / LOG_NAME).exists()
    assert outcome(least - 1e-9) == ("invalid", "guard")
    told = (tmp_path / LOG_NAME).read_text()
    assert "guard worst_class, below_start = 0.03 is not kept" in told
    assert outcome(0.1, tree=base) == ("ok", "")
    assert outcome(0.1, "vault") == ("ok", "")  # one run of the start tells no spread
    assert outcome(0.1, "seal") == ("ok", "")
