"""Reads a user's folder of token shards: what is trained on, three held-out splits, and the table.

::

    FOLDER/meta.json     {"dtype": "uint16", "vocab": 8192, "token_bytes": [1, 1, ...]}
    FOLDER/train/*.bin   tokens, little-endian uint16, nothing before and nothing between them
    FOLDER/dev/*.bin     the same, held out: as are vault and seal
    FOLDER/vault/*.bin
    FOLDER/seal/*.bin

``token_bytes`` says of every token how many bytes of text it stands for, 0 for a mark between
documents. Whatever is not exactly so is refused, with the file and what to do. Nothing is written;
``scenarios/tasks/nanolm-gpu/make_shards.py`` makes such a folder of text.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from scoring.errors import CorpusError
from scoring.grader import Corpus, Division
from scoring.verdict import Split

META: Final = "meta.json"
TRAIN: Final = "train"
MOST_TRAIN_BYTES: Final = 2 << 30
"""A thousand million tokens: more than a large card reads in 300 seconds."""
MOST_HELD_OUT_BYTES: Final = 64 << 20
"""Of one split, which the worker keeps in memory."""
LEAST_TRAIN_TOKENS: Final = 10_000
_META_BYTES: Final = 1 << 20
_KEYS: Final = {"dtype", "vocab", "token_bytes"}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What ``meta.json`` says."""

    token_bytes: NDArray[np.uint16]
    """Shape (vocab,)."""
    sha256: str
    """Of the file."""


def divide_shards(folder: Path | None) -> Division:
    """Read and check all of a folder of shards.

    Args:
        folder: The user's; None where none was recorded, which is refused with what to do.

    Raises:
        CorpusError: something is missing, or not what it has to be; says which, what and what next.
    """
    if folder is None:
        raise CorpusError(
            "this task trains on token shards of yours, and none are recorded: make them (see "
            "README.md in the task's folder), then `community lock write TASK --heldout FOLDER`"
        )
    vocabulary = read_vocabulary(folder)
    hashes: dict[str, str] = {META: vocabulary.sha256}
    parts = {
        part: _read_part(folder / part, vocabulary, hashes) for part in (TRAIN, *get_args(Split))
    }
    _must_differ(hashes, folder)
    train = b"".join(parts.pop(TRAIN).values())
    if len(train) < 2 * LEAST_TRAIN_TOKENS:
        raise CorpusError(
            f"{folder / TRAIN} holds {len(train) // 2} tokens, at least {LEAST_TRAIN_TOKENS} are "
            "needed: add shards"
        )
    size = {split: sum(len(shard) for shard in shards.values()) for split, shards in parts.items()}
    lines = "".join(f"{name}\t{digest}\n" for name, digest in sorted(hashes.items()))
    corpus = Corpus(
        hash=hashlib.sha256(lines.encode()).hexdigest(),
        train_bytes=len(train),
        dev_bytes=size["dev"],
        vault_bytes=size["vault"],
        seal_bytes=size["seal"],
        hidden=(),
    )
    return Division(corpus, train, parts, vocabulary.token_bytes)


def read_vocabulary(folder: Path) -> Vocabulary:
    """Read and check ``meta.json``.

    Raises:
        CorpusError: as `divide_shards`.
    """
    path = folder / META
    try:
        if path.lstat().st_size > _META_BYTES or not stat.S_ISREG(path.lstat().st_mode):
            raise CorpusError(f"{path} is no file of at most {_META_BYTES} bytes: write it anew")
        content = path.read_bytes()
        told = json.loads(content)
    except FileNotFoundError:
        raise CorpusError(
            f"{path} is missing: it says dtype, vocab and token_bytes of the shards beside it"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CorpusError(f"{path} cannot be read as JSON: {error}; write it anew") from error
    if not isinstance(told, Mapping) or set(told) != _KEYS:
        raise CorpusError(f"{path} has to be an object of {', '.join(sorted(_KEYS))}: no other key")
    if told["dtype"] != "uint16":
        raise CorpusError(
            f"{path}: dtype is {told['dtype']!r}, and shards are uint16, little-endian: convert "
            'them (numpy: tokens.astype("<u2").tofile(PATH)), and say so'
        )
    return Vocabulary(_table(path, told), hashlib.sha256(content).hexdigest())


def _table(path: Path, told: Mapping[str, Any]) -> NDArray[np.uint16]:
    """Return the bytes of every token."""
    vocab, sizes = told["vocab"], told["token_bytes"]
    if type(vocab) is not int or not 2 <= vocab <= 1 << 16:
        raise CorpusError(f"{path}: vocab is {vocab!r}, and has to be a number from 2 to 65536")
    is_list = isinstance(sizes, list) and len(sizes) == vocab
    if not is_list or not all(type(size) is int and 0 <= size < 1 << 16 for size in sizes):
        raise CorpusError(
            f"{path}: token_bytes has to be a list of {vocab} whole numbers, the bytes that each "
            "token stands for (0 for a mark between documents)"
        )
    if not any(sizes):
        raise CorpusError(f"{path}: no token stands for any byte, so nothing could be scored")
    return np.array(sizes, dtype=np.uint16)


def _read_part(folder: Path, vocabulary: Vocabulary, hashes: dict[str, str]) -> dict[str, bytes]:
    """Return the shards of one folder by their names, and note their hashes."""
    if not folder.is_dir() or folder.is_symlink():
        raise CorpusError(f"{folder} is missing: every part of the shards has a folder of its own")
    most = MOST_TRAIN_BYTES if folder.name == TRAIN else MOST_HELD_OUT_BYTES
    found: dict[str, bytes] = {}
    total = 0
    for path in sorted(folder.glob("*.bin")):
        try:
            status = path.lstat()
            total += status.st_size
            if not stat.S_ISREG(status.st_mode):
                raise CorpusError(
                    f"{path} is a link or no regular file: put the shard itself there"
                )
            if total > most:
                raise CorpusError(f"{folder} holds more than {most} bytes: leave some shards out")
            content = path.read_bytes()
        except OSError as error:
            raise CorpusError(f"{path} cannot be read: {error.strerror}; see to that") from error
        _check_shard(path, content, len(vocabulary.token_bytes))
        found[path.name] = content
        hashes[f"{folder.name}/{path.name}"] = hashlib.sha256(content).hexdigest()
    if not found:
        raise CorpusError(f"{folder} holds no shard: put files there whose names end in .bin")
    return found


def _check_shard(path: Path, content: bytes, vocab: int) -> None:
    """Refuse what is no row of tokens of this vocabulary."""
    if not content:
        raise CorpusError(f"{path} is empty: leave it out")
    if len(content) % 2:
        raise CorpusError(
            f"{path} has {len(content)} bytes, an odd number: it is no row of uint16; write it anew"
        )
    tokens = np.frombuffer(content, "<u2")
    if (highest := int(tokens.max())) >= vocab:
        place = int(np.argmax(tokens >= vocab))
        raise CorpusError(
            f"{path}: token {int(tokens[place])} at position {place} (the highest is {highest}), "
            f"and {META} says that there are {vocab}, 0 to {vocab - 1}: it is of another tokenizer "
            "or another dtype, or begins with a header; write it anew"
        )


def _must_differ(hashes: Mapping[str, str], folder: Path) -> None:
    """Refuse a shard that is there twice: what is scored would be trained on."""
    seen: dict[str, str] = {}
    for name, digest in sorted(hashes.items()):
        if digest in seen:
            raise CorpusError(
                f"{folder}: {name} and {seen[digest]} are the same, byte for byte: text that is "
                "held out must not be trained on, nor scored twice; leave one out"
            )
        seen[digest] = name
