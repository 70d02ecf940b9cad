"""Every role in one community, honest and hostile, and roles of a scenario's own with quotas."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from agents.roles import known_roles, load_role
from community.archive.credit import credit_table
from community.archive.queries import leader
from community.archive.state import RunState
from community.loading import parse_scenario
from community.modelled.tasks import modelled_task
from community.quotas import HOUR_US
from community.virtual.run import run_virtual
from trainer.repository import Repository

HEAD = """
run = { task = "nk", seed = 5, time = "virtual" }
stop = { experiments = 100 }
pool = { slots = 4 }
noise = { baseline_runs = 4 }
seal = { runs = 1 }
model = { n = 12, k = 3, noise = 0.01, thinking_s = 40, thinking_spread = 0.5 }
"""
HOSTILE = {name for name in known_roles() if load_role(name).is_hostile}


def seat(role: str) -> str:
    """Return the table of one agent, called like its role, with the role's own mind."""
    mind = load_role(role).mind
    return f'[[agents]]\nname = "{role}"\nrole = "{role}"\nmind = "{mind}"\n'


@dataclass(frozen=True)
class Ended:
    """A run, what its trees are truly worth, and what was logged."""

    state: RunState
    truth: dict[str, float]
    """Commit -> score without noise."""
    start: float
    warnings: tuple[str, ...]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Give a run in which each role that ships has one seat."""
    folder = tmp_path_factory.mktemp("runs") / "all"
    text = HEAD + "".join(map(seat, known_roles()))
    loaded = parse_scenario(text, Path("all.toml"))
    told: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    ear = Ear(logging.WARNING)
    logging.getLogger("agents").addHandler(ear)
    try:
        state = run_virtual(loaded.scenario, loaded.text, folder).state
    finally:
        logging.getLogger("agents").removeHandler(ear)
    model, repository = modelled_task(loaded.scenario).model, Repository.open(folder / "repo.git")
    found = {commit: model.truth(repository.read(commit)) for commit in state.proposals}
    start = model.truth(model.start())
    assert start is not None
    truth = {commit: value for commit, value in found.items() if value is not None}
    return Ended(state, truth, start, tuple(told))


def test_every_role_is_played_without_a_model(ended: Ended) -> None:
    """Each takes turns and does what it is there for, and no mind ever fails."""
    assert len(known_roles()) == 14
    hostile = {"cheater", "plagiarist", "noise_miner", "poisoner", "free_rider", "injector"}
    assert hostile == HOSTILE
    assert not [each for each in ended.warnings if "mind failed" in each]
    assert {name for name, agent in ended.state.agents.items() if agent.next_turn} == {
        *known_roles()
    }
    posted: dict[str, Counter[str]] = {}
    for record in ended.state.posts.values():
        posted.setdefault(record.posted.author, Counter())[record.posted.body["kind"]] += 1
    for role, kind in {
        "explorer": "hypothesis", "exploiter": "hypothesis", "synthesiser": "hypothesis",
        "reviewer": "review", "reproducer": "claim", "sceptic": "review", "director": "lead",
        "cheater": "hypothesis", "plagiarist": "hypothesis", "noise_miner": "hypothesis",
        "poisoner": "review", "free_rider": "hypothesis", "injector": "comment",
    }.items():  # fmt: skip
        assert posted[role][kind], role


def test_the_hostile_gain_no_credit(ended: Ended) -> None:
    """All gain is put down to honest researchers, or to nobody."""
    table = credit_table(ended.state)
    assert table.total > 0.2
    assert sum(table.by_author.get(name, 0.0) for name in HOSTILE) == pytest.approx(0.0, abs=0.01)
    assert sum(table.by_author.values()) + table.unattributed == pytest.approx(table.total)


def test_the_honest_record_stays_true(ended: Ended) -> None:
    """What leads is truly better, what was reproduced holds, and no hostile word decided it."""
    state = ended.state
    leading = leader(state)
    assert leading is not None
    assert ended.truth[leading.commit] > ended.start + 0.1
    for claim in state.hypotheses.values():
        decided = {change.by for change in claim.confirmations}
        assert not decided & HOSTILE
        if claim.status == "reproduced":
            parent = claim.parents[0]
            assert ended.truth[claim.commit] > ended.truth.get(parent, ended.start), claim.post_id
        assert claim.status not in ("contested", "retracted")


def test_what_cheats_try_is_refused_and_recorded(ended: Ended) -> None:
    """Forbidden trees make refusals, and nothing that was asked without a right came of itself."""
    whys = [(refused.who, refused.reason) for _, refused in ended.state.refusals]
    assert any(who == "cheater" and "unchanged" in why for who, why in whys)
    assert any(who == "injector" and "patch refused" in why for who, why in whys)
    assert not any(c.reproduction_by == "cheater" for c in ended.state.hypotheses.values())


OWN = """
[roles.hasty]
charter = "Fast, but not too fast."
rights = ["propose", "lead", "comment"]
quotas = { experiments_per_hour = 3, posts_per_hour = 4 }

[roles.brief]
charter = "A few words."
rights = ["propose", "comment"]
quotas = { experiments = 2 }

[roles.terse]
charter = "Fewer words."
rights = ["propose", "comment"]
quotas = { posts = 3 }

[[agents]]
name = "ann"
role = "hasty"
mind = "policy:greedy"

[[agents]]
name = "bob"
role = "brief"
mind = "policy:social"

[[agents]]
name = "cyd"
role = "terse"
mind = "policy:social"
"""


def test_roles_of_a_scenario_s_own_hold_their_quotas() -> None:
    """Within any hour, and over the run; reports of results are not counted."""
    text = HEAD.replace("100", "40") + OWN
    state = run_virtual(parse_scenario(text, Path("own.toml")).scenario, text).state
    asked: dict[str, list[int]] = {"ann": [], "bob": [], "cyd": []}
    said: dict[str, list[int]] = {"ann": [], "bob": [], "cyd": []}
    for record in state.posts.values():
        author, kind = record.posted.author, record.posted.body["kind"]
        if author in asked and kind not in ("finding", "failure"):
            said[author].append(record.at_us)
            if kind == "hypothesis":
                asked[author].append(record.at_us)
    assert len(asked["bob"]) == 2
    assert len(said["cyd"]) == 3
    ann = asked["ann"]
    assert len(ann) > 6
    assert all(later - first >= HOUR_US for first, later in zip(ann, ann[3:], strict=False))
    hours = zip(said["ann"], said["ann"][4:], strict=False)
    assert all(later - first >= HOUR_US for first, later in hours)
    assert state.stop_reason == "experiments"
