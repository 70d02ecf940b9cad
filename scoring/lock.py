"""The lock: hashes of everything that decides a score, and the check that none has changed.

Two scores compare only under one lock hash. The worker makes the manifest before it loads a grader
and verifies it before every score. It does not protect against somebody who can write to the
worker's memory; it notices edits, upgrades and mistakes.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scoring.errors import LockBrokenError

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


def verify(manifest: Mapping[str, str], locked: Path) -> None:
    """Hash the files again and compare; about 1 ms.

    Raises:
        LockBrokenError: a file changed, is missing or is new; it names the first such file.
    """
    now = _file_hashes(locked)
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


def _file_hashes(locked: Path) -> dict[str, str]:
    found = {f"scoring/{path.name}": path for path in _SOURCES.glob("*.py")}
    for path in locked.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            found[f"locked/{path.relative_to(locked).as_posix()}"] = path
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(found.items())
    }
