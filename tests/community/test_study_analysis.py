"""What a study says of runs whose truth is known: arms, contrasts, words, nulls and effects."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from study_script import GAINS, TEXT, made_up, pretend

from community.study.analysis import analyse
from community.study.curves import within
from community.study.design import Design
from community.study.findings import Analysis, Contrast
from community.study.outcomes import Results
from community.study.records import RunRecord, RunSpec
from community.study.statistics import Estimate
from community.study.wording import (
    contrast_sentence,
    interval,
    null_lines,
    number,
    probability,
    summary_lines,
    verdict_word,
)


def runs_of(design: Design) -> list[RunRecord]:
    """Return the made-up runs of a design."""
    return [
        pretend(RunSpec(job.arm, design.arms[job.arm].label, job.replicate, job.seed, "c0de"))
        for job in design.jobs()
    ]


@pytest.fixture(scope="module")
def found() -> Analysis:
    """Give the analysis of the made-up study."""
    design = made_up()
    return analyse(design, runs_of(design))


def contrast(found: Analysis, first: str, second: str, stratum: str = "reviews on") -> Contrast:
    """Return one contrast."""
    (one,) = [
        c for c in found.contrasts if (c.first, c.second, c.stratum) == (first, second, stratum)
    ]
    return one


def test_the_gaps_that_were_put_in_are_found(found: Analysis):
    """Shares of an optimum of 1.4: ring gains .05, complete .04; the lone agent loses."""
    for first, second in (("ring", "isolated"), ("complete", "isolated")):
        gap = contrast(found, first, second).gap
        true = (GAINS[first] - GAINS[second]) / 1.4
        assert gap.difference.low < true < gap.difference.high
        assert gap.wins == 12
    assert contrast(found, "ring", "lone").gap.difference.low > 0
    assert found.outcome == "share of the optimum"


def test_pairing_takes_out_what_landscapes_differ_by(found: Analysis):
    """Arms differ by .1 between landscapes, pairs by a tenth of that."""
    arm = found.strata[0].arms[0]
    gap = contrast(found, "ring", "isolated").gap
    assert gap.sd < 0.3 * arm.final.half
    assert gap.correlation > 0.95


def test_levels_and_controls_are_two_families_over_the_whole_study(found: Analysis):
    """Three pairs of levels in two strata; three levels against two controls in each."""
    sizes = {c.family: c.family_size for c in found.contrasts}
    assert sizes == {"levels": 6, "controls": 12}
    for one in found.contrasts:
        assert one.p_holm >= one.gap.p


def test_the_faster_graph_is_overtaken(found: Analysis):
    """Complete is ahead early and ring at the end: the crossing is told with its interval."""
    one = contrast(found, "complete", "ring")
    assert one.crossing is not None
    assert not one.crossing.is_seen
    design = made_up(TEXT.replace('"ring", "complete"', '"complete", "ring"'))
    other = analyse(design, runs_of(design))
    seen = contrast(other, "ring", "complete").crossing
    assert seen is not None
    assert 8 < seen.low <= seen.time <= seen.high
    assert "overtakes at" in contrast_sentence(contrast(other, "ring", "complete"), None)


def test_a_control_that_is_a_level_is_not_compared_twice():
    """With the level isolated in the study, the control isolated adds no arm and no contrast."""
    design = made_up(TEXT.replace('["lone", "random"]', '["isolated", "lone"]'))
    found = analyse(design, runs_of(design))
    pairs = [(c.first, c.second) for c in found.contrasts if c.stratum == "reviews on"]
    assert len(pairs) == len(set(map(frozenset, pairs)))
    assert ("isolated", "isolated") not in pairs
    assert [arm.label for arm in found.strata[0].arms] == ["isolated", "ring", "complete", "lone"]


def test_against_the_reference_alone_unless_all_pairs_are_asked_for():
    """`contrasts` and `reference` say which."""
    text = TEXT.replace('contrasts = "all"', 'reference = "ring"')
    design = made_up(text)
    found = analyse(design, runs_of(design))
    levels = [(c.first, c.second) for c in found.contrasts if c.family == "levels"]
    assert set(levels) == {("isolated", "ring"), ("complete", "ring")}


def test_main_effects_average_over_the_other_factor(found: Analysis):
    """Reviews do nothing in this study, the graph does; each over all cells of the other."""
    effects = {(e.factor, e.first): e for e in found.effects}
    assert set(effects) == {("topology", "ring"), ("topology", "complete"), ("reviews", "off")}
    assert effects["topology", "ring"].gap.difference.low > 0
    assert effects["reviews", "off"].p_holm > 0.05


def test_the_order_of_records_changes_nothing():
    """Records shuffled: the same analysis, number by number."""
    design = made_up(TEXT.replace("replicates = 12", "replicates = 3"))
    records = runs_of(design)
    one, other = analyse(design, records), analyse(design, records[::-1])
    assert [c.gap for c in one.contrasts] == [c.gap for c in other.contrasts]


def test_a_part_of_a_study_is_analysed_on_the_landscapes_that_all_arms_have():
    """A run that is missing takes its landscape out of every comparison of its stratum."""
    design = made_up(TEXT.replace("replicates = 12", "replicates = 4"))
    records = [r for r in runs_of(design) if (r.label, r.replicate) != ("ring, reviews on", 2)]
    found = analyse(design, records)
    assert [stratum.landscapes for stratum in found.strata] == [3, 4]


def test_lower_scores_are_gains_over_the_baseline_where_no_optimum_is_known():
    """A loss that falls by .1 is a gain of .1."""
    design = made_up(TEXT.replace("replicates = 12", "replicates = 2"))
    turned = []
    for record in runs_of(design):
        down = tuple(-value for value in record.trace.found)
        trace = dataclasses.replace(record.trace, confirmed=down, found=down, told=down)
        turned.append(dataclasses.replace(record, direction="lower", best=None, trace=trace))
    results = Results(design, turned)
    arm = next(iter(design.arms))
    ends = [record.trace for record in turned if record.arm == arm]
    expected = [trace.confirmed[0] - trace.confirmed[-1] for trace in ends]
    assert results.finals(arm, [0, 1]) == pytest.approx(expected)
    assert results.outcome == "gain over the baseline (of the optimum)"


def test_bands_within_landscapes_keep_means_and_leave_common_spread_out():
    """Two arms that differ by the same on every landscape have no width at all."""
    chance = np.random.default_rng(1)
    one = chance.normal(size=(20, 3))
    left, right = within([one, one + 0.5])
    assert left.mean(axis=0) == pytest.approx(one.mean(axis=0))
    assert right.mean(axis=0) == pytest.approx(one.mean(axis=0) + 0.5)
    assert np.ptp(left, axis=0) == pytest.approx(0)
    (alone,) = within([one])
    assert alone == pytest.approx(one)


def test_an_effect_and_a_null_are_told_in_the_same_plain_words(found: Analysis):
    """Size, interval, how sure, wins and ties, and what could have been found."""
    shown = contrast_sentence(contrast(found, "ring", "isolated"), None)
    assert shown.startswith("ring is better than isolated: +0.0")
    for words in ("Holm-adjusted p", "better on 12 of 12 landscapes, tied on 0", "true gaps of"):
        assert words in shown
    quiet = next(c for c in found.contrasts if not c.is_shown)
    told = contrast_sentence(quiet, None)
    assert "no difference is shown" in told
    assert "lie outside the interval" in told
    assert "true gaps of" in told
    nulls = Counter(c.stratum for c in found.contrasts if not c.is_shown)
    lines = null_lines(found, None)
    assert len(lines) == len(nulls)
    for line, count in zip(lines, nulls.values(), strict=True):
        assert f"nothing is shown in {count} of the 9 contrasts" in line


def test_a_margin_turns_a_narrow_null_into_one_that_does_not_matter(found: Analysis):
    """The whole interval has to lie within it; the summary counts it apart."""
    quiet = next(c for c in found.contrasts if not c.is_shown)
    bound = max(abs(quiet.gap.difference.low), abs(quiet.gap.difference.high))
    assert verdict_word(quiet, bound * 1.01) == "negligible"
    assert verdict_word(quiet, bound * 0.99) == "not shown"
    assert "no difference that matters" in contrast_sentence(quiet, bound * 1.01)
    assert "negligible" in summary_lines(found, bound * 1.01)[0]
    assert "not shown" in summary_lines(found, None)[0]


def test_numbers_have_the_digits_that_their_interval_is_worth():
    """Two of the half-width's; minus signs are minus signs; p-values have no leading zero."""
    assert interval(Estimate(0.031449, 0.0121, 0.0502, 60, "bootstrap"), is_signed=True) == (
        "+0.031 (+0.012 to +0.050)"
    )
    assert "on every landscape" in interval(Estimate(1.0, 1.0, 1.0, 60, "exact"))
    assert number(-1234.5, scale=20, is_signed=True) == "−1234"
    assert number(float("inf"), scale=1) == "∞"
    assert probability(0.0123) == "p = .012"
    assert probability(0.00001) == "p < .0001"
    assert probability(1.0) == "p = 1.00"


@pytest.mark.parametrize(
    ("budget", "spent", "half"),
    [("device_seconds = 6000", "device_seconds", 20), ("wall_s = 1000", "run_s", 20),
     ("usd = 0.2", "usd", 20), ("experiments = 20", "experiments", 20)],
)  # fmt: skip
def test_what_was_measured_beyond_the_budget_counts_in_no_number(
    budget: str, spent: str, half: int
):
    """Runs under way when it is spent still end: ends, curves and tallies stop at the budget."""
    design = made_up(TEXT.replace("experiments = 40", budget))
    records = [
        dataclasses.replace(
            run, trace=dataclasses.replace(run.trace, usd=tuple(e / 100 for e in range(0, 41, 4)))
        )
        for run in runs_of(design)
    ]
    found, results = analyse(design, records), Results(design, records)
    assert found.axis == spent
    assert found.strata[0].grid[-1] == pytest.approx(getattr(records[0].trace, spent)[5])
    arm = next(iter(design.arms))
    own = [run for run in records if run.arm == arm]
    expected = [run.trace.found[run.trace.experiments.index(half)] / 1.4 for run in own]
    assert results.finals(arm, range(12)).tolist() == pytest.approx(expected)
    assert found.strata[0].arms[0].curve.mean[-1] == pytest.approx(np.mean(expected))


def test_a_budget_that_is_a_factor_ends_each_arm_where_it_ends():
    """Twenty experiments against forty: the curve goes on to the larger, the smaller stops."""
    text = TEXT.replace("reviews = [true, false]", "budget = [20, 40]")
    design = made_up(text.replace('["isolated", "ring", "complete"]', '["ring"]'))
    records = runs_of(design)
    results = Results(design, records)
    small, large = (cell.arm for cell in design.cells)
    assert (results.limit(small), results.limit(large)) == (20, 40)
    run = next(r for r in records if (r.arm, r.replicate) == (small, 0))
    assert results.finals(small, [0])[0] == run.trace.found[5] / 1.4
    assert {s.grid[-1] for s in analyse(design, records).strata} == {20, 40}


def test_a_few_landscapes_that_all_say_the_same_are_called_neither_negligible_nor_sure():
    """Two landscapes, both tied: no interval, so nothing is ruled out and no gap is promised."""
    design = made_up(TEXT.replace("replicates = 12", "replicates = 2"))
    flat = [
        dataclasses.replace(run, trace=dataclasses.replace(run.trace, confirmed=(1.0,) * 11))
        for run in runs_of(design)
    ]
    found = analyse(design, flat)
    one = contrast(found, "ring", "isolated")
    assert verdict_word(one, 0.01) == "not shown"
    said = contrast_sentence(one, 0.01)
    assert "no difference is shown: 0 (on every landscape)" in said
    assert "do not tell which gaps they would find" in said
    assert "lie outside" not in said
    assert all("rule nothing out" in line for line in null_lines(found, 0.01))
    many = dataclasses.replace(one.gap, difference=dataclasses.replace(one.gap.difference, n=60))
    assert verdict_word(dataclasses.replace(one, gap=many), 0.01) == "negligible"
