"""Sketches of artefacts, drawn before they are scored and told with the score.

Beside the score phase and not in it: what a sketch tells is about the tree, not about its score.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from community.score_phase import Scored, ScorePhase
from scoring.verdict import Split
from trainer.gpu_pool import Lease
from trainer.sketch import sketch


class SketchingScorePhase:
    """Adds a sketch to what another score phase tells; see `community.score_phase.ScorePhase`.

    Args:
        inner: The one that scores.
    """

    def __init__(self, inner: ScorePhase) -> None:
        self._inner = inner

    async def score(
        self,
        artefact: Path,
        workspace: Path,
        split: Split,
        lease: Lease,
        seed: int,
        baseline_cpu_s: float | None = None,
    ) -> Scored:
        """Sketch `artefact`, then have it scored.

        Cancellation: as the inner one.
        """
        drawn = await asyncio.to_thread(sketch, artefact)
        scored = await self._inner.score(artefact, workspace, split, lease, seed, baseline_cpu_s)
        return replace(scored, sketch=drawn)
