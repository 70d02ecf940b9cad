"""March's organisation: individuals learn from a common code, which learns from the best of them.

Reality has `m` dimensions of -1 or 1. Individuals and the code hold -1, 0 or 1 on each; the code
begins with nothing. Each period

1. individuals act: a belief of 0 becomes the toss of a coin; performance is the sum over dimensions
   of action times reality;
2. they are socialised: on each dimension where the code is not 0 and differs, an individual moves
   towards it with probability `p1`;
3. the code learns from those whose performance beats its own knowledge, the sum of code times
   reality: where their majority differs from it, it changes to that with probability
   1 - (1 - p2)^k, k being majority less minority.

Slow learners give the code time to learn before everybody has become like it.

Sources:
    March, J. G. (1991). Exploration and exploitation in organizational learning. Organization
    Science 2, 71-87; Figure 1, and Figures 4 and 5 with turnover and turbulence.
    https://doi.org/10.1287/orsc.2.1.71
    What the paper does not say is from a public recreation of its program, after notes by S. Rodan
    (2005) and M. Christensen (2015): beliefs move a step at a time (-1 to 0 to 1), what is compared
    is what individuals did, not what they know, and all three steps take the beliefs and the code
    with which the period began.

The code's knowledge at (p1, p2) = (.1, .1), (.5, .1), (.9, .5), 3,000 runs, errors .002:
    defaults, which are Figure 1: .863, .802, .741;
    `step` ``direct``: .849, .807, .718; `judged` by ``beliefs``: .741, .772, .708;
    `order` ``sequential``: .865, .800, .712; ``exponential``: .855, .787, .727.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, NamedTuple

import numpy as np
from numba import njit

from community.classics.case import Case, mean_and_error, number, place
from community.classics.orders import CODES, SYNCHRONOUS, Order, turns
from community.classics.replicates import concatenated, stream

RUNS: Final = 4_000
RUNS_AT_THE_MINIMUM: Final = 60_000
"""Cells near the minimum of the flat curve differ by 0.002."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """An organisation and how fast it learns.

    Attributes:
        n: Individuals.
        m: Dimensions of reality.
        p1: Socialisation: how readily individuals learn from the code.
        p2: How readily the code learns.
        p3: Turnover: probability per period that an individual is replaced by a newcomer.
        p4: Turbulence: probability per period that a dimension of reality turns over.
        step: ``gradual``, a belief moves by one (-1 to 0 to 1); ``direct``, it becomes the code's,
            which is what the paper's text says and moves Figure 1.
        judged: Who is superior is told by ``actions``, luck included, or by ``beliefs``, as the
            paper's footnote says.
        order: ``synchronous`` as printed. In the others each individual, and the code, takes its
            turn on what is there by then; the code's turn looks at what all would do now.
        horizon: Periods after which to stop; with turnover or turbulence there is no earlier end.
            Figure 1 runs to equilibrium, mostly within 130 periods.
    """

    n: int = 50
    m: int = 30
    p1: float = 0.1
    p2: float = 0.1
    p3: float = 0.0
    p4: float = 0.0
    step: Literal["gradual", "direct"] = "gradual"
    judged: Literal["actions", "beliefs"] = "actions"
    order: Order = "synchronous"
    horizon: int = 10_000

    def __post_init__(self) -> None:
        if not all(0 <= p <= 1 for p in (self.p1, self.p2, self.p3, self.p4)):
            raise ValueError("p1 to p4 are probabilities")
        if self.n < 1 or self.m < 1:
            raise ValueError("an organisation has at least one member, reality one dimension")


@dataclass(frozen=True, slots=True)
class Result:
    """What came of each replicate.

    Attributes:
        code: (runs,) float64; the code's knowledge at the end, from -1 to 1: code times reality.
        individuals: (runs,) float64; the same, mean over individuals.
        periods: (runs,) int64; how many it took.
    """

    code: np.ndarray
    individuals: np.ndarray
    periods: np.ndarray


def simulate(parameters: Parameters, runs: int = RUNS, seed: int = 0, jobs: int = 1) -> Result:
    """Run the organisation `runs` times; reality and first beliefs have a stream of their own.

    So organisations of one size that differ in anything else begin alike. `jobs` is the number of
    processes; the result does not depend on it.
    """
    return Result(*concatenated(partial(_replicates, parameters, seed), runs, jobs))


class _Rules(NamedTuple):
    """`Parameters` for the loops."""

    p1: float
    p2: float
    p3: float
    p4: float
    is_gradual: bool
    by_actions: bool
    order: int
    horizon: int


def _replicates(p: Parameters, seed: int, replicates: range) -> tuple[np.ndarray, ...]:
    """Return knowledge of code and individuals, and periods, of these replicates."""
    gradual, actions = p.step == "gradual", p.judged == "actions"
    rules = _Rules(p.p1, p.p2, p.p3, p.p4, gradual, actions, CODES[p.order], p.horizon)
    found = np.empty((len(replicates), 3))
    for row, replicate in enumerate(replicates):
        start = stream(seed, replicate, "march: start")
        reality = (2 * start.integers(0, 2, p.m) - 1).astype(np.int8)
        beliefs = (start.integers(0, 3, (p.n, p.m)) - 1).astype(np.int8)
        rng = stream(seed, replicate, "march: learning")
        found[row] = _organisation(rng, reality, beliefs, rules)
    return found[:, 0], found[:, 1], found[:, 2].astype(np.int64)


@njit(cache=True)
def _organisation(
    rng: np.random.Generator, reality: np.ndarray, beliefs: np.ndarray, rules: _Rules
) -> tuple[float, float, int]:
    """Return knowledge of code and individuals at the end, and the number of periods."""
    n, m = beliefs.shape
    code, actions = np.zeros(m, np.int8), np.empty((n, m), np.int8)
    periods = 0
    while periods < rules.horizon:
        _shaken(rng, reality, beliefs, rules)
        if rules.order == SYNCHRONOUS:
            _act(rng, beliefs, actions)
            before = code.copy()
            _learn(rng, code, beliefs, actions, reality, rules)
            for i in range(n):
                _socialise(rng, beliefs[i], before, rules)
        else:
            for turn in turns(rng, rules.order, n + 1):
                if turn < n:
                    _socialise(rng, beliefs[turn], code, rules)
                else:
                    _act(rng, beliefs, actions)
                    _learn(rng, code, beliefs, actions, reality, rules)
        periods += 1
        if rules.p3 == 0 and rules.p4 == 0 and _is_settled(code, beliefs, reality):
            break
    known = 0.0
    for i in range(n):
        known += _agreement(beliefs[i], reality)
    return _agreement(code, reality) / m, known / (n * m), periods


@njit(cache=True)
def _agreement(beliefs: np.ndarray, reality: np.ndarray) -> int:
    """Return the sum over dimensions of belief times reality."""
    agreed = 0
    for d in range(len(reality)):
        agreed += beliefs[d] * reality[d]
    return agreed


@njit(cache=True)
def _shaken(
    rng: np.random.Generator, reality: np.ndarray, beliefs: np.ndarray, rules: _Rules
) -> None:
    """Replace individuals (p3), turn dimensions of reality over (p4); in place."""
    if rules.p3 > 0:
        for i in range(len(beliefs)):
            if rng.random() < rules.p3:
                for d in range(len(reality)):
                    beliefs[i, d] = int(rng.random() * 3) - 1
    if rules.p4 > 0:
        for d in range(len(reality)):
            if rng.random() < rules.p4:
                reality[d] = -reality[d]


@njit(cache=True)
def _act(rng: np.random.Generator, beliefs: np.ndarray, actions: np.ndarray) -> None:
    """Put into `actions` what each does: its beliefs, and a coin's word where it has none."""
    for i in range(beliefs.shape[0]):
        for d in range(beliefs.shape[1]):
            actions[i, d] = beliefs[i, d]
            if actions[i, d] == 0:
                actions[i, d] = 1 if rng.random() < 0.5 else -1


@njit(cache=True)
def _socialise(
    rng: np.random.Generator, beliefs: np.ndarray, code: np.ndarray, rules: _Rules
) -> None:
    """Move one individual's beliefs towards the code, each with probability p1; in place."""
    for d in range(len(code)):
        if code[d] != 0 and beliefs[d] != code[d] and rng.random() < rules.p1:
            beliefs[d] = beliefs[d] + code[d] if rules.is_gradual else code[d]


@njit(cache=True)
def _learn(
    rng: np.random.Generator,
    code: np.ndarray,
    beliefs: np.ndarray,
    actions: np.ndarray,
    reality: np.ndarray,
    rules: _Rules,
) -> None:
    """Let the code learn from its superiors' majority; in place."""
    knowledge, said = _agreement(code, reality), np.zeros(len(code), np.int64)
    for i in range(len(beliefs)):
        judged = actions[i] if rules.by_actions else beliefs[i]
        if _agreement(judged, reality) > knowledge:
            for d in range(len(code)):
                said[d] += judged[d]
    for d in range(len(code)):
        view = 1 if said[d] > 0 else -1
        if said[d] != 0 and code[d] != view and rng.random() > (1 - rules.p2) ** abs(said[d]):
            code[d] = view


@njit(cache=True)
def _is_settled(code: np.ndarray, beliefs: np.ndarray, reality: np.ndarray) -> bool:
    """Whether nobody can learn any more: not from the code, and the code from no lucky action."""
    knowledge = _agreement(code, reality)
    for i in range(len(beliefs)):
        best = 0
        for d in range(len(code)):
            if code[d] != 0 and beliefs[i, d] != code[d]:
                return False
            best += 1 if beliefs[i, d] == 0 else beliefs[i, d] * reality[d]
        if best > knowledge:
            return False
    return True


RATES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
PRINTED: Final = {
    0.1: ((0.863, 0.818, 0.803, 0.799, 0.800, 0.802, 0.805, 0.809, 0.812), 100_000, "figure"),
    0.5: ((0.953, 0.909, 0.870, 0.837, 0.810, 0.787, 0.769, 0.753, 0.740), 100_000, "figure"),
    0.9: ((0.9724, 0.9404, 0.9081, 0.8737, 0.8401, 0.8067, 0.7796, 0.7561, 0.7284), 10_000, "data"),
}
"""By p2: knowledge at each p1, runs behind it, and where it stands in the public recreation."""
OWN: Final = {
    0.1: (0.865, 0.817, 0.803, 0.801, 0.801, 0.804, 0.807, 0.808, 0.813),
    0.5: (0.954, 0.907, 0.869, 0.838, 0.809, 0.788, 0.768, 0.754, 0.738),
}
"""The same by an independent implementation, 4,000 runs."""
NEAR: Final = (0.3, 0.4, 0.5, 0.6)
DECIMALS: Final = {"figure": 0.0005, "data": 0.00005}
"""Half a unit of the last printed digit."""


def cases(size: float = 1.0, seed: int = 0, jobs: int = 1) -> list[Case]:
    """Compare with M6: every cell of Figure 1, and where its flat curve is lowest."""
    found, knowledge = [], {}
    for p2, (printed, behind, source) in PRINTED.items():
        for i, (p1, target) in enumerate(zip(RATES, printed, strict=True)):
            is_near = p2 == 0.1 and p1 in NEAR
            runs = max(2, round((RUNS_AT_THE_MINIMUM if is_near else RUNS) * size))
            code = simulate(Parameters(p1=p1, p2=p2), runs, seed, jobs).code
            knowledge[p1, p2] = code
            ours, error = mean_and_error(code)
            spread, name = error * math.sqrt(runs), f"p1={p1} p2={p2}"
            found.append(
                number(
                    "M6",
                    name,
                    target,
                    ours,
                    error,
                    source=f"recreation's {source}",
                    target_se=spread / math.sqrt(behind),
                    delta=DECIMALS[source],
                )
            )
            if p2 in OWN:
                found.append(
                    number(
                        "M6",
                        f"{name}, own run",
                        OWN[p2][i],
                        ours,
                        error,
                        source="own run",
                        target_se=spread / math.sqrt(4_000),
                        delta=0.0005,
                    )
                )
    curve = [knowledge[p1, 0.1] for p1 in RATES]
    claim = "p2=0.1 is U-shaped: lowest p1"
    return [
        *found,
        place("M6", claim, RATES, curve, (0.4, 0.5), of="lowest", source="figure", seed=seed),
    ]
