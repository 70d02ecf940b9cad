"""Simulated communities whose truth is known, for `evidence_rule.py`: scores, and two rules.

The rule's numbers, the variance model and the guards against trees made to deceive
(`sequential.hardly_varies`, `variance.alike`) are `scoring.evidence`'s; its walk through stages and
looks is repeated here for arrays, and a test holds the two equal.

Sigma is 1 for the median tree; its logarithm differs between trees by 0.3. Noise has Student's t
with 5 degrees of freedom, scaled to its tree's sigma. Each slot drifts by 0.4 (an Ornstein-
Uhlenbeck process with a memory of an hour); what runs at about the same time shares it. Of the
truth the rule knows nothing: sigma comes from the k baseline runs, and then also from whatever
trees the community itself replicated (screens left out).

A run takes twenty-five seconds (nanolm's take fourteen), so a slot has seventy-two in the thirty
minutes that a reference may be old. In them thirty hypotheses share a parent, the frontier: two
reference runs on dev, the sentinel runs that come anyway, and its runs on vault where several
children are confirmed, as far apart from theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import stdtr

from scoring.evidence.sequential import (
    ALPHA,
    ALPHA_DRAWN,
    IMPROVED_P,
    IMPROVED_T,
    LOOKS,
    LOTTERY_Z,
    SEEDS,
    STAGES,
    is_same,
    looks_within,
)
from scoring.evidence.variance import fit_sums, is_near, log_variance, moderate

GAINS = (0.5, 1.0, 2.0, 4.0)
LOG_SD = 0.3
DRIFT = 0.4
WINDOW = 72
"""Runs of one slot in the thirty minutes that a reference may be old, and that a parent's run on
vault may be away from the child's that it is paired with."""
FORGETS = 144.0
"""Runs in which the drift forgets 1 - 1/e of itself."""
REFERENCES = tuple(stage.references for stage in STAGES)
SENTINELS = 1.1
"""Every tenth run is followed by one of the frontier."""


@dataclass(frozen=True)
class Setting:
    """What is simulated."""

    share: float
    """Of the hypotheses, that are true; their gains are equally often 0.5, 1, 2 and 4 sigma."""
    baseline_runs: int
    communities: int
    hypotheses: int = 300
    siblings: int = 30
    """Hypotheses that share a parent on a slot within thirty minutes."""
    drawn: float = 0.0
    """Share of the hypotheses that are confirmed whatever the screen said; where that gave no right
    to it, at `ALPHA_DRAWN`."""
    drift: float = DRIFT


@dataclass
class Spreads:
    """The sums from which each community fits its prior (`scoring.evidence.variance.fit_sums`)."""

    baseline: np.ndarray
    """Its runs, (communities, k): counted, and trees that are not `alike` are not."""
    sums: np.ndarray = field(init=False)
    expected: tuple[np.ndarray, np.ndarray] = field(init=False)
    """s0 and d0 of the baseline alone, each (communities,)."""

    def __post_init__(self) -> None:
        """Start with the baseline."""
        self.sums = np.zeros((3, len(self.baseline), LOOKS[-1]))
        d = self.baseline.shape[1] - 1
        self._count(log_variance(self.baseline.var(axis=1, ddof=1), d), d)
        self.expected = fit_sums(*self.sums)

    def add(self, runs: np.ndarray, mask: np.ndarray) -> None:
        """Count trees of `runs` (communities, ..., n) where `mask` (communities, ...) is true."""
        d, s2 = runs.shape[-1] - 1, runs.var(axis=-1, ddof=1)
        axes = tuple(range(1, mask.ndim))
        s0, d0 = (np.expand_dims(x, axes) for x in self.expected)
        self._count(log_variance(s2, d), d, mask & is_near(s2, d, s0, d0))

    def _count(self, e: np.ndarray, d: int, mask: np.ndarray | bool = True) -> None:
        axes = tuple(range(1, e.ndim))
        for place, power in enumerate((np.ones_like(e), e, e * e)):
            self.sums[place, :, d] += np.where(mask, power, 0).sum(axis=axes)

    def prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Return s0 and d0, each (communities, 1)."""
        s0, d0 = fit_sums(*self.sums)
        return s0[:, None], d0[:, None]


def screen_many(
    child: np.ndarray, parent: np.ndarray, s0: np.ndarray, d0: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Do what `judge_screen` does, seed by seed, to many children whose higher scores are better.

    Args:
        child: (..., siblings, SEEDS), in the order of the seeds.
        parent: (..., references), shared by the siblings.
        s0: (..., 1), of the prior.
        d0: The same.

    Returns:
        Whether improved, whether it may be confirmed, and how many seeds it took: (..., siblings).
    """
    shape = child.shape[:-1]
    improved, passed, seeds = np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(shape, int)
    waits = np.ones(shape, bool)
    for n, stage in enumerate(STAGES, start=1):
        seeds[waits] = n
        runs, known = child[..., :n], parent[..., None, : stage.references]
        same = _are_same(runs, s0, d0)
        t, df = compare_many(runs, known, same, s0, d0)
        bar = np.where(same, LOTTERY_Z, IMPROVED_T)
        better = waits & (t >= bar) & (stdtr(df, -t) <= IMPROVED_P)
        improved |= better
        passed |= better | (waits & ~same & (t >= stage.confirm_t))
        waits &= ~passed & ~same & (t >= stage.again_t)
    return improved, passed, seeds


def _are_same(runs: np.ndarray, s0: np.ndarray, d0: np.ndarray) -> np.ndarray:
    """Return of which trees (..., n) the runs hardly vary: (...)."""
    n = runs.shape[-1]
    return is_same(runs.var(axis=-1, ddof=1), n - 1, s0, d0) if n > 1 else False & (s0 > 0)


def compare_many(
    child: np.ndarray, parent: np.ndarray, same: np.ndarray, s0: np.ndarray, d0: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return t of two means, (...), and its degrees of freedom; `same` children have one run."""
    n, m = child.shape[-1], parent.shape[-1]
    count = np.where(same, 1, n)
    mean = np.where(same, child[..., 0], child.mean(axis=-1))
    squares = np.where(same, 0.0, child.var(axis=-1) * n) + parent.var(axis=-1) * m
    d = count + m - 2
    error = moderate(s0, d0, squares, d) * np.sqrt(1 / count + 1 / m)
    return (mean - parent.mean(axis=-1)) / error, d0 + d


def confirm_many(
    child: np.ndarray,
    parent: np.ndarray,
    s0: np.ndarray,
    d0: np.ndarray,
    alpha: np.ndarray | float = ALPHA,
    pairs_allowed: int = LOOKS[-1],
) -> tuple[np.ndarray, np.ndarray]:
    """Do what `judge_pairs` does to many confirmations.

    Args:
        child: Pair by pair, higher being better: (..., 8).
        parent: The same, broadcast against it.
        s0: Of the prior, broadcast against (...).
        d0: The same.
        alpha: The same.
        pairs_allowed: As in `judge_pairs`.

    Returns:
        Whether reproduced, and how many pairs it took: (...).
    """
    shape = child.shape[:-1]
    reproduced, pairs, goes_on = np.zeros(shape, bool), np.zeros(shape, int), np.ones(shape, bool)
    for look in looks_within(pairs_allowed):
        n = look.pairs
        pairs[goes_on] = n
        seen = child[..., :n] - parent[..., :n]
        error = moderate(np.sqrt(2) * s0, d0, seen.var(axis=-1) * n, n - 1) / np.sqrt(n)
        same = _are_same(child[..., :n], s0, d0)
        alone, df = compare_many(child[..., :n], parent[..., :n], same, s0, d0)
        t = np.where(same, alone, seen.mean(axis=-1) / error)
        passes = goes_on & (stdtr(np.where(same, df, d0 + n - 1), -t) <= alpha * look.share)
        passes &= ~same | (t >= LOTTERY_Z)
        reproduced |= passes
        goes_on &= ~passes & (t >= look.futility_t)
    return reproduced, pairs


@dataclass
class World:
    """Draws scores."""

    setting: Setting
    rng: np.random.Generator

    def sigmas(self, *shape: int) -> np.ndarray:
        """Return the sigma of trees."""
        return np.exp(LOG_SD * self.rng.standard_normal(shape))

    def noise(self, sigma: np.ndarray, n: int) -> np.ndarray:
        """Return `n` runs of each tree about 0: (..., n)."""
        raw = self.rng.standard_t(5, size=(*sigma.shape, n))
        return sigma[..., None] * raw / np.sqrt(5 / 3)

    def drift(self, length: int) -> np.ndarray:
        """Return how a slot of each community drifts from run to run: (communities, length)."""
        keeps = np.exp(-1 / FORGETS)
        path = self.rng.standard_normal((self.setting.communities, length)) * self.setting.drift
        for now in range(1, length):
            path[:, now] *= np.sqrt(1 - keeps**2)
            path[:, now] += keeps * path[:, now - 1]
        return path

    def truth(self) -> np.ndarray:
        """Return each hypothesis' gain, exactly `share` of them true: (communities, hypotheses)."""
        setting = self.setting
        total = setting.communities * setting.hypotheses
        each = round(setting.share * total / len(GAINS))
        gains = np.zeros(total)
        gains[: each * len(GAINS)] = np.repeat(GAINS, each)
        return self.rng.permutation(gains).reshape(setting.communities, setting.hypotheses)

    def screened(self, gain: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a window's runs on dev, (communities, siblings, SEEDS), and its references' drift.

        References come first, then all first seeds, the sentinel runs, and all further seeds.
        """
        first, most, m = REFERENCES[0], REFERENCES[-1], gain.shape[1]
        path = self.drift(most + SEEDS * m)
        order = np.arange(SEEDS * m).reshape(SEEDS, m)
        at = (order + np.where(np.arange(SEEDS) > 0, most, first)[:, None]).T
        known = np.concatenate([np.arange(first), np.arange(first + m, most + m)])
        return gain[..., None] + self.noise(sigma, SEEDS) + path[:, at], path[:, known]

    def paired(
        self, gain: np.ndarray, sigma: np.ndarray, parent_sigma: np.ndarray, is_first: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return a window's runs on vault, of the children and of the parent they share.

        The pairs of the first child to be confirmed lie side by side (P C C P ...); the others come
        later, by less than `WINDOW`, and use the parent's runs again.
        """
        pairs = LOOKS[-1]
        path = self.drift(WINDOW + 2 * pairs)
        at = np.arange(2 * pairs).reshape(pairs, 2)
        at[1::2] = at[1::2, ::-1]
        late = np.where(is_first, 0, self.rng.integers(1, WINDOW, size=gain.shape))
        theirs = late[..., None] + at[:, 1]
        drifted = np.take_along_axis(path[:, None, :], theirs, axis=2)
        child = gain[..., None] + self.noise(sigma, pairs) + drifted
        return child, self.noise(parent_sigma, pairs) + path[:, at[:, 0]]


@dataclass
class Outcome:
    """What became of the hypotheses: arrays (communities, hypotheses)."""

    gain: np.ndarray
    improved: np.ndarray
    reproduced: np.ndarray
    runs: np.ndarray
    """References, sentinels and the parent's side of pairs are shared out among siblings."""


def simulate(setting: Setting, seed: int) -> Outcome:
    """Run all communities of a setting side by side, window after window."""
    world = World(setting, np.random.default_rng(seed))
    gain = world.truth()
    shape = (setting.communities, setting.siblings)
    first = world.noise(world.sigmas(setting.communities), setting.baseline_runs)
    spreads = Spreads(first + world.drift(setting.baseline_runs))
    nothing = np.zeros(gain.shape)
    outcome = Outcome(gain, nothing > 0, nothing > 0, nothing)
    for start in range(0, setting.hypotheses, setting.siblings):
        now = slice(start, start + setting.siblings)
        s0, d0 = spreads.prior()
        parent_sigma, sigma = world.sigmas(setting.communities), world.sigmas(*shape)
        dev, drifted = world.screened(gain[:, now], sigma)
        references = world.noise(parent_sigma, REFERENCES[-1]) + drifted
        improved, passed, seeds = screen_many(dev, references, s0, d0)
        drawn = ~passed & (world.rng.random(shape) < setting.drawn)
        is_first = (passed | drawn) & (np.cumsum(passed | drawn, axis=1) == 1)
        child, parent = world.paired(gain[:, now], sigma, parent_sigma, is_first)
        by_right = confirm_many(child, parent[:, None], s0, d0)
        by_lot = confirm_many(child, parent[:, None], s0, d0, ALPHA_DRAWN)
        reproduced, pairs = (
            np.select([passed, drawn], found, 0) for found in zip(by_right, by_lot, strict=True)
        )
        spreads.add(references, np.ones(setting.communities, bool))
        for n in LOOKS:
            spreads.add(child[..., :n], pairs == n)
            spreads.add(parent[..., :n], pairs.max(axis=1) == n)
        shared = (REFERENCES[0] + pairs.max(axis=1, keepdims=True)) / setting.siblings
        outcome.improved[:, now] = improved
        outcome.reproduced[:, now] = reproduced
        outcome.runs[:, now] = SENTINELS * (seeds + pairs + shared)
    return outcome


def naive(setting: Setting, seed: int) -> Outcome:
    """Apply the naive rule: above the baseline's mean by two standard deviations, twice."""
    world = World(setting, np.random.default_rng(seed))
    gain = world.truth()
    runs = world.noise(world.sigmas(setting.communities), setting.baseline_runs)
    runs += world.drift(setting.baseline_runs)
    bar = runs.mean(axis=1) + 2 * runs.std(axis=1, ddof=1)
    child = gain[..., None] + world.noise(world.sigmas(*gain.shape), 2)
    child += np.stack([world.drift(setting.hypotheses) for _ in range(2)], axis=-1)
    above = child > bar[:, None, None]
    return Outcome(gain, above[..., 0], above.all(axis=-1), 1.0 + above[..., 0])
