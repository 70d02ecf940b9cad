"""Curves and numbers of a run against a story that is short enough to count by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from archive_script import S, opened, rows, story
from evidence_script import PEOPLE, Script

from community.archive.state import RunState
from community.events import NoiseEstimated
from community.study.records import Trace
from community.study.telemetry import telemetry_of
from community.study.trace import trace_of

TRUE = {"t-base": 3.1, "t-child": 2.7, "t-other": 2.6, "t-crash": None}


@pytest.fixture(scope="module")
def state() -> RunState:
    """Give the story: p1 reproduced at 50 s, p2 better than anybody knows, p3 crashed."""
    return RunState.from_rows(rows())


def searched() -> Script:
    """Return a run of four researchers: two lineages, one built upon by others."""
    script = Script()
    script.tell(opened(direction="lower", seed=4))
    for _ in range(2):
        script.run("baseline", "", "dev", "cpu0")
    script.tell(NoiseEstimated("cpu", 3.3, 0.03, (3.27, 3.33)))
    ada, ben, cyd, _ = PEOPLE
    for name, author, parent, gain in (
        ("h1", ada, "", 0.3), ("h2", ben, "h1", -0.1), ("h3", cyd, "", 0.1),
        ("h4", cyd, "h1", 0.2), ("h5", ada, "h1", 0.1),
    ):  # fmt: skip
        script.propose(name, author, parent, gain)
        script.screen(name, author, "improved" if name != "h5" else "not_improved", parent)
        if name == "h1":
            script.confirm("h1", ben, "reproduced", 2)
    return script


def test_the_curves_follow_the_leader_the_best_run_and_the_record(state: RunState):
    """Calibration ends at 20 s; p1 is run by 30, leads from 50 as 2.7; p2 is run by 70."""
    trace = trace_of(state, TRUE)
    assert trace == Trace(
        experiments=(0, 1, 3, 4, 5),
        device_seconds=(0.0, 8.0, 24.0, pytest.approx(42.0), pytest.approx(50.0)),
        run_s=(0.0, 10.0, 30.0, 50.0, 70.0),
        confirmed=(3.1, 3.1, 2.7, 2.7, 2.7),
        found=(3.1, 2.7, 2.7, 2.6, 2.6),
        told=(3.1, 3.1, 2.7, 2.7, 2.7),
    )


def test_a_curve_is_read_off_as_a_staircase(state: RunState):
    """Between two points the earlier one holds, before the first the baseline."""
    trace = trace_of(state, TRUE)
    assert trace.on("experiments", "found", [0, 1, 2, 4, 400]).tolist() == [3.1, 2.7, 2.7, 2.6, 2.6]
    assert trace.on("run_s", "confirmed", [29.9, 30.0]).tolist() == [3.1, 2.7]


def test_a_real_run_is_followed_by_what_was_told(state: RunState):
    """Without truths: the gain on vault, 3.3 - 2.7, below the calibrated mean on dev."""
    trace = trace_of(state, {})
    assert trace.told == trace.confirmed == trace.found
    assert trace.told[0] == 3.1
    assert trace.told[-1] == pytest.approx(3.1 - (3.3 - 2.7))


def test_a_run_without_calibration_has_no_curve():
    """Nothing is made up in its place."""
    bare = RunState.from_rows(rows([(0, opened())]))
    with pytest.raises(ValueError, match="calibrated"):
        trace_of(bare, {})
    with pytest.raises(ValueError, match="calibrated"):
        telemetry_of(bare, {})


def test_the_storys_numbers_are_those_that_one_counts(state: RunState):
    """Five experiments of which one crashed; three trees, three lineages, nobody built on any."""
    found = telemetry_of(state, TRUE)
    assert (found.experiments, found.valid, found.hypotheses, found.trees) == (5, 4, 3, 3)
    assert found.device_seconds == state.device_seconds
    assert found.run_s == 70.0
    assert found.duplicate_rate == 0
    assert found.lineage_entropy_bits == pytest.approx(math.log2(3))
    assert found.lineages == pytest.approx(3)
    assert found.herding is None
    assert (found.improved, found.false_improved) == (1, 0)
    assert (found.reproduced, found.false_reproduced) == (1, 0)
    assert (found.adopted, found.spread_s) == (0, None)
    assert found.gain == pytest.approx(0.4)
    assert found.spend_per_gain == pytest.approx(found.device_seconds / 0.4)


def test_a_claim_that_truly_gains_nothing_is_a_false_one(state: RunState):
    """The same ledger under another truth; under none, nobody can say."""
    assert telemetry_of(state, {**TRUE, "t-child": 3.1}).false_reproduced == 1
    assert telemetry_of(state, {}).false_reproduced is None
    assert telemetry_of(state, {}).gain == pytest.approx(3.3 - 2.7)


def test_a_tree_that_was_run_before_is_a_duplicate():
    """p2 proposed p1's tree again: one of three."""
    changed = []
    for at, event in story():
        fields = getattr(event, "tree_key", "")
        changed.append((at, replace(event, tree_key="t-child") if fields == "t-other" else event))
    found = telemetry_of(RunState.from_rows(rows(changed)), TRUE)
    assert found.duplicate_rate == pytest.approx(1 / 3)
    assert found.trees == 2


def test_slots_are_used_for_as_long_as_they_are_leased(state: RunState):
    """Two slots for 70 s: three runs of 10 s, one of 7 lost and 10, one of 10."""
    assert telemetry_of(state, TRUE).utilisation == pytest.approx(57 / 140)


def test_experiments_are_held_against_what_the_slots_had_room_for(state: RunState):
    """Two slots for 70 s and valid runs of 8 s: room for 17.5; five were submitted, four valid."""
    found = telemetry_of(state, TRUE)
    assert found.submitted_share == pytest.approx(5 / 17.5)
    assert found.valid_share == pytest.approx(4 / 17.5)


def test_lineages_herding_and_spread_of_a_run_in_which_people_build_on_one_another():
    """h2, h4 and h5 build on h1: two lineages, of four and of one; two of three others adopt h1."""
    script = searched()
    state = RunState.from_rows(script.events)
    found = telemetry_of(
        state, {f"t-{name or 'base'}": 3.3 - gain for name, gain in script.gains.items()}
    )
    assert found.lineage_entropy_bits == pytest.approx(-0.8 * math.log2(0.8) - 0.2 * math.log2(0.2))
    assert found.herding == 1.0  # ben, cyd, ada in turn, each on what the others built on
    # of the screens called improved h2 is truly worse than its parent
    assert found.false_improved == pytest.approx(1 / 4)
    # h1 by ben and cyd; h2 and h3 by nobody; after h4 nobody had the time to
    assert found.adopted == pytest.approx(2 / 6)
    # when cyd did, of those who were watched for so long half had
    waited_us = state.hypotheses["h4"].posted_us - state.hypotheses["h1"].changes[0][0]
    assert found.spread_s == waited_us / S


def test_what_half_of_the_others_build_on_has_a_time():
    """With h1 alone an improvement, both others adopt it: the median is the later one's wait."""
    script = searched()
    kept = [
        replace(row, event=replace(row.event, status="undecided"))
        if getattr(row.event, "status", "") == "improved" and row.event.hypothesis != "h1"
        else row
        for row in script.events
    ]
    state = RunState.from_rows(kept)
    found = telemetry_of(state, {})
    first = state.hypotheses["h1"].changes[0][0]
    assert found.adopted == 1.0
    assert found.spread_s == (state.hypotheses["h2"].posted_us - first) / S
