"""Rewiring: when, into what, from what a reader could know; and who then hears whom."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import pytest
from archive_script import ended, hypothesis, opened, queued, rows, verdict
from hearing_stage import VirtualLoop

from community import events as ev
from community.archive.ledger import Ledger
from community.archive.state import RunState
from community.chronicle import Chronicle
from community.clock import RunClock
from community.scenario import TopologySection
from community.topology import build_topology
from community.topology.drawing import Edge
from community.topology.following import follow, record_with
from community.topology.rewiring import Rewiring

NAMES = ("ada", "ben", "cyd", "dan")
USUAL = Edge("everything")


def report(
    post_id: str, author: str, of: str, status: str, gain: float | None, **readers: str
) -> ev.Posted:
    """Return a finding that tells a status and a gain on dev."""
    evidence = {"verdict_id": "v1", "outcome": "ok", "score": None, "status": status, "gain": gain}
    body = {"kind": "finding", "hypothesis": of, "evidence": evidence}
    return ev.Posted(post_id, f"m-{post_id}", author, of, body, readers)


def claim(post_id: str, author: str, sure: float, **readers: str) -> ev.Posted:
    """Return a hypothesis whose author is `sure` of a gain."""
    posted = hypothesis(post_id, author, post_id * 8, 0.1, **readers)
    prediction = {"gain": 0.1, "confidence": sure}
    return dataclasses.replace(posted, body={**posted.body, "prediction": prediction})


def folded(*events: ev.Event) -> RunState:
    """Return the fold of a run in which these happened."""
    return RunState.from_rows(rows([(n, event) for n, event in enumerate((opened(), *events))]))


def test_a_record_is_told_outcome_against_what_was_predicted() -> None:
    """Brier against a coin's, shrunk by two; a status decides, else the told gain, else nothing."""
    state = folded(
        claim("p1", "ben", 0.9, dan="summary"),
        claim("p2", "ben", 0.5, dan="summary"),
        claim("p3", "cyd", 0.9, dan="summary"),
        claim("p4", "cyd", 0.8, dan="summary"),
        claim("p5", "cyd", 0.8, dan="summary"),
        report("p6", "ben", "p1", "improved", 0.2, dan="score"),
        report("p7", "ben", "p2", "undecided", -0.1, dan="score"),
        report("p8", "cyd", "p3", "improved", 0.4, dan="score"),
        report("p9", "lab", "p3", "not_improved", 0.4, dan="score"),
        report("p10", "cyd", "p4", "measured", None, dan="score"),
    )
    assert record_with(state, "dan") == pytest.approx(
        {"ben": ((0.25 - 0.01) + 0.0) / 4, "cyd": (0.25 - 0.81) / 3}
    )
    assert record_with(state, "ada") == {}


def test_what_never_reached_a_reader_does_not_count() -> None:
    """A result that somebody else was told of, or a hypothesis he never saw, says nothing to him.

    Nor do verdicts: the ledger here holds one on vault that contradicts what was told.
    """
    run = queued("e0001", "confirm_child", "p1" * 8, "t1", requested_by="cyd", charged_to="cyd")
    vault: list[ev.Event] = [
        run, ev.AttemptStarted("e0001", 1, "cpu0"), ended("e0001", "cpu0", (0, 1), (1, 2)),
        verdict(run, 9.9),
    ]  # fmt: skip
    told = [
        claim("p1", "ben", 0.9, dan="everything", cyd="everything"),
        claim("p2", "cyd", 0.9, ada="everything"),
        report("p3", "cyd", "p2", "improved", 0.2, dan="everything"),
    ]
    state = folded(*told, *vault)
    assert record_with(state, "dan") == record_with(state, "cyd") == {}
    state = folded(*told, *vault, report("p4", "ben", "p1", "improved", 0.3, dan="score"))
    assert record_with(state, "dan") == pytest.approx({"ben": 0.24 / 3})


def test_what_is_on_its_way_does_not_count_yet() -> None:
    """A delayed result counts for its reader when it has arrived, not when it was posted."""
    late = dataclasses.replace(
        report("p2", "ben", "p1", "improved", 0.3, dan="score"), due_us={"dan": 10**9}
    )
    before = folded(claim("p1", "ben", 0.9, dan="summary"), late)
    assert record_with(before, "dan") == {}


def followed(*events: ev.Event, heard: Sequence[str], seed: int = 1) -> set[str]:
    """Return whom dan follows after what happened, having heard `heard`."""
    arcs = {(author, "dan"): USUAL for author in heard}
    chosen = follow(folded(*events), NAMES, arcs, USUAL, random.Random(seed))
    assert all(reader == "dan" for _, reader in chosen)
    return {author for author, _ in chosen}


def test_a_reader_follows_whose_predictions_came_true() -> None:
    """The better record is kept or won, the worse is left for somebody unknown; numbers stay."""
    good = (
        claim("p1", "ben", 0.9, dan="summary"),
        report("p2", "ben", "p1", "improved", 0.2, dan="score"),
    )
    bad = (
        claim("p1", "ben", 0.9, dan="summary"),
        report("p2", "ben", "p1", "not_improved", -0.2, dan="score"),
    )
    assert followed(*good, heard=["ben"]) == {"ben"}
    assert followed(*good, heard=["cyd"]) == {"ben"}
    assert followed(*bad, heard=["ben", "cyd"]) == {"cyd", "ada"}
    unknown = {next(iter(followed(*bad, heard=["ben"], seed=seed))) for seed in range(20)}
    assert unknown == {"ada", "cyd"}
    assert followed(heard=["cyd"]) == {"cyd"}
    assert followed(*good, heard=[]) == set()


def test_an_edge_that_stays_keeps_what_it_does() -> None:
    """Only new edges are as the section says."""
    slow = Edge("diff", 5, 0.5)
    events = (
        claim("p1", "ben", 0.9, dan="summary"),
        report("p2", "ben", "p1", "improved", 0.2, dan="score"),
    )
    arcs = {("ada", "dan"): slow, ("cyd", "dan"): slow}
    chosen = follow(folded(*events), NAMES, arcs, USUAL, random.Random(1))
    assert chosen[("ben", "dan")] == USUAL
    assert sorted(edge.delay_us for edge in chosen.values()) == [0, 5]


def experiment(number: int) -> tuple[ev.Event, ...]:
    """Return an experiment from its admission to its verdict."""
    run = queued(f"e{number:04}", "screen", "c" * 40, f"t{number}", hypothesis="")
    return (
        run, ev.AttemptStarted(run.experiment_id, 1, "cpu0"),
        ended(run.experiment_id, "cpu0", (0, 1), (1, 2)), verdict(run, 2.0),
    )  # fmt: skip


def begun(path: Any, section: TopologySection) -> Chronicle:
    """Return a run that has recorded who takes part and its first graph."""
    chronicle = Chronicle(Ledger.create(path), RunClock())
    topology = build_topology(NAMES, section, 7)
    joined = [ev.AgentJoined(name, "any", "any", topology.hears(name)) for name in NAMES]
    chronicle.record(opened(), *joined, topology.as_event())
    return chronicle


async def test_a_schedule_counts_experiments(tmp_path: Any) -> None:
    """After every second verdict all take other places; who is known to hear whom follows."""
    section = TopologySection(family="line", rewire="schedule", rewire_every=2)
    chronicle = begun(tmp_path / "ledger.db", section)
    task = asyncio.create_task(Rewiring(chronicle, NAMES, section, 7).serve())
    for number in range(1, 6):
        chronicle.record(*experiment(number))
        for _ in range(5):
            await asyncio.sleep(0)
    task.cancel()
    state = chronicle.state
    epochs = state.forum.epochs
    assert [event.why for _, _, event in epochs] == ["drawn", "schedule", "schedule"]
    graphs = [event.edges for _, _, event in epochs]
    assert [sum(map(len, edges.values())) for edges in graphs] == [6, 6, 6]
    assert len({str(edges) for edges in graphs}) > 1
    last = epochs[-1][2]
    assert {n: set(state.agents[n].hears) for n in NAMES} == {
        name: {author for author in NAMES if name in last.edges[author]} for name in NAMES
    }
    assert RunState.from_rows(chronicle.ledger.rows()).agents == state.agents
    chronicle.ledger.close()


def test_a_schedule_in_seconds_goes_on_in_step_after_a_kill(tmp_path: Any) -> None:
    """Run time counts, stops left out: two lives of 26 s make five changes at every tenth."""
    section = TopologySection(family="ring", rewire="schedule", rewire_every_s=10)
    path = tmp_path / "ledger.db"

    async def live(chronicle: Chronicle) -> list[float]:
        task = asyncio.create_task(Rewiring(chronicle, NAMES, section, 7).serve())
        await asyncio.sleep(26)
        chronicle.record(ev.Noticed("pause", "killed here"))
        task.cancel()
        chronicle.ledger.close()
        return [at_us / 1e6 for _, at_us, _ in chronicle.state.forum.epochs]

    async def first() -> list[float]:
        return await live(begun(path, section))

    async def second() -> list[float]:
        ledger = Ledger.open(path)
        return await live(Chronicle(ledger, RunClock(offset_us=ledger.last_us)))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(first()) == pytest.approx([0, 10, 20], abs=0.01)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(second()) == pytest.approx([0, 10, 20, 30, 40, 50], abs=0.01)


async def test_adaptive_rewiring_leaves_a_poor_predictor(tmp_path: Any) -> None:
    """One who was sure and wrong is left by those who know; who never heard of it stays."""
    section = TopologySection(family="ring", one_way="forward", rewire="adaptive", rewire_every=1)
    chronicle = begun(tmp_path / "ledger.db", section)
    chronicle.record(
        claim("p1", "ada", 0.99, ben="everything"),
        report("p2", "ada", "p1", "not_improved", -0.3, ben="everything"),
    )
    Rewiring(chronicle, NAMES, section, 7).rewire("adaptive")
    state = chronicle.state
    assert "ada" not in state.agents["ben"].hears
    assert len(state.agents["ben"].hears) == 1
    assert [state.agents[name].hears for name in ("cyd", "dan", "ada")] == [
        ("ben",), ("cyd",), ("dan",)
    ]  # fmt: skip
    chronicle.ledger.close()


async def test_a_static_graph_is_left_alone(tmp_path: Any) -> None:
    """Nothing is recorded, however many experiments end."""
    section = TopologySection(family="ring")
    chronicle = begun(tmp_path / "ledger.db", section)
    await Rewiring(chronicle, NAMES, section, 7).serve()
    assert len(chronicle.state.forum.epochs) == 1
    chronicle.ledger.close()
