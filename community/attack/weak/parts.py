"""For each block the part that takes its place when it is off, as one record.

The lab puts production parts together and lets these take their places; several may be off at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from community.attack.bench import Admit
from community.attack.blocks import Block
from community.attack.weak.formula import BelievingPhase
from community.attack.weak.separation import OneSandboxPhase
from community.attack.weak.streams import RoomyExecutor
from community.attack.weak.watching import (
    BlindExecutor,
    CheapExecutor,
    GreedyExecutor,
    TrustingExecutor,
)
from community.score_phase import SandboxedScorePhase
from trainer.local_executor import LocalExecutor
from trainer.sandbox.entry import Part
from trainer.task import Task


def admitted(task: Task, change: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the tree that the task's patch policy makes of `change`: the production part."""
    tree = task.policy.apply(task.start, change)
    task.policy.read(tree, [task.start], task.start)
    return tree


@dataclass(frozen=True, slots=True)
class Weakness:
    """What is different while a block is off."""

    without: tuple[Part, ...] = ()
    """Parts that the executor's sandboxes leave out."""
    executor: type[LocalExecutor] = LocalExecutor
    phase: type[SandboxedScorePhase] = SandboxedScorePhase
    grade: str = ""
    """Appended to a copy of the task's ``locked/grade.py``."""
    answering: str = ""
    """Appended to a copy of the program in the answering sandboxes."""
    admit: Admit = admitted


_ROOT = str(Path(__file__).resolve().parents[3])
"""Where our packages lie: the worker that runs a weak grade.py does not know."""


def _grading(change: str) -> str:
    return (
        f"\nimport sys\n\nsys.path.insert(0, {_ROOT!r})\n"
        f"from community.attack.weak import grading\n\nGRADER = grading.{change}(GRADER)\n"
    )


WEAK: Final[Mapping[Block, Weakness]] = {
    "files": Weakness(without=("files",)),
    "network": Weakness(without=("network",)),
    "processes": Weakness(without=("processes",)),
    "syscalls": Weakness(without=("syscalls",)),
    "limits": Weakness(without=("limits",)),
    "watchdog": Weakness(executor=BlindExecutor),
    "streams": Weakness(executor=RoomyExecutor),
    "clock": Weakness(executor=TrustingExecutor),
    "charge": Weakness(executor=CheapExecutor),
    "artefact": Weakness(executor=GreedyExecutor),
    "answers": Weakness(grade=_grading("lenient")),
    "formula": Weakness(grade=_grading("unnormalised"), phase=BelievingPhase),
    "probe": Weakness(grade=_grading("unprobed")),
    "separation": Weakness(phase=OneSandboxPhase),
}


def together(blocks: Iterable[Block]) -> Weakness:
    """Return what is different while all of `blocks` are off."""
    chosen = [WEAK[block] for block in blocks]
    plain = Weakness()

    def odd(name: str) -> object:
        given = (getattr(one, name) for one in chosen)
        return next((part for part in given if part != getattr(plain, name)), getattr(plain, name))

    return Weakness(
        without=tuple(part for one in chosen for part in one.without),
        grade="".join(one.grade for one in chosen),
        answering="".join(one.answering for one in chosen),
        executor=odd("executor"),  # type: ignore[arg-type]
        phase=odd("phase"),  # type: ignore[arg-type]
        admit=odd("admit"),  # type: ignore[arg-type]
    )
