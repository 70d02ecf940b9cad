"""A user's token shards: what is read, what is refused and in which words, and what a score is."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from scoring.errors import CorpusError, CorpusTooSmallError, InvalidAnswersError
from scoring.grader import Logits, Tokens
from scoring.token_model import TokenLanguageModel
from scoring.token_shards import divide_shards

VOCAB = 300
SIZES = [1] * 256 + [0] + [3] * 43
GRADER = TokenLanguageModel(vocab=512, block=17, blocks=16, dev_probes=32, edges=(1, 16))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole folder of shards."""
    chance = np.random.default_rng(5)
    for part, counts in {
        "train": (9000, 4000),
        "dev": (3000,),
        "vault": (2900,),
        "seal": (2800,),
    }.items():
        (tmp_path / part).mkdir()
        for number, count in enumerate(counts):
            write(tmp_path / part / f"{number}.bin", chance.integers(0, VOCAB, count))
    meta(tmp_path, dtype="uint16", vocab=VOCAB, token_bytes=SIZES)
    return tmp_path


def write(path: Path, tokens: np.ndarray) -> None:
    """Write a shard as a user would."""
    tokens.astype("<u2").tofile(path)


def meta(folder: Path, **told: object) -> None:
    """Write meta.json."""
    (folder / "meta.json").write_text(json.dumps(told))


def test_shards_are_read_as_they_are(folder: Path):
    """Training shards one after the other, splits apart, a hash over all of it, nothing hidden."""
    division = divide_shards(folder)
    assert division.corpus.train_bytes == len(division.train) == 2 * 13000
    assert division.train[:18000] == (folder / "train" / "0.bin").read_bytes()
    assert division.heldout["seal"] == {"0.bin": (folder / "seal" / "0.bin").read_bytes()}
    assert (division.corpus.dev_bytes, division.corpus.hidden) == (6000, ())
    assert division.token_bytes is not None
    assert division.token_bytes.tolist() == SIZES
    tokens = np.fromfile(folder / "dev" / "0.bin", "<u2")
    write(folder / "dev" / "0.bin", tokens[::-1])
    assert divide_shards(folder).corpus.hash != division.corpus.hash


SPOILT: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: meta(f, dtype="int32", vocab=VOCAB, token_bytes=SIZES), r"dtype is 'int32'.*<u2"),
    (lambda f: meta(f, dtype="uint16", vocab=VOCAB, token_bytes=SIZES[1:]), "list of 300"),
    (lambda f: meta(f, dtype="uint16", vocab=VOCAB, token_bytes=[-1] * VOCAB), "list of 300"),
    (lambda f: meta(f, dtype="uint16", vocab=VOCAB, token_bytes=[0] * VOCAB), "could be scored"),
    (lambda f: meta(f, dtype="uint16", vocab=70000, token_bytes=SIZES), "from 2 to 65536"),
    (lambda f: meta(f, dtype="uint16", vocab=VOCAB), "object of dtype, token_bytes, vocab"),
    (lambda f: (f / "meta.json").write_text("{"), "cannot be read as JSON"),
    (lambda f: (f / "meta.json").unlink(), "meta.json is missing"),
    (lambda f: (f / "dev" / "0.bin").write_bytes(b""), "0.bin is empty"),
    (lambda f: (f / "dev" / "0.bin").write_bytes(b"abc"), "3 bytes, an odd number"),
    (lambda f: (f / "vault" / "0.bin").rename(f / "0.bin"), "vault holds no shard"),
    (lambda f: (f / "seal" / "0.bin").unlink() or (f / "seal").rmdir(), "seal is missing"),
    (
        lambda f: write(f / "train" / "1.bin", np.array([5, 299, 300, 7])),
        r"1\.bin: token 300 at position 2 .*300, 0 to 299.*header",
    ),
    (
        lambda f: (f / "dev" / "1.bin").write_bytes((f / "train" / "1.bin").read_bytes()),
        "train/1.bin and dev/1.bin are the same",
    ),
    (lambda f: (f / "dev" / "1.bin").symlink_to(f / "dev" / "0.bin"), "a link or no regular file"),
    (lambda f: (f / "train" / "0.bin").unlink(), "4000 tokens, at least 10000"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "words"), SPOILT)
def test_what_is_no_folder_of_shards_is_refused_in_words(
    folder: Path, spoil: Callable[[Path], object], words: str
):
    """Each says which file, what is wrong, and what it has to be."""
    divide_shards(folder)
    spoil(folder)
    with pytest.raises(CorpusError, match=words):
        divide_shards(folder)


def test_without_a_folder_it_is_told_how_to_make_one():
    """The task brings no text."""
    with pytest.raises(CorpusError, match=r"token shards of yours.*community lock write TASK"):
        divide_shards(None)


def test_a_vocabulary_above_the_tasks_is_refused(folder: Path):
    """And so are splits that hold too few blocks."""
    small = TokenLanguageModel(vocab=299, block=17, blocks=16)
    with pytest.raises(CorpusError, match=r"at most 299 .*of 300 different tokens"):
        small.open(divide_shards(folder), b"s")
    with pytest.raises(CorpusTooSmallError):
        TokenLanguageModel(vocab=512, block=17, blocks=4000).open(divide_shards(folder), b"s")


class Answers:
    """An answering end that computes logits from the tokens it is sent."""

    def __init__(self, logits: Callable[[Tokens], Logits]) -> None:
        self.logits, self.seen = logits, []

    def answers(self, requests: Iterable[Tokens]) -> Iterator[Logits]:
        """Answer in turn."""
        for tokens in requests:
            self.seen.append(tokens)
            yield self.logits(tokens)


def favouring(tokens: Tokens) -> Logits:
    """Expect the token that is one above the last."""
    logits = np.zeros((*tokens.shape, GRADER.vocab), np.float32)
    np.put_along_axis(logits, ((tokens.astype(np.int64) + 1) % VOCAB)[..., None], 3.0, axis=-1)
    return logits


def test_the_score_is_the_bits_of_all_targets_over_the_bytes_that_they_stand_for(folder: Path):
    """Compared with the plain sum over what was asked; marks of no bytes count on neither side."""
    examination = GRADER.open(divide_shards(folder), b"secret")
    blocks, blind = Answers(favouring), Answers(favouring)
    chance = np.random.default_rng(1)
    found = examination.examine("dev", blocks, blind, chance)
    text = {bytes(t) for t in np.lib.stride_tricks.sliding_window_view(
        np.fromfile(folder / "dev" / "0.bin", "<u2"), 17).copy().view("V34")[:, 0]}  # fmt: skip
    bits = total = count = 0.0
    for tokens in blocks.seen:
        for row in tokens:
            whole = next(t for t in text if t.startswith(row.astype("<u2").tobytes()))
            target = int(np.frombuffer(whole, "<u2")[-1])
            targets = [*row[1:].tolist(), target]
            for token, after in zip(row.tolist(), targets, strict=True):
                if SIZES[after]:
                    share = math.exp(3.0 * (after == (token + 1) % VOCAB)) / (math.exp(3.0) + 511)
                    bits, total, count = bits - math.log2(share), total + SIZES[after], count + 1
    assert found.value == pytest.approx(bits / total, rel=1e-6)
    assert found.positions == count < 256
    assert found.probes == 32 + 2 * 4
    assert all(tokens.dtype == np.uint16 for tokens in blocks.seen + blind.seen)


def test_who_looks_ahead_at_tokens_is_met(folder: Path):
    """The probes of bytes hold for tokens."""
    examination = GRADER.open(divide_shards(folder), b"secret")

    def ahead(tokens: Tokens) -> Logits:
        logits = np.zeros((*tokens.shape, GRADER.vocab), np.float32)
        np.put_along_axis(logits[:, :-1], tokens[:, 1:, None].astype(np.int64), 9.0, axis=-1)
        return logits

    with pytest.raises(InvalidAnswersError, match="probe"):
        examination.examine("dev", Answers(ahead), Answers(ahead), np.random.default_rng(1))
