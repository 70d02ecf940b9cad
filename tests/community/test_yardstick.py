"""What views say of the yardstick and of the last runs: sentinels, alarms, spend, three splits."""

from __future__ import annotations

from statistics import fmean

import pytest
from archive_script import rows
from evidence_script import commit_of, whole

from community.archive.finals import finals
from community.archive.state import RunState
from community.archive.yardstick import alarms, dev_looks, sentinels, spend_by_purpose


@pytest.fixture(scope="module")
def state() -> RunState:
    """The scripted run, folded."""
    return RunState.from_rows(whole())


def test_a_sentinel_is_told_against_earlier_runs_of_its_tree_and_slot(state: RunState) -> None:
    """Nobody else's runs count, nor the screen that chose the tree; better is positive."""
    shown = sentinels(state)
    references = [
        e.verdict
        for e in state.by_verdict
        if e.queued.purpose in ("baseline", "parent", "sentinel") and e.verdict
    ]
    for one in shown[:8]:  # those before the alarm
        like = [v for v in references if (v.commit, v.slot) == (one.commit, one.slot)]
        before = like[: [v.experiment_id for v in like].index(one.experiment_id)]
        assert (one.residual is None) == (not before)
        if one.residual is not None and one.score is not None:
            is_better = one.score < fmean(v.score for v in before if v.score is not None)
            assert (one.residual > 0) == is_better


def test_the_sums_follow_what_was_better_and_what_was_worse(state: RunState) -> None:
    """Page's sums over the residuals shown, each device class from its last alarm on."""
    shown = sentinels(state)
    (alarm,) = alarms(state)
    up = down = 0.0
    for one in (s for s in shown if s.at_s <= alarm.raised_s):
        if one.residual is not None:
            away = min(4.0, max(-4.0, one.residual))
            up, down = max(0.0, up + away - 0.5), max(0.0, down - away - 0.5)
        assert (one.up, one.down) == pytest.approx((up, down))
    assert down > 5
    assert all(s.down < 5 for s in shown if s.at_s > alarm.raised_s)


def test_runs_from_before_an_alarm_are_no_references_of_later_sentinels(state: RunState) -> None:
    """On the slot that drifted the first sentinels after the alarm are in their band again."""
    (alarm,) = alarms(state)
    late = [s for s in sentinels(state) if alarm.cleared_s and s.at_s > alarm.cleared_s]
    assert late
    assert all(abs(s.residual) < 2 for s in late if s.residual is not None)
    assert min(s.residual or 0 for s in sentinels(state) if s.at_s <= alarm.raised_s) < -2


def test_an_alarm_is_told_with_its_end(state: RunState) -> None:
    """Raised and cleared, or raised and still standing."""
    (alarm,) = alarms(state)
    assert (alarm.alarm_id, alarm.what, alarm.slot) == ("a1", "drift", "cpu1")
    assert alarm.cleared_s is not None
    assert alarm.cleared_s > alarm.raised_s
    (standing,) = alarms(RunState.from_rows(whole(until="alarm")))
    assert standing.cleared_s is None


def test_every_run_is_paid_for_under_one_purpose(state: RunState) -> None:
    """The shares make a whole, and the seconds are those that the run was charged."""
    spend = spend_by_purpose(state)
    assert sum(one.share for one in spend) == pytest.approx(1)
    assert sum(one.runs for one in spend) == len(state.experiments)
    charged = (state.device_seconds, state.baseline_device_seconds, state.final_device_seconds)
    assert sum(one.device_seconds for one in spend) == pytest.approx(sum(charged))
    assert {one.purpose for one in spend} >= {"parent", "sentinel", "seal", "credit"}


def test_looks_are_trees_that_were_screened(state: RunState) -> None:
    """References and sentinels are no looks, invalid screens are."""
    assert dev_looks(state) == len(state.hypotheses)


def test_the_last_runs_stand_beside_the_look_that_chose_them(state: RunState) -> None:
    """Baseline first; each commit's dev is its screen, each gain is over the same split's start."""
    base, *leaders = finals(state)
    assert (base.status, base.hypothesis) == ("baseline", "")
    assert base.dev is not None
    assert (base.dev.runs, base.dev.gain) == (8, 0.0)
    assert [final.commit for final in leaders] == [commit_of(n) for n in ("p22", "p7", "p4")]
    for final in leaders:
        assert final.dev is not None
        assert final.seal is not None
        assert base.seal is not None
        assert (final.dev.runs, final.seal.runs) == (1, 4)
        assert final.seal.gain == pytest.approx(base.seal.mean - final.seal.mean)
        assert final.flattery == pytest.approx((final.dev.gain or 0) - (final.seal.gain or 0))


def test_a_run_without_last_runs_has_none() -> None:
    """Every prefix of a run can be asked."""
    told = rows()
    for end in range(len(told) + 1):
        state = RunState.from_rows(told[:end])
        assert finals(state) == ()
        assert alarms(state) == ()
    assert sentinels(RunState.from_rows(whole(until="calibrated"))) == ()
