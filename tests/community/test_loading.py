"""Scenario files: what loads, and what every fault is told like."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.minds.catalogue import NEEDS, known_minds
from community.errors import ScenarioError
from community.loading import (
    apply_overrides,
    check_task,
    has_no_end,
    load_scenario,
    override,
    parse_scenario,
    read_scenario,
    shipped_scenarios,
)
from community.scenario import scenario_toml
from community.toml_lines import key_lines, line_of

GOOD = """\
# a comment
run = { task = "nanolm", seed = 3 }
stop = { experiments = 10, wall_s = 60 }
topology = { family = "small_world", k = 4, p = 0.1 }

[[agents]]
name = "ada"
role = "explorer"
mind = "policy:social"
count = 4

[[agents]]
name = "grace"
role = "exploiter"
mind = "policy:greedy"
"""


def faults(text: str) -> list[str]:
    """Return the faults of a text as lines."""
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, Path("s.toml"))
    assert str(caught.value) == "\n".join(map(str, caught.value.faults))
    return [str(fault) for fault in caught.value.faults]


def changed(old: str, new: str) -> list[str]:
    """Return the faults of the good scenario with one replacement."""
    assert old in GOOD
    return faults(GOOD.replace(old, new, 1))


def test_a_good_scenario_loads_with_its_values_and_defaults() -> None:
    """What the file says is in the record, and the rest has the documented defaults."""
    scenario = parse_scenario(GOOD, Path("s.toml")).scenario
    assert (scenario.run.task, scenario.run.seed) == ("nanolm", 3)
    assert (scenario.stop.experiments, scenario.stop.wall_s) == (10, 60)
    assert scenario.budget is None
    assert (scenario.pool.slots, scenario.board.broker, scenario.board.port) == (
        "auto",
        "embedded",
        None,
    )
    assert (scenario.noise.baseline_runs, scenario.noise.confirm_pairs) == (8, 8)
    assert (scenario.lab.reproduce_after, scenario.lab.isolation) == (2.0, "full")


def test_count_expands_to_numbered_names_in_order() -> None:
    """An agent with count 4 stands for four named members; one alone keeps its name."""
    members = parse_scenario(GOOD, Path("s.toml")).scenario.members()
    assert [m.name for m in members] == ["ada-1", "ada-2", "ada-3", "ada-4", "grace"]
    assert {m.mind for m in members[:4]} == {"policy:social"}


def test_all_faults_are_listed_at_once_with_file_line_and_key() -> None:
    """One reading finds shape faults, unknown names and impossible pairs together, in order."""
    text = """\
run = { task = "nanoln", sed = 1 }
stop = { experiments = "many" }
board = { broker = "memory", port = 3 }
[budget]
kind = "steps"
amount = 1.5
[[agents]]
name = "ada"
role = "explorer"
mind = "policy:jugde"
[[agents]]
name = "ada"
rol = "reviewer"
mind = "policy:judge"
"""
    found = faults(text)
    places = [line.split(": ")[:2] for line in found]
    assert places == [
        ["s.toml:1", "run.sed"],
        ["s.toml:1", "run.task"],
        ["s.toml:2", "stop.experiments"],
        ["s.toml:3", "board.port"],
        ["s.toml:6", "budget.amount"],
        ["s.toml:10", "agents[0].mind"],
        ["s.toml:11", "agents[1].role"],
        ["s.toml:12", "agents[1].name"],
        ["s.toml:13", "agents[1].rol"],
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "words"),
    [
        ("seed = 3", "sed = 3", 2, "run.sed", 'unknown key (did you mean "seed"?)'),
        ("stop =", "stopp =", 3, "stopp", 'did you mean "stop"?'),
        ("experiments = 10", "euros = 5", 3, "stop.euros", "unknown key"),
        ('task = "nanolm", ', "", 2, "run.task", "missing"),
        ('"nanolm"', '"nanol"', 2, "run.task", 'did you mean "nanolm"?'),
        ('"nanolm"', '"./nowhere"', 2, "run.task", "no task folder"),
        ("seed = 3", 'seed = "3"', 2, "run.seed", "whole number"),
        ("seed = 3", "seed = true", 2, "run.seed", "whole number"),
        ("seed = 3", 'time = "virtuel"', 2, "run.time", 'did you mean "virtual"'),
        ("experiments = 10", "experiments = 0", 3, "stop.experiments", "greater than"),
        ("wall_s = 60", "target = nan", 3, "stop.target", "finite"),
        ('"small_world"', '"smallworld"', 4, "topology.family", 'did you mean "small_world"?'),
        ("k = 4", "k = 3", 4, "topology.k", "even k from 2 to 4"),
        ("k = 4", "k = 6", 4, "topology.k", "does not fit 5 agents"),
        (", p = 0.1", "", 4, "topology", "small_world needs p"),
        ('"small_world"', '"ring"', 4, "topology.k", "remove it"),
        (
            "stop = {",
            'pool = { slots = "two" }\nstop = {',
            3,
            "pool.slots",
            "whole number of slots",
        ),
        (
            "stop = {",
            'pool = { backend = "ray", gpus = 0.5 }\nstop = {',
            3,
            "pool",
            "set share_gpus = true",
        ),
        (
            "stop = {",
            'pool = { backend = "ray", address = "ray://x:1" }\nstop = {',
            3,
            "pool.address",
            "host:port",
        ),
        ("stop = {", 'board = { broker = "http://x" }\nstop = {', 3, "board.broker", "mqtt://host"),
        (
            "stop = {",
            'board = { broker = "mqtts://u:secret@x" }\nstop = {',
            3,
            "board.broker",
            "COMMUNITY_BROKER_PASSWORD",
        ),
        ("stop = {", "noise = 3\nstop = {", 3, "noise", "no table"),
        ('"explorer"', '"explore"', 8, "agents[0].role", 'did you mean "explorer"?'),
        ('"policy:social"', '"policy:socail"', 9, "agents[0].mind", "policy:social"),
        ('"ada"', '"Ada"', 7, "agents[0].name", "1 to 32 of a-z"),
        ('"grace"', '"ada-2"', 13, "agents[1].name", "taken by agents[0]"),
        ('"grace"', '"lab"', 13, "agents[1].name", "institution"),
        ('"ada"', f'"{"a" * 32}"', 7, "agents[0].name", "more than 32"),
        ("count = 4", "count = 0", 10, "agents[0].count", "greater than"),
    ],
)
def test_each_fault_names_line_key_and_remedy(
    old: str, new: str, line: int, key: str, words: str
) -> None:
    """Each wrong key, value, name or pair is told with its line, key and remedy."""
    found = changed(old, new)
    told = [fault for fault in found if fault.startswith(f"s.toml:{line}: {key}: ")]
    assert told, found
    assert any(words in fault for fault in told), told


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("k = 4, p = 0.1", "p = 2", ["topology", "topology.p"]),
        ('"small_world", k = 4, p = 0.1', '"ring", k = 3, p = 2', ["topology.k", "topology.p"]),
        ('"ada"', '"lab"', ["agents[0].name"]),
    ],
)
def test_a_value_that_is_wrong_hides_no_other_fault_of_its_section(
    old: str, new: str, keys: list[str]
) -> None:
    """Pairs and names are checked as they stand, whatever else the same table gets wrong."""
    text = GOOD.replace(old, new, 1).replace("count = 4", "count = 0")
    found = " ".join(faults(text))
    assert "agents[0].count" in found
    for key in keys:
        assert f" {key}: " in found
    assert ("topology.p: 2 does not fit" in found) == ("p = 2" in new)


def test_a_wrong_p_or_broker_port_hides_no_impossible_pair() -> None:
    """A k is held against the number of agents although p, too, is wrong; ports likewise."""
    text = GOOD.replace("k = 4, p = 0.1", "k = 8, p = 2")
    text += '[board]\nbroker = "memory"\nport = 99999\n[budget]\nkind = "steps"\namount = -1.5\n'
    found = " ".join(faults(text))
    for words in (
        "k = 8 does not fit 5 agents",
        "topology.p: 2 does not fit",
        "board.port: 99999 does not fit",
        'board.port: port belongs to broker = "embedded"',
        "budget.amount: -1.5 steps are not possible",
    ):
        assert words in found


@pytest.mark.parametrize(
    ("role", "mind", "lacks", "fitting"),
    [
        ("reviewer", "policy:greedy", "propose", "exploiter, explorer, synthesiser"),
        ("reproducer", "policy:judge", "review", "reviewer, sceptic"),
        ("explorer", "policy:verify", "reproduce", "reproducer, sceptic"),
        ("explorer", "policy:merge", "merge", "synthesiser"),
        ("reviewer", "policy:merge", "merge and propose", "synthesiser"),
    ],
)
def test_a_mind_whose_role_lacks_its_right_is_a_fault(
    role: str, mind: str, lacks: str, fitting: str
) -> None:
    """Role, mind, the missing right and the roles that would do are all named."""
    text = GOOD.replace('"exploiter"', f'"{role}"').replace("policy:greedy", mind)
    assert faults(text) == [
        f"s.toml:14: agents[1].role: role {role!r} lacks the right to {lacks}, without which "
        f"{mind} can do nothing; roles that fit: {fitting}"
    ]


def test_a_community_in_which_nobody_may_propose_is_a_fault() -> None:
    """Judges and verifiers alone would wait for ever, and are told so."""
    text = GOOD.replace('"explorer"', '"reviewer"').replace("policy:social", "policy:judge")
    text = text.replace('"exploiter"', '"reproducer"').replace("policy:greedy", "policy:verify")
    (fault,) = faults(text)
    assert "agents: nobody here may propose" in fault
    assert "exploiter, explorer, synthesiser" in fault


def test_every_mind_says_which_rights_it_needs() -> None:
    """A new mind cannot be forgotten in the table of needs."""
    assert set(NEEDS) == set(known_minds())


def test_the_knobs_of_a_checked_task_are_read() -> None:
    """The check reads the very knobs a run would turn."""
    names = {knob.name for knob in check_task(load_scenario("quickstart"))}
    assert {"BATCH", "ACTIVATION"} <= names


def test_no_agents_and_no_run_are_both_missing() -> None:
    """An empty file is told what it needs."""
    found = " ".join(faults(""))
    assert 'run = { task = "nanolm" }' in found
    assert "[[agents]]" in found


@pytest.mark.parametrize(
    ("text", "line"),
    [("run = {\n", 1), ("x = 1\ny = = 2\n", 2), ('a = "open\nb = 1\n', 1), ("a = 1\na = 2\n", 2)],
)
def test_a_syntax_error_has_its_line(text: str, line: int) -> None:
    """What is not TOML is refused with the line that tomllib stumbled over."""
    (found,) = faults(text)
    assert found.startswith(f"s.toml:{line}: not valid TOML: ")


def test_an_unknown_name_lists_the_shipped_scenarios_and_the_nearest() -> None:
    """A mistyped scenario is answered with the nearest one."""
    with pytest.raises(ScenarioError, match=r'quickstrt: .*did you mean "quickstart"'):
        load_scenario("quickstrt")


def test_a_file_that_is_no_text_is_refused_not_crashed_on(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are a fault of the file."""
    path = tmp_path / "bad.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load_scenario(path)


def test_shipped_scenarios_are_found_by_name() -> None:
    """The quick start loads from anywhere by its bare name."""
    assert "quickstart" in shipped_scenarios()
    assert len(load_scenario("quickstart").members()) == 6


def test_a_task_path_starts_at_the_scenario_file_and_stays_valid_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative task folder is made absolute, also in the text that the ledger keeps."""
    (tmp_path / "mytask").mkdir()
    (tmp_path / "mytask" / "task.toml").write_text("")
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace("nanolm", "./mytask"))
    loaded = read_scenario(path)
    assert loaded.scenario.run.task == str(tmp_path / "mytask")
    monkeypatch.chdir("/")
    assert parse_scenario(loaded.text, Path("ledger.db")).scenario == loaded.scenario


def test_a_reviewer_whom_nobody_reaches_is_a_warning_with_its_line() -> None:
    """A role that lives on others' posts is warned about where no edge reaches it."""
    text = GOOD.replace('family = "small_world", k = 4, p = 0.1', 'family = "isolated"')
    text = text.replace('"exploiter"', '"reviewer"').replace("policy:greedy", "policy:judge")
    loaded = parse_scenario(text, Path("s.toml"))
    assert [str(warning) for warning in loaded.warnings] == [
        "s.toml:14: agents[1].role: grace hears nobody, so a reviewer has nothing to work on"
    ]
    assert parse_scenario(GOOD, Path("s.toml")).warnings == ()


def test_overrides_change_only_what_they_name() -> None:
    """The command line's values replace the file's; None keeps them."""
    scenario = parse_scenario(GOOD, Path("s.toml")).scenario
    other = apply_overrides(scenario, experiments=2, seed=9)
    assert (other.stop.experiments, other.run.seed, other.stop.wall_s) == (2, 9, 60)
    assert apply_overrides(scenario) == scenario
    with pytest.raises(ScenarioError, match="--experiments"):
        apply_overrides(scenario, experiments=0)


def test_an_overridden_scenario_keeps_a_text_that_loads_to_it() -> None:
    """What the ledger keeps stands for the scenario as it was run."""
    loaded = override(parse_scenario(GOOD, Path("s.toml")), experiments=2)
    assert loaded.text.startswith("# s.toml with --experiments 2\n")
    assert parse_scenario(loaded.text, Path("ledger.db")).scenario == loaded.scenario


def test_scenario_toml_survives_hostile_text() -> None:
    """Quotes, backslashes and control characters in values are written so that they load again."""
    scenario = parse_scenario(GOOD, Path("s.toml")).scenario
    task = '/tmp/a "quoted" \\ path\n\x7f'
    odd = scenario.model_copy(update={"run": scenario.run.model_copy(update={"task": task})})
    import tomllib

    assert tomllib.loads(scenario_toml(odd))["run"]["task"] == task


def test_no_stop_condition_means_for_ever() -> None:
    """An empty stop section has no end; any limit has one."""
    scenario = parse_scenario(GOOD, Path("s.toml")).scenario
    assert not has_no_end(scenario.stop)
    assert has_no_end(type(scenario.stop)())


def test_line_finder_knows_every_form_of_key() -> None:
    """Inline tables, arrays, dotted and quoted keys and long strings keep their lines."""
    text = '''\
a = { b = 1, c = { d = 2 } } # ] } =
e = [
  1, # one
  { f = "x]" },
]
text = """
[not a table]
key = 1
"""
g.h = 'lit#eral'
"quoted.key" = 1
[t.u]
v = 2024-01-01T00:00:00Z
[[w]]
x = 1
[[w]]
x = 2
[w.y]
z = 3
'''
    lines = key_lines(text)
    expected = {
        ("a", "b"): 1,
        ("a", "c", "d"): 1,
        ("e", 0): 3,
        ("e", 1, "f"): 4,
        ("text",): 6,
        ("g", "h"): 10,
        ("quoted.key",): 11,
        ("t", "u", "v"): 13,
        ("w", 0): 14,
        ("w", 1, "x"): 17,
        ("w", 1, "y", "z"): 19,
    }
    assert {path: lines.get(path) for path in expected} == expected
    assert ("key",) not in lines
    assert line_of(("t", "u", "missing"), lines) == 12
    assert line_of(("nowhere",), lines) == 1
