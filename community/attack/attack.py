"""The records of the suite: an attack, what became of one trial of it, and a row of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from community.attack.bench import Bench
from community.attack.blocks import Block

Form = Literal["patch", "artefact", "script"]
"""patch: an edited tree; artefact: bytes that an edited tree leaves; script: done on the host."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one trial of a cheat."""

    got_through: bool
    """Whether the criterion of success was met: secret, gain or limit."""
    reason: str
    """The word that stopped it (a verdict's reason, an error's name); empty if nothing did."""
    evidence: str
    """One line for people."""


@dataclass(frozen=True, slots=True)
class TwinFinding:
    """What became of the honest twin under the full lock."""

    is_accepted: bool
    score: float | None
    unlocked: float | None
    """What plain torch makes of the same tree and seed; None where there is no score to compare."""
    reason: str
    """Why it was not accepted; empty if it was."""

    @property
    def apart(self) -> float | None:
        """Distance of the two scores."""
        if self.score is None or self.unlocked is None:
            return None
        return abs(self.score - self.unlocked)


class Trial(Protocol):
    """A way to attack, with everything of one attack filled in."""

    @property
    def form(self) -> Form:
        """What is handed in."""
        ...

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Try it on the parts of `bench`, in folders called `name`."""
        ...

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Run what differs from the cheat only in that it does not cheat."""
        ...


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack of the catalogue."""

    name: str
    source: str
    """Where it was seen, or the hole that it is."""
    tries: str
    """What it tries, in one line."""
    block: Block
    """What stops it; the block that is off when it must be seen to succeed."""
    reasons: tuple[str, ...]
    """Words one of which must be given when it is refused; ``no gain`` where it does not pay."""
    trial: Trial
    also: tuple[Block, ...] = ()
    """Further blocks that stop it: a second layer, which must be off as well for it to succeed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    attack: Attack
    locked: Finding
    """Under the lock; with ``--disable``, under what is left of it."""
    unblocked: Finding | None
    """With its block off; None if that was not asked for."""
    twin: TwinFinding | None
    """None if that was not asked for."""

    @property
    def is_refused(self) -> bool:
        """Whether the lock stopped it, and for a reason that was expected."""
        return not self.locked.got_through and self.locked.reason in self.attack.reasons

    @property
    def is_green(self) -> bool:
        """Whether lock, weak part and twin all behave."""
        is_seen = self.unblocked is None or self.unblocked.got_through
        return self.is_refused and is_seen and (self.twin is None or self.twin.is_accepted)
