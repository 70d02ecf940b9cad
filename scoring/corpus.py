"""Splits the standard library's own source into training text and three held-out splits.

Held-out text is whole packages, so that no file of a package is trained on while another is scored,
and the splits share no file. It reads files and writes none: which packages are held out
is the task's decision (``locked/grade.py``), what is asked of them the grader's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from scoring.errors import CorpusTooSmallError
from scoring.grader import Corpus, Division
from scoring.private_text import read_texts

HELDOUT_LEAST_BYTES = 600_000
"""Below this the noise between blocks swamps what researchers can gain."""
SPLIT_LEAST_BYTES = 150_000
"""More than twice what a score asks, so that the asked bytes stay unknown."""
TRAIN_LEAST_BYTES = 1_000_000
SEPARATOR = b"\n\0"
"""Between two files of the training text; NUL occurs in no source file."""
SPLITS = ("dev", "vault", "seal")

_LEFT_OUT = frozenset(
    (
        *("test", "tests", "idle_test", "__pycache__", "site-packages", "dist-packages"),
        *("idlelib", "turtledemo", "ensurepip", "pydoc_data", "encodings", "lib-dynload"),
    )
)
"""Folders that are no good text: tests quote held-out modules, tables are not prose, packages
differ from machine to machine."""
_LEFT_OUT_PREFIXES = ("_sysconfigdata", "config-")
"""Names below the source that are generated for one machine."""


def split_source(
    source: Path,
    held_out: Sequence[str],
    unscored: Sequence[str] = (),
    heldout: Path | None = None,
) -> Division:
    """Divide the text of `source` into training text and the three held-out splits.

    Args:
        source: The standard library's folder of an interpreter.
        held_out: Top-level packages and modules to hold out; those that do not exist are skipped.
        unscored: Held-out paths that stay hidden but are not asked (tables, say).
        heldout: A user's private text, which is asked instead; the training text stays the same.

    Raises:
        CorpusError: the private text cannot be read.
        CorpusTooSmallError: the held-out text, a split or the training text is too small.
    """
    files = _source_files(source)
    held = {path: text for path, text in files.items() if _top(path) in held_out}
    kept = {path: text for path, text in held.items() if path not in unscored}
    if heldout is not None:
        kept = read_texts(heldout)
    asked = source if heldout is None else heldout
    _require("held-out", _size(kept), HELDOUT_LEAST_BYTES, asked)
    shown = {path: text for path, text in files.items() if path not in held}
    dealt = _deal(kept)
    _require("train", _size(shown), TRAIN_LEAST_BYTES, source)
    for split in SPLITS:
        _require(split, _size(dealt[split]), SPLIT_LEAST_BYTES, asked)
    train = _joined(shown)
    corpus = Corpus(
        hash=_corpus_hash({"train": shown, **dealt}),
        train_bytes=len(train),
        dev_bytes=_size(dealt["dev"]),
        vault_bytes=_size(dealt["vault"]),
        seal_bytes=_size(dealt["seal"]),
        hidden=hidden_paths(source, held_out),
    )
    return Division(corpus, train, dealt)


def hidden_paths(source: Path, held_out: Sequence[str]) -> tuple[str, ...]:
    """Return what sandboxes must not show: held-out source, its compiled copies, the test tree.

    Compiled copies of single modules are those that exist now; a sandbox that hides by listing does
    well to hide ``__pycache__/<module>.*`` by pattern.
    """
    names = [name for name in held_out if (source / name).is_dir()]
    modules = [name for name in held_out if (source / f"{name}.py").is_file()]
    paths = [*names, *(f"{name}.py" for name in modules)]
    for name in modules:
        compiled = (source / "__pycache__").glob(f"{name}.*.pyc")
        paths.extend(f"__pycache__/{path.name}" for path in compiled)
    if (source / "test").is_dir():
        paths.append("test")
    return tuple(sorted(paths))


def _source_files(source: Path) -> dict[str, bytes]:
    """Return the text of every usable source file by its path below `source`, sorted."""
    return {path: (source / path).read_bytes() for path in sorted(_usable(source))}


def _usable(source: Path) -> Iterator[str]:
    for folder, names, files in os.walk(source):
        is_root = Path(folder) == source
        names[:] = [
            name
            for name in names
            if name not in _LEFT_OUT and not (is_root and name.startswith(_LEFT_OUT_PREFIXES))
        ]
        for name in files:
            path = Path(folder, name)
            is_generated = is_root and name.startswith(_LEFT_OUT_PREFIXES)
            if name.endswith(".py") and not is_generated and path.stat().st_size:
                yield path.relative_to(source).as_posix()


def _top(path: str) -> str:
    return path.split("/", 1)[0].removesuffix(".py")


def _deal(files: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    """Give each file, largest first, to the split that has least so far."""
    parts: dict[str, dict[str, bytes]] = {split: {} for split in SPLITS}
    for path in sorted(files, key=lambda path: (-len(files[path]), path)):
        least = min(SPLITS, key=lambda split: _size(parts[split]))
        parts[least][path] = files[path]
    return parts


def _joined(files: Mapping[str, bytes]) -> bytes:
    """Join the files in an order that mixes packages and is the same everywhere."""
    order = sorted(files, key=lambda path: hashlib.sha256(path.encode()).digest())
    return SEPARATOR.join(files[path] for path in order)


def _corpus_hash(parts: Mapping[str, Mapping[str, bytes]]) -> str:
    lines = sorted(
        f"{split}\t{path}\t{hashlib.sha256(text).hexdigest()}\n"
        for split, files in parts.items()
        for path, text in files.items()
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _size(files: Mapping[str, bytes]) -> int:
    return sum(len(text) for text in files.values())


def _require(part: str, size: int, least: int, source: Path) -> None:
    if size < least:
        raise CorpusTooSmallError(part, size, least, str(source))
