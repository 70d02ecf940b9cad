"""Executors that leave something to the candidate that is not the candidate's to say."""

from __future__ import annotations

from dataclasses import replace

from trainer.experiment import Isolation, TrainResult
from trainer.local_executor import LocalExecutor
from trainer.train_phase import TrainPhase


class _TrustingPhase(TrainPhase):
    """A train phase that ends when the candidate does: `run.remaining()` is believed.

    So do loops that tell a script its budget and take what it leaves.
    """

    def _overdrawn(self, cpu_s: float, at_s: float) -> None:
        """Find nothing wrong with any use of time."""


class _CheapPhase(TrainPhase):
    """A train phase that charges the processor's time alone."""

    async def run(self, isolation: Isolation) -> TrainResult:
        """Watch, and charge less."""
        result = await super().run(isolation)
        return replace(result, charge_s=result.cpu_s)


class _BlindPhase(TrainPhase):
    """A train phase that does not look at what its process holds."""

    def _too_much(self) -> None:
        """Find nothing too much."""


class TrustingExecutor(LocalExecutor):
    """Without a clock of its own; the kernel's backstop stays."""

    phase = _TrustingPhase


class CheapExecutor(LocalExecutor):
    """Without a price for waiting."""

    phase = _CheapPhase


class BlindExecutor(LocalExecutor):
    """Without a watchdog."""

    phase = _BlindPhase
