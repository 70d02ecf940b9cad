"""Coding agents in a scenario: what the check, the estimate, the prompt and a start say of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.errors import MindError
from community.cli_sections import cli_of
from community.errors import ScenarioError
from community.estimating import estimate_cost
from community.loading import parse_scenario
from community.mind_faults import check_means
from community.scenario import scenario_toml
from community.seeing import first_sight

GOOD = """
run = { task = "nanolm" }
stop = { experiments = 10 }
spend = { usd = 4.0 }
[minds.cli.codex]
usd_per_turn = 0.25
[minds.cli.mine]
command = ["python3", "-c", "{options}"]
options = ["pass"]
env = ["MINE_KEY"]
hosts = ["api.example.com:8443"]
wall_s = 90.0
usd_per_turn = 0.0
[[agents]]
name = "ada"
role = "explorer"
mind = "cli:codex"
[[agents]]
name = "bob"
role = "explorer"
mind = "cli:mine"
"""
FILE = Path("s.toml")


def test_a_scenario_with_programs_is_written_and_read_again() -> None:
    """Presets are changed by what is given; a program of one's own is what its section says."""
    scenario = parse_scenario(GOOD, FILE).scenario
    assert parse_scenario(scenario_toml(scenario), FILE).scenario == scenario
    codex, mine = (cli_of(mind, scenario.minds, {}) for mind in ("cli:codex", "cli:mine"))
    assert codex is not None
    assert mine is not None
    assert codex.command_line("")[:3] == ("codex", "exec", "--json")
    assert (codex.usd_per_turn, codex.hosts) == (0.25, ("api.openai.com",))
    assert mine.command_line("") == ("python3", "-c", "pass")
    assert (mine.passes, mine.hosts, mine.wall_s) == (
        ("MINE_KEY",), ("api.example.com:8443",), 90.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "words"),
    [
        ("cli:codex", "cli:claude", 17, "agents[0].mind", "usd_per_turn = 0.5"),
        ("cli:codex", "cli:nobody", 17, "agents[0].mind", "command = ["),
        ("cli:codex", "cli:", 17, "agents[0].mind", "write cli:claude"),
        ("usd_per_turn = 0.25", "usd_per_trn = 0.25", 6, "minds.cli.codex.usd_per_trn", "usd_per"),
        ('"MINE_KEY"', '"HOME"', 10, "minds.cli.mine.env[0]", "not passed on"),
        ("api.example.com:8443", "https://x", 11, "minds.cli.mine.hosts[0]", '"name:port"'),
        ("wall_s = 90.0", "wall_s = 9000.0", 12, "minds.cli.mine.wall_s", "780"),
        ('options = ["pass"]', 'resume = ["x"]', 9, "minds.cli.mine.resume", "{session}"),
        ('task = "nanolm"', 'task = "nk", time = "virtual"', 17, "agents[0].mind", "virtual clock"),
    ],
)  # fmt: skip
def test_each_fault_names_line_key_and_remedy(
    old: str, new: str, line: int, key: str, words: str
) -> None:
    """What is wrong, where, and what to write instead."""
    assert GOOD.count(old) == 1
    with pytest.raises(ScenarioError) as failed:
        parse_scenario(GOOD.replace(old, new), FILE)
    told = str(failed.value)
    assert f"s.toml:{line}: {key}: " in told
    assert words in told


def test_one_that_costs_money_without_a_cap_is_warned_of() -> None:
    """One that is billed elsewhere is not."""
    warnings = parse_scenario(GOOD.replace("usd = 4.0", ""), FILE).warnings
    (told,) = [each for each in warnings if "nothing caps it" in str(each)]
    assert "cli:codex" in str(told)


def test_its_cost_is_estimated_by_its_starts_and_its_prompt_is_what_it_reads() -> None:
    """From nothing to what each start may cost, within the cap; how to answer stands below."""
    scenario = parse_scenario(GOOD, FILE).scenario
    ada, bob = estimate_cost(scenario).members
    assert ada.micro_usd == (0, ada.calls[1] * 250_000)
    assert bob.micro_usd == (0, 0)
    sight = first_sight(scenario, "bob")
    assert sight.text.startswith(sight.prompt.system)
    assert "edit these files in place: train.py" in sight.text
    assert "You have 1.5 minutes" in sight.text
    assert '"edits"' not in sight.text


def test_a_run_does_not_begin_without_program_and_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is missing is named before anything is measured."""
    scenario = parse_scenario(GOOD, FILE).scenario
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name in ("CODEX_API_KEY", "OPENAI_API_KEY", "MINE_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MindError, match="no program 'codex'"):
        check_means(scenario)
    (tmp_path / "codex").write_text("#!/bin/sh\n")
    (tmp_path / "codex").chmod(0o755)
    with pytest.raises(MindError, match="CODEX_API_KEY"):
        check_means(scenario)
    monkeypatch.setenv("CODEX_API_KEY", "sk-0123456789")
    with pytest.raises(MindError, match="MINE_KEY"):
        check_means(scenario)
    monkeypatch.setenv("MINE_KEY", "0123456789")
    check_means(scenario)
