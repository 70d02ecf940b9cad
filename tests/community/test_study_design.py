"""Study files: what they make of a scenario, what arms share, what is told of wrong ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from community.errors import StudyFileError
from community.scenario import Scenario
from community.study.controls import DEFAULT
from community.study.design import Arm, Design, design_of, seed_of
from community.study.fractions import aliases, is_kept, parse_generator, resolution
from community.study.levels import seats
from community.study.study_file import parse_study, read_study, shipped_studies
from community.topology import build_topology

BASE = """
[scenario]
run = { task = "nanolm" }
budget = { kind = "steps", amount = 4 }

[[scenario.agents]]
name = "ada"
role = "explorer"
mind = "policy:social"
count = 3

[[scenario.agents]]
name = "karl"
role = "reviewer"
mind = "policy:judge"
"""


def design(head: str, base: str = BASE) -> Design:
    """Return the design of a study file."""
    return design_of(parse_study(head + base, Path("/studies/mine.toml")))


def faults(head: str, base: str = BASE) -> str:
    """Return what is said of a wrong study file."""
    with pytest.raises(StudyFileError) as caught:
        design(head, base)
    return str(caught.value)


def only_arm(found: Design, label: str) -> Scenario:
    """Return the scenario of the arm of this label."""
    (arm,) = [arm for arm in found.arms.values() if arm.label == label]
    assert arm.scenario is not None
    return arm.scenario


TWO = """
study = { replicates = 3, seed = 5 }
budget = { experiments = 40 }
controls = []
[factors]
topology = ["ring", { family = "small_world", k = 2, p = 0.1 }]
"""


def test_levels_become_scenarios_at_one_budget():
    """Each level is the base with its topology; the budget is everybody's only limit."""
    found = design(TWO)
    assert [arm.label for arm in found.arms.values()] == ["ring", "small_world"]
    assert only_arm(found, "small_world").topology.p == 0.1
    assert {arm.scenario.stop.experiments for arm in found.arms.values() if arm.scenario} == {40}
    assert found.study.reference == "ring"


def test_landscapes_depend_on_the_studys_seed_and_the_replicate_alone():
    """Common random numbers: every arm has the same seeds, another study has others."""
    found = design(TWO)
    seeds: dict[str, list[int]] = {}
    for job in found.jobs():
        seeds.setdefault(job.arm, []).append(job.seed)
    assert len(set(map(tuple, seeds.values()))) == 1
    assert len(set(next(iter(seeds.values())))) == 3
    assert seed_of(5, 0) == next(iter(seeds.values()))[0] != seed_of(6, 0)


def test_an_arms_name_depends_on_the_scenario_and_not_on_its_seed():
    """The text of two replicates differs in the seed alone."""
    found = design(TWO)
    arm = next(iter(found.arms.values()))
    assert arm.text(1).replace("seed = 1", "seed = 2") == arm.text(2)
    other = design(TWO.replace("seed = 5", "seed = 6"))
    assert list(other.arms) == list(found.arms)
    assert list(design(TWO.replace("= 40", "= 41")).arms) != list(found.arms)


def test_controls_are_added_by_default_and_run_once():
    """Seven arms of two sizes: lone, random, TPE and CMA-ES are the same whatever the size."""
    head = TWO.replace("controls = []\n", "").replace("[factors]\n", "[factors]\nsize = [4, 8]\n")
    found = design(head.replace('"ring", ', '"isolated", '))
    labels = [arm.label for arm in found.arms.values()]
    assert labels[:4] == [
        "size 4, isolated", "size 4, small_world", "size 8, isolated", "size 8, small_world",
    ]  # fmt: skip
    assert sorted(labels[4:]) == ["cmaes", "lone", "random", "tpe"]
    cell = found.cells[1]
    assert set(cell.controls) == set(DEFAULT)
    assert cell.controls["isolated"] == found.cells[0].arm  # the level is the control
    lone = only_arm(found, "lone")
    assert [(m.name, m.mind) for m in lone.members()] == [("explorer-1", "policy:social")]
    assert only_arm(found, "tpe").members()[0].mind == "policy:tpe"
    assert {arm.scenario.stop.experiments for arm in found.arms.values() if arm.scenario} == {40}


def test_the_isolated_control_is_the_same_agents():
    """Only the edges are gone, whatever the edges of the arm carry."""
    head = TWO.replace("controls = []", 'controls = ["isolated"]')
    found = design(head.replace("[factors]\n", '[factors]\ncarries = ["score", "diff"]\n'))
    control = only_arm(found, "isolated")
    assert control.members() == only_arm(found, "score, ring").members()
    assert control.topology.family == "isolated"


@pytest.mark.parametrize(
    ("factor", "value"),
    [
        ("devices = [2]", ("pool", "slots", 2)),
        ('carries = ["score"]', ("topology", "carries", "score")),
        ("reviews = [false]", ("reviews", "reviewers", 0)),
        ('"noise.confirm_pairs" = [4]', ("noise", "confirm_pairs", 4)),
        ("budget = [77]", ("stop", "experiments", 77)),
        ('x = [{ label = "a", set = { "seal.runs" = 9 } }]', ("seal", "runs", 9)),
    ],
)  # fmt: skip
def test_words_and_paths_set_the_keys_they_stand_for(factor: str, value: tuple[str, str, object]):
    """Every word for what scientists vary, and any key by its path."""
    found = design(TWO.replace("[factors]\n", f"[factors]\n{factor}\n"))
    for arm in found.arms.values():
        assert getattr(getattr(arm.scenario, value[0]), value[1]) == value[2]


def test_minds_are_those_of_whoever_may_propose():
    """The reviewer keeps its own."""
    found = design(TWO.replace("[factors]\n", '[factors]\nminds = ["policy:greedy"]\n'))
    scenario = only_arm(found, "ring")
    assert [m.mind for m in scenario.members()] == ["policy:greedy"] * 3 + ["policy:judge"]


def test_sizes_keep_the_shares_of_roles():
    """Three explorers to a reviewer, at 4 as at 16, and the first is called the same."""
    found = design(TWO.replace("[factors]\n", "[factors]\nsize = [4, 16]\n"))
    roles = Counter(m.role for m in only_arm(found, "size 16, ring").members())
    assert roles == {"explorer": 12, "reviewer": 4}
    assert only_arm(found, "size 4, ring").members()[0].name == "explorer-1"


def test_a_mix_is_dealt_out_evenly_round_the_ring():
    """No two reviewers sit side by side where they are one in three."""
    mix = '[factors]\nmix = [{ label = "m", explorer = 2, reviewer = 1 }]\nsize = [12]\n'
    members = only_arm(design(TWO.replace("[factors]\n", mix)), "ring").members()
    assert Counter(m.role for m in members) == {"explorer": 8, "reviewer": 4}
    roles = [m.role for m in members]
    pairs = zip(roles, roles[1:] + roles[:1], strict=True)
    assert ("reviewer", "reviewer") not in pairs


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 64))
def test_seats_are_in_proportion_and_names_differ(shares: list[int], size: int):
    """As many as asked for, each role within one of its exact share."""
    roles = ("explorer", "reviewer", "exploiter", "reproducer")
    groups = {(roles[i], f"policy:{i}"): float(share) for i, share in enumerate(shares)}
    found = seats(groups, size)
    assert len(found) == size
    assert len({seat["name"] for seat in found}) == size
    for (role, _), share in groups.items():
        count = sum(seat["role"] == role for seat in found)
        assert abs(count - share * size / sum(shares)) < 1


def test_cells_can_be_left_out_named_or_adjusted():
    """A star of 8 is not wanted, and the small world of 4 hears others than that of 8."""
    head = TWO.replace('"ring", ', '"ring", "star", ') + "size = [4, 8]\n"
    head = head.replace("[factors]", "exclude = [{ topology = 'star', size = 8 }]\n[factors]")
    head = head.replace(
        "[factors]",
        "adjust = [{ when = { size = 8, topology = 'small_world' }, set = { 'topology.k' = 4 } }]"
        "\n[factors]",
    )
    found = design(head)
    assert "star, size 8" not in [arm.label for arm in found.arms.values()]
    assert only_arm(found, "small_world, size 4").topology.k == 2
    assert only_arm(found, "small_world, size 8").topology.k == 4
    chosen = design("only = [{ size = [8], topology = 'ring' }]\n" + head)
    assert [arm.label for arm in chosen.arms.values()] == ["ring, size 8"]


def test_a_half_fraction_keeps_half_of_the_cells_in_balance():
    """Of 2 x 2 x 2 cells four, each level twice, and the aliases are named."""
    head = 'generators = ["reviews = carries * devices"]\n' + TWO.split("[factors]")[0]
    head += '[factors]\ncarries = ["score", "diff"]\ndevices = [1, 2]\nreviews = [true, false]\n'
    found = design(head)
    assert len(found.cells) == 4
    for factor in ("carries", "devices", "reviews"):
        assert set(Counter(cell.labels[factor] for cell in found.cells).values()) == {2}
    words = [
        parse_generator("reviews = carries * devices", {"reviews": 2, "carries": 2, "devices": 2})
    ]
    assert resolution(words) == 3
    assert {"reviews", "carries * devices"} in [set(pair) for pair in aliases(words)]


def test_a_quarter_fraction_has_the_textbooks_resolution():
    """2^(6-2) with E = ABC, F = BCD (Box, Hunter & Hunter, table 6.22): resolution IV, 16 cells."""
    levels = dict.fromkeys("ABCDEF", 2)
    words = [parse_generator("E = A * B * C", levels), parse_generator("F = B * C * D", levels)]
    assert resolution(words) == 4
    cells = [dict(zip("ABCDEF", map(int, f"{number:06b}"), strict=True)) for number in range(64)]
    assert sum(is_kept(cell, words) for cell in cells) == 16
    assert resolution([]) is None


def test_every_fault_is_told_with_its_line_and_the_nearest_word():
    """Five faults of a file in one reading."""
    text = faults(
        'study = { compare = "topologie" }\nbudget = { experiments = 4, wall_s = 3 }\n'
        'controls = ["lonely"]\nexclude = [{ size = 5 }]\n'
        '[factors]\nsise = [4]\ntopology = ["ring"]\n'
    )
    assert "/studies/mine.toml:1: study.compare: 'topologie' is no factor" in text
    assert ":2: budget: experiments and wall_s are two budgets" in text
    assert ":3: controls[0]: unknown control 'lonely' (did you mean \"lone\"?)" in text
    assert ":4: exclude[0].size: 'size' is no factor" in text
    assert ':6: factors.sise: is no factor (did you mean "size"?)' in text


def test_a_wrong_key_of_the_file_itself_is_told_like_a_scenarios():
    """Unknown key, nearest key, line."""
    assert ':1: study.replicate: unknown key (did you mean "replicates"?)' in faults(
        "study = { replicate = 3 }\n"
    )


def test_what_makes_no_scenario_is_told_at_the_level_that_made_it():
    """Caves of three do not divide four agents; the arm is named, and the controls are spared."""
    text = faults(TWO.replace('"ring"', '{ family = "caveman", size = 3, p = 0.1 }'))
    assert ":6: factors.topology[0]: topology.size: caveman: caves of 3 do not divide 4" in text
    assert "(in arm 'caveman')" in text
    virtual = TWO.replace("[factors]", 'scenario = "virtual"\n[factors]') + '"model.kk" = [3]\n'
    assert ":8: factors.model.kk[0]: model: kk is not known here" in faults(virtual, "")
    base = faults(TWO, BASE.replace("policy:judge", "policy:juge"))
    assert "scenario.agents[1].mind: agents.1.mind: unknown mind 'policy:juge'" in base
    assert "2 arms" in base


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        ("size = [0]", "whole number of agents"),
        ("mix = [{ explorer = -1 }]", "none below 0"),
        ('mix = ["explorer"]', "shares of roles"),
        ("minds = [3]", "give a mind"),
        ('reviews = ["yes"]', "true, false"),
        ("topology = [{ k = 3 }]", "give a family"),
        ('topology = ["ring", "ring"]', "two levels are called"),
        ("x = [{ set = 3 }]", "give a table of keys"),
        ("topology = []", "no levels"),
    ],
)
def test_a_level_that_is_none_says_what_to_write(factor: str, words: str):
    """Each word of the file has its own sentence."""
    head = TWO.split("[factors]")[0] + "[factors]\n" + factor + "\n"
    assert words in faults(head)


def test_the_base_may_be_a_shipped_scenario_with_other_keys():
    """Named, not written out; `set` changes it for the whole study."""
    head = TWO.replace("controls = []", 'controls = []\nscenario = "quickstart"')
    head = head.replace("[factors]", '[set]\n"seal.runs" = 3\n[factors]')
    found = design(head, base="")
    scenario = only_arm(found, "ring")
    assert scenario.seal.runs == 3
    assert len(scenario.members()) == 6
    assert 'did you mean "quickstart"' in faults(head.replace("quickstart", "quikstart"), base="")


def test_a_part_of_a_study_can_be_run():
    """One arm, two landscapes; an unknown arm names those there are."""
    part = design(TWO).only(["ring"], 2)
    assert [arm.label for arm in part.arms.values()] == ["ring"]
    assert len(part.jobs()) == 2
    with pytest.raises(ValueError, match="ring; small_world"):
        design(TWO).only(["rung"])


@pytest.mark.parametrize("name", shipped_studies())
def test_every_shipped_study_can_be_run(name: str):
    """It has a title, and arms that are scenarios, whose models take their parameters."""
    found = design_of(read_study(name))
    assert found.study.file.study.title
    assert len(found.arms) > 1


def test_no_file_of_that_name_lists_those_that_ship():
    """Like scenarios: the nearest name and how to give a path."""
    with pytest.raises(StudyFileError, match=r"or give the path of a \.toml file"):
        read_study("nosuchstudy")


def test_arms_have_their_graph_whatever_the_landscape():
    """A drawn graph depends on the seed; a ring does not."""
    arm: Arm = next(iter(design(TWO).arms.values()))
    assert arm.scenario is not None
    names = [m.name for m in arm.scenario.members()]
    one = build_topology(names, arm.scenario.topology, 1)
    assert one.edges == build_topology(names, arm.scenario.topology, 2).edges


def test_more_combinations_than_can_be_run_are_refused_and_not_cut_short():
    """Fifteen factors of two levels are 32,768 cells: told, before any is made."""
    pair = '{ set = { n = 4 }, label = "x" }, { set = { n = 5 }, label = "y" }'
    factors = "\n".join(f"f{i} = [{pair}]" for i in range(15))
    text = f'study = {{ engine = "classic:zollman" }}\n[factors]\n{factors}\n'
    study = parse_study(text, Path("/s/mine.toml"))
    with pytest.raises(StudyFileError, match="32768 combinations of levels; at most 20000"):
        design_of(study)
