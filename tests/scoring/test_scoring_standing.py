"""The winner's curse, taken back: shrunk gains of accepted trees and their lower bounds."""

import math

import numpy as np
import pytest

from scoring.errors import StatisticsError
from scoring.evidence.effects import Combined, Effect, combine, interval
from scoring.evidence.gains import Measured, gain_of
from scoring.evidence.sequential import LOOKS, judge_pairs
from scoring.evidence.standing import Step, shrink, standings
from scoring.evidence.variance import fit_prior


def measured(estimate: float, variance: float = 0.25, df: float = math.inf) -> Combined:
    """Return a gain of one class."""
    return combine([Effect("cpu", estimate, variance, df)])


def accepted_trees(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (true gains, confirmed gains) of `count` trees that passed eight pairs, sigma 1."""
    true, confirmed = np.empty(0), np.empty(0)
    while len(true) < count:
        gains = rng.normal(2.0, 1.0, 400)
        means = gains + rng.normal(size=400) * math.sqrt(2 / 8)
        passed = means > 2.6 * math.sqrt(2 / 8)
        true, confirmed = np.append(true, gains[passed]), np.append(confirmed, means[passed])
    return true[:count], confirmed[:count]


def test_the_best_of_many_is_flattered_until_it_is_shrunk():
    """Of 24 accepted trees.

    The best by its confirmation or by fresh runs is overrated, the best by the shrunk gain is not,
    and its lower bound covers.
    """
    rng = np.random.default_rng(11)
    errors = {"confirmed": [], "fresh": [], "shrunk": []}
    covered = {"fresh": 0, "shrunk": 0}
    rounds = 400
    for _ in range(rounds):
        true, confirmed = accepted_trees(rng, 24)
        variances = 2 / rng.choice([1, 2, 4], size=24)
        fresh = true + rng.normal(size=24) * np.sqrt(variances)
        drawn = shrink(list(fresh), list(variances))
        shrunk = np.array([one.estimate for one in drawn])
        for name, values in (("confirmed", confirmed), ("fresh", fresh), ("shrunk", shrunk)):
            best = int(values.argmax())
            errors[name].append(values[best] - true[best])
        for name, values, spread in (
            ("fresh", fresh, variances),
            ("shrunk", shrunk, np.array([one.variance for one in drawn])),
        ):
            lows = values - 1.96 * np.sqrt(spread)
            first = int(lows.argmax())
            covered[name] += lows[first] <= true[first]
    means = {name: float(np.mean(values)) for name, values in errors.items()}
    assert means["confirmed"] > 0.25
    assert means["fresh"] > 1.0
    assert abs(means["shrunk"]) < 0.1
    assert covered["fresh"] / rounds < 0.85
    assert covered["shrunk"] / rounds > 0.955


def test_fresh_runs_of_the_tree_alone_take_half_the_curse_away():
    """What ``mixed`` says of itself: against pairs that passed the rule, by 0.17 of sigma."""
    rng = np.random.default_rng(17)
    prior = fit_prior([list(rng.normal(0, 1, 8)) for _ in range(6)])
    errors = {"pairs": [], "mixed": []}
    while len(errors["pairs"]) < 700:
        true = rng.choice([0.5, 1, 2, 3, 4], p=[0.3, 0.3, 0.2, 0.1, 0.1])
        child, parent = rng.normal(-true, 1, 8), rng.normal(0, 1, 8)
        for pairs in LOOKS:
            judged = judge_pairs(list(child[:pairs]), list(parent[:pairs]), prior, "lower")
            if judged.is_final:
                break
        if judged.status != "reproduced":
            continue
        beside = [Measured(score, "cpu", "a") for score in parent[:pairs]]
        for name, scores in (("pairs", child[:pairs]), ("mixed", rng.normal(-true, 1, 4))):
            own = [Measured(score, "cpu", "a") for score in scores]
            errors[name].append(gain_of(own, beside, prior, "lower").estimate - true)
    pairs, mixed = (float(np.mean(values)) for values in errors.values())
    assert 0.25 < pairs < 0.45
    assert 0.05 < mixed < 0.7 * pairs


def test_noisier_gains_are_drawn_further():
    """Towards the common mean, and never past it."""
    gains, variances = [0.0, 1.0, 2.0, 3.0, 6.0, 6.0], [0.1, 0.1, 0.1, 0.1, 0.1, 4.0]
    drawn = shrink(gains, variances)
    sharp, dull = drawn[4], drawn[5]
    assert dull.estimate < sharp.estimate < 6.0
    assert dull.estimate > 2.0
    assert all(one.variance > 0 for one in drawn)
    assert dull.variance < 4.0


def test_gains_that_are_nothing_but_noise_meet_in_the_middle():
    """As far as a few of them can tell: B is (k-3)/(k-1)."""
    drawn = shrink([1.0, 1.1, 0.9, 1.0, 1.05], [1.0] * 5)
    assert [one.estimate for one in drawn] == pytest.approx([1.005, 1.055, 0.955, 1.005, 1.03])


def test_few_trees_are_left_as_they_are():
    """Three gains know nothing of their population."""
    drawn = shrink([1.0, 2.0, 9.0], [1.0, 1.0, 1.0])
    assert [(one.estimate, one.variance) for one in drawn] == [(1.0, 1.0), (2.0, 1.0), (9.0, 1.0)]
    assert shrink([], []) == []
    with pytest.raises(StatisticsError):
        shrink([1.0], [])


def test_gains_add_up_along_declared_parents():
    """Variances too; the basis is the weakest, the degrees of freedom the fewest."""
    steps = {
        "a": Step("base", measured(2.0, 0.2, 9), "after", is_accepted=True),
        "b": Step("a", measured(1.0, 0.3, 6), "confirmation", is_accepted=True),
        "c": Step("base", measured(2.8, 0.1, 9), "after", is_accepted=True),
    }
    found = standings(steps)
    b = found["b"]
    assert (b.estimate, b.variance, b.df) == (pytest.approx(3.0), pytest.approx(0.5), 6)
    assert (b.low, b.high) == interval(3.0, b.variance, 6)
    assert (b.basis, found["a"].basis) == ("confirmation", "after")
    assert max(found, key=lambda name: found[name].estimate) == "b"
    assert max(found, key=lambda name: found[name].low) == "c"


def test_only_accepted_steps_are_shrunk_and_hearsay_adds_nothing():
    """A parent nobody confirmed may cost its child something, and gives it nothing."""
    lucky = Step("base", measured(5.0), "screen", is_accepted=False)
    unlucky = Step("base", measured(-1.0), "screen", is_accepted=False)
    steps = {
        "lucky": lucky,
        "unlucky": unlucky,
        "x": Step("lucky", measured(1.0), "confirmation", is_accepted=True),
        "y": Step("unlucky", measured(1.0), "confirmation", is_accepted=True),
    }
    found = standings(steps)
    assert (found["lucky"].estimate, found["x"].estimate, found["y"].estimate) == (5.0, 1.0, 0.0)
    assert found["x"].basis == "screen"
    assert found["x"].variance == pytest.approx(0.5), "not knowing it widens the interval"


def test_a_chain_that_was_not_measured_has_no_standing():
    """Nor has whatever rests on it; a circle is refused."""
    steps = {
        "a": Step("base", None, "screen", is_accepted=False),
        "b": Step("a", measured(1.0), "confirmation", is_accepted=True),
    }
    assert standings(steps) == {}
    circle = {name: Step(name, measured(1.0), "after", is_accepted=False) for name in ("a", "b")}
    with pytest.raises(StatisticsError):
        standings(circle)
