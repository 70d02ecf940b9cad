"""Who is owed the gain: copies, lucky seeds and slices earn nothing, and everything adds up."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from archive_script import queued, verdict
from bench_script import House, ScriptedScorePhase, house, scenario_of

from agents.lab import Proposal
from community.archive.credit import CreditLedger, credit_table, omissions
from community.archive.leaderboard import researchers
from community.archive.state import ExperimentState, RunState
from community.chronicle import Chronicle
from community.events import AgentJoined
from community.finals import run_finals
from community.scenario import CreditSection, Scenario, SealSection
from community.score_phase import Scored
from community.sealing import open_finals
from community.show import leaderboard_text, shown
from scoring.verdict import Score
from trainer.repository import Repository
from trainer.text_process import TextProcess

SIGMA = 0.02
START = "RATE = 1.0\n# knob\nWIDTH = 4\n"
BOOST = (
    "def boost(x, by):\n    return x + by\n\nGAIN = 0.5\n" + START + "POINTS = boost(RATE, GAIN)\n"
)
COPY = (
    "JUNK = 17\n\ndef my_own(value, amount):\n    # quite another idea\n    print(JUNK)\n"
    "    return value + amount\n\nMINE: float = 5e-1\n"
    + START
    + "OTHER = 3\nprint(OTHER)\nPOINTS = my_own(RATE, MINE)  # lucky\n"
)


class NoisyScorePhase(ScriptedScorePhase):
    """Runs the tree: 4 - POINTS (or RATE, or WIDTH / 4 if that is more), and noise by the seed.

    Trees that say "lucky" have had luck with every seed: half a sigma.
    """

    async def score(
        self, artefact: Path, workspace: Path, split: Any, lease: Any, seed: int, *_: Any
    ) -> Scored:
        """Score as the class says."""
        text = artefact.read_text()
        names: dict[str, Any] = {"print": lambda *_: None}
        exec(text, names)  # of this file's own trees
        points = max(names.get("POINTS", names["RATE"]), names["WIDTH"] / 4)
        luck = SIGMA / 2 if "lucky" in text else 0.0
        value = 4.0 - points - luck + random.Random(seed).gauss(0, SIGMA)
        return Scored(Score("ok", value, "", 1, 1, 0.0), 0.1)


@pytest.fixture
def begun(chronicle: Chronicle) -> Chronicle:
    """Give a ledger whose baseline has three runs that differ."""
    opened = chronicle.state.opened
    assert opened is not None
    for number, score in enumerate((2.98, 3.0, 3.02), start=1):
        run = queued(
            f"b000{number}", "baseline", opened.baseline_commit, opened.baseline_tree_key,
            measurement=number,
        )  # fmt: skip
        chronicle.record(run, verdict(run, score))
    for name, role in (("ada", "explorer"), ("bob", "explorer"), ("cleo", "reproducer")):
        chronicle.record(AgentJoined(name, role, "policy:random", ()))
    return chronicle


def _scenario(share: float = 0.0) -> Scenario:
    changes = {"credit": CreditSection(share=share), "seal": SealSection(runs=1)}
    return scenario_of().model_copy(update=changes)


async def _screen(home: House, author: str, text: str, parent: str = "") -> str:
    """Propose, post, screen and report a tree; returns the post id."""
    opened = home.chronicle.state.opened
    assert opened is not None
    proposal = Proposal((parent or opened.baseline_commit,), {"train.py": text}, "a change")
    prepared = await home.lab(author).prepare(proposal)
    post_id = await home.post(author, prepared.commit)
    await home.lab(author).run(prepared.commit, post_id)
    await home.report(author, post_id)
    return post_id


async def _lead(home: House, author: str, text: str, parent: str = "") -> str:
    """Have a tree screened and confirmed; returns its commit."""
    claim = await _screen(home, author, text, parent)
    outcome = await home.lab("cleo").reproduce(claim)
    assert outcome.status == "reproduced"
    return home.commit_of(claim)


def _credits(state: RunState) -> dict[str, float]:
    """Return credit by author, having seen that it adds up and that nobody's is negative."""
    table = credit_table(state)
    assert all(credit >= 0 for credit in table.by_author.values())
    parts = [*table.by_author.values(), table.unattributed]
    assert math.fsum(parts) == pytest.approx(table.total, abs=1e-12)
    assert math.fsum(table.by_commit.values()) + table.unattributed == pytest.approx(table.total)
    return dict(table.by_author)


def _credit_runs(state: RunState) -> list[ExperimentState]:
    return [e for e in state.experiments.values() if e.queued.purpose == "credit"]


async def test_credit_follows_the_frontier_and_is_shown(
    begun: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Each has what his own change added; the reproducer's decisions are counted beside it."""
    phase = NoisyScorePhase()
    async with house(begun, repository, tmp_path, _scenario(), score_phase=phase) as home:
        assert credit_table(begun.state).total == 0.0
        first = await _lead(home, "ada", START.replace("1.0", "1.5"))
        await _lead(home, "bob", START.replace("1.0", "1.5") + "POINTS = RATE + 0.3\n", first)
    credits_ = _credits(begun.state)
    assert credits_ == pytest.approx({"ada": 0.5, "bob": 0.3}, abs=5 * SIGMA)
    record = shown(begun.state, "hash")
    ada, bob, cleo = (
        next(a for a in record.agents if a.agent == n) for n in ("ada", "bob", "cleo")
    )
    assert (ada.credit, bob.credit, cleo.credit) == (credits_["ada"], credits_["bob"], 0.0)
    assert (ada.decided, cleo.decided, ada.credit_kind) == (0, 2, "path")
    assert record.credit.total == pytest.approx(0.8, abs=5 * SIGMA)
    text = leaderboard_text(record)
    assert f"credit {ada.credit:.4f}" in text
    assert "credit: path; " in text


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_renamed_copy_of_a_neighbours_winner_earns_nothing(
    when: str, begun: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Declared from the baseline, among junk, and leading by luck: it is ada's all the same.

    Also if the copy is confirmed before the winner is.
    """
    phase = NoisyScorePhase()
    async with house(begun, repository, tmp_path, _scenario(), score_phase=phase) as home:
        claim = await _screen(home, "ada", BOOST)
        if when == "after":
            await home.lab("cleo").reproduce(claim)
        copy = await _lead(home, "bob", COPY)
    state = begun.state
    theirs, his = (state.proposals[c].hunks for c in (home.commit_of(claim), copy))
    assert set(theirs) < set(his)
    assert when == "after" or CreditLedger(state).leader == copy
    credits_ = _credits(state)
    assert credits_.get("bob", 0.0) == 0.0
    assert credits_["ada"] == pytest.approx(0.5, abs=5 * SIGMA)


async def test_lucky_seeds_of_a_neighbours_winner_earn_nothing(
    begun: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Of twelve resubmissions some lead the frontier by chance; chance is nobody's."""
    phase = NoisyScorePhase()
    async with house(begun, repository, tmp_path, _scenario(), score_phase=phase) as home:
        await _lead(home, "ada", BOOST)
        for number in range(12):
            await _lead(home, "bob", COPY.replace("JUNK = 17", f"JUNK = {number}"))
    state = begun.state
    assert _credits(state).get("bob", 0.0) == 0.0
    assert len({moved.commit for _, moved in state.frontier}) > 1
    assert credit_table(state).unattributed > 0


async def test_slices_of_one_change_earn_what_it_earns_whole(
    begun: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Four confirmed steps of 0.2 each, and a gain of 0.8 for all of it."""
    phase = NoisyScorePhase()
    async with house(begun, repository, tmp_path, _scenario(), score_phase=phase) as home:
        parent = ""
        for step in range(1, 5):
            lines = "".join(f"POINTS += {n / 5} - {(n - 1) / 5}\n" for n in range(1, step + 1))
            parent = await _lead(home, "ada", f"{START}POINTS = RATE\n{lines}", parent)
    assert _credits(begun.state)["ada"] == pytest.approx(0.8, abs=5 * SIGMA)


async def test_who_only_records_a_change_does_not_hold_it(
    begun: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A commit costs nothing; a change belongs to the first commit that was measured with it."""
    phase = NoisyScorePhase()
    async with house(begun, repository, tmp_path, _scenario(), score_phase=phase) as home:
        assert begun.state.opened is not None
        start = begun.state.opened.baseline_commit
        await home.lab("bob").prepare(Proposal((start,), {"train.py": BOOST}, "mine, later"))
        await _lead(home, "ada", BOOST + "# ada's\n")
    assert set(_credits(begun.state)) == {"ada"}


async def test_who_names_a_change_where_it_does_nothing_does_not_hold_it(
    begun: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """All ideas in a branch that never runs, measured as no gain; bob makes one of them work."""
    idle = START + "if WIDTH > 99:\n    RATE = 1.5\n    RATE = 1.6\n"
    scenario = _scenario()
    async with house(begun, repository, tmp_path, scenario, score_phase=NoisyScorePhase()) as home:
        await _screen(home, "ada", idle)
        await _lead(home, "bob", START.replace("1.0", "1.5"))
    hunks = [set(begun.state.proposals[commit].hunks) for commit in begun.state.proposals]
    assert hunks[1] <= hunks[0]
    credit = _credits(begun.state)
    assert credit["bob"] == pytest.approx(0.5, abs=4 * SIGMA)
    assert credit.get("ada", 0.0) == pytest.approx(0.0, abs=SIGMA)


async def test_what_was_taken_back_pays_nobody(
    begun: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """A leader that is retracted takes its move along; whoever led before has his again."""
    phase = NoisyScorePhase()
    async with house(begun, repository, tmp_path, _scenario(), score_phase=phase) as home:
        first = await _lead(home, "ada", START.replace("1.0", "1.5"))
        second = await _lead(home, "bob", START.replace("1.0", "1.8"), first)
        claim = begun.state.hypotheses_by_commit[second][0]
        change = begun.state.hypotheses[claim].changes[-1][1]
        begun.record(replace(change, status="retracted", by="lab"))
    assert set(_credits(begun.state)) == {"ada"}
    assert credit_table(begun.state).decided == {"cleo": 1}


async def _merged(home: House) -> str:
    """Ada and bob find one change each, ada's tree joins both; returns its commit, which leads."""
    await _screen(home, "ada", START.replace("1.0", "1.5"))
    await _screen(home, "bob", START + "POINTS = max(RATE, WIDTH / 4) + 0.2\n")
    for number in range(14):  # what the last runs may cost is a share of what the run has spent
        await _screen(home, "bob", START.replace("1.0", f"1.{number:03}1"))
    joined = START.replace("1.0", "1.5") + "POINTS = max(RATE, WIDTH / 4) + 0.2\n"
    return await _lead(home, "ada", joined)


async def test_at_the_end_each_change_is_taken_out(
    begun: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Four seeds of each tree on one slot, beside the whole; credit is what its loss costs."""
    scenario = _scenario(share=1.0)
    phase = NoisyScorePhase()
    async with (
        TextProcess() as texts,
        house(begun, repository, tmp_path, scenario, score_phase=phase, texts=texts) as home,
    ):
        leader = await _merged(home)
        assert credit_table(begun.state).kind == "path"
        before = begun.state.device_seconds
        open_finals(begun, "experiments", None)
        await run_finals(begun, home.institution.bench, scenario)
    state = begun.state
    runs = _credit_runs(state)
    made = omissions(state, leader)
    counted = Counter(run.queued.commit for run in runs)
    assert counted == dict.fromkeys((leader, *(one.commit for one in made)), 4)
    assert len({run.queued.seed for run in runs}) == len(runs) == 12
    assert {(r.queued.split, r.queued.charged_to, r.queued.slot) for r in runs} == {
        ("vault", "lab", "cpu0")
    }
    table = credit_table(state)
    assert (table.kind, state.device_seconds) == ("leave-one-out", before)
    credits_ = _credits(state)
    assert credits_["ada"] / credits_["bob"] == pytest.approx(0.5 / 0.2, rel=0.4)
    assert table.unattributed == pytest.approx(0.0, abs=1e-12)
    assert 0.6 < table.total < 0.7
    assert {one.credit_kind for one in researchers(state)} == {"leave-one-out"}
    assert state.proposals[leader].hunks not in [state.proposals[o.commit].hunks for o in made]


async def test_two_changes_of_which_one_would_do_share_what_both_are_worth(
    begun: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Neither is missed alone; a fifth tree without both shows what they are worth together."""
    scenario = _scenario(share=1.0)
    phase = NoisyScorePhase()
    async with house(begun, repository, tmp_path, scenario, score_phase=phase) as home:
        await _screen(home, "ada", START.replace("1.0", "1.5"))
        await _screen(home, "bob", START.replace("= 4", "= 6"))
        for number in range(16):
            await _screen(home, "bob", START.replace("1.0", f"1.{number:03}1"))
        await _lead(home, "ada", START.replace("1.0", "1.5").replace("= 4", "= 6"))
        open_finals(begun, "experiments", None)
        await run_finals(begun, home.institution.bench, scenario)
    credits_ = _credits(begun.state)
    assert len(_credit_runs(begun.state)) == 20
    assert credits_["ada"] == pytest.approx(credits_["bob"])
    assert credits_["ada"] == pytest.approx(0.25, abs=3 * SIGMA)


async def test_what_cannot_be_taken_out_alone_counts_by_its_path(
    begun: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Ada's function holds bob's line, so only bob's change is measured; the ledger says why."""
    scenario = _scenario(share=1.0)
    phase = NoisyScorePhase()
    function = "def boost(x, by=0.5):\n    return x + by\n\n" + START + "POINTS = boost(RATE)\n"
    grown = function.replace("    return", "    print('on we go')\n    x = x + 0.3\n    return")
    async with house(begun, repository, tmp_path, scenario, score_phase=phase) as home:
        first = await _lead(home, "ada", function)
        for number in range(10):
            await _screen(home, "bob", START.replace("1.0", f"1.{number:03}1"))
        await _lead(home, "bob", grown, first)
        path = credit_table(begun.state).by_author
        open_finals(begun, "experiments", None)
        await run_finals(begun, home.institution.bench, scenario)
    told = [notice.text for _, notice in begun.state.notices if notice.notice == "credit"]
    assert len(told) == 1
    assert "cannot be made: other changes stand in a definition of theirs" in told[0]
    assert credit_table(begun.state).kind == "leave-one-out"
    assert _credits(begun.state) == pytest.approx(path, abs=8 * SIGMA)


async def test_what_would_cost_too_much_is_not_measured(
    begun: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Beyond its share of the run credit stays that of the path, and the ledger says so."""
    scenario = _scenario(share=0.1)
    phase = NoisyScorePhase()
    async with house(begun, repository, tmp_path, scenario, score_phase=phase) as home:
        await _merged(home)
        for _ in range(2):
            open_finals(begun, "experiments", None)
            await run_finals(begun, home.institution.bench, scenario)
    assert not _credit_runs(begun.state)
    assert credit_table(begun.state).kind == "path"
    told = [notice.text for _, notice in begun.state.notices if notice.notice == "credit"]
    assert told == ["credit: path; measuring what each change is worth would cost too much"]


async def test_a_stop_in_it_is_taken_up_and_nothing_is_measured_twice(
    begun: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """What was admitted goes on, what was not is admitted: as in one life."""
    scenario = _scenario(share=1.0)
    phase = NoisyScorePhase()
    async with house(begun, repository, tmp_path, scenario, score_phase=phase) as home:
        await _merged(home)
        open_finals(begun, "experiments", None)
        home.executor.gate.clear()
        ending = asyncio.create_task(run_finals(begun, home.institution.bench, scenario))
        await begun.wait_until(lambda state: len(state.running()) == 1)
        ending.cancel()
        with suppress(asyncio.CancelledError):
            await ending
        home.executor.gate.set()
        await run_finals(begun, home.institution.bench, scenario)
    runs = _credit_runs(begun.state)
    assert len(runs) == 12
    assert all(run.is_done for run in runs)
    assert credit_table(begun.state).kind == "leave-one-out"
    again = RunState.from_rows(begun.ledger.rows())
    assert credit_table(again) == credit_table(begun.state)
