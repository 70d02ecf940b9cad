"""Divides labelled images into public ones and the three held-out splits.

A row is an image's pixels, then its class, a byte each. Each class is dealt in the order of its
images' hashes, which has nothing to do with who drew them or when: two fifths are public, a fifth
goes to each split. Used by tasks' ``locked/grade.py``; what is asked is the grader's matter.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scoring.errors import CorpusError
from scoring.grader import Corpus, Division, Tokens
from scoring.private_text import read_texts

_TURNS = ("train", "dev", "vault", "seal", "train")
"""Whose turn it is as a class is dealt."""
_HELD_OUT = ("dev", "vault", "seal")
_NAME = "images"


def divide(rows: Tokens, width: int, private: Tokens | None = None) -> Division:
    """Divide `rows`; those of `private`, where there are any, are asked in place of the held-out.

    Args:
        rows: uint8, shape (n, width), class last.
        width: Of a row.
        private: The same of a user's own images, all of them to be asked.

    Raises:
        CorpusError: there are no rows of that shape, or one occurs twice.
    """
    parts = _dealt(rows, width, _TURNS)
    if private is not None:
        parts = {"train": parts["train"], **_dealt(private, width, _HELD_OUT)}
    content = {name: b"".join(part) for name, part in parts.items()}
    lines = (f"{name}\t{hashlib.sha256(part).hexdigest()}\n" for name, part in content.items())
    corpus = Corpus(
        hash=hashlib.sha256("".join(sorted(lines)).encode()).hexdigest(),
        train_bytes=len(content["train"]),
        dev_bytes=len(content["dev"]),
        vault_bytes=len(content["vault"]),
        seal_bytes=len(content["seal"]),
        hidden=(),  # sandboxes show the packages they are told to, and these images are in none
    )
    heldout = {split: {_NAME: content[split]} for split in _HELD_OUT}
    return Division(corpus, content["train"], heldout)


def read_tables(folder: Path, width: int) -> Tokens:
    """Return the rows of all ``.csv`` files below `folder`, whole numbers from 0 to 255.

    Raises:
        CorpusError: there are none, or one cannot be read.
    """
    tables: list[Tokens] = []
    for name, text in read_texts(folder).items():
        if not name.endswith(".csv"):
            raise CorpusError(f"{folder / name} is no .csv: keep images alone in {folder}")
        try:
            table = np.loadtxt(io.BytesIO(text), dtype=np.int64, delimiter=",", ndmin=2)
        except ValueError as error:
            raise CorpusError(f"{folder / name} is no table of whole numbers: {error}") from error
        if table.shape[1] != width or table.min() < 0 or table.max() > 255:
            raise CorpusError(
                f"{folder / name} needs {width} columns of numbers from 0 to 255, the class last"
            )
        tables.append(table.astype(np.uint8))
    if not tables:
        raise CorpusError(f"{folder} has no .csv of images")
    return np.concatenate(tables)


def _dealt(rows: Tokens, width: int, turns: tuple[str, ...]) -> Mapping[str, list[bytes]]:
    """Deal the rows of each class by turns."""
    if rows.ndim != 2 or rows.shape[1] != width:
        raise CorpusError(f"images have the shape {rows.shape}, not rows of {width}")
    images = [row.tobytes() for row in rows]
    if len({image[:-1] for image in images}) < len(images):
        raise CorpusError("an image occurs twice: it could be public and held out at once")
    parts: dict[str, list[bytes]] = {turn: [] for turn in turns}
    taken = [0] * 256
    for image in sorted(images, key=lambda image: hashlib.sha256(image).digest()):
        parts[turns[taken[image[-1]] % len(turns)]].append(image)
        taken[image[-1]] += 1
    return parts
