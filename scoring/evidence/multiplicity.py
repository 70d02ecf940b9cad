"""Many hypotheses, few true: q-values for reports, LORD++ for who decides as they come. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from scoring.errors import StatisticsError


def q_values(p: Sequence[float]) -> list[float]:
    """Return each hypothesis' q-value: the false discovery rate of all that are at least as clear.

    Benjamini, Y. & Hochberg, Y. (1995), Journal of the Royal Statistical Society B 57, 289-300:
    ``q_(i) = min over j >= i of p_(j) m / j``. `scoring.evidence.sequential.Judgement.p` of a
    confirmation is valid here whatever look it ended at. Children of one parent share its runs,
    which makes their p positively dependent; the procedure allows for that (Benjamini & Yekutieli
    2001, Annals of Statistics 29, theorem 1.2).

    Args:
        p: One for each hypothesis that was confirmed, whatever came out.

    Raises:
        StatisticsError: a p that is no probability.
    """
    from scipy.stats import false_discovery_control  # slow to import

    _require_probabilities(p)
    return [float(q) for q in false_discovery_control(list(p), method="bh")] if len(p) else []


def lord_levels(p: Sequence[float], alpha: float = 0.05, w0: float | None = None) -> list[float]:
    """Return the level of each of a stream of tests, and of the next one, by LORD++.

    Ramdas, A., Yang, F., Wainwright, M. J. & Jordan, M. I. (2017), Online control of the false
    discovery rate with decaying memory, NeurIPS 30, section 3: with tau_j the time of the j-th
    rejection (p_t <= level_t)::

        level_t = gamma_t w0 + (alpha - w0) gamma_(t - tau_1) + alpha sum_(j >= 2) gamma_(t - tau_j)

    gamma_t is proportional to log(max(t, 2)) / (t exp(sqrt(log t))) and sums to 1 (Javanmard &
    Montanari 2018, Annals of Statistics 46, 526-554, equation 31).

    Args:
        p: Of the tests done, in their order.
        alpha: False discovery rate to keep at any time.
        w0: Wealth to begin with, alpha / 2 unless given; at most alpha.

    Returns:
        As many levels as `p` has entries and one more, to be given to the next test.

    Raises:
        StatisticsError: a p that is no probability, or a wealth or rate out of range.
    """
    _require_probabilities(p)
    start = alpha / 2 if w0 is None else w0
    if not 0 < start <= alpha < 1:
        raise StatisticsError(f"LORD++ needs 0 < w0 <= alpha < 1, not {start} and {alpha}")
    levels: list[float] = []
    rejected: list[int] = []
    for now in range(1, len(p) + 2):
        level = _gamma(now) * start
        for place, at in enumerate(rejected):
            level += _gamma(now - at) * (alpha - start if place == 0 else alpha)
        levels.append(level)
        if now <= len(p) and p[now - 1] <= level:
            rejected.append(now)
    return levels


def _gamma(t: int) -> float:
    return _weight(t) / _whole()


def _weight(t: int) -> float:
    return math.log(max(t, 2)) / (t * math.exp(math.sqrt(math.log(t))))


@cache
def _whole() -> float:
    """Sum all weights: the first 10,000 one by one, the rest by its integral.

    With u = sqrt(log t) the integral from T is that of 2 u^3 exp(-u), a gamma function's tail.
    """
    first = 10_000
    u = math.sqrt(math.log(first + 0.5))
    rest = 2 * math.exp(-u) * (u**3 + 3 * u**2 + 6 * u + 6)
    return math.fsum(_weight(t) for t in range(1, first + 1)) + rest


def _require_probabilities(p: Sequence[float]) -> None:
    if not all(0 <= value <= 1 for value in p):
        raise StatisticsError(f"not all of {list(p)} are probabilities")
