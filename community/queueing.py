"""The queue discipline: which waiting experiment gets the next free slot.

An experiment may be pinned to one slot; no other ever gets it. Of what may run on a free slot,
confirmations and what else somebody waits for come first, then screens by what reviewers expect
their hypotheses to gain per device-second, in classes each worth half as much as the one before.
Within a class the researcher who has used least of the pool goes first, where old use counts for
less (fair share after Kay & Lauder, "A fair share scheduler", CACM 31(1), 1988, section 3:
exponentially decayed usage). Ties fall to the older request.

Not here: admission (`community.admission`) and running (`community.scheduler`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from community.events import ExperimentQueued

HALF_LIFE_S = 600.0
"""Use ten minutes ago counts half: long against an experiment, short against a night."""

PATIENCE = 4
"""Who was passed over so often moves up a class: a hopeless hypothesis waits, but is tried."""

FIRST_CLASS, USUAL_CLASS, LAST_CLASS = 1, 3, 5
"""Classes of screens; what is worth four times the usual, and more, is in the first."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An admitted experiment that has no slot yet."""

    experiment: ExperimentQueued
    attempt: int
    """Number of the attempt it waits for, from 1."""


@dataclass(slots=True)
class _Place:
    """A place in the queue."""

    waiting: Waiting
    passed: int = 0
    """How often somebody else was picked for a slot that it might have had."""

    def fits(self, slot: str) -> bool:
        """Whether it may run on `slot`."""
        return self.waiting.experiment.slot in ("", slot)


class PoolSpend:
    """How much of the pool each researcher has used, in decayed slot-seconds."""

    def __init__(self, half_life_s: float = HALF_LIFE_S) -> None:
        self._rate = math.log(2) / half_life_s
        self._used: dict[str, tuple[float, float]] = {}

    def charge(self, researcher: str, seconds: float, now_s: float) -> None:
        """Add `seconds` of a slot at run time `now_s`."""
        self._used[researcher] = (self.of(researcher, now_s) + seconds, now_s)

    def of(self, researcher: str, now_s: float) -> float:
        """Return the decayed slot-seconds of `researcher` at run time `now_s`."""
        used, at_s = self._used.get(researcher, (0.0, now_s))
        return used * math.exp(-self._rate * max(0.0, now_s - at_s))


class Queue:
    """Experiments that wait for a slot.

    Args:
        now_s: Run time in seconds.
        worth: What a hypothesis (post id) is expected to gain per device-second at the moment it is
            asked, in terms of what is usual; 1 where nothing is known.
    """

    def __init__(self, now_s: Callable[[], float], worth: Callable[[str], float]) -> None:
        self._now_s = now_s
        self._worth = worth
        self._waiting: list[_Place] = []
        self._listeners: dict[asyncio.Event, None] = {}
        self.usage = PoolSpend()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, waiting: Waiting) -> None:
        """Add an experiment; one of a pair that was lost goes before what it was followed by."""
        lost = waiting.experiment if waiting.attempt > 1 and waiting.experiment.pair else None
        followed = (
            index
            for index, place in enumerate(self._waiting)
            if lost is not None
            and place.waiting.experiment.hypothesis == lost.hypothesis
            and place.waiting.experiment.pair >= lost.pair
        )
        self._waiting.insert(next(followed, len(self._waiting)), _Place(waiting))
        for listener in self._listeners:
            listener.set()

    async def ready(self, slot: str) -> None:
        """Wait until there is something to pick for `slot`.

        Cancellation: nothing remains.
        """
        heard = asyncio.Event()
        self._listeners[heard] = None  # in order: a set would be walked by addresses
        try:
            while not any(place.fits(slot) for place in self._waiting):
                heard.clear()
                await heard.wait()
        finally:
            del self._listeners[heard]

    async def put_something(self) -> None:
        """Wait until something is put here.

        Cancellation: nothing remains.
        """
        heard = asyncio.Event()
        self._listeners[heard] = None
        try:
            await heard.wait()
        finally:
            del self._listeners[heard]

    def peek(self, slot: str) -> Waiting | None:
        """Return the experiment whose turn it would be on `slot` now, and leave it there."""
        chosen, _ = self._next(slot)
        return None if chosen is None else self._waiting[chosen].waiting

    def pick(self, slot: str) -> Waiting | None:
        """Take out the experiment whose turn it is on `slot`, or None if nothing may run there."""
        chosen, fitting = self._next(slot)
        if chosen is None:
            return None
        for index in fitting:
            self._waiting[index].passed += index != chosen
        return self._waiting.pop(chosen).waiting

    def _next(self, slot: str) -> tuple[int | None, list[int]]:
        """Return whose turn it is on `slot`, and who else might run there."""
        fitting = [index for index, place in enumerate(self._waiting) if place.fits(slot)]
        now_s = self._now_s()
        return min(fitting, key=lambda i: (*self._key(i, now_s), i), default=None), fitting

    def _key(self, index: int, now_s: float) -> tuple[int, float]:
        place = self._waiting[index]
        experiment = place.waiting.experiment
        if experiment.purpose != "screen" or experiment.slot:
            return 0, 0.0
        rank = class_of(self._worth(experiment.hypothesis)) - place.passed // PATIENCE
        return max(FIRST_CLASS, rank), self.usage.of(experiment.charged_to, now_s)


def class_of(worth: float) -> int:
    """Return the class of a screen: the nearest power of two of its worth, within bounds."""
    halvings = LAST_CLASS if worth <= 0.0 else round(-math.log2(worth))
    return min(max(USUAL_CLASS + halvings, FIRST_CLASS), LAST_CLASS)
