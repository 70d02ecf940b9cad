"""Hostile text through the lab's own door: a refusal or a commit, and everybody else goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from bench_script import calibrated, house, scenario_of, screened

from agents.errors import MergeFailedError, ProposalRefusedError
from agents.lab import Prepared, Proposal
from community.chronicle import Chronicle
from community.lab import AgentLab
from trainer.repository import Repository
from trainer.text_process import TextProcess

HOSTILE = {
    "parentheses": "RATE = " + "(" * 40_000,
    "digits": "RATE = 1" + "0" * 40_000,
    "one line": "RATE = " + "1+" * 20_000 + "1",
    "unary": "RATE = " + "-" * 40_000 + "1",
    "NUL": "RATE = 2.0\0",
    "surrogates": "RATE = '\ud800'",
    "carriage return": "RATE = 2.0\rimport os\n",
    "byte order mark": "\ufeffRATE = 2.0\n",
    "bidirectional": "RATE = 2.0  # \u202e\n",
    "too much": "RATE = 2.0\n" + "#" * 50_000,
    "far too much": "#" * (1 << 24),
    "answers": "RATE = 2.0\nA = '" + "abc" * 1_000 + "'\n",
}
LONG = "RATE = 1.5\n" + "x\ny\nx\nx\ny\ny\n" * 1_500
REVERSED = "RATE = 1.6\n" + "y\ny\nx\ny\nx\n" * 1_800


async def prepared(lab: AgentLab, parent: str, text: str) -> Prepared:
    """Propose `text` on `parent`."""
    return await lab.prepare(Proposal((parent,), {"train.py": text}, "hostile"))


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_proposal_is_refused_with_a_reason(
    name: str, chronicle: Chronicle, repository: Repository, tmp_path: Path
):
    """The ledger has the refusal and no commit, and the next proposal is taken."""
    async with (
        TextProcess() as texts,
        house(calibrated(chronicle), repository, tmp_path, scenario_of(), texts=texts) as home,
    ):
        assert chronicle.state.opened is not None
        start = chronicle.state.opened.baseline_commit
        with pytest.raises(ProposalRefusedError):
            await prepared(home.lab("ada"), start, HOSTILE[name])
        assert chronicle.state.refusals[-1][1].what == "proposal"
        assert not chronicle.state.proposals
        await screened(home, "bob", 1.5)
    assert chronicle.state.experiments_done == 1


async def test_what_cannot_be_compared_is_shown_whole_and_is_not_merged(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
):
    """Texts that take for ever to compare cost two seconds each time, and are measured as any."""
    scenario = scenario_of()
    joiner = scenario.agents[0].model_copy(update={"role": "synthesiser"})
    scenario = scenario.model_copy(update={"agents": [joiner, *scenario.agents[1:]]})
    async with (
        TextProcess(cpu_s=0.3) as texts,
        house(calibrated(chronicle), repository, tmp_path, scenario, texts=texts) as home,
    ):
        assert chronicle.state.opened is not None
        start, lab = chronicle.state.opened.baseline_commit, home.lab("ada")
        posts = []
        for parent, text in ((start, LONG), (None, REVERSED)):
            base = parent or home.commit_of(posts[-1])
            commit = (await prepared(lab, base, text)).commit
            posts.append(await home.post("ada", commit))
            await lab.run(commit, posts[-1])
        assert (await lab.read_tree(home.commit_of(posts[1])))["train.py"] == REVERSED
        patch = chronicle.state.posts[posts[1]].posted.body["patch"]
        assert patch.count("\n-") > LONG.count("\n")
        assert patch.count("\n+") > REVERSED.count("\n")
        other = (await prepared(lab, home.commit_of(posts[0]), LONG.replace("x", "z"))).commit
        await home.post("ada", other)
        with pytest.raises(MergeFailedError):
            await lab.merge(home.commit_of(posts[1]), other)
        assert await asyncio.wait_for(screened(home, "bob", 1.7), 30)
