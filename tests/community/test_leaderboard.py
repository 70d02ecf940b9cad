"""The leaderboard: who contributed what, from verdicts alone."""

from __future__ import annotations

import dataclasses

import pytest
from archive_script import BASE, CHILD, OTHER, S, opened, queued, rows, story, verdict

from community import events as ev
from community.archive.export import results_tsv
from community.archive.leaderboard import contributions, researchers
from community.archive.queries import best_commit
from community.archive.state import RunState
from community.archive.watched import WatchedState
from community.cli.lines import row_line
from community.show import leaderboard_text, shown
from community.tui.pictures.header import header
from community.tui.scene import Scene, Told


@pytest.fixture
def state() -> RunState:
    """The scripted run, folded."""
    return RunState.from_rows(rows())


def scored(*entries: tuple[str, float | None], direction: str = "lower") -> RunState:
    """Return a run with one hypothesis per (status, dev score), named h1, h2 and so on."""
    events: list[tuple[int, ev.Event]] = [(0, opened(direction=direction))]
    for number, (state, score) in enumerate(entries, start=1):
        name, commit = f"h{number}", f"{number:040}"
        body = {
            "kind": "hypothesis",
            "title": name,
            "parents": [BASE],
            "prediction": {"gain": 0.1, "confidence": 0.5},
            "commit": commit,
        }
        one = queued(f"e{number:04}", "screen", commit, name, hypothesis=name)
        events += [
            (number, ev.Proposed(commit, (BASE,), name, "ada", name, {})),
            (number, ev.Posted(name, name, "ada", None, body, {})),
            (number, one),
            (number, verdict(one, score)),
        ]
        if state != "measured":
            change = ev.StatusChanged(name, commit, state, 0.1, 0.0, "ada", (f"v-e{number:04}",))
            events.append((number, change))
    return RunState.from_rows(rows(events))


def test_reproduced_comes_first_with_its_mean_on_vault(state: RunState) -> None:
    """p1 leads with its vault score, p2 follows with its dev score, the invalid p3 is last."""
    board = contributions(state)
    assert [(c.rank, c.hypothesis, c.status) for c in board] == [
        (1, "p1", "reproduced"),
        (2, "p2", "not_improved"),
        (3, "p3", "measured"),
    ]
    first = board[0]
    assert (first.split, first.score, first.runs) == ("vault", 2.7, 1)
    assert (first.gain, first.reproduced_by, first.predicted_gain) == (0.6, "ben", 0.4)
    assert first.baseline_gain == pytest.approx(3.3 - 2.7)
    assert board[1].baseline_gain == pytest.approx(3.1 - 3.4)
    assert (board[2].outcome, board[2].score) == ("invalid", None)


@pytest.mark.parametrize(
    ("direction", "order"),
    [("lower", ["h2", "h3", "h1", "h5", "h4"]), ("higher", ["h1", "h3", "h2", "h5", "h4"])],
)
def test_dev_means_order_what_is_not_reproduced(direction: str, order: list[str]) -> None:
    """The task's direction rules; retracted hypotheses come after, invalid ones last."""
    entries = (
        *(("improved", 2.5), ("undecided", 1.0), ("improved", 2.4)),
        *(("undecided", None), ("retracted", 0.5)),
    )
    board = contributions(scored(*entries, direction=direction))
    assert [c.hypothesis for c in board] == order


def test_unmeasured_hypotheses_are_not_listed() -> None:
    """A claim without a verdict is not a contribution."""
    told = [pair for pair in rows() if pair.at_us <= 20_000_000]
    cut = next(i for i, row in enumerate(told) if isinstance(row.event, ev.Posted))
    assert contributions(RunState.from_rows(told[: cut + 1])) == ()


def test_researchers_are_counted_by_what_they_did(state: RunState) -> None:
    """Ada proposed and was right by 0.1; ben reproduced, reviewed and erred by 0.4."""
    ada, ben = researchers(state)
    assert (ada.agent, ada.role, ada.mind) == ("ada", "explorer", "policy:random")
    assert (ada.experiments, ada.posts, ada.hypotheses) == (2, 2, 2)
    assert (ada.improved, ada.reproduced, ada.reproductions, ada.reviews) == (1, 1, 0, 0)
    assert ada.prediction_error == pytest.approx(0.1)
    assert (ben.experiments, ben.posts, ben.hypotheses) == (3, 2, 1)
    assert (ben.improved, ben.reproduced, ben.reproductions, ben.reviews) == (0, 0, 1, 1)
    assert ben.prediction_error == pytest.approx(0.4)
    assert ben.review_error == pytest.approx(0.2)
    assert ben.device_seconds == 34.0
    assert ada.review_error is None


def test_best_is_the_frontier_measured_against_the_baseline_on_vault(state: RunState) -> None:
    """A reproduced commit is compared with the baseline's runs on the same split."""
    best = best_commit(state)
    assert best is not None
    assert (best.hypothesis.commit, best.split, best.score) == (CHILD, "vault", 2.7)
    assert (best.reference, best.gain) == (3.3, pytest.approx(0.6))
    assert best.gain_percent == pytest.approx(100 * 0.6 / 3.3)


def test_frontier_that_lost_its_status_gives_way() -> None:
    """After a retraction the best of the rest is named, however bad."""
    retracted = ev.StatusChanged("p1", CHILD, "retracted", None, None, "lab", ())
    state = RunState.from_rows(rows([*story(), (100, retracted)]))
    best = best_commit(state)
    assert best is not None
    assert (best.hypothesis.commit, best.hypothesis.status) == (OTHER, "not_improved")
    assert best.gain_percent is not None
    assert best.gain_percent < 0


def test_best_prefers_improved_to_a_better_undecided_score() -> None:
    """Without a frontier the status decides before the score; invalid runs never count."""
    state = scored(("undecided", 2.0), ("improved", 2.5), ("improved", 2.6), ("improved", None))
    best = best_commit(state)
    assert best is not None
    assert (best.hypothesis.post_id, best.split, best.reference) == ("h2", "dev", None)
    assert best.gain_percent is None
    assert best_commit(scored(("measured", None))) is None
    higher = best_commit(scored(("improved", 2.0), ("improved", 2.5), direction="higher"))
    assert higher is not None
    assert higher.hypothesis.post_id == "h2"


def test_leaderboard_is_the_same_live_and_replayed(state: RunState) -> None:
    """Nothing but rows enters: a second fold gives equal tables."""
    again = RunState.from_rows(rows())
    assert contributions(state) == contributions(again)
    assert researchers(state) == researchers(again)
    assert dataclasses.is_dataclass(contributions(state)[0])


def test_less_than_full_isolation_never_stands_beside_full() -> None:
    """A better number from behind fewer walls comes after every fully isolated one, marked."""
    events = [(row.at_us // S, row.event) for row in rows()]
    walls = {"v-e0001": "none", "v-e0003": "partial"}
    told = [
        (at, dataclasses.replace(event, isolation=walls[event.verdict_id]))
        if isinstance(event, ev.VerdictGiven) and event.verdict_id in walls
        else (at, event)
        for at, event in events
    ]
    state = RunState.from_rows(rows(told))
    board = contributions(state)
    assert [(c.hypothesis, c.isolation) for c in board] == [
        ("p2", "full"),
        ("p3", "full"),
        ("p1", "none"),
    ]
    record = shown(state, "hash")
    assert record.isolation == "no isolation"
    text = leaderboard_text(record)
    assert "reproduced (no isolation)" in text
    assert "no isolation: candidate code could reach more" in text
    assert "(partial isolation)" in (row_line(_row(told, "v-e0003"), state) or "")
    assert "[no isolation]" in results_tsv(state)
    scene = Scene(
        Told(WatchedState.from_rows(rows(told))),
        0,
        is_live=True,
        waiting=0,
        is_held=False,
        is_replay=False,
        colours={},
    )
    assert "no isolation" in header(scene).first.plain


def _row(told: list[tuple[int, ev.Event]], verdict_id: str) -> ev.Row:
    """The row of one verdict."""
    return next(
        row
        for row in rows(told)
        if isinstance(row.event, ev.VerdictGiven) and row.event.verdict_id == verdict_id
    )
