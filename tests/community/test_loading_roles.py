"""Roles of a scenario's own: tables and files, and every fault of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from community.errors import ScenarioError
from community.loading import parse_scenario
from community.scenario import scenario_toml

GOOD = """\
run = { task = "nanolm" }
[roles.hermit]
charter = "Alone.\\nAlways."
rights = ["propose", "reproduce"]
quotas = { experiments = 3, posts_per_hour = 9 }
[[agents]]
name = "ada"
role = "hermit"
mind = "policy:greedy"
"""


def faults(text: str, path: Path = Path("s.toml")) -> str:
    """Return the faults of a text."""
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, path)
    return str(caught.value)


def test_a_role_of_ones_own_is_part_of_the_scenario_and_of_its_text() -> None:
    """Written out again, it is the same."""
    scenario = parse_scenario(GOOD, Path("s.toml")).scenario
    role = scenario.role("hermit")
    assert role.rights == {"propose", "reproduce"}
    assert role.quotas.in_words() == "3 experiments, 9 posts an hour"
    assert role.charter == "Alone.\nAlways."
    again = parse_scenario(scenario_toml(scenario), Path("s.toml")).scenario
    assert again == scenario
    assert scenario.role("explorer").mind == "policy:social"


def test_a_role_in_a_file_beside_the_scenario_becomes_part_of_the_text(tmp_path: Path) -> None:
    """A run does not need the file again."""
    head, _, rest = GOOD.partition("[roles.hermit]\n")
    table, _, agents = rest.partition("[[agents]]")
    (tmp_path / "hermit.toml").write_text(table)
    text = f'{head}[roles.hermit]\nfile = "hermit.toml"\n[[agents]]{agents}'
    loaded = parse_scenario(text, tmp_path / "s.toml")
    assert "the files of its roles read" in loaded.text
    (tmp_path / "hermit.toml").unlink()
    again = parse_scenario(loaded.text, tmp_path / "s.toml").scenario
    assert again == loaded.scenario == parse_scenario(GOOD, Path("s.toml")).scenario


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("charter", "chartr", 's.toml:3: roles.hermit.chartr: unknown key (did you mean "charter"'),
        ("posts_per_hour", "post_per_hour", '(did you mean "posts_per_hour"?)'),
        ("experiments = 3", "experiments = -3", "s.toml:5: roles.hermit.quotas.experiments"),
        ("experiments = 3", 'experiments = "3"', "give a whole number"),
        ('"propose", "rep', '"propse", "rep', '(did you mean "propose"?)'),
        ('"propose", ', "", "lacks the right to propose, without which policy:greedy"),
        ("[roles.hermit]", "[roles.explorer]", "comes with the project"),
        ("[roles.hermit]", '[roles."Her mit"]', "is no name"),
        ('role = "hermit"', 'role = "hermt"', '(did you mean "hermit"?)'),
        ("quotas =", 'mind = "policy:nobody"\nquotas =', "is no built-in mind"),
        ('charter = "Alone.\\nAlways."', 'file = "x.toml"', "keep one of them"),
        ("[roles.hermit]", "[roles.other]\nfile = 'no.toml'\n[roles.hermit]", "cannot be read"),
    ],
)
def test_faults_name_the_place_and_what_was_meant(old: str, new: str, said: str) -> None:
    """With the line, the key and the nearest word."""
    assert old in GOOD
    assert said in faults(GOOD.replace(old, new, 1))


def test_a_file_that_is_no_role_is_told_once(tmp_path: Path) -> None:
    """Not also that its table has an unknown key."""
    (tmp_path / "x.toml").write_text("rights = [")
    text = GOOD.replace("[roles.hermit]", "[roles.other]\nfile = 'x.toml'\n[roles.hermit]")
    assert faults(text, tmp_path / "s.toml").count("roles.other") == 1
