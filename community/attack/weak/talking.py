"""A score phase that keeps the output of the answering sandboxes, for whoever mends a model.

That is kind to researchers, and a way for held-out text to reach them.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import scoring.answering
from community.score_phase import SandboxedScorePhase
from trainer.executor import Program
from trainer.gpu_pool import Lease

_TALKING = """

_quiet_main = main


def main(arguments, descriptors, lock=_silence):
    os.dup2(descriptors[-1], 1)
    os.dup2(descriptors[-1], 2)
    os.set_inheritable(1, True)
    _quiet_main(arguments, descriptors[:-1], lambda: None)
"""


class TalkingPhase(SandboxedScorePhase):
    """The score phase with a log of what is said while it answers."""

    def _program(
        self, workspace: Path, lease: Lease, seed: int, descriptors: tuple[int, ...]
    ) -> Program:
        program = super()._program(workspace, lease, seed, descriptors)
        path = workspace.parent / "answering.py"
        path.write_text(Path(scoring.answering.__file__).read_text() + _TALKING)
        log = os.open(workspace.parent / "answers.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        return replace(program, path=path, descriptors=(*descriptors, log), lockdown=None)
