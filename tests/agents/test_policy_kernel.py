"""What minds keep from turn to turn changes no answer: sums over pairs of settings, told trials."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from made_observations import WORLD, measured, observation
from modelled_lab import ModelLab

from agents.minds.catalogue import make_mind
from agents.minds.policy.kernel import MOST_KEPT, Rows, Squares
from agents.minds.policy.view import view_of


def drawn(count: int, seed: int, *, options: int = 3, numbers: int = 9) -> Rows:
    """Return settings of numbers in tenths, so that values come again, and of three options."""
    rng = np.random.default_rng(seed)
    return Rows(rng.integers(0, 11, (count, numbers)) / 10, rng.integers(0, 3, (count, options)))


def plain(one: Rows, other: Rows, length: float) -> np.ndarray:
    """Return the same covariances, pair by pair and knob by knob."""
    found = np.zeros((len(one.all), len(other.all)))
    for i, mine in enumerate(one.all):
        for j, theirs in enumerate(other.all):
            near = np.where(one.is_option, 0.25 * (mine != theirs), (mine - theirs) ** 2)
            found[i, j] = np.exp(-near / (2 * length**2)).sum()
            found[i, j] += np.exp(-near.sum() / (2 * (2 * length) ** 2))
    return found


@pytest.mark.parametrize(("many", "more"), [(1, 5), (3, 40), (60, 50)])
@pytest.mark.parametrize("numbers", [0, 9])
def test_covariances_are_those_of_the_formula(many, more, numbers):
    """Whatever is looked up, whether or not all knobs are bits, and for one setting alone."""
    one, other = drawn(many, 1, numbers=numbers), drawn(more, 2, numbers=numbers)
    bits = (
        Rows(one.numbers.round(), one.options.clip(0, 1)),
        Rows(other.numbers.round(), other.options.clip(0, 1)),
    )
    for first, second in ((one, other), bits, (one, bits[1])):
        found = Squares.between(first, second).shape(0.35)
        assert found == pytest.approx(plain(first, second, 0.35), abs=1e-9)


def test_what_is_kept_is_to_the_digit_what_is_computed_anew():
    """Also as settings are added, in another order, and after there were too many to keep."""
    rows = drawn(90, 3)
    for count in (40, 41, 90, 60):
        some = Rows(rows.numbers[:count][::-1], rows.options[:count][::-1])
        for length in (0.35, 0.7):
            kept = Squares.between(some, some, is_kept=True).shape(length)
            assert np.array_equal(kept, Squares.between(some, some).shape(length))
        crowd = drawn(MOST_KEPT // 2, count)
        Squares.between(crowd, crowd, is_kept=True).shape(0.35)


def test_a_tpe_that_was_told_before_asks_as_one_that_is_told_all_at_once():
    """Nothing of earlier turns shows: not what it asked for then, nor a cost that has changed."""

    async def asked(mind, seen):
        (run,) = await mind.decide(seen, ModelLab(WORLD, "ada"))
        return run.knobs

    rng, known, old = Random(4), [], make_mind("policy:tpe")
    for turn in range(16):
        score = None if turn == 7 else rng.uniform(2.8, 3.3)
        known.append(measured(f"t{turn}", {"DIM": 40 + 9 * turn}, score, author="ada"))
        if turn == 12:
            known[3] = replace(known[3], score=2.5)
        seen = observation(*known, seed=turn)
        told, anew = (
            asyncio.run(asked(old, seen)),
            asyncio.run(asked(make_mind("policy:tpe"), seen)),
        )
        assert told == anew
    assert len(view_of(seen).points) == 17
