"""The fold of a ledger into a run's state."""

from __future__ import annotations

import dataclasses

import pytest
from archive_script import BASE, CHILD, OTHER, S, queued, rows, run_whole, story, verdict

from community import events as ev
from community.archive.progress import progress_points
from community.archive.queries import pool_use
from community.archive.state import RunState
from community.errors import LedgerInconsistentError


@pytest.fixture
def state() -> RunState:
    """The scripted run, folded."""
    return RunState.from_rows(rows())


def test_fold_counts_experiments_without_the_baseline(state: RunState) -> None:
    """Five experiments were admitted and done; two baseline runs are not among them."""
    assert state.experiments_admitted == 5
    assert state.experiments_done == 5
    assert list(state.experiments)[:3] == ["b0001", "b0002", "e0001"]
    assert state.measurements["t-base"] == 3
    assert state.pending() == []


def test_fold_follows_a_hypothesis_up_the_ladder(state: RunState) -> None:
    """p1 was improved by its proposer's screen, then reproduced by ben."""
    claim = state.hypotheses["p1"]
    assert (claim.status, claim.gain, claim.reproduced_by) == ("reproduced", 0.6, "ben")
    assert [change.status for _, change in claim.changes] == ["improved", "reproduced"]
    assert [change.by for change in claim.confirmations] == ["ben"]
    assert claim.reproduction_by is None
    assert claim.screened_gain == 0.5
    assert claim.experiments == ["e0001", "e0002", "e0003"]
    assert claim.tree_key == "t-child"
    assert claim.parents == (BASE,)
    assert claim.prediction == (0.4, 0.8)
    assert state.frontier[-1][1].commit == CHILD


def test_fold_charges_a_lost_attempt_once(state: RunState) -> None:
    """What died with its process costs its whole budget; its experiment still counts once."""
    experiment = state.experiments["e0004"]
    first, second = experiment.attempts
    assert (first.is_lost, first.ended, first.ended_us) == (True, None, 57 * S)
    assert not second.is_lost
    assert state.lost_attempts == 1
    assert state.spend["ben"].experiments == 3
    assert state.spend["ben"].lost_s == 10.0
    assert state.spend["ben"].train_cpu_s == 24.0
    assert state.device_seconds == 10.0 + 5 * 8.0
    assert state.baseline_device_seconds == 16.0


def test_a_charge_counts_and_an_older_ledger_without_one_counts_cpu() -> None:
    """Whole run, spend and agent count the charge; where no charge was written, the CPU time."""
    told = rows()
    state = RunState.from_rows(told)
    charged = RunState.from_rows(
        dataclasses.replace(
            row, event=dataclasses.replace(row.event, charge_s=row.event.train_cpu_s + 1.5)
        )
        if isinstance(row.event, ev.AttemptEnded)
        else row
        for row in told
    )
    ends = [a for e in state.experiments.values() for a in e.attempts if a.ended is not None]
    assert len(ends) == 7
    assert state.spend["ben"].device_seconds == 24.0 + 10.0
    assert charged.spend["ben"].device_seconds == 24.0 + 10.0 + 3 * 1.5
    assert charged.device_seconds - state.device_seconds == 5 * 1.5
    assert charged.baseline_device_seconds - state.baseline_device_seconds == 2 * 1.5
    assert charged.spend["ben"].train_cpu_s == state.spend["ben"].train_cpu_s


def test_fold_of_a_killed_run_has_running_attempts_until_it_resumes() -> None:
    """Before RunResumed the attempt is running; after it the experiment waits for attempt 2."""
    told = rows()
    cut = next(i for i, row in enumerate(told) if isinstance(row.event, ev.RunResumed))
    state = RunState.from_rows(told[:cut])
    assert [e.queued.experiment_id for e in state.running()] == ["e0004"]
    state.apply(told[cut])
    assert state.running() == []
    assert [e.queued.experiment_id for e in state.pending()] == ["e0004"]
    assert state.experiments["e0004"].next_attempt == 2


def test_resume_after_an_orderly_stop_clears_the_stop() -> None:
    """A run that goes on is not stopped any more."""
    told = [*rows()]
    state = RunState.from_rows(told)
    assert state.stop_reason == "experiments"
    state.apply(ev.Row(len(told) + 1, 100 * S, ev.RunResumed(())))
    assert state.stop_reason is None


def test_fold_knows_what_each_agent_may_read(state: RunState) -> None:
    """Own proposals, the baseline, and commits that an edge carried with the diff; nothing else."""
    assert state.readable("ada") == {BASE, CHILD, "e" * 40}
    assert state.readable("ben") == {BASE, CHILD, OTHER}
    assert state.readable("cyd") == {BASE}
    assert state.delivered["cyd"] == {"p1": "summary"}


def test_fold_remembers_turns_notebooks_and_messages(state: RunState) -> None:
    """A restarted mind goes on with its next turn and its notebook; a draft is known by its id."""
    assert (state.agents["ada"].next_turn, state.agents["ada"].notebook) == (1, "first thoughts")
    assert state.agents["ben"].next_turn == 0
    assert state.posts_by_message["ben", "m-p4"] == "p4"
    assert state.posts["p4"].as_post().body.kind == "review"
    assert [refusal.who for _, refusal in state.refusals] == ["cyd"]


def test_scores_are_by_tree_and_split(state: RunState) -> None:
    """Baseline runs on dev and its run on vault are kept apart; invalid runs have no score."""
    assert state.scores("t-base", "dev") == (3.0, 3.2)
    assert state.mean_score("t-base", "vault") == 3.3
    assert state.scores("t-crash", "dev") == ()
    assert state.mean_score("t-crash", "dev") is None


def test_progress_has_one_point_per_valid_screen(state: RunState) -> None:
    """Confirmations and crashes are not points, yet they count as experiments."""
    points = progress_points(state)
    assert [(p.experiments, p.score, p.status, p.best) for p in points] == [
        (1, 2.6, "reproduced", 2.6),
        (4, 3.4, "not_improved", 2.6),
    ]


def test_pool_use_counts_processes_alive_within_the_window(state: RunState) -> None:
    """Of 10-90 s, cpu0 is busy 0-10, 20-50 and 80-90; cpu1 10-20 and 60-70."""
    use = pool_use(state)
    assert use.window_us == (10 * S, 90 * S)
    cpu0, cpu1 = use.slots
    assert cpu0.busy_share == pytest.approx((30 + 10) / 80)
    assert cpu0.train_share == pytest.approx((24 + 8) / 80)
    assert cpu1.busy_share == pytest.approx(20 / 80)
    assert use.busy_share == pytest.approx((40 + 20) / 160)
    assert cpu0.train[:2] == ((0, 8 * S), (20 * S, 28 * S))


def test_pool_use_merges_overlapping_processes() -> None:
    """A slot with two processes at one time is not busy twice."""
    told = [pair for pair in story() if pair[0] == 0][:3]
    one = queued("b0001", "baseline", BASE, "t-base")
    events = run_whole(one, "cpu0", 0, 3.0)
    overlapping = dataclasses.replace(events[2][1], answer_us=(4 * S, 10 * S))
    state = RunState.from_rows(rows([*told, *events[:2], (10, overlapping), events[3]]))
    assert pool_use(state, 0.0, 1.0).slots[0].busy_share == pytest.approx(1.0)
    assert pool_use(state, 0.0, 1.0).slots[0].train_share == pytest.approx(0.8)


def test_pool_use_of_a_run_without_time_is_zero() -> None:
    """A window without length has no share, and divides by nothing."""
    assert pool_use(RunState.from_rows(rows()[:1])).busy_share == 0.0


def _extra(event: ev.Event) -> None:
    told = rows()
    RunState.from_rows([*told, ev.Row(len(told) + 1, 100 * S, event)])


@pytest.mark.parametrize(
    "event",
    [
        story()[0][1],
        queued("e0001", "screen", CHILD, "t-child"),
        queued("e0009", "screen", CHILD, "t-child", hypothesis="p9"),
        verdict(queued("e0001", "screen", CHILD, "t-child"), 1.0),
        verdict(queued("e0009", "screen", CHILD, "t-child"), 1.0),
        ev.AttemptStarted("e0001", 2, "cpu0"),
        ev.AttemptStarted("e0009", 1, "cpu0"),
        ev.StatusChanged("p1", CHILD, "improved", 1.0, 0.1, "ada", ("v-none",)),
        ev.ReproductionOpened("p9", "ben"),
        ev.RunResumed(("e0001",)),
        ev.TurnTaken("ada", 0, ()),
        ev.Posted("p1", "new", "ada", None, {"kind": "comment", "text": ""}, {}),
        ev.Posted("p9", "m-p1", "ada", None, {"kind": "comment", "text": ""}, {}),
    ],
)
def test_fold_refuses_rows_that_contradict_the_ledger(event: ev.Event) -> None:
    """Nothing is admitted, judged, posted or taken twice, and nothing hangs in the air."""
    with pytest.raises(LedgerInconsistentError, match=event.kind):
        _extra(event)


def test_fold_refuses_another_word_among_its_verdicts() -> None:
    """What a script said of itself never stands beside what was measured, nor the other way."""
    waiting = queued("e0009", "screen", CHILD, "t-child")
    told = [*rows(), ev.Row(len(rows()) + 1, 100 * S, waiting)]
    self_reported = dataclasses.replace(verdict(waiting, 0.1), measured_by="candidate")
    with pytest.raises(LedgerInconsistentError, match="a candidate's word among those of a scorer"):
        RunState.from_rows([*told, ev.Row(len(told) + 1, 101 * S, self_reported)])


def test_fold_refuses_gaps_and_time_that_runs_back() -> None:
    """Rows are numbered without gaps and their time never decreases."""
    told = rows()
    with pytest.raises(LedgerInconsistentError, match="gap"):
        RunState.from_rows(told[:5] + told[6:])
    with pytest.raises(LedgerInconsistentError, match="went back"):
        RunState.from_rows([*told[:-1], dataclasses.replace(told[-1], at_us=1)])
    with pytest.raises(LedgerInconsistentError, match="begins with run_opened"):
        RunState.from_rows([ev.Row(1, 0, ev.RunStopped("experiments"))])


def test_verdict_must_be_about_the_tree_that_was_admitted() -> None:
    """A verdict on another tree than its experiment's is a contradiction."""
    told = rows()
    index = next(i for i, r in enumerate(told) if isinstance(r.event, ev.VerdictGiven))
    wrong = dataclasses.replace(told[index].event, tree_key="t-other")
    with pytest.raises(LedgerInconsistentError, match="another tree"):
        RunState.from_rows([*told[:index], dataclasses.replace(told[index], event=wrong)])
