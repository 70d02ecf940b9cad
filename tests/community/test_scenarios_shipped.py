"""The scenarios that ship: they load, they are what their README says, they compare fairly."""

from __future__ import annotations

import re

import pytest

from agents.minds.catalogue import NEEDS
from agents.roles import RoleTable
from community.cli_sections import CliSection
from community.loading import SCENARIOS, has_no_end, load_scenario, read_scenario, shipped_scenarios
from community.scenario import (
    AgentSection,
    BoardSection,
    BudgetSection,
    LabSection,
    NoiseSection,
    PoolSection,
    RunSection,
    StopSection,
    TopologySection,
)
from community.spend_sections import ModelSection, SpendSection

README = (SCENARIOS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", shipped_scenarios())
def test_every_shipped_scenario_loads(name: str) -> None:
    """Each shipped file is without faults; only the isolated control has warnings."""
    loaded = read_scenario(name)
    assert bool(loaded.warnings) == (name == "isolated")


def test_the_readme_lists_exactly_the_shipped_scenarios() -> None:
    """The table of scenarios is neither short nor ahead of the folder."""
    listed = re.findall(r"^\| `(\w+)\.toml`", README, re.MULTILINE)
    assert sorted(listed) == list(shipped_scenarios())


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("`run`", RunSection),
        ("`stop`", StopSection),
        ("`budget`", BudgetSection),
        ("`pool`", PoolSection),
        ("`board`", BoardSection),
        ("`topology`", TopologySection),
        ("`noise`", NoiseSection),
        ("`lab`", LabSection),
        ("`[[agents]]`", AgentSection),
        ("`roles`", RoleTable),
        ("`agents.model`", ModelSection),
        ("`spend`", SpendSection),
        ("`minds.cli`", CliSection),
    ],
)
def test_the_readme_explains_every_key(heading: str, model: type) -> None:
    """Each section's table has exactly the keys its model knows."""
    section = README.split(f"### {heading}")[1].split("\n#")[0].split("| mind |")[0]
    keys = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert keys == list(model.model_fields)  # type: ignore[attr-defined]


def test_the_readme_says_what_each_mind_needs() -> None:
    """The table of minds names every mind with exactly the rights that the check asks for."""
    rows = re.findall(r"^\| (`policy:.*?) \| .*? \| ([\w, ]+) \| \w+ \|$", README, re.MULTILINE)
    told = {
        mind: set(rights.split(", "))
        for minds, rights in rows
        for mind in re.findall(r"`([\w:]+)`", minds)
    }
    assert told == NEEDS


def test_the_smallest_scenario_of_the_readme_loads() -> None:
    """What a newcomer copies first works."""
    from pathlib import Path

    from community.loading import parse_scenario

    text = README.split("```toml\n")[1].split("```")[0]
    assert parse_scenario(text, Path("README.md")).scenario.members()[0].name == "ada"


def test_isolated_differs_from_the_quick_start_in_its_edges_alone() -> None:
    """The control without communication has the same agents, budget, limits and seed."""
    quick, alone = load_scenario("quickstart"), load_scenario("isolated")
    assert alone.topology.family == "isolated"
    assert quick.model_copy(update={"topology": alone.topology}) == alone


@pytest.mark.parametrize("name", ["lone", "isolated", "controls"])
def test_controls_have_the_quick_starts_budget(name: str) -> None:
    """Every control gets as many experiments of the same size under the same seed."""
    quick, control = load_scenario("quickstart"), load_scenario(name)
    assert (control.stop, control.budget, control.run) == (quick.stop, quick.budget, quick.run)
    assert control.noise == quick.noise


def test_overnight_goes_on_for_ever_and_lone_is_alone() -> None:
    """The night's run has no limit, and plain autoresearch has one agent."""
    assert has_no_end(load_scenario("overnight").stop)
    assert [m.mind for m in load_scenario("lone").members()] == ["policy:greedy"]
