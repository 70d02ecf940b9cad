"""What every honest twin must show: accepted under the full lock, with the unlocked score."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping

from community.attack.attack import TwinFinding
from community.attack.bench import SEED, STEPS, Bench
from scoring.verdict import Split

APART = 1e-6
"""Largest distance of two scores of one seed, with the lock and without: rounding of a mean."""


async def accepted(
    bench: Bench, name: str, change: Mapping[str, bytes], split: Split = "dev"
) -> TwinFinding:
    """Run `change` with fixed steps under the lock and in plain torch, and compare.

    A tree that is the twin of several attacks is run once.
    """
    key = hashlib.sha256(repr((sorted(change.items()), split)).encode()).hexdigest()
    if key not in bench.twins:
        running = _accepted(bench, name, change, split)
        bench.twins[key] = asyncio.create_task(running, name=f"{name}, honestly")
    finding: TwinFinding = await bench.twins[key]
    return finding


async def _accepted(
    bench: Bench, name: str, change: Mapping[str, bytes], split: Split
) -> TwinFinding:
    attempt = await bench.attempt(f"{name}-twin", change, split=split)
    if attempt.outcome != "ok":
        return TwinFinding(False, None, None, f"{attempt.outcome}: {attempt.reason}")
    tree = {**bench.task.start, **change}
    unlocked = await bench.unlocked.score(tree, SEED, int(STEPS.amount), split)
    finding = TwinFinding(True, attempt.score, unlocked, "")
    if finding.apart is None or not finding.apart <= APART:
        return TwinFinding(False, attempt.score, unlocked, "another score without the lock")
    return finding
