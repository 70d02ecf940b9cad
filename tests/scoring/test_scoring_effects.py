"""Gains over device classes: random effects, and an interval for few of them."""

import math

import numpy as np
import pytest
from scipy import stats

from scoring.errors import StatisticsError
from scoring.evidence.effects import Effect, combine, satterthwaite


def test_one_class_passes_through():
    """With its own t interval and no heterogeneity."""
    found = combine([Effect("a", 2.0, 0.25, df=5)])
    assert (found.estimate, found.variance, found.classes) == (2.0, 0.25, 1)
    assert (found.tau2, found.i2, found.q, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert found.low == pytest.approx(2.0 - stats.t.isf(0.025, 5) * 0.5)
    assert found.high - found.estimate == pytest.approx(found.estimate - found.low)


def test_classes_that_agree_are_weighed_by_their_variance():
    """Then there is no tau2, and the mean is the fixed-effect one."""
    found = combine([Effect("a", 2.0, 0.1), Effect("b", 2.3, 0.4)])
    assert found.tau2 == 0
    assert found.estimate == pytest.approx((2.0 / 0.1 + 2.3 / 0.4) / (1 / 0.1 + 1 / 0.4))
    assert found.variance == pytest.approx(1 / (1 / 0.1 + 1 / 0.4))
    assert found.q == pytest.approx(0.3**2 / 0.5)
    assert found.p == pytest.approx(stats.chi2.sf(0.18, 1))
    assert found.i2 == 0


def test_classes_that_differ_say_so_and_widen_the_interval():
    """The means count nearly alike once tau2 is far above the noise."""
    found = combine([Effect("a", 1.0, 0.01), Effect("b", 5.0, 0.04)])
    assert found.tau2 == pytest.approx(8.0 - 0.025, rel=0.01)
    assert found.estimate == pytest.approx(3.0, abs=0.01)
    assert found.i2 > 0.99
    assert found.p < 1e-9
    assert found.low < 0, "two classes that differ say little of a third"


@pytest.mark.parametrize(("tau", "least"), [(0.0, 0.93), (0.5, 0.89)])
def test_the_interval_covers_the_common_gain(tau, least):
    """As the docstring says, with two and three classes whose variances are estimated."""
    rng = np.random.default_rng(3)
    for classes in (2, 3):
        hits = 0
        for _ in range(600):
            variance = rng.choice([0.25, 0.5, 1.0], size=classes)
            gains = rng.normal(0, np.sqrt(variance + tau**2))
            seen = variance * rng.chisquare(10, size=classes) / 10
            found = combine(
                [Effect(str(i), y, v, 10) for i, (y, v) in enumerate(zip(gains, seen, strict=True))]
            )
            hits += found.low <= 0 <= found.high
        assert hits / 600 > least


@pytest.mark.parametrize("effects", [[], [(math.nan, 1.0)], [(1.0, 0.0)], [(1.0, 1.0), (1.0, -1)]])
def test_what_is_no_measurement_is_refused(effects):
    """Rather than combined to something."""
    with pytest.raises(StatisticsError):
        combine([Effect("a", *effect) for effect in effects])


def test_satterthwaite_lies_between_the_parts():
    """Equal parts add their degrees of freedom, a dominant one keeps its own."""
    assert satterthwaite([1.0, 1.0], [4, 4]) == pytest.approx(8)
    assert satterthwaite([1.0, 1e-9], [4, 100]) == pytest.approx(4)
    assert satterthwaite([1.0], [math.inf]) == math.inf
