"""``[script]`` of a task.toml: a command of the user's, and what its sandbox shows beside the tree.

The shape, and the faults that depend on this machine: an interpreter or a data folder that is not
there, or one that would show candidates too much.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from trainer.script.final_block import Reports
from trainer.script.interpreter import find_interpreter, is_too_wide
from trainer.script.secret_names import looks_secret

_Word = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00\n\r]+$")]
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_OURS: Final = frozenset({"HOME", "CUDA_VISIBLE_DEVICES", "COMMUNITY_SEED", "USER", "LOGNAME"})
_SECRET: Final = re.compile(r"(?i)key|token|secret|passw|credential")
_SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/proc", "/dev", "/etc", "/sys")
_MOST_LISTED: Final = 10_000


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataTable(_Table):
    """One file or folder that is shown read-only."""

    source: _Word
    """Where it is: absolute, from ``~``, or relative to the task folder."""
    target: Annotated[str, Field(max_length=4096, pattern=r"^[^\x00\n\r]*$")] = ""
    """Where the script finds it: absolute, from ``~``, or relative to its tree; empty: where it
    is."""

    @field_validator("target")
    @classmethod
    def _is_plain(cls, target: str) -> str:
        if ".." in Path(target).parts or target in ("~", "."):
            raise ValueError("give a plain path below the home (~/...), the tree, or the root")
        if any(target == each or target.startswith(f"{each}/") for each in _SYSTEM):
            raise ValueError("that is the system's own place; give another")
        return target

    @property
    def place(self) -> str:
        """Where it is, absolute; of a table that was `ScriptTable.placed`."""
        return self.source

    def inside(self, tree: str, home: str) -> str:
        """Return its absolute path in a sandbox with this tree and home."""
        target = self.target or self.source
        if target.startswith("~/"):
            return os.path.normpath(home + target[1:])
        return os.path.normpath(target if target.startswith("/") else f"{tree}/{target}")


class ScriptTable(_Table):
    """``[script]``: what is run, and how its number is told."""

    command: Annotated[list[_Word], Field(min_length=1, max_length=64)]
    """The program and its arguments, run in the tree; ``python`` is the interpreter below."""
    python: Annotated[str, Field(max_length=4096)] = ""
    """The Python that runs it, or the folder of a virtual environment; empty: this program's."""
    line: Annotated[str, Field(max_length=80, pattern=r"^[\x20-\x7e]*$")] = ""
    """What stands before the number in the line that tells it; empty: the metric and a colon."""
    anywhere: bool = False
    """Whether that text may stand within its line; else the line begins with it."""
    reports: Reports = "once"
    """once: it is printed once, or always the same; last: the last one counts."""
    scratch_bytes: Annotated[int, Field(ge=1 << 20, le=64 << 30)] = 256 << 20
    """What it may write, in memory, in its tree, its home, /tmp and /dev/shm each."""
    environment: dict[str, str] = {}
    """Further environment variables; nothing secret."""
    data: Annotated[list[DataTable], Field(max_length=512)] = []
    """What it may read beside its tree."""
    leaves: Annotated[str, Field(max_length=400)] = ""
    """The file of its tree that it leaves for locked/grade.py, where there is a grader; what it
    prints counts for nothing then."""

    @field_validator("leaves")
    @classmethod
    def _is_below(cls, leaves: str) -> str:
        if leaves and not re.fullmatch(r"\w[\w.-]*(?:/\w[\w.-]*)*", leaves):
            raise ValueError("give a plain path below the tree, as in out/predictions.json")
        return leaves

    @field_validator("environment")
    @classmethod
    def _is_open(cls, environment: dict[str, str]) -> dict[str, str]:
        for name, value in environment.items():
            if not _VARIABLE.fullmatch(name) or "\0" in value:
                raise ValueError(f"{name!r} cannot name an environment variable")
            if name in _OURS:
                raise ValueError(f"{name} is set by the sandbox; drop it")
            if _SECRET.search(name):
                raise ValueError(f"{name} looks secret, and candidates read it; drop it")
        return environment

    def placed(self, folder: Path) -> Self:
        """Return the same with sources that are absolute; relative ones begin at `folder`."""
        data = [
            each.model_copy(
                update={"source": os.path.abspath(folder / os.path.expanduser(each.source))}
            )
            for each in self.data
        ]
        return self.model_copy(update={"data": data})

    def faults(self, folder: Path) -> Iterator[str]:
        """Yield what of it cannot be used on this machine, in words.

        Args:
            folder: The task's.
        """
        try:
            find_interpreter(self.python)
        except ValueError as error:
            yield f"script.python: {error}"
        for given, each in zip(self.data, self.placed(folder).data, strict=True):
            if fault := data_fault(each.place):
                yield f"script.data {given.source!r} {fault}"
            if _overlaps(each.place, folder / "locked"):
                yield f"script.data {given.source!r} would show locked/ to candidates; move it"
            if not given.target and not os.path.isabs(os.path.expanduser(given.source)):
                yield f"script.data {given.source!r} needs a target: where the script finds it"


def _overlaps(place: str, locked: Path) -> bool:
    """Whether one of two folders lies in the other."""
    one, other = Path(os.path.realpath(place)), Path(os.path.realpath(locked))
    return one.is_relative_to(other) or other.is_relative_to(one)


def data_fault(place: str) -> str:
    """Return why a file or folder may not be shown to candidates; empty if it may."""
    real = os.path.realpath(place)
    if not os.path.exists(real):
        return "is not there; make it (the script's own preparation does, as a rule) or drop it"
    if is_too_wide(real):
        return "holds a whole home or the system; name the folder of the data alone"
    if any(looks_secret(part) for part in (os.path.basename(place), os.path.basename(real))):
        return "looks like keys or passwords; candidates would read it"
    if not os.path.isdir(real):
        return "" if os.access(real, os.R_OK) else "cannot be read; check its rights"
    try:
        with os.scandir(real) as entries:
            names = [entry.name for entry, _ in zip(entries, range(_MOST_LISTED), strict=False)]
    except OSError as error:
        return f"cannot be read: {error.strerror}; check its rights"
    if secret := next((name for name in sorted(names) if looks_secret(name)), ""):
        return f"holds {secret!r}, which looks secret; name a folder without it"
    return ""
