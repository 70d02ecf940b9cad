"""A wrong model does not agree with print: small mistakes, each of which some case must catch.

A mistake is made in a module's own text, which is compiled anew without a cache, and its cases are
run at a size of seconds. A rule that no case notices would be a rule that nothing holds.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from community.classics import fang, hong_page, march, potions, zollman
from community.classics.case import Case, verdicts

MISTAKES = {
    "zollman: one's own results are forgotten": (
        (zollman, 0.02),
        ("heard = found[i]", "heard = 0.0"),
    ),
    "zollman: who doubts goes on trying": (
        (zollman, 0.02),
        ("_tried(rng, method) if logit[i] > 0 else 0.0", "_tried(rng, method)"),
    ),
    "zollman: what is heard counts half": (
        (zollman, 0.02),
        ("heard += found[graph.who[at]]", "heard += 0.5 * found[graph.who[at]]"),
    ),
    "march: beliefs jump to the code's": (
        (march, 0.03),
        ("beliefs[d] + code[d] if rules.is_gradual else code[d]", "code[d]"),
    ),
    "march: synchronous to sequential": (
        (march, 0.07),
        ("before = code.copy()", "before = code"),
    ),
    "march: who knows as much is superior": (
        (march, 0.01),
        ("_agreement(judged, reality) > knowledge", "_agreement(judged, reality) >= knowledge"),
    ),
    "march: the size of the majority does not matter": (
        (march, 0.01),
        ("** abs(said[d])", "** 1"),
    ),
    "hong_page: whoever moves begins anew": (
        (hong_page, 0.06),
        ("(step + 1) % steps if goes_on else 0", "0"),
    ),
    "hong_page: both teams are drawn": (
        (hong_page, 0.03),
        ("best_first[: variant.team], drawn", "drawn[: variant.team], drawn"),
    ),
    "fang: contacts as good are learnt from": (
        (fang, 0.2),
        (
            "if look.points[contact] > look.points[i]:\n            if superiors",
            "if look.points[contact] >= look.points[i]:\n            if superiors",
        ),
    ),
    "fang: blocks do not matter": (
        (fang, 0.2),
        ("graph, p.block, p.p", "graph, 1, p.p"),
    ),
    "potions: what was drawn is put back": (
        (potions, 1.0),
        ("held &= ~(1 << chosen)", "held &= held"),
    ),
    "potions: the first of a chain ends it": (
        (potions, 0.1),
        ("if held[i] & recipes.last:", "if held[i] >> 6:"),
    ),
}
"""What is wrong: of which module, run at which size; what its text says, and what instead."""


@contextmanager
def mistaken(module: types.ModuleType, right: str, wrong: str) -> Iterator[types.ModuleType]:
    """Give a copy of `module` with a mistake in it."""
    source = Path(module.__file__ or "").read_text()
    assert source.count(right) == 1, right
    name = f"{module.__name__}_mistaken"
    made = types.ModuleType(name)
    sys.modules[name] = made  # where dataclasses look for their annotations
    text = source.replace(right, wrong).replace("cache=True", "cache=False")
    try:
        exec(compile(text, name, "exec"), made.__dict__)
        yield made
    finally:
        del sys.modules[name]


def failed(cases: list[Case]) -> list[str]:
    """Return the names of the numbers that do not pass."""
    judged = zip(cases, verdicts(cases), strict=True)
    return [case.name for case, passes in judged if not passes and case.claim_p is None]


LONG = (
    "hong_page: both teams are drawn",
    "march: who knows as much is superior",
    "march: the size of the majority does not matter",
    "fang: contacts as good are learnt from",
)
"""Left to ``-m slow``: the model has other mistakes that are tried each time."""


@pytest.mark.parametrize(
    "mistake",
    [pytest.param(each, marks=[pytest.mark.slow] if each in LONG else []) for each in MISTAKES],
)
def test_a_mistake_is_noticed(mistake: str):
    """Some number of the model's table fails."""
    (module, size), change = MISTAKES[mistake]
    with mistaken(module, *change) as made:
        assert failed(made.cases(size=size, seed=2))
