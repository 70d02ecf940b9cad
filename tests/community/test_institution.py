"""From a proposal to its status: screens, confirmations, the lab's own, limits, restarts."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from bench_script import NoisyScorePhase, calibrated, house, isolated, scenario_of, screened

from agents.errors import NoRightError, NotVisibleError, ProposalRefusedError
from agents.lab import Proposal
from community.admission import Admission
from community.archive.leaderboard import researchers
from community.archive.queries import leader
from community.chronicle import Chronicle
from community.events import AgentJoined
from community.reproduction import NOT_OPEN
from community.scenario import StopSection
from trainer.repository import Repository

SAME = "# comments change nothing\nRATE = 1.0\nWIDTH = 4\n"


async def test_a_gain_beyond_the_noise_is_improved(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A screen is told to its proposer with score, status and gain over the parent's mean."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        post_id = await home.propose("ada", 1.5)
        outcome = await home.lab("ada").run(home.commit_of(post_id), post_id)
    assert (outcome.outcome, outcome.status, outcome.score) == ("ok", "improved", 2.5)
    assert outcome.gain == pytest.approx(0.5)
    assert chronicle.state.hypotheses[post_id].status == "improved"


async def test_a_gain_inside_the_noise_is_not(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The ladder's lower steps: about one sigma is undecided, half of one is not improved."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        near = await screened(home, "ada", 1.02)
        far = await screened(home, "ada", 1.01)
    assert chronicle.state.hypotheses[near].status == "undecided"
    assert chronicle.state.hypotheses[far].status == "not_improved"


async def test_a_crash_is_invalid_and_the_community_goes_on(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A crashing tree gets an invalid verdict; the next experiment runs."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        crashed = await home.propose("ada", 13.0)
        outcome = await home.lab("ada").run(home.commit_of(crashed), crashed)
        better = await screened(home, "bob", 1.5)
    assert (outcome.outcome, outcome.reason, outcome.score) == ("invalid", "crash", None)
    assert chronicle.state.hypotheses[crashed].status == "not_improved"
    assert chronicle.state.hypotheses[better].status == "improved"


async def test_a_confirmation_that_ends_with_the_parents_run_is_told_by_the_childs(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """In even pairs the parent runs last; the reproducer can report all the same."""
    scenario = scenario_of()
    noise = scenario.noise.model_copy(update={"confirm_pairs": 2})
    scenario = scenario.model_copy(update={"noise": noise})
    async with house(calibrated(chronicle), repository, tmp_path, scenario) as home:
        post_id = await screened(home, "ada", 1.5)
        outcome = await home.lab("cleo").reproduce(post_id)
        again = await home.lab("cleo").reproduce(post_id)
        await home.report("cleo", post_id, outcome.verdict_id)
    state = chronicle.state
    told = state.experiments[state.verdicts[outcome.verdict_id].experiment_id].queued
    assert (outcome.status, told.purpose, told.pair) == ("reproduced", "confirm_child", 2)
    assert again == outcome
    assert [post.posted.author for post in state.posts.values()] == ["ada", "cleo"]


async def test_nobody_confirms_his_own_claim(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The proposer's request is refused, and nothing is run for it."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        post_id = await screened(home, "ada", 1.5)
        outcome = await home.lab("ada").reproduce(post_id)
    assert (outcome.outcome, "own claim" in outcome.reason) == ("refused", True)
    assert chronicle.state.experiments_admitted == 1


async def test_the_lab_confirms_where_nobody_can(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Among isolated agents the lab takes the claim, charges its proposer and tells him."""
    scenario = scenario_of().model_copy(
        update={"topology": scenario_of().topology.model_copy(update={"family": "isolated"})}
    )
    async with house(calibrated(chronicle), repository, tmp_path, scenario) as home:
        lab_task = asyncio.create_task(home.institution.reproduce_unclaimed())
        post_id = await screened(home, "ada", 1.5)
        await chronicle.wait_until(
            lambda state: any(post.posted.author == "lab" for post in state.posts.values())
        )
        lab_task.cancel()
    state = chronicle.state
    claim = state.hypotheses[post_id]
    assert (claim.status, claim.reproduced_by) == ("reproduced", "lab")
    assert state.spend["ada"].experiments == 5
    assert set(state.delivered) == {"ada"}


async def test_a_claim_is_left_to_a_patient_reproducer(
    chronicle: Chronicle, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody can still take a claim, the lab leaves it alone."""
    scenario = scenario_of(reproduce_after=1e6)
    has_looked = asyncio.Event()

    async def look_again() -> None:
        has_looked.set()
        await asyncio.Event().wait()

    async with house(calibrated(chronicle), repository, tmp_path, scenario) as home:
        monkeypatch.setattr(home.institution, "_look_again", look_again)
        post_id = await screened(home, "ada", 1.5)
        lab_task = asyncio.create_task(home.institution.reproduce_unclaimed())
        # It comes to look again once it has left the claim alone, or has confirmed it.
        await asyncio.wait_for(has_looked.wait(), 10)
        assert not chronicle.state.hypotheses[post_id].confirmations
        assert chronicle.state.hypotheses[post_id].status == "improved"
        lab_task.cancel()


async def test_the_same_tree_is_measured_once(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A tree that differs in comments alone is known to whom a result's post has reached."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        post_id = await screened(home, "ada", 1.5)
        assert (await home.prepare_twin("bob", 1.5)).known is None
        assert (await home.prepare_twin("ada", 1.5)).known is not None
        await home.report("ada", post_id)
        known = (await home.prepare_twin("bob", 1.5)).known
    assert known is not None
    assert (known.score, known.log_tail) == (2.5, "")
    assert chronicle.state.experiments_admitted == 1


async def test_what_one_was_told_is_not_measured_again(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Another draw would be another chance of the same right, and a mean finer than sigma/4."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        told = await screened(home, "ada", 1.5)
        await home.report("ada", told)
        for name in ("ada", "bob"):
            twin = await home.prepare_twin(name, 1.5)
            again = await home.lab(name).run(twin.commit, await home.post(name, twin.commit))
            assert (again.outcome, again.score) == ("refused", None)
        opened = chronicle.state.opened
        assert opened is not None
        text = home.bench.repository.read(opened.baseline_commit)["train.py"].decode()
        start = Proposal((home.commit_of(told),), {"train.py": text}, "back to the start")
        with pytest.raises(ProposalRefusedError):
            await home.lab("ada").prepare(start)
    screens = [e for e in chronicle.state.experiments.values() if e.queued.purpose == "screen"]
    assert len(screens) == 1


async def test_making_worse_and_taking_back_leads_nowhere(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A true gain over a parent of one's own that lost as much is nobody's frontier."""
    async with house(
        calibrated(chronicle), repository, tmp_path, scenario_of(), score_phase=NoisyScorePhase()
    ) as home:
        worse = await screened(home, "ada", 0.5)
        back = await home.propose("ada", 1.000001, parent=home.commit_of(worse))
        await home.lab("ada").run(home.commit_of(back), back)
        assert (await home.lab("cleo").reproduce(back)).status == "reproduced"
        assert leader(chronicle.state) is None
        true = await screened(home, "bob", 1.5)
        assert (await home.lab("cleo").reproduce(true)).status == "reproduced"
    assert leader(chronicle.state).hypothesis == true  # type: ignore[union-attr]
    chronicle.record(*(AgentJoined(name, "explorer", "x", ()) for name in ("ada", "bob")))
    assert [(one.agent, one.credit > 0) for one in researchers(chronicle.state)] == [
        ("bob", True), ("ada", False),
    ]  # fmt: skip


@pytest.mark.parametrize("carries", ["nothing", "score", "summary"])
async def test_the_lab_is_no_oracle_around_the_topology(
    carries: str, chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Who has not read one another's diffs measures one tree twice, each on its own account."""
    scenario = isolated()
    if carries != "nothing":
        edges = scenario.topology.model_copy(update={"family": "complete", "carries": carries})
        scenario = scenario.model_copy(update={"topology": edges})
    async with house(calibrated(chronicle), repository, tmp_path, scenario) as home:
        first = await screened(home, "ada", 1.5)
        await home.report("ada", first)
        assert (await home.prepare_twin("bob", 1.5)).known is None
        await screened(home, "bob", 1.5)
        home.executor.gate.clear()
        posts = [(name, await home.propose(name, 1.7)) for name in ("ada", "bob")]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(home.lab(n).run(home.commit_of(p), p)) for n, p in posts]
            await chronicle.wait_until(lambda state: state.experiments_admitted == 4)
            home.executor.gate.set()
    assert [task.result().outcome for task in tasks] == ["ok", "ok"]
    assert {name: chronicle.state.spend[name].experiments for name in ("ada", "bob")} == {
        "ada": 2, "bob": 2,
    }  # fmt: skip
    screens = [e for e in chronicle.state.experiments.values() if e.queued.purpose == "screen"]
    assert len({e.queued.seed for e in screens}) == 4


async def test_a_refusal_tells_nothing_of_others(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Agents get fixed words; whose it is and how it stands is in the ledger's refusals."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        flat = await screened(home, "ada", 1.01)
        refused = await home.lab("cleo").reproduce(flat)
        assert (refused.outcome, refused.reason) == ("refused", NOT_OPEN)
        # Who has not the right cannot ask how a claim stands by asking for its confirmation.
        better = await screened(home, "ada", 1.5)
        told = {(await home.lab("bob").reproduce(claim)).reason for claim in (flat, better)}
        assert told == {"the role of bob has no right to reproduce"}
        home.executor.gate.clear()
        twins = [await home.propose(name, 1.7) for name in ("ada", "bob")]
        claims = [chronicle.state.hypotheses[name] for name in twins]
        assert home.institution.screen(claims[0]) == ""
        assert "ada" not in (said := home.institution.screen(claims[1]))
        assert twins[0] not in said
        home.executor.gate.set()
        await chronicle.wait_until(lambda state: bool(claims[0].changes))
    details = [refusal.reason for _, refusal in chronicle.state.refusals]
    assert ("not_improved" in details[0], twins[0] in details[-1]) == (True, True)


async def test_a_hidden_commit_cannot_be_read_or_built_on(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """What no post carried to an agent does not exist for it, also in the lab."""
    scenario = scenario_of().model_copy(
        update={"topology": scenario_of().topology.model_copy(update={"family": "isolated"})}
    )
    async with house(calibrated(chronicle), repository, tmp_path, scenario) as home:
        post_id = await screened(home, "ada", 1.5)
        hidden = home.commit_of(post_id)
        bob = home.lab("bob")
        with pytest.raises(NotVisibleError):
            await bob.read_tree(hidden)
        with pytest.raises(NotVisibleError):
            await bob.prepare(Proposal((hidden,), {"train.py": "RATE = 2.0\n"}, "steal"))
        tree_key = chronicle.state.hypotheses[post_id].tree_key
        verdict_id = chronicle.state.verdicts_by_tree[tree_key, "dev"][0].verdict_id
        assert await bob.verdict(verdict_id) is None
        assert (await bob.reproduce(post_id)).outcome == "refused"
        assert [post.author for post in await bob.catch_up(0)] == []


async def test_a_parent_has_a_score_for_whom_it_was_told(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Bob reads ada's tree at once; whether it has run he hears from her, not by building on it."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        claim = await home.propose("ada", 1.5)
        parent = home.commit_of(claim)
        child = Proposal((parent,), {"train.py": "RATE = 1.2\n# knob\nWIDTH = 4\n"}, "more")
        said = []
        for step in ("waits", "has run"):
            if step == "has run":
                await home.lab("ada").run(parent, claim)
            with pytest.raises(ProposalRefusedError) as refusal:
                await home.lab("bob").prepare(child)
            said.append(str(refusal.value))
        assert said[0] == said[1]
        assert "has reached bob" in said[0]
        assert (await home.lab("ada").prepare(child)).commit
        await home.report("ada", claim)
        assert (await home.lab("bob").prepare(child)).commit


@pytest.mark.parametrize(
    ("path", "text"),
    [("../evil.py", "x = 1\n"), ("grade.py", "x = 1\n"), ("train.py", SAME)],
    ids=["escape", "not editable", "no change"],
)
async def test_a_bad_proposal_is_refused_with_a_reason(
    path: str, text: str, chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The patch policy refuses before anything is committed, and the ledger keeps the reason."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        assert chronicle.state.opened is not None
        parent = chronicle.state.opened.baseline_commit
        with pytest.raises(ProposalRefusedError):
            await home.lab("ada").prepare(Proposal((parent,), {path: text}, "bad"))
    assert chronicle.state.refusals[-1][1].what == "proposal"
    assert not chronicle.state.proposals


async def test_the_last_experiments_are_kept_for_the_leading_claim(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """With five left and an open claim a screen waits until that is confirmed, and has the rest."""
    scenario = scenario_of(experiments=6)
    async with house(calibrated(chronicle), repository, tmp_path, scenario) as home:
        claim = await screened(home, "ada", 1.5)
        other = await home.propose("bob", 1.7)
        waiting = asyncio.create_task(home.lab("bob").run(home.commit_of(other), other))
        await asyncio.sleep(0)  # it asks in its first step, or waits until the ledger grows
        assert not chronicle.state.hypotheses[other].experiments
        assert (await home.lab("cleo").reproduce(claim)).status == "reproduced"
        assert (await waiting).status == "improved"
        assert await home.institution.until_over() == "experiments"
    assert chronicle.state.experiments_admitted == 6


async def test_a_lost_attempt_is_tried_again_and_counts_once(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """An interrupted attempt is followed by a second one; the experiment has one verdict."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        home.executor.lose_next = 1
        post_id = await screened(home, "ada", 1.5)
    (name,) = chronicle.state.hypotheses[post_id].experiments
    experiment = chronicle.state.experiments[name]
    assert [a.ended.outcome for a in experiment.attempts if a.ended] == ["interrupted", "ok"]
    assert chronicle.state.experiments_admitted == 1


async def test_a_restart_takes_up_screens_and_confirmations(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """What was queued when the first life ended comes to its verdict in the second."""
    scenario = scenario_of(experiments=20)
    async with house(calibrated(chronicle), repository, tmp_path, scenario) as home:
        claim = await screened(home, "ada", 1.5)
        home.executor.gate.clear()
        task = asyncio.create_task(home.lab("cleo").reproduce(claim))
        other = await home.propose("bob", 1.7)
        run = asyncio.create_task(home.lab("bob").run(home.commit_of(other), other))
        await chronicle.wait_until(lambda state: state.experiments_admitted == 6)
        task.cancel()
        run.cancel()
        for task in asyncio.all_tasks():
            if task.get_name().startswith(("follow", "confirm")):
                task.cancel()
    async with house(chronicle, repository, tmp_path, scenario) as home:
        home.institution.resume()
        await chronicle.wait_until(
            lambda state: not state.pending() and state.experiments_admitted == 6
        )
        await chronicle.wait_until(lambda s: s.hypotheses[claim].status == "reproduced")
    state = chronicle.state
    assert state.hypotheses[other].status == "improved"
    assert state.experiments_done == state.experiments_admitted == 6
    judged = Counter(verdict.experiment_id for verdict in state.verdicts.values())
    assert judged == Counter(list(state.experiments))


async def test_the_lab_spends_no_more_than_its_share(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """After one screen a confirmation is too much of the run; after twelve it is a quarter."""
    admission = Admission(StopSection(experiments=60), confirm_pairs=8, confirm_share=0.25)
    scenario = scenario_of(experiments=60)
    async with house(calibrated(chronicle), repository, tmp_path, scenario) as home:
        await screened(home, "ada", 1.5)
        assert not admission.lab_may_confirm(chronicle.state)
        for step in range(2, 13):
            await screened(home, "bob", 1.0 + step / 1000)
    assert admission.lab_may_confirm(chronicle.state)


async def test_the_lab_holds_everybody_to_his_role(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """What a mind or an agent forgets to check is refused where it is done."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        opened = chronicle.state.opened
        assert opened is not None
        start = opened.baseline_commit
        with pytest.raises(NoRightError, match="propose"):
            await home.propose("cleo", 1.5)
        with pytest.raises(NoRightError, match="merge"):
            await home.lab("ada").merge(start, start)
        mine, other = await screened(home, "ada", 1.5), await screened(home, "bob", 1.2)
        both = (home.commit_of(mine), home.commit_of(other))
        text = {"train.py": "RATE = 1.6\n# knob\nWIDTH = 4\n"}
        with pytest.raises(NoRightError, match="merge"):
            await home.lab("ada").prepare(Proposal(both, text, "joined"))
        outcome = await home.lab("bob").reproduce(mine)
    assert (outcome.outcome, "no right" in outcome.reason) == ("refused", True)
