"""The one rule by which a number passes, on numbers whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from community.classics.case import (
    Case,
    beyond_errors,
    holm,
    number,
    ordering,
    place,
    share_and_error,
    verdicts,
)
from community.classics.catalogue import CLASSICS, find
from community.classics.replicates import concatenated, stream


def at(errors: float, model: str = "M2", delta: float = 0.0) -> Case:
    """Return a case whose number lies so many standard errors beyond its tolerance."""
    ours = 0.5 + delta + 0.01 * errors
    return number(model, f"{errors}", 0.5, ours, 0.006, source="x", target_se=0.008, delta=delta)


def test_within_three_errors_and_the_tolerance_passes_whatever_else_is_there():
    """A number at 2.9 standard errors passes alone and in company; at 3.1 it fails alone."""
    assert verdicts([at(2.9)]) == [True]
    assert verdicts([at(2.9, delta=0.02)]) == [True]
    assert verdicts([at(3.1)]) == [False]
    assert verdicts([at(3.1, delta=0.02)]) == [False]


def test_what_lies_further_out_is_judged_by_how_many_there_are():
    """3.1 errors are nothing among fifty numbers, six are too many, and models are kept apart."""
    many = [at(0.1)] * 49
    assert verdicts([at(3.1), *many]) == [True] * 50
    assert verdicts([at(6.0), *many]) == [False] + [True] * 49
    assert verdicts([at(3.1, "M3"), *many]) == [False] + [True] * 49


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_the_one_of_statsmodels(seed: int):
    """The step-down procedure rejects what the reference implementation rejects."""
    p = np.random.default_rng(seed).uniform(size=12) ** 6
    assert holm(list(p)) == list(multipletests(p, alpha=0.01, method="holm")[0])


def test_nothing_estimated_fails():
    """A missing estimate is no pass, and neither is an exact number that is not hit."""
    missing = number("M1", "a", 0.5, math.nan, math.nan, source="exact")
    wrong = number("M1", "b", 1.0, 1.0 + 1e-9, 0.0, source="exact")
    right = number("M1", "c", 1.0, 1.0, 0.0, source="exact")
    assert verdicts([missing, wrong, right]) == [False, False, True]


def test_a_bound_forbids_one_side():
    """Above a floor anything goes, below it three errors; a ceiling is the other way about."""
    cases = [
        number("M3", "above", 0.8, 0.95, 0.01, source="exact", side="at least"),
        number("M3", "below", 0.8, 0.70, 0.01, source="exact", side="at least"),
        number("M3", "under", 0.8, 0.70, 0.01, source="exact", side="at most"),
    ]
    assert verdicts(cases) == [True, False, True]


def test_an_ordering_has_to_be_shown():
    """A clear difference is shown; none, or one within its noise, is not."""
    noise = np.random.default_rng(3).normal(size=400)
    noise -= noise.mean()
    shown = [ordering("M2", "a", noise + shift, source="x") for shift in (0.3, 0.05, 0.0, -0.3)]
    assert verdicts(shown) == [True, False, False, False]
    assert [beyond_errors("M4", "z", z, 1.0, 5.0, source="x").p for z in (4.9, 5.1)] != [0, 0]
    both = [beyond_errors("M4", "z", z, 1.0, 5.0, source="x") for z in (4.9, 5.1)]
    assert verdicts(both) == [False, True]


def test_what_is_no_number_shows_nothing():
    """A claim with a missing value among its runs, or without an error, is not shown."""
    broken = np.array([1.0, math.nan, 1.0])
    cases = [
        ordering("M2", "a", broken, source="x"),
        beyond_errors("M4", "z", 1.0, math.nan, 5.0, source="x"),
        place("M8", "p", [0, 1], [broken, np.ones(3)], (0, 1), of="highest", source="x"),
    ]
    assert verdicts(cases) == [False, False, False]


def test_a_peak_is_where_its_resamples_put_it():
    """The highest of three means is found, inside the interval or outside."""
    rng = np.random.default_rng(5)
    runs = [rng.normal(mean, 1.0, size=200) for mean in (0.0, 1.0, 0.2)]
    inside = place("M8", "peak", [0, 0.1, 1], runs, (0.08, 0.2), of="highest", source="x")
    outside = place("M8", "peak", [0, 0.1, 1], runs, (0.5, 1.0), of="highest", source="x")
    lowest = place("M8", "low", [0, 0.1, 1], runs, (0.0, 0.05), of="lowest", source="x")
    assert (inside.ours, verdicts([inside, outside])) == (0.1, [True, False])
    assert lowest.ours == 0


def test_a_share_of_all_or_none_keeps_an_error():
    """A share of 1 over a thousand runs is not known exactly."""
    share, error = share_and_error(1000, 1000)
    assert share == 1
    assert 0.001 < error < 0.003


def test_streams_are_their_names_and_indices():
    """Equal seed, index and name give equal draws; any other gives others."""
    first = stream(1, 2, "a").random(3).tolist()
    assert first == stream(1, 2, "a").random(3).tolist()
    others = [stream(0, 2, "a"), stream(1, 3, "a"), stream(1, 2, "b")]
    assert all(first != other.random(3).tolist() for other in others)


def draws(replicates: range) -> tuple[np.ndarray, np.ndarray]:
    """Return each replicate's index and the first draw of its stream."""
    firsts = [stream(7, i, "draws").random() for i in replicates]
    return np.array(replicates), np.array(firsts)


def test_the_catalogue_knows_models_by_name_and_number():
    """Nine models, each under both names; an unknown one is an error."""
    assert [model for classic in CLASSICS for model in classic.models] == [
        f"M{i}" for i in range(1, 10)
    ]
    assert find("zollman") is find("m3") is find("M3")
    with pytest.raises(KeyError):
        find("nobody")


def test_replicates_are_joined_in_order():
    """One process in one piece gives every replicate once, in order."""
    indices, firsts = concatenated(draws, 10)
    assert indices.tolist() == list(range(10))
    assert firsts.tolist() == draws(range(10))[1].tolist()
