"""A trial on the lock itself: a grader that is edited while a run goes on."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, replace

from community.attack.attack import Finding, Form, TwinFinding
from community.attack.bench import STEPS, Bench
from community.attack.trees import around_model, around_train
from community.attack.trials.honest import accepted
from community.attack.trials.rewired import paid
from community.score_phase import SandboxedScorePhase
from scoring.errors import LockBrokenError

_EDIT = "\nimport dataclasses\nGRADER = dataclasses.replace(GRADER, {})\n"
_LOOSE = "tolerance_nats=float('inf'), gain_bits=float('inf')"
_LEAK = """
ahead = F.pad(tokens[:, 1:], (0, 1))
logits[:, :-1] += 9.0 * F.one_hot(ahead, logits.size(-1))[:, :-1]
"""


@dataclass(frozen=True, slots=True)
class Tamper:
    """grade.py is edited so that nothing is compared; success is that a leak then pays."""

    @property
    def form(self) -> Form:
        """A script on the host, by somebody who can write to the task's folder."""
        return "script"

    async def cheat(self, bench: Bench, name: str) -> Finding:
        """Start a scorer on a copy of the task's locked folder, and edit the copy."""
        locked = bench.folder / f"tampered-{next(bench.numbers)}" / "locked"
        await asyncio.to_thread(shutil.copytree, bench.task.locked, locked)
        scorer = await bench.start_scorer(locked) if bench.has_manifest else None
        with (locked / "grade.py").open("a") as stream:
            stream.write(_EDIT.format(_LOOSE))
        scorer = scorer or await bench.start_scorer(locked)  # takes the files as they are
        try:
            phase = SandboxedScorePhase(bench.executor, scorer, bench.task, STEPS)
            leaking = around_model(bench.task, _LEAK)
            twin = around_model(bench.task, "logits = logits * 1.0")
            return await paid(replace(bench, phase=phase), name, leaking, twin)
        except LockBrokenError as error:
            return Finding(False, error.name, f"{error.name} is {error.change}: scoring stops")
        finally:
            await scorer.aclose()

    async def be_honest(self, bench: Bench, name: str) -> TwinFinding:
        """Leave the files alone."""
        return await accepted(bench, name, around_train(bench.task, "return 0"))
