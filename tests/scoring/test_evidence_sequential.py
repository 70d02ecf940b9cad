"""The decision rule at its edges: screens, looks, futility, fixed trees, pools."""

import math

import pytest

from scoring.errors import StatisticsError
from scoring.evidence.sequential import (
    ALPHA,
    IMPROVED_T,
    LOOKS,
    LOTTERY_Z,
    REFERENCES,
    SCHEDULE,
    SEEDS,
    STAGES,
    UNDECIDED_T,
    hardly_varies,
    judge_pairs,
    judge_pool,
    judge_screen,
    looks_within,
    quantile,
    references_wanted,
)
from scoring.evidence.variance import Prior

KNOWN = Prior(0.1, math.inf)
"""Sigma is known for certain, so that t is exact."""


def screened(t: float, n_child: int = 1, **fixed: bool):
    """Screen a child whose t against two parents is `t`, lower being better."""
    gain = t * 0.1 * math.sqrt(1 / (1 if fixed else n_child) + 1 / 2)
    spread = [0.0, 0.1, -0.1] if n_child == 3 else [0.1, -0.1] if n_child == 2 else [0.0]
    return judge_screen([3.0 - gain + by for by in spread], [2.9, 3.1], KNOWN, "lower", **fixed)


def test_a_screen_gives_three_words():
    """Turning at 0.5 and 3; only what is improved passes on the first word alone."""
    assert screened(UNDECIDED_T - 0.01).status == "not_improved"
    assert screened(UNDECIDED_T + 0.01).status == "undecided"
    assert screened(IMPROVED_T - 0.01).status == "undecided"
    assert screened(IMPROVED_T + 0.01).status == "improved"
    assert screened(IMPROVED_T + 0.01).may_confirm


def test_a_screen_asks_for_a_seed_while_that_may_help():
    """Each stage drops, asks again or lets the claim be confirmed; the last never asks."""
    for seeds, stage in enumerate(STAGES, start=1):
        sure = screened(stage.confirm_t + 0.01, seeds)
        assert (sure.is_final, sure.may_confirm) == (True, True)
        below = screened(stage.confirm_t - 0.01, seeds)
        assert (below.is_final, below.may_confirm) == (seeds == SEEDS, False)
        dropped = screened(min(stage.again_t, stage.confirm_t) - 0.01, seeds)
        assert not dropped.may_confirm
        assert dropped.is_final == (seeds == SEEDS or stage.again_t < stage.confirm_t)
    assert [references_wanted(n) for n in (0, 1, SEEDS, 9)] == [
        REFERENCES, REFERENCES, STAGES[-1].references, STAGES[-1].references,
    ]  # fmt: skip


def test_few_baseline_runs_make_improved_dear():
    """The same t is worth less while sigma rests on little; what would pass is said."""
    sure = judge_screen([2.6], [3.0, 3.0], KNOWN, "lower")
    unsure = judge_screen([2.6], [3.0, 3.0], Prior(0.1, 2.0), "lower")
    assert (sure.status, unsure.status) == ("improved", "undecided")
    assert unsure.may_confirm
    assert unsure.needed > unsure.gain > sure.needed
    again = judge_screen([3.0 - unsure.needed - 1e-9], [3.0, 3.0], Prior(0.1, 2.0), "lower")
    assert again.status == "improved"


def test_direction_only_turns_the_sign():
    """Higher is better: the same numbers, mirrored."""
    lower = judge_screen([2.8], [3.0, 3.1], KNOWN, "lower")
    higher = judge_screen([-2.8], [-3.0, -3.1], KNOWN, "higher")
    assert lower == higher
    assert judge_pairs([2.8, 2.9], [3.0, 3.1], KNOWN, "lower") == judge_pairs(
        [-2.8, -2.9], [-3.0, -3.1], KNOWN, "higher"
    )


def paired(t: float, pairs: int, alpha: float = ALPHA, **more):
    """Judge pairs whose gains are all alike and whose t is `t`."""
    gain = t * 0.1 * math.sqrt(2 / pairs)
    parent = wavering(3.0, pairs)
    child = [score - gain for score in parent]
    return judge_pairs(child, parent, KNOWN, "lower", alpha=alpha, **more)


def wavering(score: float, runs: int) -> list[float]:
    """Return runs that spread as they should."""
    return [score + (0.1 if run % 2 else -0.1) for run in range(runs)]


@pytest.mark.parametrize("place", range(len(LOOKS)))
def test_each_look_passes_at_its_share_of_alpha(place: int):
    """A hair above the quantile is reproduced, a hair below is not; p turns at alpha."""
    look = SCHEDULE[place]
    bar = quantile(ALPHA * look.share, math.inf)
    above, below = (paired(bar + by, look.pairs) for by in (1e-6, -1e-6))
    # earlier looks see the same mean with fewer pairs and a smaller t, and do not pass
    assert (above.status, above.is_final) == ("reproduced", True)
    assert above.p <= ALPHA < below.p
    assert below.status == "undecided"
    assert above.gain > above.needed > below.gain
    strict = paired(bar + 1e-6, look.pairs, alpha=ALPHA / 10)
    assert strict.status == "undecided"
    assert strict.is_final == (look is SCHEDULE[-1])


def test_futility_ends_a_claim_at_its_look():
    """Below the bound it is not improved and final; between looks nothing is."""
    first = SCHEDULE[0]
    assert paired(first.futility_t - 0.01, first.pairs).status == "not_improved"
    assert paired(first.futility_t - 0.01, first.pairs).is_final
    assert not paired(first.futility_t + 0.01, first.pairs).is_final
    assert not paired(-9.0, first.pairs - 1).is_final
    assert paired(-9.0, first.pairs - 1).needed == math.inf


def test_what_the_last_look_leaves_is_parked_or_refuted():
    """Parked while half a sigma is possible; refuted when the upper bound is below that."""
    low_t = 0.5 * 0.1 / (0.1 * math.sqrt(2 / 8)) - quantile(0.025, math.inf)
    parked, refuted = (last_look(low_t + by) for by in (0.01, -0.01))
    assert (parked.is_final, parked.status) == (True, "undecided")
    assert (refuted.is_final, refuted.status) == (True, "not_improved")


def last_look(t: float):
    """Eight pairs that no earlier look ends, whose t is `t` in the end."""
    early = 0.1 * math.sqrt(2 / 6) * (SCHEDULE[-2].futility_t + 0.01)
    total = 8 * t * 0.1 * math.sqrt(2 / 8)
    gains = [*[early] * 6, *[(total - 6 * early) / 2] * 2]
    parent = wavering(3.0, 8)
    child = [score - gain for score, gain in zip(parent, gains, strict=True)]
    return judge_pairs(child, parent, KNOWN, "lower")


def test_fewer_pairs_spend_the_same_alpha():
    """The last look that is allowed gets what the later ones would have spent."""
    for allowed in range(LOOKS[0], 10):
        looks = looks_within(allowed)
        assert sum(look.share for look in looks) == pytest.approx(1)
        assert looks[-1].pairs <= allowed
    bar = quantile(ALPHA, math.inf)
    assert paired(bar + 1e-6, 2, pairs_allowed=2).status == "reproduced"
    parked = paired(bar - 1e-6, 2, pairs_allowed=2)
    assert (parked.is_final, parked.status) == (True, "undecided")
    with pytest.raises(StatisticsError):
        paired(1.0, 1, pairs_allowed=1)


def test_the_first_deciding_look_stands():
    """Later pairs move gain and interval, for the pool to judge, but neither status nor p."""
    child, parent = wavering(2.0, 2), wavering(3.0, 2)
    passed = judge_pairs(child, parent, KNOWN, "lower")
    later = judge_pairs(child + wavering(4.5, 2), parent + wavering(3.0, 2), KNOWN, "lower")
    assert (passed.status, later.status) == ("reproduced", "reproduced")
    assert (later.p, later.is_final) == (passed.p, True)
    assert later.high < passed.low
    assert judge_pool(later.low, later.high) == "retracted"


def test_a_pool_speaks_when_its_interval_reaches_zero():
    """Contested at a lower bound of 0, retracted when all of it is below."""
    assert judge_pool(0.01, 0.2) is None
    assert judge_pool(0.0, 0.2) == "contested"
    assert judge_pool(-0.2, 0.0) == "contested"
    assert judge_pool(-0.2, -0.01) == "retracted"
    for low, high in ((0.2, 0.1), (math.nan, 1.0)):
        with pytest.raises(StatisticsError):
            judge_pool(low, high)


def test_fixed_trees_count_as_one_run():
    """A tree that ignores its seed faces the lottery's bar, and no further seed is asked of it."""
    fixed = {"is_child_fixed": True}
    assert screened(LOTTERY_Z - 0.01, **fixed).status == "undecided"
    assert screened(LOTTERY_Z - 0.01, **fixed).is_final
    assert not screened(LOTTERY_Z - 0.01, **fixed).may_confirm
    assert screened(LOTTERY_Z + 0.01, **fixed).may_confirm
    child, parent = wavering(2.7, 4), wavering(3.0, 4)
    assert judge_pairs(child, parent, KNOWN, "lower").status == "reproduced"
    assert judge_pairs(child, parent, KNOWN, "lower", is_child_fixed=True).status != "reproduced"
    enough = LOTTERY_Z * 0.1 * math.sqrt(1 + 1 / 2) + 1e-6
    passed = judge_pairs([3.0 - enough] * 2, [3.0] * 2, KNOWN, "lower", is_child_fixed=True)
    assert passed.status == "reproduced"
    one = judge_pairs(child, [3.0] * 4, KNOWN, "lower", is_parent_fixed=True)
    assert one.t == pytest.approx(0.3 / (0.1 * math.sqrt(1 + 1 / 4)))


def test_a_jitter_does_not_hide_a_seed_of_ones_own():
    """Runs that are all but the same count as one, at each look for itself; honest ones do not."""
    parent = wavering(3.0, 8)
    lucky = [2.8 + 1e-4 * run for run in range(8)]
    for runs in (2, 4, 8):
        judged = judge_pairs(lucky[:runs], parent[:runs], KNOWN, "lower")
        same = judge_pairs(lucky[:runs], parent[:runs], KNOWN, "lower", is_child_fixed=True)
        assert judged == same
        assert judged.status != "reproduced"
    assert judge_pairs(wavering(2.8, 8), parent, KNOWN, "lower").status == "reproduced"
    late = judge_pairs([2.5, 2.7, *[2.6] * 6], parent, KNOWN, "lower")
    assert late.status == "reproduced"
    assert not hardly_varies([2.8], KNOWN)
    assert not hardly_varies([2.8, 2.8], Prior(0.0, math.inf))
    assert hardly_varies([2.8, 2.8], Prior(0.1, 3.0))


def test_without_noise_any_gain_counts():
    """Sigma 0: a gain however small passes, none does not."""
    still = Prior(0.0, math.inf)
    assert judge_screen([3.0 - 1e-9], [3.0], still, "lower").status == "improved"
    assert judge_screen([3.0], [3.0], still, "lower").status == "not_improved"
    assert judge_pairs([2.9] * 2, [3.0] * 2, still, "lower").status == "reproduced"
    assert judge_pairs([3.0] * 2, [3.0] * 2, still, "lower").status != "reproduced"


@pytest.mark.parametrize(
    ("child", "parent"),
    [([], [3.0]), ([3.0], []), ([math.nan], [3.0]), ([3.0], [math.inf]), ([1.0, 2.0], [3.0])],
)
def test_what_is_no_pair_or_no_number_is_refused(child, parent):
    """An error, never a verdict."""
    with pytest.raises(StatisticsError):
        judge_pairs(child, parent, KNOWN, "lower")
    if len(child) != 2:
        with pytest.raises(StatisticsError):
            judge_screen(child, parent, KNOWN, "lower")
