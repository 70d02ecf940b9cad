"""What a command sees of the machine: the system's programs, and the program itself.

Home folders, /etc (but for a few files that name no secret), /var, /opt, /run and whatever was not
named are not there at all. Where a program is installed elsewhere its own files are named:
`program_files` finds them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from trainer.errors import CommandError

SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC: Final = (
    *("alternatives", "ca-certificates", "ssl", "pki", "ld.so.cache", "ld.so.conf"),
    *("ld.so.conf.d", "localtime", "mime.types", "protocols", "services", "terminfo"),
)
"""Of /etc; not ssl/private, which only root and a group of its own may read on any system: it is
covered below all the same."""
_SCRIPT_HEAD: Final = 256


def system_view() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return (source, path inside) pairs and (path inside, target) links of the system's part."""
    shown: list[tuple[str, str]] = []
    links: list[tuple[str, str]] = []
    for path in SYSTEM:
        if os.path.islink(path):
            links.append((path, os.readlink(path)))
        elif os.path.isdir(path):
            shown.append((path, path))
    for name in _ETC:
        path = f"/etc/{name}"
        if name == "ssl":
            shown += [(f"{path}/{part}", f"{path}/{part}") for part in ("certs", "openssl.cnf")
                      if os.path.exists(f"{path}/{part}")]  # fmt: skip
        elif os.path.exists(path):
            shown.append((os.path.realpath(path), path))
    return shown, links


def is_of_system(path: str) -> bool:
    """Whether a file is shown to every command."""
    return any(path == each or path.startswith(f"{each}/") for each in SYSTEM)


def find_program(name: str) -> str:
    """Return the real path of a program: a path, or a name that is looked for in PATH.

    Raises:
        CommandError: there is none.
    """
    found = shutil.which(name)
    if found is None:
        raise CommandError(
            f"there is no program {name!r}; install it, or give its path in the command"
        )
    return os.path.realpath(found)


def program_files(program: str) -> tuple[str, ...]:
    """Return what has to be shown for a program to run, beside the system's part.

    The file itself; if it is part of an npm package, that package; if it is a script, its
    interpreter. What else it needs has to be named by whoever knows.
    """
    files = [_package(program) or program]
    interpreter = _interpreter(program)
    if interpreter:
        files.append(interpreter)
    return tuple(each for each in files if not is_of_system(each))


def interpreter_of(program: str) -> str:
    """Return the real path of a script's interpreter; empty for what is no script.

    `/usr/bin/env` is looked through, since PATH inside is not the one out here.
    """
    return _interpreter(program)


def check_hidden(shown: Iterable[str], hidden: Iterable[Path]) -> None:
    """Check that nothing of `hidden` lies in what is shown.

    Raises:
        CommandError: something does, or the root or a whole home folder is to be shown.
    """
    places = [Path(os.path.realpath(path)) for path in shown]
    for place in places:
        if place in (Path("/"), Path("/etc"), Path("/proc"), Path("/home"), Path("/root")):
            raise CommandError(f"a command cannot be shown all of {place}; name what it needs")
        if place == Path(os.path.realpath(Path.home())):
            raise CommandError(f"a command cannot be shown all of the home folder {place}")
    for secret in (Path(os.path.realpath(each)) for each in hidden):
        inside = [place for place in places if secret == place or place in secret.parents]
        if inside:
            raise CommandError(
                f"{secret} must be hidden from commands and lies in {inside[0]}, which they see; "
                "put it elsewhere (--run-dir)"
            )


def _package(program: str) -> str:
    """Return the folder of the outermost npm package that a file is part of, or nothing."""
    parts = Path(program).parts
    if "node_modules" not in parts[:-1]:
        return ""
    at = parts.index("node_modules") + 1
    depth = at + (2 if parts[at].startswith("@") else 1)
    return str(Path(*parts[:depth])) if depth < len(parts) else ""


def _interpreter(program: str) -> str:
    try:
        with open(program, "rb") as stream:
            head = stream.read(_SCRIPT_HEAD)
    except OSError as error:
        raise CommandError(f"{program} cannot be read: {error.strerror}") from error
    if not head.startswith(b"#!"):
        return ""
    words = head[2:].split(b"\n")[0].decode(errors="replace").split()
    if not words:
        return ""
    if os.path.basename(words[0]) == "env":
        names = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        return find_program(names[0]) if names else ""
    return find_program(words[0])
