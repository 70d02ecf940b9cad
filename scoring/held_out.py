"""What an artifact task holds out: files by split, in its locked folder or in a private one.

``held_out/dev/``, ``held_out/vault/`` and ``held_out/seal/`` below the locked folder, or the same
three in a folder that ``community lock write TASK --heldout DIR`` has recorded. A task without
either holds nothing out: all splits are one, and its grader gets an empty table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from scoring import private_text
from scoring.data_grading import HeldOut
from scoring.errors import CorpusError
from scoring.grader import Corpus
from scoring.verdict import Split

FOLDER = "held_out"


def read_held_out(locked: Path) -> tuple[Mapping[Split, HeldOut], Corpus]:
    """Return the files of every split, and the facts about them.

    Raises:
        CorpusError: a split is missing or empty, or something cannot be read.
    """
    private = private_text.recorded(locked)
    if private is not None:
        private_text.must_be_as_recorded(private)
    folder = private.folder if private is not None else locked / FOLDER
    texts = private_text.read_texts(folder) if folder.is_dir() else {}
    splits: dict[Split, dict[str, bytes]] = {split: {} for split in get_args(Split)}
    for path, content in texts.items():
        split, _, name = path.partition("/")
        if split not in splits or not name:
            raise CorpusError(
                f"held-out file {folder / path} is in none of the folders dev, vault and seal"
            )
        splits[split][name] = content
    for split, files in splits.items():
        if texts and not files:
            raise CorpusError(f"{folder / split} has no file: every split needs its own")
    return splits, _facts(splits)


def _facts(splits: Mapping[Split, HeldOut]) -> Corpus:
    lines = sorted(
        f"{split}\t{name}\t{hashlib.sha256(content).hexdigest()}\n"
        for split, files in splits.items()
        for name, content in files.items()
    )
    size = {
        split: sum(len(content) for content in files.values()) for split, files in splits.items()
    }
    return Corpus(
        hash=hashlib.sha256("".join(lines).encode()).hexdigest(),
        train_bytes=0,
        dev_bytes=size["dev"],
        vault_bytes=size["vault"],
        seal_bytes=size["seal"],
        hidden=(),
    )
