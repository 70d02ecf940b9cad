"""What a mind would see at its first turn, and what a run's thinking may cost, before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_calls import community, told

from agents.minds.prompting import tools_for
from agents.prices import MICRO_USD
from community.errors import SightError
from community.estimating import estimate_cost
from community.loading import load_scenario, parse_scenario
from community.scenario import Scenario
from community.seeing import first_sight
from trainer.task import find_task, load_task

TEXT = """
run = { task = "nanolm" }
stop = { experiments = 20 }
spend = { usd = 9.0, prices = { "openai-compatible:*" = "free" } }
[[agents]]
name = "ada"
role = "explorer"
mind = "anthropic:claude-sonnet-5-5"
[[agents]]
name = "bob"
role = "exploiter"
mind = "openai-compatible:m@http://127.0.0.1:8000/v1"
[[agents]]
name = "rey"
role = "reviewer"
mind = "anthropic:claude-haiku-5-5"
"""


def scenario(text: str = TEXT) -> Scenario:
    """Return the scenario of a text."""
    return parse_scenario(text, Path("s.toml")).scenario


def test_a_first_turn_has_the_task_the_start_and_the_role() -> None:
    """Whole files that may be edited, the brief as it is, the charter, and the role's tools."""
    task = load_task(find_task("nanolm", Path.cwd()))
    sight = first_sight(scenario(), "ada")
    prompt = sight.prompt
    assert task.brief.strip() in prompt.task
    assert all(task.start[path].decode().strip() in prompt.code for path in task.editable)
    assert "what nobody has tried" in prompt.role
    assert prompt.tools == tools_for(sight.observation.rights)
    assert "at most $9.0000 more" in prompt.left
    assert "20 more experiments" in prompt.left
    assert "nan" not in str(prompt).split()


def test_the_commit_shown_is_the_one_that_a_run_would_name() -> None:
    """The start's commit follows from its files, whoever makes it."""
    first, second = (first_sight(scenario(), name) for name in ("ada", "bob"))
    assert first.prompt.parent == second.prompt.parent
    assert len(first.prompt.parent) == 40


def test_policies_have_something_to_see_as_well() -> None:
    """Any agent of any scenario can be shown, also in virtual time."""
    assert "You are" in first_sight(load_scenario("quickstart"), "ada").prompt.news
    assert first_sight(load_scenario("virtual"), "grace").prompt.code


def test_nobody_is_no_agent() -> None:
    """The names that there are are told."""
    with pytest.raises(SightError, match="ada, bob, rey"):
        first_sight(scenario(), "eve")


def test_an_estimate_is_a_range_within_the_caps() -> None:
    """Free models cost nothing, the cap bounds both ends, and it says how it was computed."""
    estimate = estimate_cost(scenario())
    ada, bob, rey = estimate.members
    assert bob.micro_usd == (0, 0)
    assert 0 < ada.micro_usd[0] < ada.micro_usd[1]
    assert rey.calls[1] > ada.calls[1]  # who does not propose may be woken by all experiments
    low, high = estimate.micro_usd
    assert 0 < low < high <= 9 * MICRO_USD
    lines = estimate.lines()
    assert lines[-1].startswith("how: ")
    assert any("9 usd, never passed" in line for line in lines)


def test_more_experiments_cost_more_and_a_smaller_cap_less() -> None:
    """The range follows what it is computed from."""
    wide = TEXT.replace("usd = 9.0", "usd = 900.0")
    few = estimate_cost(scenario(wide))
    many = estimate_cost(scenario(wide.replace("experiments = 20", "experiments = 80")))
    assert many.micro_usd[0] > few.micro_usd[0]
    assert many.micro_usd[1] > few.micro_usd[1]
    capped = wide.replace("usd = 900.0", "usd = 900.0, agent = { usd = 0.5 }")
    assert estimate_cost(scenario(capped)).micro_usd[1] <= 2 * MICRO_USD // 2


def test_a_cap_below_one_call_is_told() -> None:
    """Whoever could not even be asked once is named; nobody is where there is enough."""
    told = [line for line in estimate_cost(scenario()).lines() if "will not be asked" in line]
    assert told == []
    tiny = estimate_cost(scenario(TEXT.replace("usd = 9.0", "usd = 0.0001")))
    told = [line for line in tiny.lines() if "will not be asked" in line]
    assert told
    assert all("$0.0001 may be spent" in line for line in told)
    assert not any(line.startswith("bob") for line in told)  # he is free


def test_policies_alone_cost_nothing() -> None:
    """There is nothing to estimate."""
    estimate = estimate_cost(load_scenario("quickstart"))
    assert estimate.lines() == ["no mind here asks a model: thinking costs nothing"]


def test_both_are_commands(tmp_path: Path) -> None:
    """They print to standard output, and tell a wrong name as a user's fault."""
    file = tmp_path / "s.toml"
    file.write_text(TEXT)
    shown = community("prompt", str(file), "--agent", "ada")
    assert (shown.exit_code, "===== system =====" in shown.stdout) == (0, True)
    assert "together: " in community("estimate", str(file)).stdout
    assert "nobody is called 'eve'" in told(community("prompt", str(file), "--agent", "eve"))
    assert "no run" in told(community("prompt", str(tmp_path), "--agent", "ada", "--turn", "0"))
