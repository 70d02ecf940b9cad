"""Failures are recorded with what they were tried under, whatever their author says of it."""

from __future__ import annotations

from pathlib import Path

from bench_script import calibrated, house, scenario_of, screened
from test_duplicates import KNOBS

from agents.actions import Run
from agents.conduct import Conduct
from agents.memory import Memory
from agents.spend import Spend
from community.chronicle import Chronicle
from community.screening import told_verdict
from forum.ids import AgentName
from forum.messages import Conditions, Draft, Evidence, Failure, Prediction
from trainer.repository import Repository


async def test_the_clerk_says_what_a_failure_was_tried_under(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Parent, budget, machine and every knob are the ledger's; an author's own are overwritten."""
    async with house(
        calibrated(chronicle), repository, tmp_path, scenario_of(), knobs_toml=KNOBS
    ) as home:
        post_id = await screened(home, "ada", 0.7, width=5)
        state = chronicle.state
        claim, opened = state.hypotheses[post_id], state.opened
        assert opened is not None
        assert claim.status == "not_improved"
        verdict = told_verdict(state, claim, claim.changes[-1][1])
        made_up = Conditions(parent_tree="x", budget="1 steps", device_class="a better one")
        body = Failure(
            hypothesis=post_id, evidence=Evidence(verdict_id=verdict.verdict_id), conditions=made_up
        )
        async with home.board.seat(AgentName("ada")) as seat:
            receipt = await seat.submit(Draft(message_id="f", thread=post_id, body=body))
        assert receipt.post_id is not None
        said = state.posts[receipt.post_id].as_post().body
        assert isinstance(said, Failure)
        assert said.conditions == Conditions(
            parent_tree=opened.baseline_tree_key,
            budget=f"{opened.budget_amount:g} {opened.budget_kind}",
            device_class=verdict.device_class,
            around={"RATE": 0.7, "WIDTH": 5},
        )
        briefed = await home.lab("bob").briefing()
        assert (briefed.budget, briefed.device_class) == (said.conditions.budget, "cpu")


async def test_who_failed_knows_at_once_under_what(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """In his next turn already: he does not wait for the board to bring his own words back."""
    async with (
        house(calibrated(chronicle), repository, tmp_path, scenario_of(), knobs_toml=KNOBS) as home,
        home.board.seat(AgentName("ada")) as seat,
    ):
        lab = home.lab("ada")
        memory = Memory("ada", await lab.briefing())
        worse = Run(
            parents=(memory.known()[0].commit,),
            files={"train.py": "RATE = 0.7\n# knob\nWIDTH = 5\n"},
            title="worse",
            rationale="",
            prediction=Prediction(gain=0.1, confidence=0.5),
        )
        assert await Conduct("ada", seat, lab, memory, Spend()).carry_out(worse, "k") == "done"
        (known,) = memory.failures()
        said = chronicle.state.posts[known.post_id].as_post().body
        assert isinstance(known.body, Failure)
        assert isinstance(said, Failure)
        assert known.body.conditions == said.conditions
        assert known.body.conditions is not None
