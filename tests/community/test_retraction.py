"""Taking back a verdict: nothing counts it any more, what rested on it is open again, or falls."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from archive_script import verdict
from bench_script import House, Vault, calibrated, house, scenario_of

from agents.lab import Proposal
from community.archive.codec import ledger_hash
from community.archive.export import results_tsv
from community.archive.leaderboard import contributions
from community.archive.progress import progress_points
from community.archive.queries import best_commit, leader, leading_commit
from community.archive.resting import reach_of
from community.archive.state import RunState
from community.chronicle import Chronicle
from community.cli.lines import row_line
from community.errors import LedgerInconsistentError, RetractionError
from community.evidence_events import VerdictRetracted
from community.report.points import leads
from community.retraction import retract_claim, retract_verdict, verdict_retraction
from community.seed_rule import is_deterministic
from community.show import shown
from forum.errors import PostRefusedError
from trainer.repository import Repository


@dataclass
class Family:
    """Post ids of a small run: all reproduced by cleo, `grandchild` leads."""

    root: str
    child: str
    grandchild: str
    merge: str
    stranger: str
    """Built on the baseline; second to nobody here."""


async def _confirmed(home: House, author: str, rate: float, parents: tuple[str, ...]) -> str:
    """Propose, screen and have cleo confirm a tree built on the hypotheses `parents`."""
    text = f"RATE = {rate}\n# knob\nWIDTH = 4\n"
    opened = home.chronicle.state.opened
    assert opened is not None
    commits = tuple(home.commit_of(name) for name in parents) or (opened.baseline_commit,)
    prepared = await home.lab(author).prepare(Proposal(commits, {"train.py": text}, f"{rate}"))
    post_id = await home.post(author, prepared.commit)
    await home.lab(author).run(prepared.commit, post_id)
    await home.lab("cleo").reproduce(post_id)
    assert home.chronicle.state.hypotheses[post_id].status == "reproduced"
    return post_id


async def _family(home: House) -> Family:
    stranger = await _confirmed(home, "bob", 1.6, ())
    root = await _confirmed(home, "ada", 1.5, ())
    await home.report("ada", root, _screen(home.chronicle.state, root))
    child = await _confirmed(home, "bob", 2.0, (root,))
    await home.report("bob", child, _screen(home.chronicle.state, child))
    merge = await _confirmed(home, "bob", 2.4, (stranger, child))
    grandchild = await _confirmed(home, "ada", 2.5, (child,))
    return Family(root, child, grandchild, merge, stranger)


def _screen(state: RunState, name: str) -> str:
    """Return the verdict that screened a hypothesis first."""
    return state.hypotheses[name].changes[0][1].verdicts[0]


def _vault(state: RunState, name: str) -> str:
    """Return a child's verdict of the newest confirmation."""
    claim = state.hypotheses[name]
    cited = [state.verdicts[v] for v in claim.changes[-1][1].verdicts]
    return next(v.verdict_id for v in cited if v.tree_key == claim.tree_key)


def _told(state: RunState, name: str) -> list[str]:
    """Return the statuses that the lab told in a hypothesis' thread."""
    said = (record.posted for record in state.posts.values())
    return [p.body["evidence"]["status"] for p in said if (p.author, p.thread) == ("lab", name)]


async def test_everything_below_a_struck_root_falls(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The root is open again, its reproduced descendants contested, the stranger leads."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        it = await _family(home)
    state = chronicle.state
    assert leading_commit(state) == state.hypotheses[it.grandchild].commit
    struck = _vault(state, it.root)
    before = state.scores(state.hypotheses[it.root].tree_key, "vault")
    told = retract_verdict(chronicle, struck, "eve", "the machine was on fire")
    statuses = {name: claim.status for name, claim in state.hypotheses.items()}
    assert statuses == {
        it.root: "improved",  # its screen stands
        it.child: "contested",
        it.merge: "contested",
        it.grandchild: "contested",
        it.stranger: "reproduced",
    }
    assert len(state.scores(state.hypotheses[it.root].tree_key, "vault")) == len(before) - 1
    assert {f"hypothesis:{name}" for name in statuses if name != it.stranger} <= set(told.reach)
    assert f"hypothesis:{it.stranger}" not in told.reach
    assert {"credit:ada", "credit:bob", "credit:cleo", f"frontier:{it.grandchild}"} <= {*told.reach}
    assert len(set(told.reach)) == len(told.reach)
    first = next(row for row in chronicle.ledger.rows() if isinstance(row.event, VerdictRetracted))
    line = row_line(first, state) or ""
    assert line.startswith(f"{struck} is taken back by eve: the machine was on fire")
    assert "4 hypothesis, 4 commit" in line
    stranger = state.hypotheses[it.stranger]
    assert leading_commit(state) == stranger.commit
    best = best_commit(state)
    assert best is not None
    assert best.hypothesis is stranger
    assert [lead.score for lead in leads(state)][-1] == pytest.approx(2.4)
    assert contributions(state)[0].hypothesis == it.stranger
    assert shown(state, "h").best.commit == stranger.commit
    tsv = results_tsv(state)
    assert [line.split("\t")[3] for line in tsv.splitlines()[1:]].count("keep") == 2
    replayed = RunState.from_rows(chronicle.ledger.rows())
    assert shown(replayed, "h") == shown(state, "h")


async def test_a_struck_screen_counts_in_no_view(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A claim whose only run is struck is measured by nothing, and is seen to be so."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        post_id = await home.propose("ada", 1.5)
        await home.lab("ada").run(home.commit_of(post_id), post_id)
    state = chronicle.state
    claim = state.hypotheses[post_id]
    assert len(progress_points(state)) == 1
    retract_verdict(chronicle, _screen(state, post_id), "eve", "wrong text")
    assert (claim.status, claim.gain, claim.screened_gain) == ("measured", None, None)
    assert not claim.was_improved
    assert state.mean_score(claim.tree_key, "dev") is None
    assert not is_deterministic(state, claim.tree_key)
    assert progress_points(state) == []
    assert best_commit(state) is None
    [row] = contributions(state)
    assert (row.outcome, row.score, row.runs) == ("retracted", None, 0)
    assert "discard\t[retracted]" in results_tsv(state)
    record = json.loads(shown(state, ledger_hash(chronicle.ledger.rows())).as_json())
    assert record["retractions"][0]["by"] == "eve"
    assert record["experiments_done"] == 1  # it was paid for


async def test_a_confirmation_outlives_its_screen(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Fresh seeds on other text: what was reproduced does not rest on the screen."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        root = await _confirmed(home, "ada", 1.5, ())
    retract_verdict(chronicle, _screen(chronicle.state, root), "eve", "a doubt")
    assert chronicle.state.hypotheses[root].status == "reproduced"
    assert leader(chronicle.state) is not None


async def test_a_challenge_that_is_struck_leaves_what_was_reproduced_before(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The claim falls back to its first confirmation, which stands; nothing below it is touched."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        root = await _confirmed(home, "ada", 1.5, ())
        await home.report("ada", root, _screen(chronicle.state, root))
        child = await _confirmed(home, "bob", 2.0, (root,))
    state = chronicle.state
    first = state.hypotheses[root].changes[-1][1]
    later = replace(
        state.experiments[state.verdicts[_vault(state, root)].experiment_id].queued,
        experiment_id="e0999",
    )
    given = replace(verdict(later, 2.5), verdict_id="v-later")
    pooled = replace(first, by="dan", verdicts=(*first.verdicts, "v-later"))
    chronicle.record(later, given, pooled)
    assert state.hypotheses[root].reproduced_by == "cleo"
    retract_verdict(chronicle, "v-later", "eve", "why")
    assert state.hypotheses[root].changes[-1][1] == first
    assert state.hypotheses[root].reproduced_by == "cleo"
    assert state.hypotheses[child].status == "reproduced"


async def test_a_resumed_run_takes_up_what_is_open_again(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The struck run alone is made anew; with the root its descendants stand, and the best leads.

    A struck screen is repeated as well.
    """
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        it = await _family(home)
        lone = await home.propose("bob", 0.9)
        await home.lab("bob").run(home.commit_of(lone), lone)
    state = chronicle.state
    retract_verdict(chronicle, _vault(state, it.root), "eve", "the machine was on fire")
    retract_verdict(chronicle, _screen(state, lone), "eve", "that too")
    admitted = state.experiments_admitted
    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        home.institution.resume()
        await chronicle.wait_until(lambda s: s.hypotheses[lone].status != "measured")
        assert state.experiments_admitted == admitted + 1
        await home.lab("cleo").reproduce(it.root)
        assert home.institution.admission.remaining(state) is None
        await chronicle.wait_until(lambda s: len(_told(s, it.child)) == 2)
    assert state.experiments_admitted == admitted + 2
    assert {claim.status for claim in state.hypotheses.values()} == {"reproduced", "not_improved"}
    assert _told(state, it.child) == ["contested", "reproduced"]
    assert _told(state, it.stranger) == []
    assert _told(state, lone) == ["measured", "not_improved"]
    assert leading_commit(state) == state.hypotheses[it.grandchild].commit
    assert {state.hypotheses[name].reproduced_by for name in (it.child, it.merge)} == {"cleo"}


@pytest.mark.parametrize(("word", "by"), [("stands", "eve"), ("stands", "dora"), ("falls", "eve")])
async def test_a_claim_under_challenge_falls_with_its_ground_at_once(
    chronicle: Chronicle, repository: Repository, tmp_path: Path, word: str, by: str
) -> None:
    """The challenge goes on, whoever struck the ground, and says what it says of the claim itself.

    One that it leaves as it was stands again with its ground, and no sooner.
    """
    scenario = scenario_of()
    dora = scenario.agents[2].model_copy(update={"name": "dora"})
    scenario = scenario.model_copy(update={"agents": (*scenario.agents, dora)})
    plan = Vault(r2_0=[2.0, 2.0, *([2.0] * 2 if word == "stands" else [2.9, 2.9])])
    async with house(
        calibrated(chronicle), repository, tmp_path, scenario, score_phase=plan
    ) as home:
        state = chronicle.state
        root = await _confirmed(home, "ada", 1.5, ())
        await home.report("ada", root, _screen(chronicle.state, root))
        child = await _confirmed(home, "bob", 2.0, (root,))
        claim = state.hypotheses[child]
        home.executor.gate.clear()
        challenge = asyncio.create_task(home.lab("dora").reproduce(child))
        await chronicle.wait_until(lambda _: claim.reproduction_by is not None)
        retract_verdict(chronicle, _vault(state, root), by, "the machine was on fire")
        assert (claim.status, claim.reproduction_by) == ("contested", "dora")
        home.executor.gate.set()
        assert (await challenge).status == "contested"
        assert (claim.confirmations[-1].by, claim.confirmations[-1].pairs) == ("dora", 4)
        assert (claim.status, leader(state)) == ("contested", None)
        assert (await home.lab("cleo").reproduce(root)).status == "reproduced"
    leading = leader(state)
    assert leading is not None
    if word == "stands":
        assert (claim.status, leading.hypothesis) == ("reproduced", child)
    else:
        assert (claim.status, leading.hypothesis) == ("contested", root)
    assert shown(RunState.from_rows(chronicle.ledger.rows()), "h") == shown(state, "h")


async def test_a_refuted_claim_keeps_its_runs(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Its descendants fall with it; every number stays where it was."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        it = await _family(home)
    state = chronicle.state
    scores = {key: len(given) for key, given in state.verdicts_by_tree.items()}
    retract_claim(chronicle, it.child, "lab", "two more pairs say otherwise")
    assert state.hypotheses[it.child].status == "retracted"
    assert (
        state.hypotheses[it.grandchild].status == state.hypotheses[it.merge].status == "contested"
    )
    assert state.hypotheses[it.root].status == "reproduced"
    assert {key: len(given) for key, given in state.verdicts_by_tree.items()} == scores
    assert leading_commit(state) == state.hypotheses[it.stranger].commit
    assert f"hypothesis:{it.merge}" in state.evidence.retractions[-1][1].reach


async def test_what_cannot_be_taken_back(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """An unknown verdict, a baseline's, and one that was taken back; the fold refuses the last."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        root = await _confirmed(home, "ada", 1.5, ())
    screen = _screen(chronicle.state, root)
    with pytest.raises(RetractionError, match="no verdict"):
        retract_verdict(chronicle, "v-none", "eve", "why")
    with pytest.raises(RetractionError, match="baseline"):
        retract_verdict(chronicle, "v-b0001", "eve", "why")
    retract_verdict(chronicle, screen, "eve", "why")
    with pytest.raises(RetractionError, match="already, by eve: why"):
        retract_verdict(chronicle, screen, "eve", "why")
    with pytest.raises(LedgerInconsistentError, match="before"):
        chronicle.record(VerdictRetracted(screen, "again", "eve"))


async def test_nobody_can_cite_what_was_taken_back(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A finding on a struck verdict is turned down, and the ledger says why."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        root = await _confirmed(home, "ada", 1.5, ())
        screen = _screen(chronicle.state, root)
        retract_verdict(chronicle, screen, "eve", "why")
        with pytest.raises(PostRefusedError, match="was taken back"):
            await home.report("ada", root, screen)
    assert "was taken back" in chronicle.state.refusals[-1][1].reason
    kinds = [record.posted.body["kind"] for record in chronicle.state.posts.values()]
    assert kinds == ["hypothesis"]


async def test_planning_changes_nothing(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A plan is rows; the run it is made of stays as it was."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        root = await _confirmed(home, "ada", 1.5, ())
    state, seq = chronicle.state, chronicle.state.last_seq
    struck = _vault(state, root)
    before = shown(state, "h")
    rows = verdict_retraction(state, struck, "eve", "why")
    assert [row.kind for row in rows] == ["verdict_retracted", "status_changed"]
    assert (shown(state, "h"), state.last_seq) == (before, seq)
    tree = reach_of(state, f"verdict:{struck}")
    assert [below.node for below in tree.below] == [f"hypothesis:{root}"]


async def test_a_proposer_may_ask_again_after_his_screen_was_struck(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The claim stands without its screen, and so does the answer; nothing breaks on a resume."""
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        claim = await _confirmed(home, "ada", 1.5, ())
        screen = chronicle.state.hypotheses[claim].changes[0][1].verdicts[0]
        retract_verdict(chronicle, screen, "ann", "a broken fan")
        again = await home.lab("ada").run(home.commit_of(claim), claim)
    assert (again.outcome, again.status) == ("ok", "reproduced")
