"""What code a sandbox may see: the standard library with gaps, and the few packages training needs.

Computed once by the executor from the running interpreter, without importing any of it. Not the
workspace and not the data: those differ from job to job.
"""

from __future__ import annotations

import importlib.util
import os
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from trainer.errors import ExecutorError

PACKAGES: Final = (
    *("torch", "torchgen", "functorch", "numpy", "numpy.libs", "safetensors", "sympy", "mpmath"),
    *("typing_extensions", "networkx", "jinja2", "markupsafe", "filelock", "fsspec", "tqdm"),
)
"""torch, what it imports, numpy and safetensors. No installer, no package of ours."""
CUDA_PACKAGES: Final = ("nvidia", "triton")

NEVER: Final = frozenset(
    {
        "test", "tests", "idle_test", "ensurepip", "pydoc_data", "idlelib", "turtledemo", "tkinter",
        "lib2to3", "venv", "distutils", "site-packages", "dist-packages", "__pycache__",
    }
)  # fmt: skip
"""Left out of the standard library wherever it lies: tests, which quote what is hidden, other
copies, other installers, caches."""
_COMPILED: Final = {"xml": ("_elementtree", "pyexpat"), "zoneinfo": ("_zoneinfo",)}
"""Extension modules that are of no use without a hidden package, and hold some of its texts."""
_IDLE_FOLDERS: Final = {"torch": frozenset({"bin", "include", "share", "test"})}
"""Parts of packages that training cannot use: programs, headers for compilers, compiled tests."""


def visible_code(hidden: Iterable[str], *, cuda: bool = False) -> tuple[str, ...]:
    """Absolute paths of all code a sandbox shows.

    Args:
        hidden: held-out modules and packages, relative to the standard library
            (``xml``, ``mailbox.py``, ``email/mime``).
        cuda: also the CUDA libraries that torch loads.

    Raises:
        ExecutorError: a hidden path does not exist, which would hide nothing, or torch is missing.
    """
    root = Path(sysconfig.get_path("stdlib"))
    gaps = {Path(name) for name in hidden}
    for gap in sorted(gaps):
        if gap.is_absolute() or ".." in gap.parts or not (root / gap).exists():
            raise ExecutorError(
                f"cannot hide {gap} from sandboxes: no such file or folder in {root};"
                " the held-out corpus was prepared for another interpreter"
            )
    names = (*PACKAGES, *CUDA_PACKAGES) if cuda else PACKAGES
    return (*_library(root, Path(), gaps), *_packages(names))


def module_names(hidden: Iterable[str]) -> tuple[str, ...]:
    """Hidden paths as module names, to check that the warm parent has loaded none of them."""
    return tuple(name.removesuffix(".py").replace("/", ".") for name in hidden)


def _library(root: Path, below: Path, gaps: set[Path]) -> Iterator[str]:
    """Source files and extension modules at and below one folder of the standard library."""
    useless = {name for gap in gaps for name in _COMPILED.get(str(gap), ())}
    for entry in sorted(os.scandir(root / below), key=lambda entry: entry.name):
        relative = below / entry.name
        if relative in gaps or entry.name in NEVER or entry.name.startswith("config-"):
            continue
        if entry.is_dir():
            yield from _library(root, relative, gaps)
        elif (
            entry.name.endswith((".py", ".so"))
            and entry.name.partition(".")[0] not in useless
            and os.path.exists(entry.path)
        ):
            yield entry.path


def _packages(names: Iterable[str]) -> Iterator[str]:
    """Where the installed ones among `names` are, without what lies idle in them."""
    torch_home = _location("torch")
    if torch_home is None:
        raise ExecutorError("torch is not installed for this Python; `make doctor` installs it")
    for name in names:
        found = _location(name) if "." not in name else torch_home.parent / name
        if found is None or not found.exists():
            continue
        if name not in _IDLE_FOLDERS:
            yield str(found)
            continue
        left_out = _IDLE_FOLDERS[name]
        yield from (str(path) for path in sorted(found.iterdir()) if path.name not in left_out)


def _location(name: str) -> Path | None:
    """Folder or file of a top-level package, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.origin else None
