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


BOUND_TWICE = [
    "RATE += 1",
    "RATE: float = 2.0",
    "A, RATE = 1, 2",
    "(A, RATE) = 1, 2",
    "[A, *RATE] = B",
    "if A:\n    RATE = 2",
    "for RATE in B: pass",
    "with A as RATE: pass",
    "def RATE(): pass",
    "class RATE: pass",
    "A = RATE = 1",
    "f(RATE := 1)",
    "del RATE",
    "A = 1; RATE = 2",
    "try:\n    pass\nexcept A as RATE:\n    pass",
    "if A: RATE = 2",
    "RATE: int",
    "while A:\n\tif B:\n\t\tRATE = 2",
    "@a\ndef RATE():\n    pass",
    "async def RATE(): pass",
]
BOUND_ONCE = [
    "f(RATE=1)",
    "A[RATE] = 1",
    "A.RATE = 1",
    "RATE.x = 1",
    "RATE[0] = 1",
    "A = RATE == 1",
    "def f(RATE=1):\n    RATE = 2",
    "class A:\n    RATE = 3\n    def f(self):\n        RATE = 4",
    "A = '''\nRATE = 5\n'''",
    "# RATE = 5",
    "A = f(\nRATE=3)",
    "A = [\nRATE\n]",
    "global RATE",
    "A = f'{RATE}' \\\n'RATE = 1'",
    "@a(RATE=1)\ndef f():\n    RATE = 2",
    "print(RATE)",
    "A = -RATE",
    "async def f():\n    RATE = 2",
    "r'\\\\' # '''\nA = 1 # '''",
]


@pytest.mark.parametrize("text", BOUND_TWICE)
def test_a_knob_that_is_bound_elsewhere_too_is_left_alone(text, knobs):
    """Whatever else binds the name, turning the one literal would not tell what the tree does."""
    for whole in (f"RATE = 0.5\n{text}\n", f"{text}\nRATE = 0.5\n"):
        assert read_values(whole, knobs) == {}
        assert "RATE" in turn(whole, {"RATE": 0.1}, knobs).skipped


@pytest.mark.parametrize("text", BOUND_ONCE)
def test_what_only_looks_like_a_binding_does_not_count(text, knobs):
    """Arguments, attributes, items, strings, comments and names of inner scopes."""
    for whole in (f"RATE = 0.5\n{text}\n", f"{text}\nRATE = 0.5\n"):
        assert read_values(whole, knobs) == {"RATE": 0.5}
        assert turn(whole, {"RATE": 0.1}, knobs).text == whole.replace("RATE = 0.5", "RATE = 0.1")


@pytest.mark.parametrize(
    "text",
    ["0.5", "5e-1", ".5", "+0.5", "((0.5))", "(\n0.5  # half\n)", "5_0e-2", "0.5;", "\\\n0.5"],
)
def test_numbers_are_read_however_they_are_spelt(text, knobs):
    """The literal alone is rewritten, signs included and brackets kept."""
    assert read_values(f"RATE = {text}\n", knobs) == {"RATE": 0.5}
    turned = turn(f"RATE = {text}\n", {"RATE": 0.1}, knobs).text
    assert read_values(turned, knobs) == {"RATE": 0.1}


@pytest.mark.parametrize(
    "text",
    [
        "-0.5",
        "0.5j",
        "0.5 + 0",
        "0.5, 1",
        "~1",
        "--0.5",
        "'0.5'",
        "None",
        "1" + "0" * 5000,
        "0.5 if A",
    ],
)
def test_other_values_are_no_settings(text, knobs):
    """What does not fit or is computed is no value of a knob."""
    assert read_values(f"RATE = {text}\n", knobs) == {}


ENDLESS = {
    "brackets": "(" * 60_000,
    "quotes": "'" * 60_000,
    "escaped quotes": "'" + "\\'" * 30_000,
    "escaped triple quotes": '"""' + '\\"""' * 15_000,
    "prefixes": "rb" * 30_000,
    "exponents": ".1e" * 20_000,
    "commas": "a," * 30_000 + "= 1",
    "statements": "\na=1" * 15_000,
    "too long": "#" * (1 << 24) + "\nRATE = 0.5",
}


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.timeout(20)
def test_hostile_text_is_read_in_one_pass(name, knobs):
    """No text makes reading take more than its length (the quadratic ones would take minutes)."""
    assert read_values(ENDLESS[name], knobs) == {}


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
