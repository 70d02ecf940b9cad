"""Which interpreter runs a script, and what of this machine the script's sandbox shows for it.

Found by looking at files alone: the interpreter is the user's, and is started in the sandbox only.
The system's programs and libraries are shown, the interpreter's own folder and that of its virtual
environment, and nothing else: not the home, not the repository, not the run.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainer.sandbox.cuda import driver_files

SYSTEM: Final = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store"),
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime"),
)
"""Programs, compilers and libraries of the system, those that exist."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that can run a script."""

    path: str
    """As it is started: the virtual environment's link, where there is one."""
    environment: str
    """Folder of its virtual environment; empty without one."""
    installation: str
    """Folder that it is installed in."""

    def visible(self, *, cuda: bool) -> tuple[str, ...]:
        """Return the absolute paths that have to be shown, none of them within another."""
        own = (self.installation, *([self.environment] if self.environment else []))
        extra = driver_files() if cuda else ()
        found: list[str] = []
        for path in sorted({*SYSTEM, *own, *extra}):
            is_within = any(path.startswith(f"{other}/") for other in found)
            if os.path.lexists(path) and not is_within:
                found.append(path)
        return tuple(found)

    def digest_text(self) -> str:
        """Return what is told of it where scores have to compare: its path and its version."""
        return f"{os.path.realpath(self.path)} {self._version()}"

    def _version(self) -> str:
        """Return the version that its environment's file names, or its program's name."""
        try:
            text = (Path(self.environment) / "pyvenv.cfg").read_text(errors="replace")
        except OSError:
            return Path(os.path.realpath(self.path)).name
        found = re.search(r"(?m)^version(?:_info)?\s*=\s*(\S+)", text)
        return found[1] if found else ""


def find_interpreter(path: str = "") -> Interpreter:
    """Return the interpreter at `path`, or the one that runs this program.

    Args:
        path: of the program, ``~`` allowed; or the folder of a virtual environment.

    Raises:
        ValueError: there is none, or showing it would show too much; the text says what to do.
    """
    given = os.path.abspath(os.path.expanduser(path)) if path else sys.executable
    if os.path.isdir(given):
        given = os.path.join(given, "bin", "python")
    if not os.access(given, os.X_OK) or not os.path.isfile(given):
        raise ValueError(f"{given} is no program; name the Python that runs your script")
    environment = os.path.dirname(os.path.dirname(given))
    home = _home_of(environment)
    real = os.path.realpath(given)
    programs = home if home and real.startswith(f"{environment}/") else os.path.dirname(real)
    installation = os.path.dirname(os.path.realpath(programs))
    found = Interpreter(given, environment if home else "", installation)
    for shown in (found.environment, found.installation):
        if shown and is_too_wide(shown):
            raise ValueError(
                f"{given} belongs to {shown}, and showing all of that to candidates would show too "
                "much; make a virtual environment: python3 -m venv .venv"
            )
    return found


def is_too_wide(folder: str) -> bool:
    """Whether a folder holds somebody's home, or the whole system."""
    home = os.path.realpath(os.path.expanduser("~"))
    real = os.path.realpath(folder)
    return real in ("/", "/etc", "/home", "/root", "/var", "/opt", "/tmp", "/proc", "/sys") or (  # noqa: S108
        home == real or home.startswith(f"{real}/")
    )


def _home_of(environment: str) -> str:
    """Return where a virtual environment's own Python lies; empty if the folder is none."""
    try:
        text = (Path(environment) / "pyvenv.cfg").read_text(errors="replace")
    except OSError:
        return ""
    found = re.search(r"(?m)^home\s*=\s*(.+?)\s*$", text)
    return found[1] if found else ""
