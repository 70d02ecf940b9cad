"""The exact checks of NK landscapes pass, and landscapes drawn otherwise fail them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from community.classics import oracles
from community.classics.case import verdicts
from community.landscapes.nk import NK, Mode

DRAW = oracles._landscape
SIZE = 0.1


def failures(seed: int = 1) -> set[str]:
    """Return the checks that do not pass."""
    told = oracles.cases(size=SIZE, seed=seed)
    return {case.name for case, passes in zip(told, verdicts(told), strict=True) if not passes}


def test_landscapes_agree_with_their_mathematics():
    """Numbers of optima and their heights, variances, correlations, walks and lone climbers."""
    assert failures() == set()


def with_replacement(n: int, k: int, mode: Mode, *where: Any) -> NK:
    """Draw links with replacement wherever distinct ones are asked for."""
    return DRAW(n, k, "random_with_replacement" if mode == "random" and k else mode, *where)


def one_link_less(n: int, k: int, mode: Mode, *where: Any) -> NK:
    """Depend on one locus less."""
    return DRAW(n, k - 1 if mode == "adjacent" else k, mode, *where)


def squeezed(n: int, k: int, mode: Mode, *where: Any) -> NK:
    """Draw tables from the middle of what they should be drawn from."""
    drawn = DRAW(n, k, mode, *where)
    return NK(drawn.links, np.round(0.05 + 0.9 * drawn.tables, 13))


@pytest.mark.parametrize(
    ("mutant", "caught"),
    [
        (with_replacement, "correlation at 1, N=20, K=5, random"),
        (with_replacement, "optima, N=15, K=7, random"),
        (one_link_less, "optima, N=20, K=5, adjacent"),
        (squeezed, "highest fitness, N=12, K=N-1"),
    ],
)
def test_landscapes_drawn_otherwise_are_caught(
    monkeypatch: pytest.MonkeyPatch, mutant: Any, caught: str
):
    """Other links, one link less, other tables."""
    monkeypatch.setattr(oracles, "_landscape", mutant)
    assert caught in failures()


def test_the_checks_do_not_depend_on_processes():
    """Two processes come to the same numbers as one, to the bit."""
    work = oracles._Replicates(0.02, 3, 1), oracles._Replicates(0.02, 3, 2)
    alone, shared = (list(oracles._likeness(runs)) for runs in work)
    assert alone == shared
