"""People: what they say reaches everybody, what they do is a row of the ledger, done once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from bench_script import House, calibrated, house, isolated, scenario_of, screened

from agents.lab import Proposal
from community.chronicle import Chronicle
from community.events import AgentJoined
from community.forum_events import PersonActed, PersonJoined
from community.people import person_of
from forum.board import Seat
from forum.errors import PostRefusedError, RequestRefusedError
from forum.ids import AgentName
from forum.messages import Claim, Comment, Draft, Forecast, Lead, Review
from trainer.repository import Repository

EVE = "~eve"


async def act(seat: Seat, action: str, target: str, name: str = "", why: str = "") -> int:
    """Do it, and return the row's number."""
    args = {"action": action, "target": target, "why": why}
    async with asyncio.timeout(10):
        return int((await seat.request("act", args, name or f"{action}-{target}"))["seq"])


def acts(home: House) -> list[tuple[str, str, str, str]]:
    """Return what people did, in order."""
    done = (event for _, event in home.chronicle.state.forum.acts)
    return [(each.person, each.action, each.target, each.why) for each in done]


async def test_what_a_person_says_reaches_everybody_whole(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Whatever the edges: a person is above the topology, and signs with his name."""
    async with (
        house(calibrated(chronicle), repository, tmp_path, isolated(), guests=(EVE,)) as home,
        home.board.seat(AgentName(EVE)) as eve,
        home.board.seat(AgentName("bob")) as bob,
        asyncio.timeout(10),
    ):
        hypothesis = await home.propose("ada", 1.5)
        await eve.submit(Draft(message_id="1", thread=hypothesis, body=Comment(text="try more")))
        await eve.submit(Draft(message_id="2", body=Lead(title="depth", knobs={"DEPTH": 3})))
        heard = [await anext(bob.posts()) for _ in range(2)]
    assert [(post.author, post.body.kind) for post in heard] == [(EVE, "comment"), (EVE, "lead")]
    assert heard[0].thread == hypothesis
    assert isinstance(heard[1].body, Lead)
    assert heard[1].body.knobs == {"DEPTH": 3}
    assert hypothesis not in chronicle.state.delivered["bob"]


async def test_a_person_has_words_and_nothing_else_to_post(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """No claims and no reviews in threads, nothing on posts that are not there."""
    forecast = Forecast(reproduced=0.5, gain=(0.0, 0.0, 0.0))
    async with (
        house(calibrated(chronicle), repository, tmp_path, scenario_of(), guests=(EVE,)) as home,
        home.board.seat(AgentName(EVE)) as eve,
        asyncio.timeout(10),
    ):
        hypothesis = await home.propose("ada", 1.5)
        review = Review(hypothesis=hypothesis, opinion="support", forecast=forecast)
        for name, thread, body in (
            ("1", hypothesis, Claim(target=hypothesis)),
            ("2", hypothesis, review),
            ("3", "p99", Comment(text="hello")),
        ):
            with pytest.raises(PostRefusedError):
                await eve.submit(Draft(message_id=name, thread=thread, body=body))
    assert len(chronicle.state.posts) == 1


async def test_a_boost_goes_first_and_a_veto_last(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The queue follows people, and the ledger says who moved what, and why."""
    async with (
        house(
            calibrated(chronicle), repository, tmp_path, scenario_of(), slots=1, guests=(EVE,)
        ) as home,
        home.board.seat(AgentName(EVE)) as eve,
        asyncio.TaskGroup() as group,
        asyncio.timeout(20),
    ):
        home.executor.gate.clear()
        posts, runs = [], []
        for rate in (1.1, 1.2, 1.3, 1.4):  # the first begins, the others wait
            posts.append(await home.propose("ada", rate))
            run = home.lab("ada").run(home.commit_of(posts[-1]), posts[-1])
            runs.append(group.create_task(run))
            await chronicle.wait_until(lambda state: len(state.experiments) == 8 + len(runs))
            await chronicle.wait_until(lambda state: bool(state.running()))
        await act(eve, "veto", posts[1], why="too wide")
        await act(eve, "boost", posts[3])
        with pytest.raises(RequestRefusedError, match="has begun"):
            await act(eve, "boost", posts[0])
        home.executor.gate.set()
        await asyncio.wait(runs)
    screens = [
        experiment.queued.hypothesis
        for experiment in sorted(chronicle.state.by_verdict, key=lambda e: e.verdict_us or 0)
        if experiment.queued.purpose == "screen"
    ]
    assert list(dict.fromkeys(screens)) == [posts[0], posts[3], posts[2], posts[1]]
    assert acts(home) == [(EVE, "veto", posts[1], "too wide"), (EVE, "boost", posts[3], "")]


async def test_a_paused_agent_takes_no_turn_and_resumes(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """It proposes nothing and takes no turn meanwhile; what runs of it comes to its end."""
    async with (
        house(
            joined(calibrated(chronicle)), repository, tmp_path, scenario_of(), guests=(EVE,)
        ) as home,
        home.board.seat(AgentName(EVE)) as eve,
        asyncio.TaskGroup() as group,
        asyncio.timeout(20),
    ):
        home.executor.gate.clear()
        hypothesis, prepared = await home.propose("ada", 1.5), await home.propose("ada", 1.7)
        running = group.create_task(home.lab("ada").run(home.commit_of(hypothesis), hypothesis))
        await act(eve, "pause", "ada", why="lunch")
        begun = group.create_task(home.lab("ada").run(home.commit_of(prepared), prepared))
        with pytest.raises(RequestRefusedError, match="paused already"):
            await act(eve, "pause", "ada", "again")
        turn = group.create_task(home.lab("ada").wait_for_turn())
        proposal = group.create_task(home.propose("ada", 1.6))
        await home.lab("bob").wait_for_turn()
        home.executor.gate.set()
        assert (await running).status == "improved"
        assert not turn.done()
        assert not proposal.done()
        assert chronicle.state.experiments_admitted == 1
        await act(eve, "resume", "ada")
        await asyncio.wait((turn, proposal, begun))
    assert [verb for _, verb, _, _ in acts(home)] == ["pause", "resume"]
    assert len(chronicle.state.hypotheses) == 3


async def test_a_paused_agent_reports_and_says_nothing_new(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Comments, leads and hypotheses are refused until it is resumed; a finding is taken."""
    async with (
        house(
            joined(calibrated(chronicle)), repository, tmp_path, scenario_of(), guests=(EVE,)
        ) as home,
        home.board.seat(AgentName(EVE)) as eve,
        asyncio.timeout(20),
    ):
        claim = await screened(home, "ada", 1.5)
        waiting = await home.lab("ada").prepare(
            Proposal((home.commit_of(claim),), {"train.py": "RATE = 1.2\nWIDTH = 4\n"}, "next")
        )
        await act(eve, "pause", "ada")
        async with home.board.seat(AgentName("ada")) as seat:
            for number, body in enumerate((Comment(text="well"), Lead(title="look there"))):
                with pytest.raises(PostRefusedError, match="paused ada"):
                    await seat.submit(Draft(message_id=f"m{number}", body=body))
        with pytest.raises(PostRefusedError, match="paused ada"):
            await home.post("ada", waiting.commit)
        await home.report("ada", claim)
        await act(eve, "resume", "ada")
        await home.post("ada", waiting.commit)
        kinds = [
            record.posted.body["kind"]
            for record in chronicle.state.posts.values()
            if record.posted.author == "ada"
        ]
        assert kinds == ["hypothesis", "finding", "hypothesis"]


def joined(chronicle: Chronicle) -> Chronicle:
    """Record who takes part, as a run does."""
    for name in ("ada", "bob", "cleo"):
        chronicle.record(AgentJoined(name, "explorer", "policy:random", ()))
    return chronicle


async def test_a_deed_is_done_once_under_its_name_in_every_life_of_the_run(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A repeat, at once or after a restart, gets the number of the row that is there."""
    seqs = []
    joined(calibrated(chronicle))
    for life in range(2):
        async with (
            house(chronicle, repository, tmp_path, scenario_of(), guests=(EVE,)) as home,
            home.board.seat(AgentName(EVE)) as eve,
            asyncio.timeout(10),
        ):
            if not life:
                hypothesis = await home.propose("ada", 1.5)
            seqs += [await act(eve, "boost", hypothesis, "one") for _ in range(2)]
    assert len(set(seqs)) == 1
    assert chronicle.state.forum.boosts[hypothesis] == 1
    kinds = [type(row.event) for row in chronicle.ledger.rows()]
    assert (kinds.count(PersonActed), kinds.count(PersonJoined)) == (1, 1)


@pytest.mark.parametrize(
    ("args", "what"),
    [
        ({"action": "boost", "target": "p99"}, "no hypothesis"),
        ({"action": "pause", "target": "zoe"}, "no agent"),
        ({"action": "resume", "target": "ada"}, "not paused"),
        ({"action": "retract", "target": "p1"}, "act: action"),
        ({"action": "boost", "target": "p1", "person": "~bob"}, "act: person"),
        ({"action": "boost", "target": ["p1"]}, "act: target"),
        ({"action": "boost", "target": "p1", "why": "x" * 301}, "act: why"),
        ({}, "act: action"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_a_reason(
    chronicle: Chronicle,
    repository: Repository,
    tmp_path: Path,
    args: dict[str, Any],
    what: str,
) -> None:
    """Nothing is recorded but the refusal."""
    async with (
        house(
            joined(calibrated(chronicle)), repository, tmp_path, scenario_of(), guests=(EVE,)
        ) as home,
        home.board.seat(AgentName(EVE)) as eve,
        asyncio.timeout(10),
    ):
        with pytest.raises(RequestRefusedError, match=what):
            await eve.request("act", args, "1")
    assert acts(home) == []
    assert [(who, r.what) for _, r in chronicle.state.refusals for who in (r.who,)] == [
        (EVE, "request")
    ]


async def test_an_agent_cannot_do_what_people_do(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Not even asked at the counter: it is not heard there."""
    async with (
        house(
            joined(calibrated(chronicle)), repository, tmp_path, scenario_of(), guests=(EVE,)
        ) as home,
        home.board.seat(AgentName("ada")) as ada,
        home.board.seat(AgentName(EVE)) as eve,
    ):
        asked = asyncio.create_task(act(ada, "pause", "bob"))
        await asyncio.sleep(0)
        await act(eve, "pause", "cleo")  # asked later, and done
        assert not asked.done()
        asked.cancel()
    assert acts(home) == [(EVE, "pause", "cleo", "")]


def test_a_run_keeps_its_person(chronicle: Chronicle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who resumes a run under another login goes on as the person it has; names are made safe."""
    monkeypatch.setattr("getpass.getuser", lambda: "Ada.Lovelace")
    assert person_of(chronicle.state) == "~ada-lovelace"
    chronicle.record(PersonJoined("~grace"))
    assert person_of(chronicle.state) == "~grace"

    def nobody() -> str:
        raise OSError

    monkeypatch.setattr("getpass.getuser", nobody)
    chronicle.state.forum.people.clear()
    assert person_of(chronicle.state) == "~somebody"
