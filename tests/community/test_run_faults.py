"""What breaks around a run and must not break it: executors, views, agents, boards, restarts."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from archive_script import asking, ended, opened, queued, rows, run_whole, verdict
from bench_script import House, house, scenario_of

from agents.errors import LabError
from agents.roles import Quotas, load_role
from community.archive.ledger import Ledger
from community.archive.state import RunState
from community.calibration import share_baseline
from community.chronicle import Chronicle
from community.clerk import Clerk
from community.clock import RunClock
from community.errors import BaselineDiffersError, ScorerBrokenError
from community.events import AgentJoined, AttemptStarted, Noticed, Row
from community.lab import AgentLab
from community.minds_opening import Minds
from community.run import _Community, _live_agent, _unbroken
from community.scenario import BoardSection
from community.scheduler import MAX_LOST_ATTEMPTS, earlier_use
from community.topology import build_topology
from community.world import Opening
from forum.errors import BoardClosedError
from forum.ids import AgentName
from forum.memory_board import MemoryBoard
from trainer.repository import Repository
from trainer.texts import TrustedTexts


async def screened(home: House, author: str, rate: float) -> str:
    """Have a tree screened over a baseline of one run; returns the post id."""
    start = home.chronicle.state.opened
    assert start is not None
    if not home.chronicle.state.experiments:
        baseline = queued("b0001", "baseline", start.baseline_commit, start.baseline_tree_key)
        home.chronicle.record(baseline, verdict(baseline, 3.0))
    post_id = await home.propose(author, rate)
    await home.lab(author).run(home.commit_of(post_id), post_id)
    return post_id


async def test_a_reproducer_hears_the_outcome_that_a_restart_kept_from_her(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Her confirmation ended before she could post: asking again gives its outcome, no refusal."""
    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        claim = await screened(home, "ada", 1.5)
        await home.lab("cleo").reproduce(claim)
    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        outcome = await home.lab("cleo").reproduce(claim)
        assert (outcome.outcome, outcome.status) == ("ok", "reproduced")
        assert (await home.lab("bob").reproduce(claim)).outcome == "refused"


async def test_a_failing_executor_costs_an_attempt_and_not_the_run(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The attempt ends as interrupted, the experiment is tried again and has its verdict."""
    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        home.executor.break_next = 1
        claim = await screened(home, "ada", 1.5)
    (name,) = chronicle.state.hypotheses[claim].experiments
    ends = [a.ended for a in chronicle.state.experiments[name].attempts if a.ended]
    assert [(e.outcome, e.reason) for e in ends] == [("interrupted", "executor"), ("ok", "")]
    assert chronicle.state.lost_attempts == 1


async def test_an_executor_that_never_works_ends_the_run(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """After as many attempts as are granted the scheduler gives up."""
    with pytest.RaisesGroup(ScorerBrokenError, flatten_subgroups=True):
        async with house(chronicle, repository, tmp_path, scenario_of()) as home:
            home.executor.break_next = 10 * MAX_LOST_ATTEMPTS
            await screened(home, "ada", 1.5)
    assert chronicle.state.lost_attempts == MAX_LOST_ATTEMPTS


async def test_a_job_folder_that_a_power_cut_left_is_no_obstacle(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The folder may be there although its attempt is in no row: it makes way."""
    stale = tmp_path / "jobs" / "e0001-1" / "tree"
    stale.mkdir(parents=True)
    (stale / "train.py").write_text("RATE = 9.0\n")
    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        claim = await screened(home, "ada", 1.5)
    assert chronicle.state.hypotheses[claim].status == "improved"


async def test_only_the_leaders_artefacts_stay(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Others go once they are scored, or once they lead no more, so that a long run fits a disk."""

    def owners() -> set[str]:
        return {path.parent.name for path in tmp_path.glob("jobs/*/artefact.safetensors")}

    def runs(claim: str) -> set[str]:
        served = [
            chronicle.state.experiments[n] for n in chronicle.state.hypotheses[claim].experiments
        ]
        return {
            f"{e.queued.experiment_id}-1" for e in served if e.queued.purpose == "confirm_child"
        }

    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        first = await screened(home, "ada", 1.5)
        assert owners() == set()
        await home.lab("cleo").reproduce(first)
        assert owners() == runs(first)
        worse = await screened(home, "bob", 1.4)
        await home.lab("cleo").reproduce(worse)
        best = await screened(home, "bob", 3.5)
        assert owners() == runs(first)
        await home.lab("cleo").reproduce(best)
        await screened(home, "ada", 1.1)
    assert len(owners()) == 2
    assert owners() == runs(best)
    assert len(list(tmp_path.glob("jobs/*/tree"))) == len(chronicle.state.experiments) - 1


async def test_an_interrupted_attempt_is_charged_no_more_than_its_wall(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """What Ctrl-C cuts off costs its wall, at most the budget and its grace, and is told apart."""
    loop = asyncio.get_running_loop()
    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        home.executor.gate.clear()
        running = asyncio.create_task(screened(home, "ada", 1.5))
        await chronicle.wait_until(lambda state: bool(state.running()))
        chronicle.clock = RunClock(loop, offset_us=chronicle.clock.now_us() + 60_000_000)
        running.cancel()
        home.institution.leave()
    (attempt,) = chronicle.state.experiments["e0001"].attempts
    assert attempt.ended is not None
    assert attempt.ended.train_cpu_s == attempt.charge_s == pytest.approx(1.02)
    assert chronicle.state.cut_off_attempts == 1


def test_a_lost_attempt_of_a_steps_budget_costs_its_wall() -> None:
    """Seconds of a budget in steps are unknown; what the ledger saw of them counts."""
    told = rows()
    state = RunState.from_rows([Row(1, 0, opened(budget_kind="steps")), *told[1:]])
    assert state.spend["ben"].lost_s == 7.0


async def test_a_restart_remembers_who_used_the_pool(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Attempts of an earlier life are charged in the queue again, lost ones with their budget."""
    use = earlier_use(RunState.from_rows(rows()))
    assert [who for _, who, _ in use] == ["lab", "lab", "ada", "ben", "ben", "ben", "ben", "ada"]
    assert [seconds for *_, seconds in use] == [10, 10, 10, 10, 10, 10, 10, 10]
    first = queued("e0001", "screen", "c", "t", hypothesis="")
    second = replace(first, experiment_id="e0002", charged_to="bob", measurement=2)
    third = replace(second, experiment_id="e0003", measurement=3)
    whole = [event for _, event in run_whole(third, "cpu0", 0, 3.0)]
    chronicle.record(*whole[:-2], ended("e0003", "cpu0", (0, 8), (8, 10)), whole[-1])
    chronicle.record(second, first)
    chronicle.state.experiments["e0003"].attempts[0].ended_us = 10_000_000
    async with house(chronicle, repository, tmp_path, scenario_of(), is_serving=False) as home:
        home.institution.resume()
        queue = home.institution._scheduler._queue
        assert queue.usage.of("bob", 10.0) == pytest.approx(10.0, rel=0.01)


async def test_a_baseline_that_does_not_compare_is_an_error_that_names_why(
    chronicle: Chronicle,
) -> None:
    """Another seed and corpus: both are named; once there is a baseline nothing is asked."""
    other = RunState.from_rows([Row(1, 0, opened(seed=8, corpus_hash="other"))])
    with pytest.raises(BaselineDiffersError, match=r"r1 .*the seeds, the held-out texts") as raised:
        share_baseline(chronicle, other)
    assert raised.value.differs[:2] == ("the seeds", "the held-out texts")
    chronicle.record(queued("b0001", "baseline", "c", "t"))
    assert not share_baseline(chronicle, other)


@pytest.mark.parametrize("fault", ["seat", "lab", "turns"])
async def test_what_one_agent_breaks_on_is_noted_and_the_community_goes_on(
    fault: str,
    chronicle: Chronicle,
    repository: Repository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A taken seat, an error out of the agent's own tasks, no turns left: a notice each time."""

    async def broken(*_: object) -> None:
        raise LabError("the lab's door is stuck")

    scenario = scenario_of()
    ada = scenario.members()[0]
    start = chronicle.state.opened
    assert start is not None
    chronicle.record(AgentJoined("ada", "explorer", "policy:random", ()))
    role = load_role("explorer")
    if fault == "turns":
        role = replace(role, quotas=Quotas(turns=0))
    async with house(chronicle, repository, tmp_path, scenario) as home:
        opening = Opening(home.institution.bench, start, b"", BoardSection())
        community = _Community(
            scenario, chronicle, home.institution, home.board,
            {"ada": role}, opening, (), Minds(scenario, chronicle, opening.mind_of),
        )  # fmt: skip
        if fault == "seat":
            async with home.board.seat(AgentName("ada")):
                await _live_agent(community, ada)
        else:
            if fault == "lab":
                monkeypatch.setattr(AgentLab, "catch_up", broken)
            await _live_agent(community, ada)
        assert await screened(home, "bob", 1.5)
    (notice,) = [event for _, event in chronicle.state.notices if isinstance(event, Noticed)]
    assert notice.text.startswith("ada left: ")
    words = {"seat": "already has a seat", "lab": "door is stuck", "turns": "0 turns are used up"}
    assert words[fault] in notice.text


async def test_a_clerk_whose_board_ends_says_so(
    chronicle: Chronicle, repository: Repository
) -> None:
    """When nothing can be handed in any more while the run lives, serving ends with an error."""
    board = MemoryBoard()
    topology = build_topology(("ada", "bob"), scenario_of().topology, 1)
    async with board.desk() as desk:
        serving = asyncio.create_task(
            Clerk(chronicle, desk, topology, repository, TrustedTexts(), asking({})).serve()
        )
        await asyncio.sleep(0)
    with pytest.raises(BoardClosedError, match="although the run goes on"):
        await serving


async def test_a_broken_view_warns_once_and_the_fold_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows after the failure are recorded and folded, and the view is shown them all the same."""
    seen = []

    def view(row: Row) -> None:
        seen.append(row.seq)
        raise OSError("no space left on device")

    with Ledger.create(tmp_path / "l.db") as ledger, caplog.at_level(logging.WARNING):
        ledger.subscribe(_unbroken("results.tsv", view))
        chronicle = Chronicle(ledger, RunClock())
        chronicle.record(opened())
        chronicle.record(Noticed("start", "a"), Noticed("start", "b"))
        assert (chronicle.state.last_seq, seen) == (3, [1, 2, 3])
    assert [record.message.split(" fell")[0] for record in caplog.records] == ["results.tsv"]


async def test_the_frontier_moves_against_the_leaders_present_mean(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A leader that turned out better as a parent keeps the lead over what beats its old score."""
    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        leader = await screened(home, "ada", 1.5)
        await home.lab("cleo").reproduce(leader)
        tree = chronicle.state.hypotheses[leader].tree_key
        name = f"e{chronicle.state.experiments_admitted + 1:04d}"
        again = queued(
            name, "confirm_parent", home.commit_of(leader), tree, measurement=5, hypothesis=""
        )
        started, end = (event for _, event in run_whole(again, "cpu0", 0, 2.2)[1:3])
        told = replace(verdict(again, 2.2), slot="cpu0")
        chronicle.record(again, started, end, told)  # better than when it took the lead
        other = await screened(home, "bob", 1.51)
        await home.lab("cleo").reproduce(other)
        assert chronicle.state.hypotheses[other].status == "reproduced"
        assert [move.hypothesis for _, move in chronicle.state.frontier] == [leader]
        best = await screened(home, "bob", 3.5)
        await home.lab("cleo").reproduce(best)
    assert [move.hypothesis for _, move in chronicle.state.frontier] == [leader, best]


def test_an_unfinished_attempt_is_no_earlier_use() -> None:
    """What still runs is charged when it ends."""
    told = rows()
    cut = next(i for i, r in enumerate(told) if isinstance(r.event, AttemptStarted)) + 1
    assert earlier_use(RunState.from_rows(told[:cut])) == []
