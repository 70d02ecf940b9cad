"""An executor that keeps all that a job prints, and all that it hands over."""

from __future__ import annotations

from dataclasses import replace

from trainer.experiment import Job, TrainResult
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor

_ROOM_BYTES = 64 << 20


class RoomyExecutor(LocalExecutor):
    """Without caps on the log and the artefact worth the name."""

    async def train(self, job: Job, lease: Lease) -> TrainResult:
        """Train with room for everything."""
        roomy = replace(job, log_bytes=_ROOM_BYTES, artefact_bytes=_ROOM_BYTES)
        return await super().train(roomy, lease)
