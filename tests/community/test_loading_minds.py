"""Faults of minds that ask models, their prices and caps: each with its line, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from community.errors import ScenarioError
from community.loading import parse_scenario, read_scenario
from community.scenario import scenario_toml

GOOD = """
run = { task = "nanolm" }
stop = { experiments = 10 }
spend = { usd = 4 }
[[agents]]
name = "ada"
role = "explorer"
mind = "anthropic:claude-haiku-5-5"
model = { thinking = 2048 }
"""
FILE = Path("s.toml")


def test_a_whole_scenario_is_written_and_read_again() -> None:
    """Names of minds with colons survive, as keys of prices too."""
    text = GOOD.replace("usd = 4", 'usd = 4, prices = { "openai-compatible:*" = "free" }')
    scenario = parse_scenario(text, FILE).scenario
    assert parse_scenario(scenario_toml(scenario), FILE).scenario == scenario
    assert scenario.spend.as_caps().run.micro_usd == 4_000_000
    (member,) = scenario.members()
    assert member.model is not None
    assert member.model.as_options().thinking == 2048


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "words"),
    [
        ("anthropic:claude-haiku-5-5", "anthropic:", 8, "agents[0].mind", "write anthropic:MODEL"),
        ("anthropic:claude-haiku-5-5", "openai-compatible:m", 8, "agents[0].mind", "@http://HOST"),
        (
            "anthropic:claude-haiku-5-5", "openai-compatible:m@http://u:p@x/v1", 8,
            "agents[0].mind", "out of the address",
        ),
        (
            "anthropic:claude-haiku-5-5", "openai-compatible:m@https://x/v1?key=abc", 8,
            "agents[0].mind", "OPENAI_COMPATIBLE_API_KEY",
        ),
        (
            "anthropic:claude-haiku-5-5", "antropic:claude-haiku-5-5", 8, "agents[0].mind",
            '(did you mean "anthropic:claude-haiku-5-5"?)',
        ),
        ("anthropic:claude-haiku-5-5", "openai:unheard-of", 8, "agents[0].mind", "has no price"),
        ("anthropic:claude-haiku-5-5", "policy:social", 9, "agents[0].model", "asks no model"),
        ("thinking = 2048", "thinking = 9000", 9, "agents[0].model", "leave some to answer"),
        ("thinking = 2048", "effort = 3", 9, "agents[0].model.effort", "quotes"),
        ("thinking = 2048", 'effrt = ""', 9, "agents[0].model.effrt", '"effort"'),
        ("thinking = 2048", "call_s = 900", 9, "agents[0].model.call_s", "280"),
        ("usd = 4", "usd = 0", 4, "spend.usd", "greater than"),
        ("usd = 4", "agent = { us = 1 }", 4, "spend.agent.us", '"usd"'),
        ("usd = 4", "roles = { judge = { usd = 1 } }", 4, "spend.roles.judge", "nobody here"),
        ("usd = 4", 'prices = { "x:*" = { input = 1 } }', 4, "spend.prices.x:*.output", "missing"),
        ("usd = 4", 'prices = { "x:*" = "fre" }', 4, "spend.prices.x:*", "no table"),
        ('task = "nanolm"', 'task = "nk", time = "virtual"', 8, "agents[0].mind", "virtual clock"),
    ],
)  # fmt: skip
def test_each_fault_names_line_key_and_remedy(
    old: str, new: str, line: int, key: str, words: str
) -> None:
    """What is wrong, where, and what would be right."""
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(GOOD.replace(old, new), FILE)
    found = [str(fault) for fault in caught.value.faults]
    told = [fault for fault in found if fault.startswith(f"s.toml:{line}: {key}: ")]
    assert told, found
    assert any(words in fault for fault in told), told


def test_what_costs_money_without_a_cap_is_warned_of() -> None:
    """A cap of the run, or a stop at a sum, ends the warning; so does a price of nothing."""
    bare = GOOD.replace("spend = { usd = 4 }\n", "")
    (warning,) = parse_scenario(bare, FILE).warnings
    assert "nothing caps it" in str(warning)
    assert not parse_scenario(GOOD, FILE).warnings
    assert not parse_scenario(bare.replace("experiments = 10", "usd = 3"), FILE).warnings
    free = bare + '[spend.prices]\n"anthropic:claude-haiku-5-5" = "free"\n'
    assert not parse_scenario(free, FILE).warnings


def test_one_agent_with_a_wrong_key_is_no_scenario_without_agents() -> None:
    """The fault is told, and no other that only follows from it."""
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(GOOD.replace("thinking = 2048", "thinks = 2048"), FILE)
    assert [fault.key for fault in caught.value.faults] == ["agents[0].model.thinks"]


KEY = "sk-ant-api03-0123456789abcdef"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("model = {", f'api_key = "{KEY}"\nmodel = {{', "agents[0].api_key"),
        ("usd = 4", f'usd = 4, prices = {{ "{KEY}" = "free" }}', "spend.prices"),
        (
            "[[agents]]",
            f'[minds.cli.claude]\nusd_per_turn = 0.1\noptions = ["--key={KEY}"]\n[[agents]]',
            "minds.cli.claude.options[0]",
        ),
    ],
)
def test_a_key_in_a_file_is_refused_and_not_repeated(
    old: str, new: str, key: str, tmp_path: Path
) -> None:
    """Wherever it stands: whatever looks like one, since the ledger would hold it."""
    path = tmp_path / "s.toml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ScenarioError) as caught:
        read_scenario(path)
    assert key in [fault.key for fault in caught.value.faults if "looks like a key" in fault.text]
    assert KEY not in str(caught.value)


def test_the_value_of_a_key_in_the_environment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that looks like none; a ledger that holds it already can still be read."""
    monkeypatch.setenv("MY_AGENT_TOKEN", "a-secret-of-mine-1234")
    text = GOOD.replace("usd = 4", 'usd = 4, prices = { "x:a-secret-of-mine-1234" = "free" }')
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(ScenarioError, match=r"holds the value of \$MY_AGENT_TOKEN"):
        read_scenario(tmp_path / "s.toml")
    assert parse_scenario(text, FILE).scenario.spend.usd == 4


@pytest.mark.parametrize(
    ("url", "is_warned_of"),
    [
        ("http://127.0.0.1:8000/v1", False), ("http://localhost/v1", False),
        ("http://[::1]:80/v1", False), ("https://lab.example/v1", False),
        ("http://lab.example/v1", True), ("http://10.0.0.7:8000/v1", True),
    ],
)  # fmt: skip
def test_plain_http_to_another_machine_is_warned_of(url: str, is_warned_of: bool) -> None:
    """Prompts and a key would be readable on the way."""
    text = GOOD.replace("anthropic:claude-haiku-5-5", f"openai-compatible:m@{url}")
    text = text.replace("usd = 4", 'usd = 4, prices = { "openai-compatible:*" = "free" }')
    warnings = [str(each) for each in parse_scenario(text, FILE).warnings]
    assert any("use https" in each for each in warnings) == is_warned_of
