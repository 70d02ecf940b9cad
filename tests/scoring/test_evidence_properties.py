"""What holds of the statistics whatever the scores are: units, order, and their sources' formulas.

Drawn with fixed seeds, over spreads from 1e-3 to 1e3, units from 1e-6 to 1e6 and ties.
"""

import math

import numpy as np
import pytest
from scipy.stats import false_discovery_control
from statsmodels.stats.meta_analysis import combine_effects

from scoring.errors import StatisticsError
from scoring.evidence.effects import Effect, combine
from scoring.evidence.multiplicity import lord_levels, q_values
from scoring.evidence.sequential import LOOKS, hardly_varies, judge_pairs, judge_screen
from scoring.evidence.variance import Prior, alike, fit_prior, moderated, sum_of_squares


def scores(rng: np.random.Generator, runs: int) -> list[float]:
    """Return runs of one tree, a fifth of the time with ties."""
    sigma = 10 ** rng.uniform(-3, 3)
    found = rng.normal(0, sigma, runs)
    if rng.random() < 0.2:
        found = np.round(found / sigma) * sigma
    return [float(x) for x in found]


def equal(one, other, by: float, rel: float = 1e-6) -> bool:
    """Whether two judgements are the same, the second in units `by` times as small."""
    scaled = [(getattr(one, n) * by, getattr(other, n)) for n in ("gain", "low", "high", "needed")]
    plain = [(getattr(one, n), getattr(other, n)) for n in ("t", "df", "p")]
    size = by * max(abs(one.gain), one.high - one.low)
    words = ("status", "is_final", "may_confirm")
    return all(
        math.isclose(a, b, rel_tol=rel, abs_tol=rel * size) for a, b in scaled
    ) and all(math.isclose(a, b, rel_tol=rel, abs_tol=rel) for a, b in plain) and all(
        getattr(one, w) == getattr(other, w) for w in words
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_units_and_origin_decide_nothing(seed: int):
    """Scores times c and moved: the same words, t, df and p; gains times c, either way better."""
    rng = np.random.default_rng(seed)
    groups = [scores(rng, int(rng.integers(2, 9))) for _ in range(3)]
    groups.append([float(x) for x in rng.normal(0, 1, 4)])
    sigma = fit_prior(groups).s0
    child, parent = (list(rng.normal(0, sigma, 8) - by * sigma) for by in (rng.uniform(0, 4), 0))
    c = float(10 ** rng.uniform(-6, 6))
    move = float(rng.uniform(-5, 5)) * sigma

    def judged(sign: float, by: float, shift: float):
        def turned(runs):
            return [sign * by * (float(x) + shift) for x in runs]

        direction = "lower" if sign > 0 else "higher"
        prior = fit_prior([turned(group) for group in groups])
        assert prior.d0 == pytest.approx(fit_prior(groups).d0, rel=1e-6)
        screens = [
            judge_screen(turned(child[:n]), turned(parent[:4]), prior, direction)
            for n in (1, 2, 3)
        ]  # fmt: skip
        pairs = [
            judge_pairs(turned(child[:n]), turned(parent[:n]), prior, direction) for n in LOOKS
        ]
        return screens + pairs

    plain = judged(1.0, 1.0, 0.0)
    for sign, by, shift in ((1.0, c, 0.0), (1.0, 1.0, move), (-1.0, c, 0.0)):
        for one, other in zip(plain, judged(sign, by, shift), strict=True):
            assert equal(one, other, by), (one, other)


@pytest.mark.parametrize("seed", range(6))
def test_order_decides_nothing_of_a_screen_a_prior_or_a_pool(seed: int):
    """Runs and trees in another order give the same numbers."""
    rng = np.random.default_rng(seed)
    groups = [scores(rng, int(rng.integers(2, 9))) for _ in range(5)]
    turned = [list(rng.permutation(groups[at])) for at in rng.permutation(5)]
    one, other = fit_prior(groups), fit_prior(turned)
    assert (one.s0, one.d0) == (pytest.approx(other.s0), pytest.approx(other.d0))
    kept = alike(groups, groups[0])
    assert sorted(map(sorted, kept)) == sorted(map(sorted, alike(turned, groups[0])))
    child, parent = rng.normal(0, 1, 3), rng.normal(1, 1, 5)
    first, second = (
        judge_screen(list(order(child)), list(order(parent)), one, "lower")
        for order in (np.array, rng.permutation)
    )
    assert equal(first, second, 1.0)


@pytest.mark.parametrize("seed", range(6))
def test_a_better_child_is_never_judged_worse(seed: int):
    """All its scores better by the same: t, gain and p go one way, and so do the words."""
    rng = np.random.default_rng(seed)
    prior = Prior(1.0, float(rng.uniform(2, 20)))
    child, parent = rng.normal(0, 1, 8), rng.normal(0, 1, 8)
    place = ["not_improved", "undecided", "improved", "reproduced"].index
    for n in (1, 2, 3):
        row = [judge_screen(list(child[:n] - by), list(parent), prior, "lower")
               for by in np.linspace(-1, 6, 29)]  # fmt: skip
        assert sorted(row, key=lambda j: j.t) == row
        assert sorted((j.p for j in row), reverse=True) == [j.p for j in row]
        assert sorted(place(j.status) for j in row) == [place(j.status) for j in row]
    row = [judge_pairs(list(child - by), list(parent), prior, "lower")
           for by in np.linspace(-1, 6, 29)]  # fmt: skip
    words = [place(j.status) for j in row]
    assert sorted(words) == words
    assert words[-1] == place("reproduced")


def test_equal_scores_have_no_spread_whatever_their_last_bit():
    """The mean of three equal scores often differs from them; their spread is 0 all the same."""
    rng = np.random.default_rng(0)
    honest = [1.0, 3.0, 2.0]
    for x in rng.uniform(1, 16, 300):
        for n in (2, 3, 5, 6, 7):
            assert sum_of_squares([float(x)] * n) == 0
            assert fit_prior([[float(x)] * n, honest]) == fit_prior([honest])


@pytest.mark.parametrize("far", [math.inf, -math.inf, math.nan, 1e300])
def test_what_is_no_number_or_too_large_is_refused_by_name(far: float):
    """A score nobody can square is an error of ours, never an overflow."""
    for asked in (
        lambda: fit_prior([[far, 1.0]]),
        lambda: moderated([[1.0, far]], Prior(1.0, 4.0)),
        lambda: hardly_varies([far, 1.0], Prior(1.0, 4.0)),
        lambda: judge_pairs([far, 1.0], [1.0, 1.1], Prior(1.0, 4.0), "higher"),
    ):
        with pytest.raises(StatisticsError):
            asked()


def test_without_noise_nothing_passes_between_looks():
    """`needed` is infinite there, as it is with noise."""
    assert judge_pairs([2.9], [3.0], Prior(0.0, math.inf), "lower").needed == math.inf


@pytest.mark.parametrize("seed", range(6))
def test_combined_gains_are_those_of_statsmodels_wherever_they_lie(seed: int):
    """Mean, variance, tau2 and Q; far from 0 and in other units the same but for that."""
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 6))
    gains, variances = rng.normal(0, 1, classes), rng.uniform(0.05, 1, classes)
    found = combined(gains, variances)
    theirs = combine_effects(gains, variances, method_re="iterated")
    assert found.estimate == pytest.approx(theirs.mean_effect_re, abs=1e-4)
    assert found.variance == pytest.approx(theirs.var_eff_w_re, rel=1e-4)
    assert found.tau2 == pytest.approx(theirs.tau2, abs=1e-4)
    assert found.q == pytest.approx(theirs.q)
    moved = combined(gains + 1e6, variances)
    assert (moved.q, moved.tau2) == (pytest.approx(found.q), pytest.approx(found.tau2, abs=1e-6))
    c = float(10 ** rng.uniform(-6, 6))
    scaled = combined(c * gains, c * c * variances)
    assert scaled.high == pytest.approx(c * found.high)
    assert (scaled.q, scaled.i2) == (pytest.approx(found.q), pytest.approx(found.i2, abs=1e-9))


def combined(gains: np.ndarray, variances: np.ndarray):
    """Combine gains of as many classes."""
    pairs = zip(gains, variances, strict=True)
    return combine([Effect(str(i), float(y), float(v)) for i, (y, v) in enumerate(pairs)])


def test_gains_far_beyond_their_errors_still_find_tau2():
    """Errors of a billionth: nearly all of the spread is between the two classes."""
    found = combined(np.array([1.0, 1.2]), np.array([1e-18, 1e-18]))
    assert found.tau2 == pytest.approx(0.02, rel=1e-4)
    assert found.q == pytest.approx(0.04 / 2e-18)


@pytest.mark.parametrize("seed", range(6))
def test_q_values_are_scipys_in_any_order(seed: int):
    """With ties and ends; permuting hypotheses permutes their q, and q keeps the order of p."""
    rng = np.random.default_rng(seed)
    p = np.round(rng.random(int(rng.integers(1, 40))) ** 3, int(rng.integers(1, 6)))
    q = np.array(q_values(list(p)))
    assert q == pytest.approx(false_discovery_control(p))
    order = rng.permutation(len(p))
    assert q_values(list(p[order])) == pytest.approx(q[order])
    assert (np.diff(q[np.argsort(p)]) >= -1e-12).all()
    assert (q >= p).all()


@pytest.mark.parametrize("seed", range(3))
def test_lord_levels_are_those_of_the_paper(seed: int):
    """Term by term, with indicator functions, from weights summed up to a million and beyond."""
    rng = np.random.default_rng(seed)
    t = np.arange(1, 1_000_001)
    raw = np.log(np.maximum(t, 2)) / (t * np.exp(np.sqrt(np.log(t))))
    u = math.sqrt(math.log(1_000_000.5))
    gamma = raw / (raw.sum() + 2 * math.exp(-u) * (u**3 + 3 * u**2 + 6 * u + 6))
    alpha, w0 = 0.05, float(rng.uniform(0.001, 0.05))
    p = rng.random(60) ** 4
    levels = lord_levels(list(p), alpha, w0)
    times = [at + 1 for at in range(60) if p[at] <= levels[at]]
    for now, level in enumerate(levels, start=1):
        expected = gamma[now - 1] * w0
        for j, tau in enumerate(times, start=1):
            if tau < now:
                expected += (alpha - w0 if j == 1 else alpha) * gamma[now - tau - 1]
        assert level == pytest.approx(expected, rel=1e-6)
