"""The Model protocol: what an experiment would come to, computed instead of trained.

A modelled run is opened around one (`community.modelled.opening`); agents, scheduler and ledger
never see it. It is deterministic in its arguments: noise comes from the seed of the measurement,
which derives from the run's seed, the tree and which measurement of it this is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Tree = Mapping[str, bytes]
"""Content by path."""


@dataclass(frozen=True, slots=True)
class Modelled:
    """What one virtual experiment comes to."""

    outcome: Literal["ok", "invalid"]
    reason: str
    """Empty when ok; else a word as `trainer.experiment.TrainResult.reason` has them."""
    score: float | None
    """With noise; None unless ok."""
    train_s: float
    """Seconds that training holds the slot."""
    score_s: float
    """Seconds that scoring holds it afterwards; 0 unless ok."""


class Model(Protocol):
    """One modelled task under fixed parameters."""

    def start(self) -> Tree:
        """Return the start tree; its knobs are named constants, as in any task with knobs."""
        ...

    def knobs_toml(self) -> str:
        """Return the text of the start tree's ``knobs.toml``."""
        ...

    def run(self, files: Tree, *, seed: int, split: str, device: str) -> Modelled:
        """Return what running `files` comes to; the same arguments give the same answer.

        Args:
            files: The candidate's tree; anybody may have written it.
            seed: Of the measurement.
            split: ``dev``, ``vault`` or ``seal``.
            device: Name of the slot.
        """
        ...

    def truth(self, files: Tree) -> float | None:
        """Return the expected score of `files` without noise; None where they cannot run."""
        ...

    def best(self) -> float | None:
        """Return the best score there is, without noise; None where it is not known."""
        ...
