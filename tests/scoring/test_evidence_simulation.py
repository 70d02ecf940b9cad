"""The simulation behind the rule's numbers is of the rule itself, and it keeps what it promises."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from scoring.evidence.sequential import LOOKS, SEEDS, judge_pairs, judge_screen, references_wanted
from scoring.evidence.variance import Prior, alike, fit_prior

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from evidence_rule import false_discoveries, rate
from evidence_world import Setting, Spreads, confirm_many, naive, screen_many, simulate


@pytest.fixture
def rng() -> np.random.Generator:
    """Chance of its own."""
    return np.random.default_rng(5)


def test_many_screens_are_screens(rng):
    """The array form decides each of 600 claims as the rule does, seed by seed.

    A third bring a seed of their own under a little jitter.
    """
    s0, d0 = rng.uniform(0.5, 1.5, (20, 1)), rng.uniform(2, 20, (20, 1))
    child = rng.normal(rng.choice([0, 1, 2, 4], (20, 30, 1)), 1, (20, 30, SEEDS))
    child[:, :10] = child[:, :10, :1] + rng.normal(0, 1e-4, (20, 10, SEEDS))
    parent = rng.normal(0, 1, (20, references_wanted(SEEDS)))
    improved, passed, seeds = screen_many(child, parent, s0, d0)
    for at in np.ndindex(20, 30):
        prior = Prior(float(s0[at[0], 0]), float(d0[at[0], 0]))
        for n in range(1, SEEDS + 1):
            known = parent[at[0], : references_wanted(n)].tolist()
            judged = judge_screen(child[at][:n].tolist(), known, prior, "higher")
            if judged.is_final:
                break
        assert (improved[at], passed[at], seeds[at]) == (
            judged.status == "improved", judged.may_confirm, n,
        )  # fmt: skip
    assert {1, 2, 3} == set(seeds.flat)


def test_many_confirmations_are_confirmations(rng):
    """The array form ends each of 600 confirmations at the look and with the word of the rule.

    A third bring a seed of their own under a little jitter; some of those pass.
    """
    s0, d0, alpha = (
        rng.uniform(0.5, 1.5, 600),
        rng.uniform(2, 20, 600),
        rng.choice([0.01, 0.1], 600),
    )
    child = rng.normal(rng.choice([0, 1, 2, 4], (600, 1)), 1, (600, LOOKS[-1]))
    child[:200] = child[:200, :1] + rng.normal(0, 1e-3, (200, LOOKS[-1]))
    child[:100] += 4
    parent = rng.normal(0, 1, (600, LOOKS[-1]))
    reproduced, pairs = confirm_many(child, parent, s0, d0, alpha)
    for at in range(600):
        prior = Prior(float(s0[at]), float(d0[at]))
        for n in range(1, LOOKS[-1] + 1):
            judged = judge_pairs(
                child[at, :n].tolist(), parent[at, :n].tolist(), prior, "higher",
                alpha=float(alpha[at]),
            )  # fmt: skip
            if judged.is_final:
                break
        assert (reproduced[at], pairs[at]) == (judged.status == "reproduced", n)
    assert set(LOOKS) == set(pairs.tolist())
    assert 20 < reproduced[:100].sum() < 100


def test_many_priors_are_priors(rng):
    """Sums over trees give each community the prior that its trees give one by one.

    Those that spread unlike the baseline are left out of either.
    """
    baseline = rng.normal(0, 1, (3, 4))
    spreads = Spreads(baseline)
    groups = [[runs] for runs in baseline.tolist()]
    for n in (8, 2, 2, 3, 5):
        runs = rng.normal(0, rng.choice([0.01, 1, 100], (3, 4, 1), p=[0.2, 0.6, 0.2]), (3, 4, n))
        mask = rng.random((3, 4)) < 0.7
        spreads.add(runs, mask)
        for community, tree in zip(*np.nonzero(mask), strict=True):
            groups[community].append(runs[community, tree].tolist())
    s0, d0 = spreads.prior()
    for community in range(3):
        kept = alike(groups[community], baseline[community].tolist())
        assert 1 < len(kept) < len(groups[community])
        prior = fit_prior(kept)
        assert prior.s0 == pytest.approx(float(s0[community, 0]))
        assert prior.d0 == pytest.approx(float(d0[community, 0]))


def test_the_rule_keeps_its_promises_and_the_naive_one_does_not():
    """A small run of the benchmark, 36,000 hypotheses; the committed table is of a large one."""
    setting = Setting(share=0.15, baseline_runs=4, communities=120)
    ours, naively = simulate(setting, 3), naive(setting, 3)
    null, clear = ours.gain == 0, ours.gain == 4
    assert rate(ours.improved, null)[0] < 0.01
    assert rate(ours.reproduced, null)[0] < 0.003
    assert rate(ours.reproduced, clear)[0] > 0.95
    assert false_discoveries(ours)[0] < 0.05 < false_discoveries(naively)[0]
    assert math.isclose(rate(null, null)[0], 1.0)
