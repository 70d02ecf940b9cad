"""Trials that change what the model answers, and succeed if that pays.

Paying is a score better than the honest twin's, on the same parts and seed, by three sigma: the
spread of the task's start over seeds at the same few steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from community.attack.attack import Finding, Form, TwinFinding
from community.attack.bench import Bench
from community.attack.trees import around_model, around_train
from community.attack.trials.honest import accepted
from scoring.verdict import Split

SIGMAS = 3.0
"""A gain of this many sigma is no accident."""
_LEAST_SIGMA = 1e-6
"""Where the start's few runs tie: any gain but rounding counts."""


@dataclass(frozen=True, slots=True)
class Rewired:
    """A model wrapped in a few lines; the twin is wrapped in their honest counterpart."""

    forward: str
    """Lines that change `logits` (rows, time, vocab), knowing `tokens` (rows, time) and `self`."""
    honest: str
    init: str = ""
    honest_init: str | None = None
    """None for the same as `init`."""
    is_gain: bool = True
    """Whether success is a gain; else it is that the answers are taken at all."""

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Train, score, and compare with the twin where there is a score."""
        change = around_model(bench.task, self.forward, self.init)
        return await paid(bench, name, change, self._twin(bench), is_gain=self.is_gain)

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Train and score the twin."""
        return await accepted(bench, name, self._twin(bench))

    def _twin(self, bench: Bench) -> dict[str, bytes]:
        init = self.init if self.honest_init is None else self.honest_init
        return around_model(bench.task, self.honest, init)


@dataclass(frozen=True, slots=True)
class Printed:
    """Code that prints a score before it trains; the twin prints something else."""

    look: str
    honest: str = "print('training')"

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Print, train, score, and compare with the twin."""
        change = around_train(bench.task, bench.bait.filled(self.look))
        return await paid(bench, name, change, self._twin(bench))

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Train and score the twin."""
        return await accepted(bench, name, self._twin(bench))

    def _twin(self, bench: Bench) -> dict[str, bytes]:
        return around_train(bench.task, self.honest)


async def paid(
    bench: Bench,
    name: str,
    change: Mapping[str, bytes],
    twin: Mapping[str, bytes],
    *,
    is_gain: bool = True,
    split: Split = "dev",
) -> Finding:
    """Score `change` and, if it has a score, its twin on the same parts."""
    attempt = await bench.attempt(name, change, split=split)
    if attempt.score is None or attempt.outcome != "ok":
        return Finding(False, attempt.reason, f"{attempt.outcome}: {attempt.reason}")
    if not is_gain:
        return Finding(True, "", f"it was given the score {attempt.score:.4f}")
    honest = await bench.attempt(f"{name}-beside", twin, split=split)
    if honest.score is None:
        return Finding(False, "twin", f"its twin was refused: {honest.reason}")
    better = honest.score - attempt.score
    better = better if bench.task.direction == "lower" else -better
    gain = better / max(bench.sigma, _LEAST_SIGMA)
    numbers = f"{attempt.score:.4f} against {honest.score:.4f}, {gain:+.0f} sigma"
    if gain >= SIGMAS:
        return Finding(True, "", numbers)
    return Finding(False, "no gain", numbers)
