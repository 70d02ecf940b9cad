"""Quotas at the doors of the institution: for whoever hands something in, by whatever way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bench_script import House, calibrated, house, scenario_of, screened

from agents.errors import NoRightError
from agents.lab import Proposal
from agents.roles import RoleTable
from community.chronicle import Chronicle
from community.scenario import Scenario
from forum.errors import PostRefusedError
from forum.ids import AgentName
from forum.messages import Body, Claim, Comment, Draft
from trainer.repository import Repository


def scenario(role: str, rights: list[str], **quotas: int) -> Scenario:
    """Return the usual scenario, ada (or cleo, who reproduces) having a role of its own."""
    plain = scenario_of()
    table = RoleTable.model_validate({"charter": "x", "rights": rights, "quotas": quotas})
    place = 0 if role == "few" else 2
    agents = list(plain.agents)
    agents[place] = agents[place].model_copy(update={"role": role})
    return plain.model_copy(update={"roles": {role: table}, "agents": tuple(agents)})


async def hand_in(home: House, author: str, body: Body, thread: str | None = None) -> str:
    """Hand in a draft as anybody's client could; returns the post id.

    Raises:
        PostRefusedError: it was refused.
    """
    name = f"m{len(home.chronicle.state.posts)}-{len(home.chronicle.state.refusals)}"
    async with home.board.seat(AgentName(author)) as seat:
        receipt = await seat.submit(Draft(message_id=name, thread=thread, body=body))
    assert receipt.post_id is not None
    return receipt.post_id


def proposal(home: House, rate: float) -> Proposal:
    """Return a proposal on the start."""
    opened = home.chronicle.state.opened
    assert opened is not None
    files = {"train.py": f"RATE = {rate}\n# knob\nWIDTH = 4\n"}
    return Proposal((opened.baseline_commit,), files, f"{rate}")


async def test_experiments_end_at_the_quota_by_every_way(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Commits made beforehand are not posted, no more are made, and reports are still taken."""
    own = scenario("few", ["propose", "comment"], experiments=2)
    async with house(calibrated(chronicle), repository, tmp_path, own) as home:
        lab = home.lab("ada")
        spare = [await lab.prepare(proposal(home, rate)) for rate in (2.5, 2.6, 2.7)]
        post = await home.post("ada", spare[0].commit)
        await lab.run(spare[0].commit, post)
        await home.post("ada", spare[1].commit)
        with pytest.raises(PostRefusedError, match="2 experiments of ada are used up"):
            await home.post("ada", spare[2].commit)
        with pytest.raises(NoRightError, match="used up"):
            await lab.prepare(proposal(home, 2.8))
        await home.report("ada", post)
        assert (await lab.run(spare[2].commit, post)).outcome == "refused"
    posted = chronicle.state.posts.values()
    kinds = [each.posted.body["kind"] for each in posted if each.posted.author == "ada"]
    assert kinds == ["hypothesis", "hypothesis", "finding"]


async def test_posts_end_at_the_quota_and_so_do_experiments(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Who may say nothing more cannot have anything measured either."""
    own = scenario("few", ["propose", "comment"], posts=1)
    async with house(calibrated(chronicle), repository, tmp_path, own) as home:
        await hand_in(home, "ada", Comment(text="one"))
        for body in (Comment(text="two"), Comment(text="three")):
            with pytest.raises(PostRefusedError, match="1 posts of ada are used up"):
                await hand_in(home, "ada", body)
        with pytest.raises(NoRightError, match="used up"):
            await home.lab("ada").prepare(proposal(home, 2.5))
        assert await hand_in(home, "bob", Comment(text="others may"))


@pytest.mark.parametrize("quotas", [{"experiments": 1}, {"experiments_per_hour": 1}])
async def test_reproductions_are_counted_by_their_claims(
    quotas: dict[str, Any], chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A lab that is asked without a claim begins nothing; the second claim is refused."""
    own = scenario("once", ["reproduce", "comment"], **quotas)
    async with house(calibrated(chronicle), repository, tmp_path, own) as home:
        first, second = [await screened(home, "ada", rate) for rate in (1.5, 1.6)]
        lab = home.lab("cleo")
        asked = await lab.reproduce(first)
        assert (asked.outcome, "claim" in asked.reason) == ("refused", True)
        await hand_in(home, "cleo", Claim(target=first), first)
        assert (await lab.reproduce(first)).verdict_id
        with pytest.raises(PostRefusedError, match="cleo"):
            await hand_in(home, "cleo", Claim(target=second), second)
        assert (await lab.reproduce(second)).outcome == "refused"


async def test_who_has_no_quota_is_not_asked(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A reproducer without one need not have claimed first."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        first = await screened(home, "ada", 1.5)
        assert (await home.lab("cleo").reproduce(first)).verdict_id
