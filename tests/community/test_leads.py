"""Leases of leads: one holder at a time, renewed, expired, given back, done, and after a resume."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import pytest_asyncio
from bench_script import House, calibrated, house, scenario_of

from agents.actions import ClaimLead, PostLead, Run
from agents.conduct import Conduct
from agents.lab import Proposal
from agents.memory import Memory
from agents.spend import Spend
from community.archive.ledger import Ledger
from community.chronicle import Chronicle
from community.clock import RunClock
from community.forum_events import LeadReleased
from community.leads import (
    LEASE_RUNS,
    LEAST_LEASE_S,
    MOST_HELD,
    MOST_LEASES,
    end_leases,
    lease_us,
    open_leads,
)
from community.references import usual_wall_s
from forum.errors import PostRefusedError
from forum.ids import AgentName
from forum.messages import Body, Claim, Draft, Hypothesis, Lead, Prediction
from trainer.repository import Repository


class SetClock(RunClock):
    """Run time that a test sets."""

    def __init__(self, at_us: int = 0) -> None:
        super().__init__()
        self.us = at_us

    def now_us(self) -> int:
        """Return what was set."""
        return self.us

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.us += round(1e6 * seconds)


async def say(home: House, author: str, body: Body, thread: str | None = None) -> str:
    """Post something; return its post id.

    Raises:
        PostRefusedError: it was refused.
    """
    name = f"m{len(home.chronicle.state.posts)}-{len(home.chronicle.state.refusals)}"
    async with home.board.seat(AgentName(author)) as seat:
        receipt = await seat.submit(Draft(message_id=name, thread=thread, body=body))
    assert receipt.post_id is not None
    return receipt.post_id


async def claim(home: House, author: str, lead: str) -> str:
    """Claim or renew a lead."""
    return await say(home, author, Claim(target=lead), lead)


async def follow(home: House, author: str, lead: str, rate: float = 1.1) -> str:
    """Post a hypothesis in a lead's thread."""
    opened = home.chronicle.state.opened
    assert opened is not None
    proposal = Proposal(
        (opened.baseline_commit,), {"train.py": f"RATE = {rate}\n# knob\nWIDTH = 4\n"}, "led"
    )
    prepared = await home.lab(author).prepare(proposal)
    body = Hypothesis(
        title="led", parents=proposal.parents, commit=prepared.commit,
        prediction=Prediction(gain=0.1, confidence=0.5),
    )  # fmt: skip
    return await say(home, author, body, lead)


def released(chronicle: Chronicle) -> list[tuple[str, str]]:
    """Return (whose, why) of every lease that has ended."""
    events = (row.event for row in chronicle.ledger.rows())
    return [(event.by, event.why) for event in events if isinstance(event, LeadReleased)]


@pytest_asyncio.fixture
async def clock(chronicle: Chronicle) -> SetClock:
    """Give the chronicle a clock that the test sets."""
    chronicle.clock = SetClock(chronicle.state.last_us)
    return chronicle.clock


def lease_s(chronicle: Chronicle) -> float:
    """Return how long a lease lasts."""
    return lease_us(chronicle.state) / 1e6


async def test_one_holder_at_a_time_until_the_lease_ends(
    chronicle: Chronicle, repository: Repository, tmp_path: Path, clock: SetClock
) -> None:
    """Others are refused and not told who it is; renewing prolongs it; then it is free again."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        lead = await say(home, "ada", Lead(title="warm it up"))
        assert await home.lab("ada").open_leads() == {lead: 0.0}
        await claim(home, "ada", lead)
        assert (await home.lab("ada").open_leads())[lead] == pytest.approx(lease_s(chronicle))
        assert await home.lab("bob").open_leads() == {}
        with pytest.raises(PostRefusedError, match="somebody follows") as refused:
            await claim(home, "bob", lead)
        assert "ada" not in str(refused.value)
        clock.forward(lease_s(chronicle) - 1)
        await claim(home, "ada", lead)
        clock.forward(lease_s(chronicle) - 1)
        assert await home.lab("bob").open_leads() == {}
        clock.forward(2)
        assert await home.lab("bob").open_leads() == {lead: 0.0}
        await claim(home, "bob", lead)
        assert released(chronicle) == [("ada", "expired")]
        assert chronicle.state.forum.leases[lead].by == "bob"


async def test_nobody_keeps_leads_from_others_for_ever(
    chronicle: Chronicle, repository: Repository, tmp_path: Path, clock: SetClock
) -> None:
    """Only so many are held at once, and one is renewed only so often before it is followed."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        leads = [await say(home, "bob", Lead(title=f"way {n}")) for n in range(MOST_HELD + 1)]
        for lead in leads[:MOST_HELD]:
            await claim(home, "ada", lead)
        with pytest.raises(PostRefusedError, match="you hold p1, p2; follow one"):
            await claim(home, "ada", leads[-1])
        await follow(home, "ada", leads[1])
        await claim(home, "ada", leads[-1])
        for _ in range(MOST_LEASES - 1):
            clock.forward(lease_s(chronicle) - 1)
            await claim(home, "ada", leads[0])
        clock.forward(lease_s(chronicle) - 1)
        with pytest.raises(PostRefusedError, match="was yours 4 times; follow it"):
            await claim(home, "ada", leads[0])
        clock.forward(2)
        await claim(home, "bob", leads[0])


async def test_who_may_not_propose_or_never_heard_of_it_claims_nothing(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A claim of a lead takes the right to propose; what did not reach one cannot be claimed."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        lead = await say(home, "ada", Lead(title="warm it up"))
        with pytest.raises(PostRefusedError, match="no right to propose"):
            await claim(home, "cleo", lead)
        with pytest.raises(PostRefusedError, match="never reached"):
            await claim(home, "bob", "p99")
        with pytest.raises(PostRefusedError, match="does not hold lead"):
            await follow(home, "bob", lead)


async def test_following_a_lead_holds_it_and_its_verdict_is_the_end(
    chronicle: Chronicle, repository: Repository, tmp_path: Path, clock: SetClock
) -> None:
    """While the experiment is queued the lease does not end; judged, nobody claims it any more."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        lead = await say(home, "ada", Lead(title="warm it up"))
        await claim(home, "bob", lead)
        home.executor.gate.clear()
        post_id = await follow(home, "bob", lead)
        asked = asyncio.create_task(home.lab("bob").run(home.commit_of(post_id), post_id))
        await chronicle.wait_until(lambda state: bool(state.pending()))
        clock.forward(100 * lease_s(chronicle))
        assert await home.lab("ada").open_leads() == {}
        with pytest.raises(PostRefusedError, match="somebody follows"):
            await claim(home, "ada", lead)
        home.executor.gate.set()
        await asked
        await chronicle.wait_until(lambda state: lead in state.forum.leads_done)
        assert released(chronicle) == [("bob", "done")]
        for name in ("ada", "bob"):
            assert await home.lab(name).open_leads() == {}
            with pytest.raises(PostRefusedError, match="followed to its end"):
                await claim(home, name, lead)


async def test_a_lease_lasts_some_runs(chronicle: Chronicle) -> None:
    """It goes by what a run takes, and is never too short to think."""
    assert lease_s(chronicle) == LEAST_LEASE_S
    usual_s = usual_wall_s(calibrated(chronicle).state)
    assert lease_s(chronicle) == pytest.approx(max(LEAST_LEASE_S, LEASE_RUNS * usual_s))


async def test_agents_do_it_by_the_actions_that_every_mind_has(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """PostLead, ClaimLead and a Run that names the lead, carried out against the institution."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        opened = chronicle.state.opened
        assert opened is not None
        async with (
            home.board.seat(AgentName("ada")) as hers,
            home.board.seat(AgentName("bob")) as his,
        ):
            results = []
            for name, seat, actions in (
                ("ada", hers, [PostLead("warm it up", "it may help", {"RATE": 1.5})]),
                ("bob", his, [ClaimLead("p1"), run_of(opened.baseline_commit, lead="p1")]),
            ):
                lab = home.lab(name)
                memory = Memory(name, await lab.briefing())
                for post in await lab.catch_up(0):
                    memory.fold(post)
                conduct = Conduct(name, seat, lab, memory, Spend())
                for index, action in enumerate(actions):
                    results.append(await conduct.carry_out(action, f"{name}-0-{index}"))
                assert memory.experiments == (name == "bob")
                assert memory.unfinished_reproductions() == ()
        assert results == ["done"] * 3
        await chronicle.wait_until(lambda state: "p1" in state.forum.leads_done)
        assert released(chronicle) == [("bob", "done")]


def run_of(parent: str, lead: str) -> Run:
    """Return a run that follows a lead."""
    return Run(
        parents=(parent,), files={"train.py": "RATE = 1.5\n# knob\nWIDTH = 4\n"}, title="led",
        rationale="", prediction=Prediction(gain=0.1, confidence=0.5), lead=lead,
    )  # fmt: skip


async def test_who_leaves_gives_back(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """What he held and did not follow is free at once."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        lead = await say(home, "ada", Lead(title="warm it up"))
        await claim(home, "bob", lead)
        home.institution.attendance.take_leave("bob")
        assert await home.lab("ada").open_leads() == {lead: 0.0}
        assert released(chronicle) == [("bob", "given_back")]


async def test_leases_go_on_after_a_kill(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The ledger knows who holds what and until when; the next life records that it has ended."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        lead = await say(home, "ada", Lead(title="warm it up"))
        await claim(home, "bob", lead)
    path = chronicle.ledger.path
    chronicle.ledger.close()
    with Ledger.open(path) as ledger:
        clock = SetClock(chronicle.state.last_us)
        again = Chronicle(ledger, clock)
        assert open_leads(again.state, "bob", clock.us)[lead] > 0.0
        assert open_leads(again.state, "ada", clock.us) == {}
        clock.forward(lease_s(again))
        ending = asyncio.create_task(end_leases(again))
        await again.wait_until(lambda state: not state.forum.leases)
        ending.cancel()
        assert released(again) == [("bob", "expired")]
        assert open_leads(again.state, "ada", clock.us) == {lead: 0.0}
