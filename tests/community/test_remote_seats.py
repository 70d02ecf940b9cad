"""Seats of agents from elsewhere: served as an agent at hand, once, one session at a time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_script import house
from remote_script import NAMES, enrolled, far, proposal, scenario

from agents import lab_requests
from agents.errors import (
    LabError,
    MergeFailedError,
    NoRightError,
    NotVisibleError,
    ProposalRefusedError,
)
from agents.lab import Lab
from agents.packed_files import pack_files
from agents.remote_lab import RemoteLab
from agents.roles import Quotas, load_role
from community import lab as lab_module
from community import remote_seats
from community.chronicle import Chronicle
from community.errors import TakingPartError
from community.events import ExperimentQueued, Proposed, TurnTaken
from community.forum_events import SeatLeft, SeatTaken, TopologySet
from community.joining import Joining, join
from community.lab import AgentLab
from community.remote_seats import RemoteSeats
from forum.board import Asking
from forum.credentials import Credential
from forum.errors import BoardClosedError, RequestRefusedError
from forum.ids import AgentName
from forum.messages import Carries, Draft, Hypothesis, Post, Prediction
from forum.visibility import thin
from trainer.repository import Repository


async def outcome_of(answer: Awaitable[Any]) -> tuple[str, Any]:
    """Return what came of a question: its value, or what was raised."""
    try:
        return "ok", await answer
    except LabError as error:
        return type(error).__name__, str(error)


@pytest.mark.parametrize("seed", range(3))
async def test_elsewhere_everybody_gets_what_he_would_get_here_and_no_more(
    chronicle: Chronicle, repository: Repository, tmp_path: Path, seed: int
) -> None:
    """Random directed graphs that carry anything: the same answers, the same refusals."""
    chance = random.Random(seed)
    carried = ["score", "summary", "diff", "everything"]
    edges = {
        author: {r: chance.choice(carried) for r in NAMES if r != author and chance.random() < 0.6}
        for author in NAMES
    }
    enrolled(chronicle, *NAMES).record(TopologySet(0, edges, "drawn", {}))
    hidden = 0
    async with (
        asyncio.timeout(60),
        house(chronicle, repository, tmp_path, scenario(), guests=NAMES) as home,
    ):
        for author, rate in (("ada", 1.5), ("bob", 1.4), ("ada", 13.0)):
            post_id = await home.propose(author, rate)
            await home.lab(author).run(home.commit_of(post_id), post_id)
            await home.report(author, post_id)
        state = chronicle.state
        commits = [*state.proposals, "0" * 40, ""]
        for name in NAMES:
            async with far(home, name) as away:
                here: Lab = home.lab(name)
                for commit in filter(None, commits):
                    first = await outcome_of(here.read_tree(commit))
                    assert await outcome_of(away.read_tree(commit)) == first
                    hidden += first[0] == "NotVisibleError"
                    merged = await outcome_of(here.merge(commit, commits[0]))
                    assert await outcome_of(away.merge(commit, commits[0])) == merged
                for verdict_id in [*state.verdicts, "v0"]:
                    assert await away.verdict(verdict_id) == await here.verdict(verdict_id)
                for hypothesis, claim in state.hypotheses.items():
                    if claim.proposer != name:  # and never in another's name
                        run = await away.run(claim.commit, hypothesis)
                        assert run == await here.run(claim.commit, hypothesis)
                        assert run.outcome == "refused"
                for after_seq in (0, state.last_seq // 2):
                    assert await away.catch_up(after_seq) == await here.catch_up(after_seq)
                assert await away.briefing() == await here.briefing()
                assert await away.assignments() == await here.assignments()
                assert await away.open_leads() == await here.open_leads()
                assert await away.remaining_experiments() == await here.remaining_experiments()
    assert hidden > 2  # the unknown commit, and others


async def test_errors_of_the_lab_arrive_as_what_they_are(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A mind elsewhere tells them apart as one here does."""
    enrolled(chronicle, *NAMES)
    async with house(chronicle, repository, tmp_path, scenario(), guests=NAMES) as home:
        base = proposal(home, 1.0).parents[0]
        async with far(home, "bob") as bob:
            with pytest.raises(NoRightError):
                await bob.merge(base, base)
            with pytest.raises(NotVisibleError):
                await bob.read_tree("f" * 40)
            with pytest.raises(ProposalRefusedError, match="unchanged"):
                await bob.prepare(proposal(home, 1.0))
            outside = replace(proposal(home, 2.0), files={"../../etc/passwd": "root"})
            with pytest.raises(ProposalRefusedError):
                await bob.prepare(outside)
        async with far(home, "cleo") as cleo:
            with pytest.raises(NoRightError):
                await cleo.prepare(proposal(home, 2.0))
    for error in (NoRightError("x"), MergeFailedError("x"), ProposalRefusedError("x")):
        again = lab_requests.as_error(lab_requests.as_refusal(error))
        assert (type(again), str(again)) == (type(error), str(error))


async def test_a_commit_and_an_experiment_are_made_once_in_every_life_of_the_run(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """What is asked for again, under its name, is what there is: also after a restart."""
    enrolled(chronicle, "ada")
    commits = []
    for _ in range(3):
        async with (
            asyncio.timeout(30),
            house(chronicle, repository, tmp_path, scenario(), guests=NAMES) as home,
            home.board.seat(AgentName("ada")) as seat,
        ):
            lab = RemoteLab(_Repeating(seat), "policy:random")
            lab._session = "session"  # the same process, whose connection was lost
            lab._numbers = iter(range(10, 99))  # type: ignore[assignment]
            commits.append((await lab.prepare(proposal(home, 1.5))).commit)
    assert len(set(commits)) == 1
    kinds = [type(row.event) for row in chronicle.ledger.rows()]
    assert kinds.count(Proposed) == 1
    assert kinds.count(SeatTaken) == 3  # once in each life: the lab takes the seat by itself


class _Repeating:
    """Asks everything twice, as a network does that loses replies."""

    def __init__(self, seat: Asking) -> None:
        self._seat = seat

    async def request(self, op: str, args: Any, request_id: str) -> Any:
        """Ask, and once more."""
        first = await self._seat.request(op, args, request_id)
        assert await self._seat.request(op, args, request_id) == first
        return first


async def test_a_run_asked_for_again_is_the_same_experiment(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Whatever the request is called, in whatever life: the hypothesis names it."""
    enrolled(chronicle, "ada")
    told = []
    for life in range(2):
        async with (
            asyncio.timeout(30),
            house(chronicle, repository, tmp_path, scenario(), guests=("ada",)) as home,
        ):
            if not life:
                async with far(home, "ada") as lab:
                    commit = (await lab.prepare(proposal(home, 1.5))).commit
                post_id = await home.post("ada", commit)
            async with far(home, "ada") as lab, asyncio.TaskGroup() as group:
                runs = [group.create_task(lab.run(commit, post_id)) for _ in range(3)]
            told += [run.result() for run in runs]
    assert {each.status for each in told} == {"improved"}
    assert len({each.verdict_id for each in told}) == 1
    screens = [e for e in chronicle.state.experiments.values() if e.queued.purpose == "screen"]
    assert len(screens) == 1
    assert isinstance(screens[0].queued, ExperimentQueued)


async def test_a_second_process_replaces_the_first(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Of two with one credential the newer goes on, and the older learns it, also while it waits.

    It cannot come back by anything but a new session: two would replace each other for ever.
    """
    enrolled(chronicle, "ada")
    async with (
        asyncio.timeout(30),
        house(chronicle, repository, tmp_path, scenario(), guests=("ada",)) as home,
        home.board.seat(AgentName("ada")) as seat,
    ):
        home.executor.gate.clear()
        older, newer = RemoteLab(seat, "policy:social"), RemoteLab(seat, "policy:greedy")
        await older.take_seat()
        await older.record_turn("ada", 0, ("run",), "half a plan")
        commit = (await older.prepare(proposal(home, 1.5))).commit
        prediction = Prediction(gain=0.1, confidence=0.5)
        body = Hypothesis(title="t", parents=(commit,), prediction=prediction, commit=commit)
        hypothesis = (await seat.submit(Draft(message_id="ada-0-0h", body=body))).post_id or ""
        waiting = asyncio.create_task(older.run(commit, hypothesis))
        await chronicle.wait_until(lambda state: bool(state.running()))
        seated = await newer.take_seat()
        assert (seated.turn, seated.notebook) == (1, "half a plan")
        with pytest.raises(BoardClosedError, match="another process"):
            await waiting
        for again in (older.take_seat(), older.briefing()):
            with pytest.raises(BoardClosedError, match="another process"):
                await again
        assert older.is_replaced
        home.executor.gate.set()
        assert (await newer.run(commit, hypothesis)).status == "improved"
    seats = [
        (type(row.event), getattr(row.event, "mind", getattr(row.event, "why", "")))
        for row in chronicle.ledger.rows()
        if isinstance(row.event, SeatTaken | SeatLeft)
    ]
    assert seats[-3:] == [
        (SeatTaken, "policy:social"),
        (SeatLeft, "another process took the seat"),
        (SeatTaken, "policy:greedy"),
    ]


async def test_a_seat_cannot_make_the_ledger_grow_quickly(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Turns, comings and goings by the hundred, all at once: a few rows a second come of it."""
    enrolled(chronicle, "ada")
    role = replace(load_role("synthesiser"), quotas=Quotas(turns=None, experiments=1))
    loop = asyncio.get_running_loop()
    async with house(chronicle, repository, tmp_path, scenario()) as home:

        async def turn_down(*_: Any) -> None: ...

        seats = RemoteSeats(home.institution, {"ada": role}, (), b"s", turn_down)

        async def ask(op: str, **args: Any) -> None:
            await seats.serve(remote_seats.Asked("ada", "s.1", op, args))

        async def come_and_go() -> None:
            await ask("take_seat", mind="me")
            await ask("leave", why="no", is_final=False)

        before, began_s = chronicle.state.last_seq, loop.time()
        for _ in range(3):
            await come_and_go()
        await ask("take_seat", mind="me")
        turns = [ask("take_turn", turn=n, actions=[], notebook=None) for n in range(100)]
        flood = asyncio.gather(*turns)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flood, 1.0)
        rows = chronicle.state.last_seq - before
        allowed = 1 + (loop.time() - began_s) * remote_seats.ROWS_PER_S
        assert 7 < rows <= 3 + allowed  # a farewell goes with each of the three comings


async def test_turns_are_recorded_once_and_within_the_quota(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A repeat changes nothing; what is far ahead or beyond the quota is refused."""
    enrolled(chronicle, "ada")
    role = replace(load_role("synthesiser"), quotas=Quotas(turns=3, experiments=1))
    roles = {each.name: load_role(each.role) for each in scenario().members()} | {"ada": role}
    async with house(chronicle, repository, tmp_path, scenario(), roles=roles) as home:

        async def turn_down(*_: Any) -> None: ...

        seats = RemoteSeats(home.institution, {"ada": role}, (), b"s", turn_down)

        async def ask(op: str, **args: Any) -> Any:
            return await seats.serve(remote_seats.Asked("ada", "s.1", op, args))

        with pytest.raises(RequestRefusedError, match="take the seat"):
            await ask("here")
        await ask("take_seat", mind="me")
        for turn, notebook in ((0, "a"), (0, "b"), (2, None)):
            await ask("take_turn", turn=turn, actions=["wait"], notebook=notebook)
        for turn, why in ((3, "used up"), (10**6, "used up"), (-1, "turn")):
            with pytest.raises(RequestRefusedError, match=why):
                await ask("take_turn", turn=turn, actions=[], notebook=None)
        base = proposal(home, 1.0).parents[0]
        files = pack_files({"train.py": "RATE = 1.5\n# knob\nWIDTH = 4\n"})
        args = {"parents": [base], "files": files, "title": "a\nb", "knobs": {}, "note": ""}
        commit = (await ask("prepare", **args))["value"]["commit"]
        post_id = await home.post("ada", commit)
        assert (await ask("run", commit=commit, hypothesis=post_id))["value"]["status"]
        assert (await ask("prepare", **args))["value"]["commit"] == commit  # asked once more
        with pytest.raises(RequestRefusedError, match="experiments of ada are used up"):
            await seats.serve(remote_seats.Asked("ada", "s.2", "prepare", args))
        with pytest.raises(RequestRefusedError, match="cannot ask"):
            await ask("rows", after_seq=0)
        for bad in ({**args, "parents": [base] * 17}, {**args, "files": ""}, {"title": "x"}):
            with pytest.raises(RequestRefusedError, match="prepare"):
                await ask("prepare", **bad)
    turns = [row.event for row in chronicle.ledger.rows() if isinstance(row.event, TurnTaken)]
    assert [(each.turn, each.notebook) for each in turns] == [(0, "a"), (2, None)]
    assert chronicle.state.proposals[commit].title == "a b"


async def test_a_paused_agent_elsewhere_takes_no_turn(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Even if it does not ask whether it may."""
    enrolled(chronicle, "ada")
    async with (
        asyncio.timeout(30),
        house(chronicle, repository, tmp_path, scenario(), guests=("ada", "~eve")) as home,
        home.board.seat(AgentName("~eve")) as eve,
        far(home, "ada") as ada,
    ):
        await eve.request("act", {"action": "pause", "target": "ada"}, "1")
        asked = [
            asyncio.create_task(ada.wait_for_turn()),
            asyncio.create_task(ada.record_turn("ada", 0, ("wait",), None)),
            asyncio.create_task(ada.prepare(proposal(home, 1.5))),
        ]
        await ada.briefing()
        assert not any(task.done() for task in asked)
        assert chronicle.state.agents["ada"].next_turn == 0
        await eve.request("act", {"action": "resume", "target": "ada"}, "2")
        await asyncio.wait(asked)
    assert chronicle.state.agents["ada"].next_turn == 1


async def test_what_was_missed_comes_page_by_page(
    chronicle: Chronicle, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much it is: no reply is larger than it may be, nothing is left out or doubled.

    And a page makes the copies that are in it, or asking for pages would hold up everybody.
    """
    enrolled(chronicle, "ada")
    monkeypatch.setattr(remote_seats, "PAGE_BYTES", 1500)
    made: list[str] = []

    def counting(post: Post, carries: Carries) -> Post | None:
        made.append(post.post_id)
        return thin(post, carries)

    monkeypatch.setattr(lab_module, "thin", counting)
    async with (
        asyncio.timeout(60),
        house(chronicle, repository, tmp_path, scenario(), guests=("ada",)) as home,
    ):
        for number in range(9):
            await home.propose("bob", 1.1 + number / 100)
        async with far(home, "ada") as ada:
            assert await ada.catch_up(0) == await home.lab("ada").catch_up(0)
            made.clear()
            assert len(await ada.catch_up(0)) == 9
        assert 9 < len(made) < 2 * 9 + 1  # one too many for each page, at most


async def test_the_seed_of_a_mind_elsewhere_tells_nothing_of_the_runs(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """It follows from the run's secret: who knows the scenario's seed cannot tell it."""
    enrolled(chronicle, *NAMES)
    seeds = set()
    async with house(chronicle, repository, tmp_path, scenario(), guests=NAMES) as home:
        for name in NAMES:
            async with home.board.seat(AgentName(name)) as seat:
                seats = [await RemoteLab(seat, "m").take_seat() for _ in range(2)]
                assert seats[0].seed == seats[1].seed
                seeds.add(seats[0].seed)
    assert len(seeds) == 3
    assert chronicle.state.opened is not None
    assert chronicle.state.opened.seed not in seeds


@pytest.mark.parametrize("user", ["observer", "observer.2", "clerk", "~ada"])
async def test_a_credential_that_is_no_agents_is_told(user: str) -> None:
    """Nobody is told to choose another name."""
    credential = Credential(user, "x", "r1", "mqtt://127.0.0.1:1")
    with pytest.raises(TakingPartError, match="take that of an agent"):
        await join(Joining(None, credential, "policy:social"), print)


def test_whatever_a_lab_answers_can_be_asked_from_elsewhere() -> None:
    """A question that is added to the protocol is added to both ends."""
    questions = {name for name in vars(Lab) if not name.startswith("_")} | {"read_tree", "merge"}
    served = {
        each.name
        for each in vars(lab_requests).values()
        if isinstance(each, lab_requests.Operation)
    }
    assert questions <= served
    assert all(
        callable(getattr(kind, name)) for kind in (RemoteLab, AgentLab) for name in questions
    )
