"""Lazer & Friedman's model: agrees with print, and wrong models do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from community.classics import lazer_friedman as lf
from community.classics import networks as nets
from community.classics.case import verdicts
from community.classics.curves import crossing
from community.classics.lazer_friedman import Parameters

SMALL = Parameters(n=10, k=4, agents=20, horizon=120)
GRAPHS = {
    "complete": nets.complete(20),
    "line": nets.line(20),
    "drawn": nets.small_world(20, 4, 0.2),
}
SIZE = 0.06
"""Sixty of the paper's thousand landscapes: seconds."""


def failures(parameters: Parameters) -> set[str]:
    """Return the cases that a model does not pass."""
    told = lf.cases(size=SIZE, seed=0, parameters=parameters)
    return {case.name for case, passes in zip(told, verdicts(told), strict=True) if not passes}


def test_the_model_agrees_with_print():
    """Levels, solutions left, crossing, wins, K = 0 and K = 1, and how links are drawn."""
    assert failures(Parameters()) == set()


@pytest.mark.parametrize(
    ("mutant", "caught"),
    [
        (replace(Parameters(), copies="better_or_equal"), "complete, end"),
        (replace(Parameters(), order="sequential"), "line, solutions at t=1"),
        (replace(Parameters(), score="share_of_max"), "complete, t=0"),
        (replace(Parameters(), mode="random"), "links: likeness of neighbours"),
    ],
)
def test_a_wrong_model_is_caught(mutant: Parameters, caught: str):
    """As good counting as better, other orders, no exponent, other links: each fails somewhere."""
    assert caught in failures(mutant)


def test_results_do_not_depend_on_processes_or_on_how_many_landscapes_follow():
    """One process or two, ten landscapes or six: landscape i is the same to the bit."""
    alone = lf.simulate(SMALL, GRAPHS, landscapes=10, seed=4)
    shared = lf.simulate(SMALL, GRAPHS, landscapes=10, seed=4, jobs=2)
    fewer = lf.simulate(SMALL, {"line": GRAPHS["line"]}, landscapes=6, seed=4)
    for name in GRAPHS:
        np.testing.assert_array_equal(alone[name].scores, shared[name].scores)
        np.testing.assert_array_equal(alone[name].distinct, shared[name].distinct)
        np.testing.assert_array_equal(alone[name].at_best, shared[name].at_best)
    np.testing.assert_array_equal(alone["line"].scores[:6], fewer["line"].scores)
    other = lf.simulate(SMALL, {"line": GRAPHS["line"]}, landscapes=6, seed=5)
    assert not np.array_equal(fewer["line"].scores, other["line"].scores)


def test_networks_share_landscapes_starts_and_luck():
    """Two names for one network are one run; all begin alike; a single agent is alone in any."""
    twins = lf.simulate(SMALL, {"a": GRAPHS["line"], "b": GRAPHS["line"]}, landscapes=4)
    np.testing.assert_array_equal(twins["a"].scores, twins["b"].scores)
    own = lf.simulate(replace(SMALL, luck="new"), {"a": GRAPHS["line"], "b": GRAPHS["line"]}, 4)
    np.testing.assert_array_equal(own["a"].at(0), own["b"].at(0))
    assert not np.array_equal(own["a"].at(5), own["b"].at(5))
    curves = lf.simulate(SMALL, GRAPHS, landscapes=4)
    for name in GRAPHS:
        np.testing.assert_array_equal(curves[name].at(0), curves["line"].at(0))
    one = replace(SMALL, agents=1)
    graphs = {"complete": nets.complete(1), "isolated": nets.isolated(1)}
    lone = lf.simulate(one, graphs, landscapes=4)
    np.testing.assert_array_equal(lone["complete"].scores, lone["isolated"].scores)


def test_curves_say_what_histories_come_to():
    """Score, solutions left and success of one landscape, computed in the plainest way."""
    curves = lf.simulate(SMALL, {"line": GRAPHS["line"]}, landscapes=3, seed=2)["line"]
    values = lf.landscape(SMALL, 2, 1).all_fitness()
    history = lf.history(SMALL, GRAPHS["line"], values, 2, 1)
    for rounds in (0, 5, 30):
        states = history[min(rounds, len(history) - 1)]
        score = np.mean([(values[state] / values.max()) ** 8 for state in states])
        assert curves.at(rounds)[1] == pytest.approx(score, abs=1e-12)
        assert curves.distinct[1, rounds] == len(set(states.tolist()))
    last = values[history[-1]]
    assert curves.final[1] == pytest.approx(np.mean((last / values.max()) ** 8))
    assert curves.at_best[1] == np.mean(last == values.max())
    assert curves.ratios[1] == pytest.approx(np.mean(last) / values.max())
    assert curves.scores.shape == (3, SMALL.horizon + 1)


@pytest.mark.parametrize(
    "change",
    [
        {"velocity": 0.3},
        {"copy_error": 0.2},
        {"sample": 1},
        {"order": "exponential"},
        {"order": "sequential"},
        {"score": "rescaled"},
        {"mode": "adjacent"},
        {"horizon": 5},
    ],
)
def test_every_option_is_one(change: dict[str, object]):
    """Each changes the result, and what comes out is still a score that never falls."""
    graphs = {"line": GRAPHS["line"]}
    plain = lf.simulate(SMALL, graphs, landscapes=4)["line"]
    other = lf.simulate(replace(SMALL, **change), graphs, landscapes=4)["line"]  # type: ignore[arg-type]
    assert not np.array_equal(plain.scores[:, :6], other.scores[:, :6]) or "horizon" in change
    assert (np.diff(other.scores, axis=1) >= -1e-12).all()
    assert other.scores.max() <= 1
    assert other.scores.shape[1] == (6 if "horizon" in change else SMALL.horizon + 1)


def test_the_crossing_is_the_round_from_which_one_stays_above():
    """Of means over landscapes; being above early does not count; the error is the bootstrap's."""
    fast = np.array([[0.2, 0.5, 0.6, 0.6], [0.2, 0.5, 0.6, 0.6]])
    slow = np.array([[0.3, 0.4, 0.7, 0.9], [0.3, 0.4, 0.6, 0.9]])
    when, error = crossing(slow, fast)
    assert when == 2
    assert 0.2 < error < 0.8  # one landscape in four resamples is the second twice: round 3
    assert crossing(fast + 1, slow)[0] == 0
    assert np.isnan(crossing(fast, slow)[0])
