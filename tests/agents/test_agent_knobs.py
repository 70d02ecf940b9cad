"""Knobs: found, read and turned as literals, whatever else a tree holds."""

from __future__ import annotations

import pytest

from agents.errors import KnobError
from agents.knobs import load_knobs, read_values, turn

TOML = """
[RATE]
kind = "float"
low = 1e-4
high = 1.0
scale = "log"
[DEPTH]
kind = "int"
low = 1
high = 8
[SHAPE]
kind = "choice"
choices = ["round", "flat"]
[TIED]
kind = "bool"
"""
TEXT = '''"""RATE = 9 in a docstring is no knob."""
# Rate, 0.01 é.
RATE = 0.01  # RATE = 0.01
# Depth.
DEPTH: int = 4
# Shape.
SHAPE = "flat"
# Tied.
TIED = (
    False
)


def f():
    DEPTH = 5
    return DEPTH, RATE
'''


@pytest.fixture
def knobs():
    """The four knobs."""
    return load_knobs(TOML, TEXT)


def test_start_values_are_read_from_the_tree(knobs):
    """Each knob starts where the start tree has it."""
    assert {k.name: k.start for k in knobs} == {
        "RATE": 0.01, "DEPTH": 4, "SHAPE": "flat", "TIED": False,
    }  # fmt: skip


def test_turning_rewrites_the_literals_and_nothing_else(knobs):
    """Comments, docstrings and equal names in functions stay as they were."""
    changes = {"RATE": 0.5, "DEPTH": 2, "SHAPE": "round", "TIED": True}
    turned = turn(TEXT, changes, knobs)
    expected = TEXT.replace("RATE = 0.01  #", "RATE = 0.5  #").replace("int = 4", "int = 2")
    expected = expected.replace('"flat"', '"round"').replace("    False", "    True")
    assert turned.text == expected
    assert turned.applied == changes
    assert read_values(turned.text, knobs) == changes


def test_a_vanished_knob_is_skipped_with_the_reason(knobs):
    """Free-form edits cost only the knobs they touched."""
    text = TEXT.replace("DEPTH: int = 4", "DEPTH = 2 + 2").replace('SHAPE = "flat"\n', "")
    text += "RATE = RATE * 2\n"
    turned = turn(text, {"DEPTH": 3, "SHAPE": "round", "RATE": 0.1, "TIED": True}, knobs)
    assert turned.applied == {"TIED": True}
    assert "literal" in turned.skipped["DEPTH"]
    assert "vanished" in turned.skipped["SHAPE"]
    assert "more than once" in turned.skipped["RATE"]
    assert read_values(text, knobs) == {"TIED": False}


@pytest.mark.parametrize("text", ["def (", "\0", "(" * 500, "X = 1\f\nRATE = 0.01\n", ""])
def test_text_that_is_no_python_has_no_knobs(text, knobs):
    """A broken tree of somebody's is data like any other."""
    assert read_values(text, knobs) == {}
    assert turn(text, {"RATE": 0.1}, knobs).text == text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATE", 7.0),
        ("RATE", float("nan")),
        ("RATE", "0.1"),
        ("RATE", True),
        ("DEPTH", 2.5),
        ("SHAPE", "\x1b[2J"),
        ("SHAPE", 1),
        ("TIED", 1),
        ("__import__", 1),
    ],
)
def test_a_value_that_does_not_fit_is_skipped(name, value, knobs):
    """What others wrote cannot put anything but a fitting literal into a tree."""
    turned = turn(TEXT, {name: value}, knobs)
    assert turned.text == TEXT
    assert name in turned.skipped


def test_all_faults_of_a_knobs_file_are_told_at_once():
    """Unknown keys, impossible ranges and missing constants come in one error."""
    toml = """
[RATE]
kind = "float"
low = 0.0
high = 1.0
scale = "log"
[DEPTH]
kind = "int"
lowest = 1
[NOWHERE]
kind = "bool"
[SHAPE]
kind = "choice"
choices = ["round", "square"]
"""
    with pytest.raises(KnobError) as caught:
        load_knobs(toml, TEXT)
    text = str(caught.value)
    assert len(caught.value.faults) == 4
    for part in ("log scale", "lowest", "NOWHERE", "'flat' is not among"):
        assert part in text
