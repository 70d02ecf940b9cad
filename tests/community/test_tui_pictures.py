"""What pictures are made of: the queue's order, the graph, the tree, diffs. Pure functions."""

from __future__ import annotations

import random

import pytest
from archive_script import queued
from screen_script import PATCH, scene_rows

from community import events as ev
from community.archive.state import RunState
from community.queueing import Queue, Waiting
from community.reviewing import Regards
from community.tui.canvas import Canvas
from community.tui.diff_lines import DIFF_LINES, diff_lines
from community.tui.pictures.lineage import bases, lineages, tree_of
from community.tui.pictures.queue_order import queue_order
from community.tui.pictures.topology import edges_of, layout


@pytest.fixture(scope="module")
def state() -> RunState:
    """Give the run of the pictures."""
    return RunState.from_rows(scene_rows())


def test_the_queue_is_told_in_the_order_in_which_slots_are_given(state: RunState) -> None:
    """The lab's own queue, filled with the same, picks the same way."""
    told = queue_order(state, state.last_us)
    assert [turn.experiment.queued.experiment_id for turn in told] == ["e0902", "e0901"]
    assert "somebody waits for it" in told[0].reason
    regards = Regards()
    queue = Queue(lambda: state.last_us / 1e6, lambda h: regards.worth(state, h))
    for turn in reversed(told):
        queue.put(Waiting(turn.experiment.queued, 1))
    picked = [queue.pick("cpu1") for _ in told]
    assert [p.experiment.experiment_id for p in picked if p] == ["e0902", "e0901"]


def test_every_hypothesis_is_in_the_tree_once_below_its_youngest_parent(state: RunState) -> None:
    """Whatever it is measured against; the leader's line is not indented."""
    tree = tree_of(state)
    assert sorted(branch.post_id for branch in tree) == sorted(["", *state.hypotheses])
    below = bases(state)
    assert below["p30"] == "p7"
    assert below["p7"] == "p4"
    places = {branch.post_id: place for place, branch in enumerate(tree)}
    assert all(places[parent] < places[child] for child, parent in below.items())
    straight = [branch.post_id for branch in tree if not branch.lead]
    assert straight[:4] == ["", "p1", "p4", "p7"]
    assert {lineages(state)[name] for name in ("p7", "p30", "p9")} == {"p1"}


def test_edges_are_those_of_the_graph_that_holds(state: RunState) -> None:
    """Of older ledgers, those by whom agents say they hear."""
    assert edges_of(state)["eve"] == {"ada": "everything", "ben": "summary"}
    older = RunState.from_rows(
        [
            ev.Row(1, 0, scene_rows()[0].event),
            ev.Row(2, 0, ev.AgentJoined("ada", "explorer", "m", ("ben",))),
            ev.Row(3, 0, ev.AgentJoined("ben", "explorer", "m", ())),
        ]
    )
    assert edges_of(older) == {"ada": {}, "ben": {"ada": ""}}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 40])
def test_a_layout_is_inside_the_square_and_the_same_again(count: int) -> None:
    """No two agents lie on one another, whatever the graph."""
    names = tuple(f"a{n}" for n in range(count))
    draws = random.Random(count)
    edges = tuple((a, b) for a in names for b in names if a != b and draws.random() < 0.2)
    places = layout(names, edges)
    assert len(set(places)) == count
    assert all(0.0 <= x <= 1.0 and 0.0 <= y <= 1.0 for x, y in places)
    layout.cache_clear()
    assert layout(names, edges) == places


def test_a_canvas_draws_lines_and_letters() -> None:
    """Two by four dots a cell; letters lie on top; what is outside is lost."""
    canvas = Canvas(4, 2)
    canvas.line((0, 0), (7, 0), "red", 0)
    canvas.write(3, 0, "xyz", "blue")
    canvas.dot(-1, 99, "red", 0)
    first, second = (line.plain for line in canvas.lines())
    assert first == "\u2809\u2809\u2809x"
    assert second == "    "
    assert not canvas.is_free(2, 0, 2)
    assert canvas.is_free(0, 1, 4)
    assert not canvas.is_free(1, 1, 4)


def test_a_diff_is_coloured_by_sign_and_syntax_and_never_obeyed() -> None:
    """Keywords and numbers have colours; escape codes and markup are characters; long ones end."""
    lines = diff_lines(PATCH)
    added = next(line for line in lines if line.plain == '+▏OPTIMIZER = "muon"')
    assert {str(span.style) for span in added.spans} >= {"#7fb86a"}
    hostile = diff_lines("+print('[red]\x1b[2J')  # \u202egnp\n")
    assert "\x1b" not in hostile[0].plain
    assert "\u202e" not in hostile[0].plain
    assert "[red]" in hostile[0].plain
    long = diff_lines("+x = 1\n" * (DIFF_LINES + 5))
    assert long[-1].plain == "… 5 more lines"
    assert len(long) == DIFF_LINES + 1


def test_pinned_and_passed_over_experiments_say_so() -> None:
    """Whoever waits long moves up, and reads why."""
    rows = scene_rows()
    last = rows[-1]
    extra: list[ev.Event] = []
    for number in range(950, 960):
        extra += [
            queued(f"e{number}", "parent", "b" * 40, "t-base", hypothesis="p7", slot="cpu1"),
            ev.AttemptStarted(f"e{number}", 1, f"x{number}"),
        ]
    extra.append(queued("e970", "parent", "b" * 40, "t-base", hypothesis="p7", slot="cpu1"))
    rows += [ev.Row(last.seq + n, last.at_us + n, e) for n, e in enumerate(extra, start=1)]
    state = RunState.from_rows(rows)
    reasons = {
        t.experiment.queued.experiment_id: t.reason for t in queue_order(state, state.last_us)
    }
    assert "only on cpu1" in reasons["e970"]
    assert set(reasons) == {"e0901", "e0902", "e970"}
