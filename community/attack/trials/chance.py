"""Trials on chance: a tree that does not let the lab draw its seed, a lab that does not draw."""

from __future__ import annotations

from dataclasses import dataclass

from community.attack.attack import Finding, Form, TwinFinding
from community.attack.bench import SEED, Bench
from community.attack.trees import around_train
from community.attack.trials.honest import accepted
from trainer.task import ENTRY

_OWN_SEED = """

_drawn = build_model


def build_model():
    import torch

    torch.manual_seed(5)
    return _drawn()
"""


@dataclass(frozen=True, slots=True)
class Lucky:
    """A tree that seeds itself; success is that its runs count as runs of several seeds."""

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Train it as a new tree, and see whether it is noticed."""
        change = around_train(bench.task, "return 'seeded'")
        change[ENTRY] += _OWN_SEED.encode()
        attempt = await bench.attempt(name, change, is_new=True)
        if attempt.train is None or attempt.outcome != "ok":
            return Finding(False, attempt.reason, attempt.log[-100:])
        if attempt.train.is_deterministic:
            return Finding(False, "marked", "its runs count as one, and need four sigma")
        return Finding(True, "", "two seeds of the lab would have been told as two runs")

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Leave the seed alone."""
        change = around_train(bench.task, "return 'not seeded'")
        attempt = await bench.attempt(f"{name}-gate", change, is_new=True)
        if attempt.train is None or attempt.train.is_deterministic:
            return TwinFinding(False, None, None, "it was taken for one that ignores its seed")
        return await accepted(bench, name, change)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A tree that says what it draws; success is that two seeds of the lab make no difference."""

    draw: str

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Train it twice, and compare what it says."""
        change = around_train(bench.task, self.draw)
        runs = [await bench.attempt(name, change, seed=seed) for seed in (SEED, SEED + 1)]
        first, second = (run.log.partition("GOT ")[2].split("\n")[0] for run in runs)
        if not first or any(run.outcome != "ok" for run in runs):
            return Finding(False, "silent", runs[0].log[-100:])
        if first != second:
            return Finding(False, "unforeseen", f"{first}, then {second}")
        return Finding(True, "", f"whoever has seen one run knows what the next draws: {first}")

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Draw nothing beside what training needs."""
        return await accepted(bench, name, around_train(bench.task, "return 'nothing drawn'"))
