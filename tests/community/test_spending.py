"""How error is spent over claims: one alpha for all, or by LORD++."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_script import Vault, calibrated, house, scenario_of, screened

from community.chronicle import Chronicle
from community.spending import RATE, alpha_of
from scoring.evidence.multiplicity import lord_levels
from scoring.evidence.sequential import ALPHA
from trainer.repository import Repository

CHILD = 1.5


@pytest.fixture
def measured(chronicle: Chronicle) -> Chronicle:
    """A run whose baseline is measured."""
    return calibrated(chronicle)


@pytest.mark.parametrize(
    ("multiplicity", "status"), [("fixed", "reproduced"), ("lord", "undecided")]
)
async def test_lord_asks_more_of_a_claim_while_nothing_has_passed(
    measured: Chronicle, repository: Repository, tmp_path: Path, multiplicity: str, status: str
) -> None:
    """The same runs pass at one alpha for all and not at what LORD++ gives the second claim."""
    scenario = scenario_of()
    noise = scenario.noise.model_copy(update={"multiplicity": multiplicity})
    scenario = scenario.model_copy(update={"noise": noise})
    plan = Vault(r1_4=[3.1] * 8, r1_5=[2.95, 2.985] * 4)
    async with house(measured, repository, tmp_path, scenario, score_phase=plan) as home:
        nothing = await screened(home, "ada", 1.4)
        assert (await home.lab("cleo").reproduce(nothing)).status == "not_improved"
        claim = await screened(home, "ada", CHILD)
        assert (await home.lab("cleo").reproduce(claim)).status == status
    assert measured.state.hypotheses[claim].changes[-1][1].pairs == 8


async def test_lord_gives_more_after_a_success(
    measured: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """What passed earns wealth for those whose confirmation begins after its end, and only them."""
    async with house(measured, repository, tmp_path, scenario_of()) as home:
        first = await screened(home, "ada", CHILD)
        second = await screened(home, "ada", 1.6)
        await home.lab("cleo").reproduce(first)
        await home.lab("cleo").reproduce(second)
    claims = measured.state.hypotheses
    assert claims[first].status == "reproduced"
    alone = lord_levels([], alpha=RATE)[-1]
    assert alpha_of(measured.state, claims[first], "lord") == alone
    assert alpha_of(measured.state, claims[second], "lord") > alone
    assert alpha_of(measured.state, claims[second], "fixed") == ALPHA
