"""Review skill: proper, blind to volume, and not to be had by burying what would refute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.evidence.reviewing import (
    LARGEST,
    LEVELS,
    MOST_WEIGHT,
    PRIOR_CLAIMS,
    PRIOR_SHARE,
    Forecast,
    History,
    Quantiles,
    Settlement,
    Usual,
    expected_worth,
    pinball,
    points,
    usual_of,
    weight_of,
)

BASE = Usual(0.3, (-1.0, 0.0, 1.0))


def test_the_formula_by_hand() -> None:
    """One claim of weight 10, reproduced with a gain of 2: every term as written down."""
    said = Forecast(0.0, 0.8, (1.0, 2.0, 3.0))
    came = Settlement(1.0, is_reproduced=True, gain=2.0, weight=10.0)
    brier = 0.7**2 - 0.2**2
    of_base = (0.1 * 3 + 0.5 * 2 + 0.9 * 1) / 3
    of_said = (0.1 * 1 + 0.5 * 0 + 0.1 * 1) / 3
    assert points(said, came, BASE) == pytest.approx(10 * (brier + (of_base - of_said) / 4))
    without = Settlement(1.0, is_reproduced=False, gain=None)
    assert points(said, without, BASE) == pytest.approx(0.3**2 - 0.8**2)


def test_saying_the_base_rate_is_worth_nothing() -> None:
    """Whatever happens, who quotes what everybody knows gets 0."""
    said = Forecast(0.0, BASE.share, BASE.gain)
    for happened in (True, False):
        for gain in (None, -9.0, 0.3, 9.0):
            came = Settlement(1.0, happened, gain, 7.0)
            assert points(said, came, BASE) == 0.0


@pytest.mark.parametrize("truth", [0.02, 0.3, 0.75])
def test_the_truth_is_expected_to_earn_most(truth: float) -> None:
    """Over a grid, no probability and no quantile beats those that the outcome is drawn from."""

    def expected(p: float) -> float:
        said = Forecast(0.0, p, BASE.gain)
        outcomes = (Settlement(1.0, happened, None) for happened in (True, False))
        return sum(
            q * points(said, one, BASE) for q, one in zip((truth, 1 - truth), outcomes, strict=True)
        )

    grid = np.linspace(0, 1, 101)
    assert max(grid, key=expected) == pytest.approx(truth)
    gain = NormalDist(truth, 1.5)
    drawn = [gain.inv_cdf((i + 0.5) / 2_000) for i in range(2_000)]
    right: Quantiles = (gain.inv_cdf(0.1), gain.inv_cdf(0.5), gain.inv_cdf(0.9))

    def loss(quantiles: Quantiles) -> float:
        return sum(pinball(quantiles, x) for x in drawn)

    for index in range(len(LEVELS)):
        for off in (-0.4, -0.1, 0.1, 0.4):
            wrong = list(right)
            wrong[index] += off
            assert loss(right) < loss((wrong[0], wrong[1], wrong[2]))


def test_one_wild_run_counts_no_more_than_a_large_one() -> None:
    """A gain of a million deviations, and a forecast of it, are cut like any beyond the bound."""
    for sign in (1.0, -1.0):
        far = Settlement(1.0, is_reproduced=True, gain=sign * 1e300)
        near = replace(far, gain=sign * LARGEST)
        said = Forecast(0.0, 0.5, (-1e300, 0.0, 1e300))
        assert points(said, far, BASE) == points(said, near, BASE)
        assert abs(points(said, far, BASE)) < 2.0


def test_the_base_rate_is_frozen_and_starts_at_the_prior() -> None:
    """Only what was settled strictly before a forecast is in its base rate, by its weight."""
    late = Settlement(5.0, is_reproduced=True, gain=3.0, weight=10.0)
    rates = History([late, Settlement(2.0, is_reproduced=False, gain=None)])
    assert rates.before(2.0).share == PRIOR_SHARE
    assert rates.before(5.0).share == pytest.approx(PRIOR_CLAIMS * PRIOR_SHARE / (PRIOR_CLAIMS + 1))
    assert rates.before(5.0).gain == rates.before(0.0).gain
    after = rates.before(6.0)
    assert after.share == pytest.approx((PRIOR_CLAIMS * PRIOR_SHARE + 10) / (PRIOR_CLAIMS + 11))
    assert after.gain[1] > rates.before(5.0).gain[1]
    assert usual_of([]) == rates.before(0.0)


@pytest.mark.parametrize(("probability", "weight"), [(1.1, 1.0), (-0.1, 1.0), (0.5, 0.5)])
def test_nonsense_is_refused(probability: float, weight: float) -> None:
    """A probability outside 0 to 1 and a weight below 1 are errors, not scores."""
    with pytest.raises(ValueError, match="give"):
        points(Forecast(0.0, probability, BASE.gain), Settlement(1.0, True, 0.0, weight), BASE)


def test_worth_rises_with_chance_and_size() -> None:
    """No chance or no hope is worth nothing; more of either is worth more."""
    assert expected_worth(0.0, (1.0, 2.0, 3.0)) == 0.0
    assert expected_worth(0.9, (-3.0, -2.0, -1.0)) == 0.0
    assert expected_worth(0.5, (0.0, 1.0, 2.0)) == pytest.approx(0.5)
    assert expected_worth(0.5, (0.0, 1.0, 1e300)) < expected_worth(0.9, (0.0, 1.0, 1e300))


SHARE = 0.1
"""Of the simulated claims that are drawn."""
Says = Callable[[float, bool], Forecast]
"""(true chance, whether a rival's) -> what is said."""


def honest(chance: float, rivals: bool) -> Forecast:
    """Say the true chance, and the quantiles of the gain given it."""
    middle = gain_of(chance)
    return Forecast(0.0, chance, (middle - 1.28, middle, middle + 1.28))


def buries(chance: float, rivals: bool) -> Forecast:
    """Say that nothing of a rival's will ever come of anything."""
    said = honest(chance, rivals)
    return Forecast(0.0, 0.0, (-4.0, -4.0, -4.0)) if rivals else said


def gain_of(chance: float) -> float:
    """Return the mean of the measured gain of a claim that holds with this chance."""
    return 2.0 + NormalDist().inv_cdf(chance)


def earned(
    says: Says, chance: np.random.Generator, *, is_weighted: bool = True, can_bury: bool = True
) -> np.ndarray:
    """Return what 600 reviews of a rival's claims earn: one number for each of 200 communities.

    A claim is confirmed when somebody chooses to, which takes a result that looks good and, where
    the word counts, a reviewer who does not say 0; or because it was drawn.
    """
    totals = np.zeros(200)
    for community in range(len(totals)):
        true = chance.beta(1.0, 6.0, size=600).clip(0.001, 0.999)
        gains = [gain_of(p) for p in true] + chance.normal(size=600)
        holds = gains > 2.0
        settled: list[Settlement] = []
        base = usual_of(settled)
        for number, p in enumerate(true):
            said = says(float(p), True)
            is_heard = can_bury and said.reproduced == 0.0
            is_chosen = chance.random() < (0.9 if gains[number] > 1.5 else 0.02) and not is_heard
            if not is_chosen and chance.random() >= SHARE:
                continue
            weight = 1.0 if is_chosen or not is_weighted else 1 / SHARE
            one = Settlement(number, bool(holds[number]), float(gains[number]), weight)
            totals[community] += points(said, one, base)
            settled.append(one)
            if len(settled) % 10 == 0:  # frozen between: quicker, and still only what came before
                base = usual_of(settled)
    return totals


def test_burying_a_rival_earns_nothing() -> None:
    """Who says 0 to everything of a rival's loses in expectation, though his word buries claims."""
    chance = np.random.default_rng(1)
    won, fair = earned(buries, chance), earned(honest, chance)
    assert upper(won) < 0.0
    assert lower(fair) > 0.0


def test_weights_are_what_makes_burying_dear() -> None:
    """The same reviewer, unweighted, loses less: what he buried would be missing from the sum."""
    chance = np.random.default_rng(2)
    weighted = earned(buries, chance)
    unweighted = earned(buries, chance, is_weighted=False)
    assert upper(weighted - unweighted) < 0.0


def test_extreme_reviews_earn_less_than_their_honest_twin() -> None:
    """Certainty either way, with quantiles on a point, on the very same claims."""

    def extreme(chance: float, rivals: bool) -> Forecast:
        middle = gain_of(chance)
        return Forecast(0.0, float(chance > 0.5), (middle, middle, middle))

    one = earned(extreme, np.random.default_rng(3), can_bury=False)
    twin = earned(honest, np.random.default_rng(3), can_bury=False)
    assert upper(one - twin) < 0.0


def upper(values: np.ndarray) -> float:
    """Return a bound that the true mean exceeds once in a thousand."""
    return float(values.mean() + 3.1 * values.std(ddof=1) / len(values) ** 0.5)


def lower(values: np.ndarray) -> float:
    """Return a bound that the true mean falls below once in a thousand."""
    return -upper(-values)


@given(st.floats(-50, 50), st.floats(0, 50))
def test_weight_grows_with_what_was_earned(points: float, more: float) -> None:
    """It is 0 for who has shown nothing or less, never falls with points, and has an end."""
    assert weight_of(min(points, 0.0)) == 0.0
    assert weight_of(points) <= weight_of(points + more) <= MOST_WEIGHT
