"""Credit: every part of a gain has one owner or none, and tricks do not make it more."""

from __future__ import annotations

import math
import random

import pytest

from scoring.evidence.credit import (
    Credits,
    Holding,
    Move,
    Part,
    leave_one_out,
    path_credit,
    quiet,
    shared_out,
    shown,
)
from scoring.evidence.effects import Effect, combine
from scoring.evidence.variance import Spread

SPREAD = Spread(0.1, 20.0)


def holding(commit: str, hunks: str) -> Holding:
    """Return a commit; its author is its first letter, each letter of `hunks` is a change."""
    return Holding(commit, commit[0], frozenset(hunks))


def by_author(credits_: Credits) -> dict[str, float]:
    """Add up credit by author."""
    found: dict[str, float] = {}
    for commit, credit in credits_.by_commit.items():
        found[commit[0]] = found.get(commit[0], 0.0) + credit
    return found


def test_each_move_goes_to_who_held_first_what_was_new_in_it():
    """A merge's hunks go to those who made them; the merger has what he added himself."""
    holdings = [holding("a1", "x"), holding("b1", "y"), holding("m1", "xy"), holding("m2", "xyz")]
    moves = [Move("a1", 3.0, {}), Move("m1", 5.0, {}), Move("m2", 5.5, {})]
    found = path_credit(moves, holdings)
    assert by_author(found) == pytest.approx({"a": 3.0, "b": 2.0, "m": 0.5})
    assert (found.total, found.unattributed) == (5.5, pytest.approx(0.0))


def test_who_names_first_what_others_make_work_has_what_he_showed():
    """A cap holds over all moves of others together, and not of a move of one's own."""
    holdings = [holding("s1", "xyz"), holding("a1", "x"), holding("b1", "xy"), holding("b2", "xyz")]
    moves = [Move("a1", 3.0, {}), Move("b1", 5.0, {}), Move("b2", 6.0, {})]
    found = path_credit(moves, holdings, {"s1": 0.5})
    assert by_author(found) == pytest.approx({"s": 0.5, "a": 2.5, "b": 3.0})
    led = path_credit([Move("s1", 1.0, {}), *moves[1:]], holdings, {"s1": 0.0})
    assert by_author(led)["s"] == pytest.approx(1.0)


def test_cutting_one_change_into_many_claims_earns_no_more():
    """Ten moves of one author's or one: the sum is the same, also beside somebody else's change."""
    hunks = "abcdefghij"
    whole = path_credit([Move("b1", 4.0, {})], [holding("a1", "x"), holding("b1", hunks + "x")])
    slices = [holding(f"b{n}", hunks[: n + 1]) for n in range(len(hunks))]
    last = holding("b-all", hunks + "x")
    cut = path_credit([Move("b-all", 4.0, {})], [holding("a1", "x"), *slices, last])
    assert by_author(cut) == pytest.approx(by_author(whole))
    steps = [Move(one.commit, (n + 1) * 0.4, {}) for n, one in enumerate(slices)]
    assert path_credit(steps, slices).total == pytest.approx(4.0)


def test_what_a_copy_may_not_claim_goes_to_whom_it_was_copied_from():
    """Junk beside a copied change takes nothing from it; what nobody may claim is nobody's."""
    holdings = [holding("a1", "x"), holding("p1", "xjunk")]
    found = path_credit([Move("p1", 5.0, {"p1": 0.0})], holdings)
    assert by_author(found) == {"a": 5.0, "p": 0.0}
    both = path_credit([Move("p1", 5.0, {"p1": 0.0, "a1": 4.0})], holdings)
    assert (both.by_commit["a1"], both.unattributed) == (4.0, 1.0)


def test_what_a_former_leader_seems_to_be_worth_beyond_the_next_was_chance():
    """It counts for no more than those that took its place; the sum is the gain of who leads."""
    holdings = [holding("a1", "x"), holding("b1", "xy"), holding("c1", "xyz")]
    found = path_credit([Move("a1", 3.0, {}), Move("b1", 2.5, {}), Move("c1", 4.0, {})], holdings)
    assert (found.total, by_author(found)) == (4.0, pytest.approx({"a": 2.5, "b": 0.0, "c": 1.5}))
    nothing = path_credit([Move("a1", -1.0, {})], holdings)
    assert (nothing.total, by_author(nothing), nothing.unattributed) == (0.0, {"a": 0.0}, 0.0)


def test_who_only_takes_a_change_back_is_credited_once():
    """Nothing is new in such a tree; the first commit recorded with these hunks has the gain."""
    holdings = [holding("a1", "xy"), holding("b1", "x"), holding("c1", "x")]
    found = path_credit([Move("a1", 1.0, {}), Move("c1", 3.0, {})], holdings)
    assert by_author(found) == {"a": 1.0, "b": 2.0, "c": 0.0}


def test_the_sum_is_the_gain_whatever_happens():
    """Of a thousand made-up runs; nobody's credit is negative."""
    chance = random.Random(5)
    for _ in range(1_000):
        holdings = [
            holding(f"{chance.choice('abcd')}{n}", "".join(chance.sample("pqrstuv", 3)))
            for n in range(8)
        ]
        moves = [
            Move(h.commit, chance.gauss(1, 2), {x.commit: chance.random() for x in holdings})
            for h in chance.sample(holdings, 5)
        ]
        found = path_credit(moves, holdings)
        assert all(credit >= 0 for credit in found.by_commit.values())
        assert found.unattributed >= -1e-9
        assert math.fsum([*found.by_commit.values(), found.unattributed]) == pytest.approx(
            found.total
        )
        assert found.total == pytest.approx(max(0.0, moves[-1].gain))


def test_who_shows_what_another_held_has_what_the_other_may_not_claim():
    """Up to his own limit; several changes of one author open the same gain to him, not more."""
    holdings = [
        holding("a1", "x"),
        holding("b1", "xy"),
        holding("b2", "xyz"),
        holding("c1", "xyzw"),
    ]
    limits = {"a1": 1.0, "b1": 1.0, "b2": 1.0, "c1": 2.5}
    found = path_credit([Move("c1", 6.0, limits)], holdings)
    assert by_author(found) == pytest.approx({"a": 1.0, "b": 1.0, "c": 2.5})
    assert found.unattributed == pytest.approx(1.5)
    own = path_credit([Move("b2", 6.0, {"a1": 1.0, "b2": 0.5})], holdings)
    assert by_author(own) == pytest.approx({"a": 1.0, "b": 0.5})


def test_what_is_shown_is_the_lower_end_of_99_percent():
    """The estimate less t(0.995, 20) sqrt(v), and never below 0."""
    gain = combine([Effect("cpu", 1.0, 0.01, 20.0)])
    assert shown(gain) == pytest.approx(1 - 2.845340 * 0.1)
    assert shown(combine([Effect("cpu", 0.2, 0.01, 20.0)])) == 0.0


def test_shares_are_filled_up_to_limits():
    """In proportion, the remainder to those below their limit, what is left to nobody."""
    assert shared_out(6.0, {"a": 1.0, "b": 2.0}, {}) == pytest.approx({"a": 2.0, "b": 4.0})
    assert shared_out(6.0, {"a": 1.0, "b": 2.0}, {"b": 1.0}) == pytest.approx({"a": 5.0, "b": 1.0})
    assert shared_out(6.0, {"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 1.0}) == {"a": 1.0, "b": 1.0}
    assert shared_out(6.0, {"a": 1.0}, {"a": 0.0}) == {"a": 0.0}


def test_leave_one_out_is_shared_by_what_each_part_costs():
    """Three to one, of the gain's lower bound; what is within noise has nothing."""
    parts = [Part((0.3,) * 4, 9.0), Part((0.1, 0.2) * 2, 0.0), Part((0.01, -0.02) * 2, 0.0)]
    assert quiet(parts, SPREAD) == [2]
    assert leave_one_out(parts, (), 0.6, SPREAD) == pytest.approx((0.4, 0.2, 0.0))


def test_two_changes_of_which_either_does_have_equal_shares():
    """Neither is missed alone, both are together; without that measurement neither has any."""
    parts = [Part((0.6,) * 4, 0.0), Part((0.01,) * 4, 0.0), Part((-0.02,) * 4, 0.0)]
    assert leave_one_out(parts, (0.4,) * 4, 1.0, SPREAD) == pytest.approx((0.6, 0.2, 0.2))
    assert leave_one_out(parts, (0.05,) * 4, 1.0, SPREAD) == pytest.approx((1.0, 0.0, 0.0))
    assert leave_one_out(parts, (), 1.0, SPREAD) == pytest.approx((1.0, 0.0, 0.0))


def test_leave_one_out_keeps_to_limits_and_to_what_is_known():
    """A part that cannot be measured counts by its path; nothing shown is nobody's."""
    parts = [Part((0.5,) * 4, 0.0, 0.1), Part((), 0.5)]
    assert leave_one_out(parts, (), 2.0, SPREAD) == pytest.approx((0.1, 1.0))
    assert leave_one_out([Part((0.0,) * 4, 1.0)] * 2, (), 2.0, SPREAD) == (0.0, 0.0)
    assert leave_one_out(parts, (), -1.0, SPREAD) == (0.0, 0.0)
