"""How far apart settings are, and what else there is to a tree."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_observations import BY_NAME
from modelled_landscape import KNOBS, PATH, START

from agents.closeness import CLOSE, OPTION_STEP, distance, skeletons, to_unit
from agents.knobs import read_values, turn
from agents.minds.policy.steps import SHORTEST, anywhere, from_unit

START_SETTING = read_values(START, KNOBS)
settings = st.integers(0, 2**32).map(
    lambda seed: {knob.name: anywhere(knob, knob.start, Random(f"{seed}/{knob.name}")) or knob.start
                  for knob in KNOBS}
)  # fmt: skip


@given(settings, settings, settings)
def test_distance_is_a_metric(one, other, third):
    """It is 0 for the same setting alone, the same both ways, and no detour is shorter."""
    assert distance(KNOBS, one, one) == 0.0
    assert distance(KNOBS, one, other) == pytest.approx(distance(KNOBS, other, one))
    assert (distance(KNOBS, one, other) > 0) == (one != other)
    assert (distance(KNOBS, one, other, CLOSE) < CLOSE) == (distance(KNOBS, one, other) < CLOSE)
    detour = distance(KNOBS, one, third) + distance(KNOBS, third, other)
    assert distance(KNOBS, one, other) <= detour + 1e-9


def test_what_counts_as_close():
    """A hair's breadth does; the shortest step of a built-in mind and any other option do not."""
    rate = BY_NAME["LR"]
    here = to_unit(rate, START_SETTING["LR"])
    for step, is_close in ((0.01, True), (SHORTEST, False)):
        moved = {**START_SETTING, "LR": from_unit(rate, here + step)}
        assert (distance(KNOBS, START_SETTING, moved) < CLOSE) == is_close
    option = {**START_SETTING, "OPTIMIZER": "muon"}
    assert distance(KNOBS, START_SETTING, option) == OPTION_STEP


def test_what_else_there_is_to_a_tree():
    """Turned knobs and comments leave it alone; code, a name for a value or another file do not."""
    whole = skeletons({PATH: START}, PATH, KNOBS)
    turned = turn(START, {"LR": 0.01, "OPTIMIZER": "muon"}, KNOBS).text
    assert skeletons({PATH: turned}, PATH, KNOBS) == whole
    assert skeletons({PATH: START + "\n# more  \n"}, PATH, KNOBS) == whole
    for text in (
        START + "more = '# 1'\n",
        START.replace(f"LR = {START_SETTING['LR']!r}", "LR = rate"),
    ):
        assert text != START
        assert skeletons({PATH: text}, PATH, KNOBS) != whole
    assert skeletons({PATH: START, "other.py": ""}, PATH, KNOBS) != whole
