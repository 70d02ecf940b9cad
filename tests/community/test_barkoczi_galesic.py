"""Barkoczi & Galesic's model: agrees with the authors' results, and wrong models do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from community.classics import barkoczi_galesic as bg
from community.classics import networks as nets
from community.classics.barkoczi_galesic import STRATEGIES, Parameters, Strategy
from community.classics.case import verdicts

SMALL = Parameters(n=9, k=4, agents=20, points=40)
GRAPHS = {
    "complete": nets.complete(20),
    "lattice": nets.directed_lattice(20, 10),
    "drawn": nets.rewired_lattice(20, 10, 5),
}
SIZE = 0.1
"""A tenth of the paper's repetitions: seconds."""


def failures(parameters: Parameters) -> set[str]:
    """Return the cases that a model does not pass."""
    told = bg.cases(size=SIZE, seed=0, parameters=parameters)
    return {case.name for case, passes in zip(told, verdicts(told), strict=True) if not passes}


def test_the_model_agrees_with_the_authors_results():
    """Levels at five times, the flip of the better network, the crossing, and by K."""
    assert failures(Parameters()) == set()


@pytest.mark.parametrize(
    ("mutant", "caught"),
    [
        (replace(Parameters(), copies="better_or_equal"), "BM3 caves, t=200"),
        (replace(Parameters(), order="sequential"), "BM3 complete, t=5"),
        (replace(Parameters(), score="share_of_max"), "IND alone, t=5"),
        (replace(Parameters(), mode="random"), "links and tables: steps"),
    ],
)
def test_a_wrong_model_is_caught(mutant: Parameters, caught: str):
    """As good counting as better, other orders, no exponent, other links: each fails somewhere."""
    assert caught in failures(mutant)


def test_results_do_not_depend_on_processes_or_on_other_arms():
    """One process or two, six landscapes or four, two arms or one: each run is the same."""
    arms = [("complete", "BM3"), ("lattice", "CF3"), ("drawn", "RC1")]
    alone = bg.simulate(SMALL, GRAPHS, arms, repetitions=6, seed=4)
    shared = bg.simulate(SMALL, GRAPHS, arms, repetitions=6, seed=4, jobs=2)
    fewer = bg.simulate(SMALL, GRAPHS, arms[1:2], repetitions=4, seed=4)
    for arm in arms:
        np.testing.assert_array_equal(alone[arm].scores, shared[arm].scores)
        np.testing.assert_array_equal(alone[arm].distinct, shared[arm].distinct)
    np.testing.assert_array_equal(alone[arms[1]].scores[:4], fewer[arms[1]].scores)


def test_luck_is_new_for_each_arm_or_shared():
    """Distinct starts on the same landscape; shared luck begins all arms alike."""
    arms = [("complete", "BM3"), ("lattice", "CF3")]
    new = bg.simulate(SMALL, GRAPHS, arms, repetitions=5)
    assert not np.array_equal(new[arms[0]].at(0), new[arms[1]].at(0))
    shared = bg.simulate(replace(SMALL, luck="shared"), GRAPHS, arms, repetitions=5)
    np.testing.assert_array_equal(shared[arms[0]].at(0), shared[arms[1]].at(0))
    crowded = replace(SMALL, n=5, k=2)
    for is_distinct, most in ((True, 20), (False, 19)):
        model = replace(crowded, distinct_starts=is_distinct)
        curves = bg.simulate(model, GRAPHS, arms[:1], repetitions=5)
        assert (curves[arms[0]].distinct[:, 0] <= most).all()
        assert (curves[arms[0]].distinct[:, 0] == 20).all() == is_distinct


def test_strategies_are_those_of_the_paper():
    """Random copiers make nothing new; who learns alone does not see the network."""
    arms = [("complete", how) for how in STRATEGIES] + [("lattice", "IND")]
    model = replace(SMALL, luck="shared")
    curves = bg.simulate(model, GRAPHS, arms, repetitions=5)
    copied = curves["complete", "RC1"]
    assert (np.diff(copied.distinct, axis=1) <= 0).all()
    np.testing.assert_array_equal(curves["complete", "IND"].scores, curves["lattice", "IND"].scores)
    for arm in arms:
        assert (np.diff(curves[arm].scores, axis=1) >= -1e-12).all()
        assert curves[arm].scores.shape == (5, 40)
    assert copied.final.mean() < curves["complete", "BM3"].final.mean()
    assert len({curve.scores.tobytes() for curve in curves.values()}) == len(STRATEGIES)


def test_a_strategy_may_be_anybodys_own():
    """The rule, the sample and whether one searches are free."""
    own = {"two": Strategy("best", 2, searches=False)}
    arms = [("lattice", "two")]
    curves = bg.simulate(SMALL, GRAPHS, arms, repetitions=3, strategies=own)
    assert (np.diff(curves[arms[0]].distinct, axis=1) <= 0).all()
