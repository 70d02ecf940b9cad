"""Runs the suite: every attack under the lock, then with its block off, and every honest twin.

Attacks run beside one another, as many as there are slots. Blocks are taken off one at a time, so
that what is seen to succeed succeeds for want of that block alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from community.attack.attack import Attack, Finding, Row, TwinFinding
from community.attack.bench import Bench
from community.attack.blocks import Block
from community.attack.honest import HONEST
from community.attack.lab import Lab, open_lab
from community.attack.trials.honest import accepted
from trainer.task import Task

T = TypeVar("T")
Told = Callable[[str], None]
"""Called with a few words whenever one trial is over."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run of the suite came to."""

    off: Block | None
    """The block that was off throughout, if one was."""
    rows: tuple[Row, ...]
    honest: tuple[tuple[str, TwinFinding], ...]
    """Further honest models by name."""

    @property
    def is_green(self) -> bool:
        """Whether nothing got through and nobody honest was refused."""
        return all(row.is_green for row in self.rows) and all(
            finding.is_accepted for _, finding in self.honest
        )


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run."""

    attacks: tuple[Attack, ...]
    honest: tuple[str, ...] = tuple(HONEST)
    """Names of further honest models."""
    off: Block | None = None
    """A block to be left off; then nothing but the lock's own column is run."""
    is_quick: bool = False
    """Whether nothing but the lock's own column is run, with every block in place."""
    takes_off: bool = True
    """Whether each attack is tried without its block too."""

    @property
    def trials(self) -> int:
        """How many trials that makes."""
        if self.off or self.is_quick:
            return len(self.attacks)
        return (3 if self.takes_off else 2) * len(self.attacks) + len(self.honest)


async def run_suite(task: Task, order: Order, folder: Path, told: Told) -> Report:
    """Carry out `order` against the lock of `task`.

    Args:
        task: Whose lock is attacked.
        order: Which attacks, and which block is off.
        folder: An empty folder for everything that is made.
        told: Called after each trial.

    Cancellation: all processes are ended.
    """
    attacks = order.attacks
    async with open_lab(task, folder) as lab:
        if order.off is not None:
            async with lab.bench((order.off,)) as bench:
                found = await _tried(bench, attacks, told)
            rows = tuple(Row(attack, found[attack.name], None, None) for attack in attacks)
            return Report(order.off, rows, ())
        locked = await _tried(lab.production, attacks, told)
        if order.is_quick:
            rows = tuple(Row(attack, locked[attack.name], None, None) for attack in attacks)
            return Report(None, rows, ())
        twins, honest = await _honest(lab, order, told)
        unblocked = await _unblocked(lab, attacks, told) if order.takes_off else {}
    rows = tuple(
        Row(attack, locked[attack.name], unblocked.get(attack.name), twins[attack.name])
        for attack in attacks
    )
    return Report(None, rows, tuple((name, honest[name]) for name in order.honest))


async def _tried(bench: Bench, attacks: Sequence[Attack], told: Told) -> dict[str, Finding]:
    """Try every attack on `bench`."""
    return await _beside(
        {attack.name: _trial(attack, bench) for attack in attacks},
        lambda name, finding: told(f"{name}: {finding.reason or 'got through'}"),
        bench.pool.size,
    )


async def _trial(attack: Attack, bench: Bench) -> Finding:
    return await attack.trial.cheat(bench, attack.name)


async def _unblocked(lab: Lab, attacks: Sequence[Attack], told: Told) -> dict[str, Finding]:
    """Try every attack without its block."""
    found: dict[str, Finding] = {}
    for off in dict.fromkeys((attack.block, *attack.also) for attack in attacks):
        chosen = [attack for attack in attacks if (attack.block, *attack.also) == off]
        async with lab.bench(off) as bench:
            found |= await _tried(bench, chosen, told)
    return found


async def _honest(
    lab: Lab, order: Order, told: Told
) -> tuple[dict[str, TwinFinding], dict[str, TwinFinding]]:
    """Run all twins, and the models of the honest list."""
    bench = lab.production

    def say(name: str, finding: TwinFinding) -> None:
        told(f"{name}, honestly: {finding.reason or 'accepted'}")

    twins = await _beside(
        {attack.name: attack.trial.be_honest(bench, attack.name) for attack in order.attacks},
        say,
        bench.pool.size,
    )
    honest = await _beside(
        {name: accepted(bench, name, HONEST[name](lab.task)) for name in order.honest},
        say,
        bench.pool.size,
    )
    return twins, honest


async def _beside(
    jobs: dict[str, Awaitable[T]], told: Callable[[str, T], None], most: int
) -> dict[str, T]:
    """Await all `jobs`, at most `most` at a time, and return what they came to by name."""
    done: dict[str, T] = {}
    turns = asyncio.Semaphore(most)

    async def do(name: str, job: Awaitable[T]) -> None:
        async with turns:
            done[name] = await job
            told(name, done[name])

    async with asyncio.TaskGroup() as group:
        for name, job in jobs.items():
            group.create_task(do(name, job), name=name)
    return done
