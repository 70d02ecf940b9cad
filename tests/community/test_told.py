"""What researchers are told of numbers: dev in steps of sigma/4, vault in words alone, everywhere.

Scores on vault lie around 77 here and gains there are twice those on dev, so that any of them would
be known again wherever it turned up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from bench_script import House, Vault, calibrated, house, rate_of, scenario_of, screened
from pydantic import BaseModel

from agents.lab import Proposal
from community.archive.spreads import LEAST_SIGMA
from community.archive.state import RunState
from community.chronicle import Chronicle
from community.events import NoiseEstimated, Row
from community.lab import AgentLab
from community.score_phase import Scored
from forum import memory_board
from scoring.verdict import Score
from trainer.gpu_pool import Lease
from trainer.repository import Repository

SIGMA = 0.02
CODE = {"patch", "files", "brief"}
"""Where texts of trees travel, whose numbers are the candidates' own."""
SURFACES = {
    *("assignments", "briefing", "catch_up", "merge", "missed", "open_leads", "prepare"),
    *("read_tree", "remaining_experiments", "reproduce", "run", "verdict", "wait_for_turn"),
}


class TwoScales:
    """Scores ``4.0013 - RATE`` on dev and ``80 - 2 RATE`` on vault."""

    async def score(
        self, artefact: Path, workspace: Path, split: Any, lease: Lease, seed: int, *_: Any
    ) -> Scored:
        """Score as the class says."""
        rate = rate_of(artefact.read_text())
        value = 4.0013 - rate if split == "dev" else 80.0 - 2 * rate
        return Scored(Score("ok", value, "", 1, 1, 0.0), 0.1)


def numbers(thing: object, key: str = "") -> Iterator[float]:
    """Yield every number with a fraction in what somebody was given, those in words included."""
    if isinstance(thing, float):
        yield thing
    elif isinstance(thing, str) and key not in CODE:
        yield from map(float, re.findall(r"\d+\.\d+", thing))
    elif isinstance(thing, BaseModel):
        yield from numbers(thing.model_dump(), key)
    elif is_dataclass(thing) and not isinstance(thing, type):
        yield from numbers({f.name: getattr(thing, f.name) for f in fields(thing)}, key)
    elif isinstance(thing, Mapping):
        for name, value in thing.items():
            yield from numbers(value, key if key in CODE else str(name))
    elif isinstance(thing, list | tuple | set | frozenset):
        for value in thing:
            yield from numbers(value, key)


async def everything_told(home: House, agent: str, commits: list[str]) -> list[object]:
    """Ask an agent's lab whatever can be asked, of all there is; refusals are answers too."""
    lab, state = home.lab(agent), home.chronicle.state
    told: list[object] = [
        await lab.briefing(), await lab.catch_up(0), await lab.remaining_experiments(),
        await lab.assignments(), *[await lab.verdict(name) for name in state.verdicts],
        await lab.open_leads(), await lab.wait_for_turn(),
    ]  # fmt: skip
    for hypothesis, claim in state.hypotheses.items():
        if agent == "cleo" or claim.proposer == agent:
            told += [await lab.reproduce(hypothesis), await lab.run(claim.commit, hypothesis)]
    opened = state.opened
    assert opened is not None
    for commit in commits if agent != "cleo" else ():
        text = home.bench.repository.read(commit)["train.py"].decode()
        proposal = Proposal((opened.baseline_commit,), {"train.py": text}, "x")
        told.append(await lab.prepare(proposal))
    return told


async def test_no_number_from_vault_reaches_a_researcher(
    chronicle: Chronicle, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked of the lab or comes over the board, by whom there is a right to ask."""
    sent: list[object] = []

    async def overheard(desk: object, *things: object) -> None:
        sent.extend(things)

    for word in ("deliver", "notify"):
        monkeypatch.setattr(memory_board._MemoryDesk, word, overheard)
    assert {name for name in vars(AgentLab) if not name.startswith("_")} == SURFACES
    scenario = scenario_of(reproduce_after=1e-6)
    async with house(
        calibrated(chronicle), repository, tmp_path, scenario, score_phase=TwoScales()
    ) as home:
        first, second = await screened(home, "ada", 1.5), await screened(home, "bob", 1.7)
        await home.report("ada", first)
        await home.lab("cleo").reproduce(first)
        await home.report("cleo", first)
        assert home.institution.reproduce(second, "lab") == ""
        await chronicle.wait_until(lambda state: bool(state.hypotheses[second].confirmations))
        await chronicle.wait_until(lambda state: len(state.posts) > 4)
        commits = [home.commit_of(first), home.commit_of(second)]
        told = {name: await everything_told(home, name, commits) for name in ("ada", "bob", "cleo")}
        told["board"] = sent
    on_vault = vault_numbers(chronicle.state)
    assert len(on_vault) > 3  # scores and gains
    for name, things in told.items():
        seen = list(numbers(things))
        assert len(seen) > 5, name
        for secret in on_vault:
            assert not [number for number in seen if abs(number - secret) < 0.01], (name, secret)


def vault_numbers(state: RunState) -> set[float]:
    """Return the scores on vault and the gains found there."""
    scores = {v.score for v in state.verdicts.values() if v.split == "vault" and v.score}
    changes = (c for h in state.hypotheses.values() for c in h.confirmations)
    return {*scores, *(c.gain for c in changes if c.gain is not None)}


async def test_dev_is_told_in_steps_and_kept_in_full(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """To the proposer, in posts and in the briefing; the ledger has every digit."""
    async with house(
        calibrated(chronicle), repository, tmp_path, scenario_of(), score_phase=TwoScales()
    ) as home:
        post_id = await home.propose("ada", 1.5)
        outcome = await home.lab("ada").run(home.commit_of(post_id), post_id)
        await home.report("ada", post_id)
        briefing = await home.lab("bob").briefing()
        heard = [post.body for post in await home.lab("bob").catch_up(0)]
    evidence = next(body.evidence for body in heard if body.kind == "finding")
    step = SIGMA / 4
    for value in (outcome.score, outcome.gain, evidence.score, evidence.gain):
        assert value is not None
        assert value / step == pytest.approx(round(value / step), abs=1e-6)
    assert briefing.baseline_mean / step == pytest.approx(round(briefing.baseline_mean / step))
    assert (outcome.score, outcome.gain) == (evidence.score, evidence.gain)
    claim = chronicle.state.hypotheses[post_id]
    assert chronicle.state.scores(claim.tree_key, "dev") == (2.5013,)
    assert claim.gain == pytest.approx(0.4987)


@pytest.mark.parametrize(("mean", "step"), [(3.0, 3.0 * LEAST_SIGMA / 4), (0.0, 0.25)])
async def test_a_baseline_whose_runs_tie_does_not_have_dev_told_in_full(
    chronicle: Chronicle, repository: Repository, tmp_path: Path, mean: float, step: float
) -> None:
    """Steps of a floor then, and of a whole unit where the baseline's mean gives no scale."""
    calibrated(chronicle).record(NoiseEstimated("cpu", mean, 0.0, (mean,) * 8))
    async with house(
        chronicle, repository, tmp_path, scenario_of(), score_phase=TwoScales()
    ) as home:
        post_id = await home.propose("ada", 1.50093)
        outcome = await home.lab("ada").run(home.commit_of(post_id), post_id)
        await home.report("ada", post_id)
        briefing = await home.lab("bob").briefing()
        heard = [post.body for post in await home.lab("bob").catch_up(0)]
    evidence = next(body.evidence for body in heard if body.kind == "finding")
    exact = (2.5004, 2.5004, chronicle.state.hypotheses[post_id].gain)
    for value, full in zip((outcome.score, evidence.score, outcome.gain), exact, strict=True):
        assert value is not None
        assert full is not None
        assert value / step == pytest.approx(round(value / step), abs=1e-6)
        assert full / step != pytest.approx(round(full / step), abs=1e-3)
    assert briefing.baseline_mean == pytest.approx(mean)


async def test_nobody_can_count_the_looks_of_a_confirmation_under_way(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """What is told to remain falls by the first look, and by all others with the word."""
    plan, scenario = Vault(r1_5=[2.95, 3.0] * 4), scenario_of(experiments=40)
    told: list[int | None] = []
    async with house(
        calibrated(chronicle), repository, tmp_path, scenario, score_phase=plan
    ) as home:
        admission, ada = home.institution.admission, home.lab("ada")
        claim = await screened(home, "ada", 1.5)
        before = await ada.remaining_experiments()

        def follow(row: Row) -> None:
            if chronicle.state.hypotheses[claim].reproduction_by is not None:
                told.append(admission.told(chronicle.state))

        chronicle.ledger.subscribe(follow)
        await home.lab("cleo").reproduce(claim)
        after = await ada.remaining_experiments()
    assert before is not None
    assert told[:5] == [before, before - 1, before - 2, before - 3, before - 4]  # one transaction
    assert set(told[5:]) == {before - 4}
    assert after == before - 16 == admission.remaining(chronicle.state)
