"""A score phase that reads the number from the candidate's output, as many a research loop does."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from community.score_phase import SandboxedScorePhase, Scored
from scoring.verdict import Split
from trainer.gpu_pool import Lease
from trainer.train_phase import LOG_NAME

_SAID = re.compile(r"^val_\w+: ([0-9.]+)$", re.MULTILINE)


class BelievingPhase(SandboxedScorePhase):
    """The score phase, but the last ``val_...: NUMBER`` of the job's log is the score."""

    async def score(
        self,
        artefact: Path,
        workspace: Path,
        split: Split,
        lease: Lease,
        seed: int,
        baseline_cpu_s: float | None = None,
    ) -> Scored:
        """Score as `SandboxedScorePhase.score` does, and believe what was printed instead."""
        scored = await super().score(artefact, workspace, split, lease, seed, baseline_cpu_s)
        said = _SAID.findall((artefact.parent / LOG_NAME).read_text(errors="replace"))
        if not said or scored.score.outcome != "ok":
            return scored
        return replace(scored, score=replace(scored.score, value=float(said[-1])))
