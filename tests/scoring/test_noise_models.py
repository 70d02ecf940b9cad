"""What noise models say: facts need no spread, and luck is judged where it is shown again."""

from __future__ import annotations

import math

import pytest

from scoring.evidence.gains import Measured
from scoring.evidence.noise_models import NOISE_MODELS
from scoring.evidence.sequential import LOOKS, judge_pairs, judge_screen, references_wanted
from scoring.evidence.variance import Prior

EXACT, SEEDS = NOISE_MODELS["exact"], NOISE_MODELS["seeds"]
PRIOR = Prior(0.01, 6.0)


@pytest.mark.parametrize(
    ("child", "parent", "status"),
    [
        ([2.600000000001], [2.6], "improved"),
        ([2.5, 2.61], [2.6, 2.4], "improved"),  # the best of each
        ([2.6], [2.6], "not_improved"),
        ([2.6 + 4e-16], [2.6], "not_improved"),  # the floating point's, not the packing's
        ([2.59], [2.4, 2.6], "not_improved"),
    ],
)
def test_a_fact_is_better_by_however_little(child, parent, status) -> None:
    """No spread, no further seed, no width of an interval; the other way round as well."""
    for sign, direction in ((1, "higher"), (-1, "lower")):
        sides = [[sign * x for x in child], [sign * x for x in parent]]
        judged = EXACT.judge_screen(*sides, PRIOR, direction)
        assert (judged.status, judged.is_final) == (status, True)
        assert judged.may_confirm == (status == "improved")
        assert judged.low == judged.gain == judged.high


@pytest.mark.parametrize(
    ("again", "parent", "status"),
    [
        (2.6, 2.5, "reproduced"),
        (2.58, 2.5, "reproduced"),  # within the spread of programs here
        (2.2, 2.5, "undecided"),  # the result stands, the program does not make it again
        (2.6, 2.62, "not_improved"),  # the parent's new run is ahead of all
    ],
)
def test_a_claim_is_reproduced_by_one_more_run_of_each(again, parent, status) -> None:
    """All that both have left decides; the new run has to lie within the spread."""
    judged = EXACT.judge_pairs(
        [again],
        [parent],
        PRIOR,
        "higher",
        alpha=0.01,
        record=([2.61, again], [2.49, parent]),
        pairs_allowed=1,
    )
    assert (judged.status, judged.is_final) == (status, True)


def test_programs_without_a_spread_refute_nobody() -> None:
    """Where the start's runs are all the same, nobody knows how far is far."""
    judged = EXACT.judge_pairs(
        [1.0], [0.5], Prior(0.0, math.inf), "higher",
        alpha=0.01, record=([2.0, 1.0], [0.5]), pairs_allowed=1,
    )  # fmt: skip
    assert judged.status == "reproduced"


def test_gains_of_facts_compare_the_best_wherever_it_was_made() -> None:
    """Slots and device classes do not part them; without a side there is no gain."""
    child = [Measured(2.5, "a", "cpu0"), Measured(2.61, "b", "cpu1")]
    gain = EXACT.gain(child, [Measured(2.6, "c", "cpu7")], PRIOR, "higher")
    assert gain is not None
    assert gain.estimate == pytest.approx(0.01)
    assert 0 < gain.high - gain.low < 1e-7
    assert EXACT.gain(child, [], PRIOR, "higher") is None


def test_draws_are_judged_as_they_always_were() -> None:
    """The model of seeds hands on to the rule."""
    child, parent = [2.9], [3.0, 3.01]
    assert SEEDS.judge_screen(child, parent, PRIOR, "lower") == judge_screen(
        child, parent, PRIOR, "lower"
    )
    pairs = [2.9, 2.91], [3.0, 3.01]
    assert SEEDS.judge_pairs(
        *pairs, PRIOR, "lower", alpha=0.01, record=([1.0], [9.0]), pairs_allowed=8
    ) == judge_pairs(*pairs, PRIOR, "lower", alpha=0.01, pairs_allowed=8)
    assert SEEDS.looks(8) == list(LOOKS)
    assert SEEDS.looks(1) == [LOOKS[0]]
    assert [SEEDS.references(seeds) for seeds in (1, 2, 3)] == [
        references_wanted(seeds) for seeds in (1, 2, 3)
    ]
    assert SEEDS.spent(3, 8) == pytest.approx(0.10)
