"""Spend: what one agent has used up, held against its quotas.

Counts turns and experiments; device-seconds are the ledger's business. After a restart the counts
come from the ledger too: the next turn's number, and the agent's own hypotheses and claims.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.roles import Quotas


@dataclass(slots=True)
class Spend:
    """Counters of one agent; only its own coroutine writes them."""

    quotas: Quotas = field(default_factory=Quotas)
    turns: int = 0
    experiments: int = 0
    """Runs and reproductions it asked for."""
    posts: int = 0
    """Own posts but those that tell what came of experiments."""
    faults: int = 0
    """Turns that its mind failed to answer, and actions that were turned down."""

    @property
    def has_turns(self) -> bool:
        """Whether it may take another turn."""
        return self.quotas.turns is None or self.turns < self.quotas.turns

    @property
    def has_experiments(self) -> bool:
        """Whether it may ask for another experiment."""
        return self.quotas.experiments is None or self.experiments < self.quotas.experiments

    @property
    def turns_left(self) -> int | None:
        """How many turns it may still take; None without a quota."""
        quota = self.quotas.turns
        return None if quota is None else max(0, quota - self.turns)

    @property
    def experiments_left(self) -> int | None:
        """How many experiments it may still ask for; None without a quota."""
        quota = self.quotas.experiments
        return None if quota is None else max(0, quota - self.experiments)

    @property
    def posts_left(self) -> int | None:
        """How many posts it may still write; None without a quota."""
        quota = self.quotas.posts
        return None if quota is None else max(0, quota - self.posts)
