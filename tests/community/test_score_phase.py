"""The score phase over a scripted executor and scorer: losses, descriptors, limits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, get_args

import pytest
from bench_script import task_of

from community.attempts import told_score
from community.score_phase import SandboxedScorePhase, Scored
from scoring.errors import Refusal
from scoring.evidence.noise_models import NOISE_MODELS
from scoring.scorer import Channel
from scoring.verdict import Outcome, Score
from trainer.devices import Slot
from trainer.executor import Overuse, Program
from trainer.experiment import Budget
from trainer.gpu_pool import Lease

LEASE = Lease(Slot("cpu0", "cpu", frozenset({0})))


class ScriptedProgram:
    """A program whose loss is known beforehand, and told only once its block has ended."""

    isolation = "full"

    def __init__(self, *, is_lost: bool, overuse: Overuse | None) -> None:
        self._is_lost = is_lost
        self._overuse = overuse
        self.is_over = False
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.may_lock = asyncio.Event()
        self.may_lock.set()
        self.is_locked = False

    async def ended(self) -> None:
        """Return at once, unless a test has it wait: it has nothing to do."""
        await self.may_end.wait()

    async def locked(self) -> bool:
        """Return at once, unless a test has it wait: there is nothing to load."""
        await self.may_lock.wait()
        self.is_locked = True
        return True

    def cpu_s(self) -> float:
        """Return what every program uses."""
        return 0.5

    def is_alive(self) -> bool:
        """Return whether its block still runs."""
        return not self.is_over

    def is_lost(self) -> bool:
        """Return what was said at its making."""
        return self.is_over and self._is_lost

    def overuse(self) -> Overuse | None:
        """Return what was said at its making."""
        return self._overuse if self.is_over else None


class ScriptedExecutor:
    """Serves programs that do nothing; the one numbered `refuse_at` fails `refuse_how`."""

    def __init__(
        self,
        lost: tuple[bool, bool] = (False, False),
        refuse_at: int = -1,
        refuse_how: str = "",
        overuse: tuple[Overuse | None, Overuse | None] = (None, None),
    ) -> None:
        self._lost = lost
        self._overuse = overuse
        self._refuse_at = refuse_at
        self._refuse_how = refuse_how
        self.programs: list[Program] = []
        self.running: list[ScriptedProgram] = []
        self.is_stuck = asyncio.Event()

    def serve(self, program: Program, lease: Lease) -> AbstractAsyncContextManager[Any]:
        """Note the program; fail here if it is to fail when called."""
        number = len(self.programs)
        self.programs.append(program)
        refuse_how = self._refuse_how if number == self._refuse_at else ""
        if refuse_how == "called":
            raise RuntimeError("no")
        running = ScriptedProgram(is_lost=self._lost[number], overuse=self._overuse[number])
        return self._serve(program, running, refuse_how)

    @asynccontextmanager
    async def _serve(
        self, program: Program, running: ScriptedProgram, refuse_how: str
    ) -> AsyncIterator[ScriptedProgram]:
        for descriptor in program.descriptors:
            os.close(descriptor)
        if refuse_how == "entered":
            raise RuntimeError("no")
        if refuse_how in ("starting", "running"):
            self.is_stuck.set()
        if refuse_how == "starting":
            await asyncio.Event().wait()
        if refuse_how == "running":
            running.may_end.clear()
        if refuse_how == "loading":
            running.may_lock.clear()
            self.is_stuck.set()
        self.running.append(running)
        yield running
        running.is_over = True


class ScriptedScorer:
    """Gives one answer once it can ask both, and closes the first channel, as the contract says."""

    def __init__(self, outcome: Outcome = "ok", reason: str = "") -> None:
        self.executor = ScriptedExecutor()
        self.locked_when_asked: list[bool] = []
        self.asked = {"dev": 1, "vault": 1, "seal": 1}
        self._outcome = outcome
        self._reason = reason

    async def score(
        self, split: str, blocks: Channel, blind: Awaitable[Channel], deadline_s: float
    ) -> Score:
        """Answer."""
        try:
            self.locked_when_asked.append(self.executor.running[0].is_locked)
            os.fstat((await blind).request_fd)
            self.locked_when_asked.append(self.executor.running[1].is_locked)
        finally:
            os.close(blocks.request_fd)
            os.close(blocks.reply_fd)
        value = 2.0 if self._outcome == "ok" else None
        return Score(self._outcome, value, self._reason, 1, 1, 0.0)


async def score(
    folder: Path,
    executor: ScriptedExecutor,
    scorer: ScriptedScorer | None = None,
    budget: Budget = Budget("cpu_seconds", 30),  # noqa: B008 - frozen
) -> Scored:
    """Score an empty artefact."""
    artefact = folder / "artefact.safetensors"
    artefact.touch()
    scorer = scorer or ScriptedScorer()
    scorer.executor = executor
    task = task_of({"train.py": b""}, folder)
    phase = SandboxedScorePhase(executor, scorer, task, budget)  # type: ignore[arg-type]
    scored = await phase.score(artefact, folder, "dev", LEASE, seed=1)
    assert scorer.locked_when_asked == [True, True]
    return scored


@pytest.mark.parametrize(
    ("answer", "lost", "expected"),
    [
        (("invalid", "short"), (False, False), ("invalid", "short")),
        (("invalid", "short"), (True, False), ("interrupted", "lost")),
        (("invalid", "short"), (False, True), ("interrupted", "lost")),
        (("invalid", "not_finite"), (True, True), ("invalid", "not_finite")),
        (("ok", ""), (True, True), ("ok", "")),
        (("scorer_failed", "scorer"), (True, True), ("scorer_failed", "scorer")),
    ],
)
async def test_answers_cut_off_by_a_loss_are_no_verdict(
    tmp_path: Path, answer: tuple[Outcome, str], lost: tuple[bool, bool], expected: tuple[str, str]
):
    """Short answers of a lost sandbox interrupt; what was answered badly or fully still counts."""
    scored = await score(tmp_path, ScriptedExecutor(lost), ScriptedScorer(*answer))
    assert (scored.score.outcome, scored.score.reason) == expected
    assert scored.cpu_s == 1.0


@pytest.mark.parametrize(
    ("answer", "overuse", "lost", "expected"),
    [
        (("invalid", "short"), ("limit", None), False, ("invalid", "limit")),
        (("invalid", "short"), (None, "memory"), False, ("invalid", "memory")),
        (("invalid", "short"), ("limit", None), True, ("interrupted", "lost")),
        (("invalid", "range"), ("limit", None), False, ("invalid", "range")),
        (("ok", ""), ("limit", "limit"), False, ("ok", "")),
    ],
)
async def test_answers_cut_off_by_a_limit_say_which(
    tmp_path: Path,
    answer: tuple[Outcome, str],
    overuse: tuple[Overuse | None, Overuse | None],
    lost: bool,
    expected: tuple[str, str],
):
    """One fixed word tells what was exceeded; what was answered badly or fully still counts."""
    executor = ScriptedExecutor((False, lost), overuse=overuse)
    scored = await score(tmp_path, executor, ScriptedScorer(*answer))
    assert (scored.score.outcome, scored.score.reason) == expected


@pytest.mark.parametrize("refuse_how", ["called", "entered"])
@pytest.mark.parametrize("refuse_at", [0, 1])
async def test_sandbox_that_cannot_be_served_leaks_no_descriptor(
    tmp_path: Path, refuse_at: int, refuse_how: str
):
    """Both ends of all pipes and the artefact are closed, whichever sandbox fails and when."""
    before = held(tmp_path)
    with pytest.raises(RuntimeError, match="no"):
        await score(tmp_path, ScriptedExecutor(refuse_at=refuse_at, refuse_how=refuse_how))
    assert held(tmp_path) <= before


def held(folder: Path) -> set[tuple[str, str]]:
    """Return pipes and files in `folder` that this process has open: (descriptor, what it is).

    No mere number of descriptors: what earlier tests in this process left, the collector may close
    at any time. A pipe's number is its own, whichever descriptor it has.
    """
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the listing's own
            found.add((name, os.readlink(f"/proc/self/fd/{name}")))
    return {one for one in found if one[1].startswith(("pipe:", str(folder)))}


LATE = [(0, "starting"), (0, "loading"), (0, "running"), (1, "starting"), (1, "loading")]


@pytest.mark.parametrize(("at", "how"), LATE)
async def test_scoring_that_is_cancelled_between_the_sandboxes_leaks_no_descriptor(
    tmp_path: Path, at: int, how: str
):
    """Also what the second one would have got, and what the scorer holds by then."""
    before = held(tmp_path)
    executor = ScriptedExecutor(refuse_at=at, refuse_how=how)
    scoring = asyncio.create_task(score(tmp_path, executor))
    async with asyncio.timeout(10):
        await executor.is_stuck.wait()
        for _ in range(5):  # so that it waits where it will, and the scorer has begun
            await asyncio.sleep(0)
        scoring.cancel()
        with pytest.raises(asyncio.CancelledError):
            await scoring
    assert len(executor.programs) == at + 1
    assert held(tmp_path) <= before


async def test_scoring_leaks_no_descriptor(tmp_path: Path):
    """A score, and an artefact that is missing, leave nothing open."""
    before = held(tmp_path)
    await score(tmp_path, ScriptedExecutor())
    task = task_of({"train.py": b""}, tmp_path)
    phase = SandboxedScorePhase(
        ScriptedExecutor(),
        ScriptedScorer(),
        task,
        Budget("steps", 1),  # type: ignore[arg-type]
    )
    with pytest.raises(FileNotFoundError):
        await phase.score(tmp_path / "missing", tmp_path, "dev", LEASE, seed=1)
    assert held(tmp_path) <= before


@pytest.mark.parametrize(
    ("budget", "cpu_s"),
    [
        (Budget("cpu_seconds", 30), 30.0),
        (Budget("cpu_seconds", 2), 10.0),
        (Budget("device_seconds", 300), 300.0),
        (Budget("steps", 5), 60.0),
    ],
)
async def test_answering_may_cost_as_much_as_training(tmp_path: Path, budget: Budget, cpu_s: float):
    """A budget in seconds bounds the processor time of each sandbox, from ten seconds upwards."""
    executor = ScriptedExecutor()
    await score(tmp_path, executor, budget=budget)
    assert [program.cpu_s for program in executor.programs] == [cpu_s, cpu_s]


async def test_both_sandboxes_get_one_seed_that_is_not_the_jobs(tmp_path: Path):
    """It follows from the job's, so that a model which draws draws alike in both."""
    seeds = []
    for seed in (1, 1, 2):
        executor = ScriptedExecutor()
        (tmp_path / "artefact").touch()
        scorer = ScriptedScorer()
        scorer.executor = executor
        task = task_of({"train.py": b""}, tmp_path)
        phase = SandboxedScorePhase(executor, scorer, task, Budget("steps", 1))  # type: ignore[arg-type]
        await phase.score(tmp_path / "artefact", tmp_path, "dev", LEASE, seed)
        seeds.append([program.arguments["seed"] for program in executor.programs])
    assert seeds[0] == seeds[1] == [seeds[0][0]] * 2
    assert seeds[2] != seeds[0]
    assert not {1, 2, 0} & {seed for pair in seeds for seed in pair}


@pytest.mark.parametrize(
    ("baseline_cpu_s", "vault_asked", "expected", "most_cpu_s"),
    [
        (None, 200, ("ok", ""), 60.0),
        (0.34, 200, ("ok", ""), 3.0),
        (0.1, 200, ("ok", ""), 3.0),
        (0.1, 50, ("invalid", "limit"), 0.75),
        (0.6, 50, ("invalid", "limit"), 0.9),
        (0.7, 50, ("ok", ""), 1.05),
    ],
)
async def test_answering_may_cost_three_times_the_baseline_per_token(
    tmp_path: Path,
    baseline_cpu_s: float | None,
    vault_asked: int,
    expected: tuple[Outcome, str],
    most_cpu_s: float,
):
    """One CPU second is spent. The baseline is known on dev; another split counts by its tokens.

    As much ends a sandbox while it answers, also in a process that has scored nothing before.
    """
    (tmp_path / "artefact").touch()
    scorer, executor = ScriptedScorer(), ScriptedExecutor()
    scorer.executor, scorer.asked = executor, {"dev": 100, "vault": vault_asked}
    phase = SandboxedScorePhase(
        executor,
        scorer,
        task_of({"train.py": b""}, tmp_path),
        Budget("steps", 1),  # type: ignore[arg-type]
    )
    found = await phase.score(tmp_path / "artefact", tmp_path, "vault", LEASE, 1, baseline_cpu_s)
    assert (found.score.outcome, found.score.reason) == expected
    assert (found.score.value is None) == (expected[0] == "invalid")
    assert [program.cpu_s for program in executor.programs] == [pytest.approx(most_cpu_s)] * 2


def test_reasons_of_refusal_are_eight_words():
    """Whatever a score phase says of a candidate is one of them."""
    words = {*get_args(Refusal), *get_args(Overuse)}
    assert words == {
        *("short", "late", "not_finite", "range", "probe", "protocol", "limit", "memory"),
    }


def test_a_score_is_told_in_five_digits():
    """What a model hides below, by answers moved within the probes' tolerance, reaches nobody."""
    digits = NOISE_MODELS["seeds"].digits
    assert told_score(8.00000000359132, digits) == 8.0
    assert told_score(2.613749, digits) == 2.6137
    assert told_score(0.000123456, digits) == 0.00012346
    assert told_score(None, digits) is None
