"""For each block the part that takes its place when it is off, as one record.

The lab puts production parts together and lets these take their places; several may be off at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from community.attack.bench import Read, Write, read_commit
from community.attack.blocks import Block
from community.attack.weak.formula import BelievingPhase
from community.attack.weak.loading import ForkingPhase
from community.attack.weak.opening import GreedyExecutor
from community.attack.weak.patches import AnyPath, read_anything, write_anywhere
from community.attack.weak.scoring_once import OneSplitPhase, PatientPhase
from community.attack.weak.separation import OneSandboxPhase
from community.attack.weak.streams import RoomyExecutor
from community.attack.weak.talking import TalkingPhase
from community.attack.weak.warmth import ReadingExecutor, UnseededExecutor
from community.attack.weak.watching import (
    BlindExecutor,
    CheapExecutor,
    TrustingExecutor,
)
from community.score_phase import SandboxedScorePhase
from trainer.local_executor import LocalExecutor
from trainer.patch_policy import PatchPolicy
from trainer.sandbox.entry import Part
from trainer.workspace import write_workspace


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
    caps: Mapping[str, int] = field(default_factory=dict)
    """Other caps for the patch policy, by its field's name."""
    policy: type[PatchPolicy] = PatchPolicy
    write: Write = write_workspace
    read: Read = read_commit
    has_text_process: bool = True
    has_seed_gate: bool = True
    has_manifest: bool = True
    has_secret: bool = True


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
    "paths": Weakness(policy=AnyPath, write=write_anywhere, read=read_anything),
    "literals": Weakness(caps={"literal_bytes": 1 << 20}),
    "novelty": Weakness(caps={"novel_bytes": 1 << 20}),
    "text child": Weakness(has_text_process=False),
    "seed gate": Weakness(has_seed_gate=False),
    "seeding": Weakness(executor=UnseededExecutor),
    "parent": Weakness(executor=ReadingExecutor),
    "manifest": Weakness(has_manifest=False),
    "clock": Weakness(executor=TrustingExecutor),
    "charge": Weakness(executor=CheapExecutor),
    "artefact": Weakness(executor=GreedyExecutor),
    "answers": Weakness(grade=_grading("lenient")),
    "deadline": Weakness(phase=PatientPhase),
    "formula": Weakness(grade=_grading("unnormalised")),
    "report": Weakness(phase=BelievingPhase),
    "probe": Weakness(grade=_grading("unprobed")),
    "lockdown": Weakness(without=("lockdown",)),
    "silence": Weakness(phase=TalkingPhase),
    "separation": Weakness(phase=OneSandboxPhase),
    "own load": Weakness(without=("syscalls",), phase=ForkingPhase),
    "draw": Weakness(has_secret=False),
    "splits": Weakness(phase=OneSplitPhase),
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
        caps={name: cap for one in chosen for name, cap in one.caps.items()},
        policy=odd("policy"),  # type: ignore[arg-type]
        write=odd("write"),  # type: ignore[arg-type]
        read=odd("read"),  # type: ignore[arg-type]
        has_text_process=all(one.has_text_process for one in chosen),
        has_seed_gate=all(one.has_seed_gate for one in chosen),
        has_manifest=all(one.has_manifest for one in chosen),
        has_secret=all(one.has_secret for one in chosen),
    )
