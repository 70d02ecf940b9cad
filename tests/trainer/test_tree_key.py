"""The tree key tells experiments apart, and nothing else."""

from __future__ import annotations

import sys

import pytest

from trainer.experiment import Budget
from trainer.tree_key import measurement_seed, tree_key

CODE = b'''"""Docstring."""
import torch

LEARNING_RATE = 0.01  # a comment


class Net:
    """What it is."""

    def forward(self, x):
        """Go."""
        return [x, (1, 2.0)]
'''
RESTYLED = b"""import torch
LEARNING_RATE = .01
class Net:
  def forward(self,x): return [
     x, (1, 2.0)]
"""


def key(files: dict[str, bytes], **changes: object) -> str:
    """Return the key under ordinary settings, or changed ones."""
    settings = {"lock_hash": "l", "budget": Budget("cpu_seconds", 10), "device_class": "d"}
    return tree_key(files, **{**settings, **changes})


def test_comments_layout_and_docstrings_do_not_count():
    """A restyled file is the same experiment."""
    assert key({"train.py": CODE}) == key({"train.py": RESTYLED})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"0.01", b"0.02"),
        (b"(1, 2.0)", b"[1, 2.0]"),
        (b"(1, 2.0)", b"(1, 2)"),
        (b"(1, 2.0)", b"(True, 2.0)"),
        (b"(1, 2.0)", b"(1, '2.0')"),
        (b"[x, (1, 2.0)]", b"[x, 1, 2.0]"),
        (b"[x, (1, 2.0)]", b"[[x], (1, 2.0)]"),
        (b"Net", b"Nets"),
        (b"return", b"yield"),
        (b'"""Go."""', b'"""Go."""; "again"'),
    ],
)
def test_any_change_of_the_program_counts(old: bytes, new: bytes):
    """Values, types, names and structure are all part of the key."""
    assert CODE.count(old) >= 1
    assert key({"train.py": CODE}) != key({"train.py": CODE.replace(old, new)})


def test_paths_and_other_files_count_as_bytes():
    """Renaming a file, or one byte of a file that is not Python, makes another experiment."""
    keys = {
        key({"train.py": CODE}),
        key({"trains.py": CODE}),
        key({"train.py": CODE, "a.txt": b"# x"}),
        key({"train.py": CODE, "a.txt": b"#  x"}),
        key({"train.py": CODE, "a": b".txt# x"}),
        key({"train.txt": CODE}),
    }
    assert len(keys) == 6


def test_order_of_the_files_does_not_count():
    """A tree is a set of files."""
    assert key({"a.py": b"1", "b.py": b"2"}) == key({"b.py": b"2", "a.py": b"1"})


@pytest.mark.parametrize(
    "changes",
    [
        {"lock_hash": "m"},
        {"budget": Budget("cpu_seconds", 5)},
        {"budget": Budget("steps", 10)},
        {"device_class": "e"},
        {"lock_hash": "lc", "device_class": ""},
    ],
)
def test_lock_budget_and_device_class_count(changes: dict[str, object]):
    """The same tree under other conditions is another experiment."""
    assert key({"train.py": CODE}, **changes) != key({"train.py": CODE})


def test_a_budget_of_ten_and_of_ten_point_nought_is_one_budget():
    """How a number was spelt in TOML does not matter."""
    assert key({}, budget=Budget("steps", 10)) == key({}, budget=Budget("steps", 10.0))


@pytest.mark.parametrize(
    "hostile",
    [
        b"def",
        b"x = '\0'",
        b"x = " + b"(" * 5000 + b")" * 5000,
        b"x = " + b"-" * 40000 + b"1",
        b"x = " + b"1+" * 10000 + b"1",
        b"x" + b".y" * 10000,
        b"# coding: nonesuch\nx = 1",
        b"\xff\xfe",
        b"x = 0x" + b"f" * 30000,
        b"x = 1" + b"0" * 5000,
    ],
    ids=["syntax", "null", "parens", "unary", "sum", "dots", "codec", "bytes", "hex", "digits"],
)
def test_hostile_files_count_as_bytes(hostile: bytes):
    """What cannot be read as a program in bounds still has a key, which one more byte changes."""
    assert key({"train.py": hostile}) == key({"train.py": hostile})
    assert key({"train.py": hostile}) != key({"train.py": hostile + b"\n#"})


def test_the_key_does_not_depend_on_the_callers_stack():
    """A file near the depth limit has one key, whoever asks from however deep."""

    def ask_from(depth: int, source: bytes) -> str:
        return ask_from(depth - 1, source) if depth else key({"train.py": source})

    for terms in (50, 150, 199, 201, 400, 900, 2000):
        source = b"x = " + b"1+" * terms + b"1"
        assert ask_from(0, source) == ask_from(sys.getrecursionlimit() // 2, source)


def test_files_that_read_themselves_count_as_bytes():
    """Where a docstring or a comment can be data, it is part of the experiment."""
    first = b'"""0.01"""\nLR = float(__doc__)\n'
    assert key({"train.py": first}) != key({"train.py": first.replace(b"0.01", b"0.02")})


def test_no_warning_escapes_from_a_candidates_source():
    """An invalid escape in hostile text warns nobody (warnings are errors in this suite)."""
    source = rb"x = '\d'; assert (1, 'x')"
    assert key({"train.py": source}) == key({"train.py": source + b"  # and read as a program"})


def test_the_key_is_pinned():
    """The key of a plain tree stays what it was, or its version must change."""
    assert key({"a.txt": b"1"}) == PINNED


def test_seeds_are_63_bits_and_differ_by_run_tree_and_number():
    """Every measurement has a seed of its own that anybody can derive again."""
    seeds = {
        measurement_seed(run, tree, n) for run in (1, 2) for tree in ("a", "b") for n in (0, 1, 11)
    }
    assert len(seeds) == 12
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert measurement_seed(1, "a", 0) == measurement_seed(1, "a", 0)
    assert any(seed > 2**61 for seed in seeds)


PINNED = "b6fd1c25348fe91700816684d8823313826b4a31f7397313a2de75b96c1f8529"
