"""The split of the standard library and the drawing of blocks: disjoint, deterministic, secret."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scoring_channels import NANOLM, STDLIB

from scoring.block_draw import draw, generator
from scoring.corpus import SPLITS, split_source
from scoring.errors import CorpusTooSmallError
from scoring.grader import Division, Logits, Tokens
from scoring.language_model import ByteLanguageModel


def load_grade():
    """Import nanolm's grade.py."""
    spec = importlib.util.spec_from_file_location("nanolm_grade", NANOLM / "grade.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def split() -> Division:
    """Split the library of this interpreter."""
    return load_grade().prepare(STDLIB)


def test_splits_share_no_file_and_no_text(split):
    """Each held-out file is in one split, and its text is nowhere in the training bytes."""
    parts, train = split.heldout, split.train
    names = [name for files in parts.values() for name in files]
    assert len(names) == len(set(names)) > 30
    assert len(train) == split.corpus.train_bytes > 5_000_000
    for files in parts.values():
        assert sum(map(len, files.values())) >= 150_000
        for text in files.values():
            if len(text) > 2000:  # a tiny __init__.py may well occur twice
                middle = len(text) // 2
                assert text[middle : middle + 300] not in train


def test_whole_packages_are_held_out_and_hidden(split):
    """Every scored file lies below a hidden path, and so does its compiled copy."""
    corpus = split.corpus
    for name in SPLITS:
        for path in split.heldout[name]:
            assert path.split("/")[0] in corpus.hidden
    assert "tomllib" not in corpus.hidden
    assert "test" in corpus.hidden
    for path in corpus.hidden:
        assert (STDLIB / path).exists()
    for module in ("mailbox", "configparser"):
        for compiled in (STDLIB / "__pycache__").glob(f"{module}.*.pyc"):
            assert f"__pycache__/{compiled.name}" in corpus.hidden


def test_a_second_split_is_the_same(split):
    """Hash, training bytes and files depend on the source alone."""
    assert load_grade().prepare(STDLIB) == split


def make_source(folder: Path, held_files: int) -> Path:
    """Write a source with `held_files` held-out files of 50 kB and enough training text."""
    line = "value = 1  # a line of forty characters\n"
    (folder / "held").mkdir(parents=True)
    for index in range(held_files):
        (folder / "held" / f"m{index}.py").write_text(f"# {index}\n" + line * 1250)
    for index in range(3):
        (folder / f"kept{index}.py").write_text(f"# {index}\n" + line * 10_000)
    return folder


def test_one_changed_byte_changes_the_hash(tmp_path: Path):
    """Also a move from one file to another name does."""
    source = make_source(tmp_path / "source", 15)
    first = split_source(source, ("held",)).corpus.hash
    (source / "held" / "m3.py").write_text((source / "held" / "m3.py").read_text() + "#")
    second = split_source(source, ("held",)).corpus.hash
    (source / "kept0.py").rename(source / "kept9.py")
    third = split_source(source, ("held",)).corpus.hash
    assert len({first, second, third}) == 3


@pytest.mark.parametrize(("held_files", "part"), [(11, "held-out"), (0, "held-out")])
def test_too_little_held_out_text_is_refused(tmp_path: Path, held_files: int, part: str):
    """Below 600 kB there is no corpus."""
    source = make_source(tmp_path / "source", held_files)
    with pytest.raises(CorpusTooSmallError) as caught:
        split_source(source, ("held",))
    assert caught.value.part == part


def test_one_giant_file_cannot_starve_a_split(tmp_path: Path):
    """Enough text in all, but not in every split, is refused too."""
    source = make_source(tmp_path / "source", 2)
    (source / "held" / "giant.py").write_text("x = 1234567\n" * 60_000)
    with pytest.raises(CorpusTooSmallError, match="at least 150000"):
        split_source(source, ("held",))


def test_training_imports_nothing_that_is_hidden(split):
    """A fresh torch process that trains a step, and loads tensors meets no hidden file."""
    corpus = split.corpus
    program = """
import sys, numpy, torch, safetensors.torch
model = torch.nn.TransformerEncoderLayer(8, 2, 16)
for kind in (torch.optim.AdamW, torch.optim.SGD):
    optimizer = kind(model.parameters(), lr=0.1)
    model(torch.randn(3, 2, 8)).sum().backward()
    optimizer.step()
safetensors.torch.load(safetensors.torch.save(model.state_dict()))
for module in list(sys.modules.values()):
    print(getattr(module, "__file__", None) or "")
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {Path(line) for line in done.stdout.splitlines() if line}
    assert len(loaded) > 500
    for path in corpus.hidden:
        full = STDLIB / path
        assert not [file for file in loaded if file == full or full in file.parents], path


def test_drawn_blocks_are_disjoint_spread_and_real():
    """508 blocks over all files, none twice, none overlapping, no two of a file in a request."""
    chance = np.random.default_rng(1)
    sizes = (80_000, 30_000, 20_000, 9_000, 9_000, 9_000, 9_000, 5_000, 5_000, 5_000, 700, 129, 128)
    texts = [chance.bytes(size) for size in sizes]
    requests = draw(texts, 508, 129, 8, generator(b"s", "blocks/dev"))
    assert sum(len(request.blocks) for request in requests) == 508
    places: dict[int, list[int]] = {}
    for request in requests:
        assert len(request.blocks) <= 8
        assert len(set(request.files.tolist())) == len(request.files)
        for block, file in zip(request.blocks, request.files, strict=True):
            assert block.tobytes() in texts[file]
            places.setdefault(int(file), []).append(texts[file].index(block.tobytes()))
    assert set(places) == {i for i, text in enumerate(texts) if len(text) >= 129}
    for offsets in places.values():
        assert len(offsets) <= 64
        assert len(set(offsets)) == len(offsets)
        assert all((b - a) % 129 == 0 for a, b in pairwise(offsets))


def test_blocks_depend_on_the_secret_and_on_nothing_else(split):
    """The same secret draws the same blocks; another one, or another split, draws others."""

    def asked(secret: bytes, name: str) -> bytes:
        texts = list(split.heldout["seal"].values())
        requests = draw(texts, 508, 129, 8, generator(secret, f"blocks/{name}"))
        return np.concatenate([request.blocks for request in requests]).tobytes()

    assert asked(b"one", "dev") == asked(b"one", "dev")
    assert asked(b"one", "dev") != asked(b"two", "dev")
    assert asked(b"one", "dev") != asked(b"one", "vault")


def test_a_split_without_enough_blocks_is_refused():
    """Short files do not become shorter blocks."""
    with pytest.raises(CorpusTooSmallError, match="usable"):
        draw([b"x" * 128] * 100, 8, 129, 4, generator(b"s", "blocks/dev"))


def test_a_missing_split_is_refused(split):
    """A grader does not open over nothing."""
    with pytest.raises(CorpusTooSmallError):
        ByteLanguageModel().open(replace(split, heldout={}), b"s")


class OneAtATime:
    """An answerer that knows nothing, and notes when a request is at hand before its turn."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.early = 0

    def answers(self, requests: Iterable[Tokens]) -> Iterator[Logits]:
        """Look at the next request before answering this one, as a sandbox could."""
        coming = iter(requests)
        tokens = next(coming, None)
        while tokens is not None:
            following = next(coming, None)
            self.early += following is not None
            self.lengths.append(tokens.shape[1])
            yield np.zeros((*tokens.shape, 256), np.float32)
            tokens = following


def test_a_blind_prefix_is_answered_before_a_longer_one_is_asked(split):
    """Nothing is sent ahead to the blind sandbox, where it could be the same row's continuation."""
    blocks, blind = OneAtATime(), OneAtATime()
    examination = ByteLanguageModel(blocks=40).open(split, b"s")
    measured = examination.examine("dev", blocks, blind, np.random.default_rng(1))
    assert (measured.value, blind.early) == (8.0, 0)
    assert blocks.early > 0
    assert blind.lengths == sorted(blind.lengths)
    assert set(blind.lengths) == set(range(1, 129))
