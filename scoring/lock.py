"""The lock: hashes of everything that decides a score, and the check that none has changed.

Two scores compare only under one lock hash. The worker makes the manifest from the private copy it
runs (`scoring.private_copy`); before and after every score the originals are hashed again. It does
not protect against somebody who can write to the worker's memory; it notices edits, upgrades and
mistakes.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scoring.errors import LockBrokenError

MANIFEST = "manifest.json"
"""The expected manifest in a task's locked folder; it cannot hold its own hash."""

_SOURCES = Path(__file__).parent


def lock_manifest(locked: Path, corpus_hash: str = "", constants: str = "") -> dict[str, str]:
    """Describe what decides a score, entry by entry.

    Args:
        locked: The task's locked folder.
        corpus_hash: `Corpus.hash` of the data.
        constants: The grader's repr: its numbers.

    Returns:
        ``locked/<path>`` and ``scoring/<file>`` with SHA-256; ``python`` and ``numpy`` with
        versions; ``corpus`` and ``constants``.
    """
    return {
        **_file_hashes(locked),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "numpy": np.__version__,
        "corpus": corpus_hash,
        "constants": constants,
    }


def lock_hash(manifest: Mapping[str, str]) -> str:
    """Return the SHA-256 of a manifest, whatever the order of its entries."""
    return hashlib.sha256(json.dumps(dict(manifest), sort_keys=True).encode()).hexdigest()


def verify(
    manifest: Mapping[str, str], locked: Path, beside: Mapping[str, Path] | None = None
) -> None:
    """Hash the files again and compare; about 1 ms.

    Args:
        manifest: What they were.
        locked: The task's locked folder.
        beside: Further files by their name in the manifest.

    Raises:
        LockBrokenError: a file changed, is missing or is new; it names the first such file.
    """
    now = {**_file_hashes(locked), **hashes_of(beside or {})}
    then = {name: value for name, value in manifest.items() if "/" in name}
    for name in sorted({*now, *then}):
        if name not in then:
            raise LockBrokenError(name, "new")
        if name not in now:
            raise LockBrokenError(name, "missing")
        if now[name] != then[name]:
            raise LockBrokenError(name, "changed")


def compare(then: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Check that two manifests agree in every entry.

    Raises:
        LockBrokenError: they differ; it names the first entry that does.
    """
    for name in sorted({*now, *then}):
        if then.get(name) != now.get(name):
            raise LockBrokenError(name, "changed")


def locked_files(locked: Path) -> dict[str, Path]:
    """Return the files that decide scores, by their name in the manifest, sorted.

    Those of `locked` but for the manifest that lies there, and our own sources.
    """
    found = {f"scoring/{path.name}": path for path in _SOURCES.glob("*.py")}
    for path in locked.rglob("*"):
        name = path.relative_to(locked).as_posix()
        if path.is_file() and "__pycache__" not in path.parts and name != MANIFEST:
            found[f"locked/{name}"] = path
    return dict(sorted(found.items()))


def hashes_of(files: Mapping[str, Path]) -> dict[str, str]:
    """Return the SHA-256 of each file that exists."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files.items()
        if path.is_file()
    }


def _file_hashes(locked: Path) -> dict[str, str]:
    return hashes_of(locked_files(locked))
