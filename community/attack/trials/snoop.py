"""Trials that reach for something while they train, and say in their log what they got.

Success is the secret itself in the log, which no honest log can hold; where there is no secret to
get, it is the word of code that we wrote.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

from community.attack.attack import Finding, Form, TwinFinding
from community.attack.bench import Attempt, Bench
from community.attack.trees import around_train
from community.attack.trials.honest import accepted

_HONEST = "return len(open('train.py').read())"


@dataclass(frozen=True, slots=True)
class Snoop:
    """One job that looks for something.

    The code of `look` is a function's body; what it returns is printed, what it raises too. Words
    in ``<<>>`` are places of the bait.
    """

    look: str
    honest: str = _HONEST
    is_secret: bool = True
    """Whether success is the bait's secret in the log, and not just an answer."""
    memory_bytes: int | None = None

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Run it and read its log."""
        change = around_train(bench.task, bench.bait.filled(self.look))
        attempt = await bench.attempt(name, change, memory_bytes=self.memory_bytes)
        return told(attempt, bench.bait.secret if self.is_secret else None)

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Look at what may be looked at."""
        return await accepted(bench, name, around_train(bench.task, self.honest))


@dataclass(frozen=True, slots=True)
class Relay:
    """Two jobs, the first of which tells the secret to the second over something both can reach."""

    tell: str
    hear: str
    honest: str = _HONEST
    is_at_once: bool = False
    """Whether the two run beside each other; else one after the other."""
    needs_forgetting: bool = False
    """Whether pages must leave the cache for it; in a file system that lives in memory none do, and
    that the second job is answered at all counts as success there."""

    @property
    def form(self) -> Form:
        """A patch."""
        return "patch"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Run both and read the second one's log."""
        teller, hearer = (self._change(bench, look) for look in (self.tell, self.hear))
        async with bench.pool.lease() as lease, asyncio.TaskGroup() as group:
            telling = group.create_task(bench.attempt(f"{name}-tell", teller, lease=lease))
            if not self.is_at_once:
                await asyncio.wait([telling])
            heard = await bench.attempt(f"{name}-hear", hearer, lease=lease)
        is_possible = bench.forgets_pages or not self.needs_forgetting
        return told(heard, bench.bait.secret if is_possible else None)

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Tell nobody."""
        return await accepted(bench, name, around_train(bench.task, self.honest))

    def _change(self, bench: Bench, look: str) -> Mapping[str, bytes]:
        return around_train(bench.task, bench.bait.filled(look))


def told(attempt: Attempt, secret: str | None) -> Finding:
    """Read a log: what was got, or the name of the error that it was refused with."""
    got = re.search(r"^GOT (.*)$", attempt.log, re.MULTILINE)
    refused = re.search(r"^REFUSED (\w+) ?(.*)$", attempt.log, re.MULTILINE)
    if secret is not None and secret in attempt.log:
        return Finding(True, "", "the secret is in its log")
    if secret is None and got:
        return Finding(True, "", got[1][:120])
    if refused:
        return Finding(False, refused[1], refused[2][:120])
    if got:
        return Finding(False, "nothing", f"it got {got[1][:100]}, which is not the secret")
    last = attempt.log.strip().splitlines()[-1:] or [""]
    return Finding(False, attempt.reason or "silent", last[0][:120])
