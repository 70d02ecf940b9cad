"""Runs of a study by the real engines: virtual communities and classic models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from community.classics import lazer_friedman, networks
from community.errors import StudyFileError, StudyRunError
from community.study.analysis import analyse
from community.study.classic_runs import parameter_fault
from community.study.design import Design, design_of
from community.study.records import RunRecord, RunSpec
from community.study.running import run_one
from community.study.study_file import parse_study

VIRTUAL = """
study = { replicates = 2, seed = 3 }
budget = { experiments = 20 }
controls = []
scenario = "virtual"
[set]
"model.n" = 10
[factors]
topology = ["isolated", "complete"]
"""
CLASSIC = """
study = { replicates = 2, engine = "classic:lazer_friedman" }
[set]
n = 8
k = 3
horizon = 12
[factors]
topology = ["complete", { family = "lattice", k = 4 }]
agents = [10]
"""


def design(text: str) -> Design:
    """Return the design of a study."""
    return design_of(parse_study(text, Path("/studies/mine.toml")))


def made(found: Design, place: int, replicate: int = 0) -> RunRecord:
    """Run the arm at `place` on one landscape."""
    arm = list(found.arms.values())[place]
    job = next(j for j in found.jobs() if (j.arm, j.replicate) == (arm.key, replicate))
    classic = found.study.file.study.engine.partition(":")[2]
    text = arm.text(job.seed) if arm.scenario else ""
    return run_one(
        RunSpec(arm.key, arm.label, replicate, job.seed, "code", text, classic, arm.parameters)
    )


def test_a_virtual_run_gives_the_same_record_twice_and_its_landscape_is_everybodys():
    """Start and optimum are the landscape's, whatever the arm; the ledger is the seed's."""
    found = design(VIRTUAL)
    isolated, complete = made(found, 0), made(found, 1)
    assert made(found, 0) == isolated
    assert isolated.ledger != complete.ledger
    assert isolated.trace.confirmed[0] == complete.trace.confirmed[0]
    assert isolated.best == complete.best == 1.0
    assert made(found, 0, 1).trace.confirmed[0] != isolated.trace.confirmed[0]
    assert isolated.graph["density"] == 0
    assert complete.graph["density"] == 1


def test_a_virtual_runs_curve_is_true_and_within_the_budget():
    """No score beyond the optimum, nothing after the twentieth experiment, found never falls."""
    record = made(design(VIRTUAL), 1)
    assert record.trace.experiments[-1] == record.numbers["experiments"] == 20
    assert max(record.trace.found) <= 1.0 + 1e-12
    assert list(record.trace.found) == sorted(record.trace.found)
    assert all(f >= c for f, c in zip(record.trace.found, record.trace.confirmed, strict=True))
    assert record.numbers["device_seconds"] == record.trace.device_seconds[-1] > 0


def test_a_classic_model_is_run_on_landscapes_that_arms_share():
    """The curve is what the model itself gives under the replicate's seed."""
    found = design(CLASSIC)
    record = made(found, 0)
    parameters = lazer_friedman.Parameters(n=8, k=3, horizon=12, agents=10)
    own = lazer_friedman.simulate(
        parameters, {"it": networks.complete(10)}, landscapes=1, seed=record.seed
    )["it"]
    assert record.trace.on("experiments", "found", np.arange(13)) == pytest.approx(own.scores[0])
    lattice = made(found, 1)
    assert lattice.trace.found[0] == record.trace.found[0]
    assert lattice.graph["density"] == pytest.approx(4 / 9)


@pytest.mark.parametrize(
    ("engine", "factor"),
    [
        ("zollman", 'network = ["cycle", "complete"]\nn = [4]\ntrials = [50]\nepsilon = [0.1]'),
        ("march", "p1 = [0.1, 0.9]\nhorizon = [20]"),
        ("hong_page", 'team_of = ["best", "random"]\nplaces = [50]\nreach = [5]'),
        ("fang", "beta = [0.0, 0.2]\ngroups = [3]\nm = [20]\nhorizon = [5]"),
        ("potions", 'network = ["caves", "complete"]\nn = [10]\nhorizon = [50]'),
        ("zollman", 'topology = ["star", { family = "lattice", k = 4 }]\nn = [8]\ntrials = [20]'),
        ("potions", 'topology = ["ring", "complete"]\nn = [10]\nhorizon = [50]'),
        ("fang", 'topology = ["ring", "star"]\ngroups = [3]\nm = [20]\nhorizon = [5]'),
    ],
)
def test_every_classic_model_of_communities_can_be_varied(engine: str, factor: str):
    """Two levels each: a record with an outcome, and the same one again."""
    text = f'study = {{ engine = "classic:{engine}", replicates = 1 }}\n[factors]\n{factor}\n'
    found = design(text)
    for place in range(2):
        record = made(found, place)
        assert record == made(found, place)
        assert np.isfinite(record.trace.found).all()


def test_a_topology_of_scenarios_is_the_graph_that_a_model_names():
    """Zollman's cycle is the ring, and the study says how dense it is."""
    both = [
        made(design(f'study = {{ engine = "classic:zollman" }}\n[factors]\n{factor}\nn = [6]\n'), 0)
        for factor in ('network = ["cycle"]', 'topology = ["ring"]')
    ]
    assert both[0].trace == both[1].trace
    assert both[1].graph["density"] == pytest.approx(2 / 5)


def test_what_a_classic_model_does_not_know_is_told_with_what_it_knows():
    """A wrong parameter, a wrong value, a wrong model."""
    with pytest.raises(StudyFileError, match=r'is no parameter .*did you mean "agents"'):
        design(CLASSIC.replace("agents =", "agent ="))
    with pytest.raises(StudyFileError, match=r'did you mean "lazer_friedman"'):
        design(CLASSIC.replace("lazer_friedman", "lazer_fridman"))
    with pytest.raises(StudyRunError, match="does not take"):
        made(design(CLASSIC.replace("k = 4", "k = 3")), 1)
    assert "no parameter" in parameter_fault("march", {"p9": 1})


def test_wall_time_and_dollars_are_counted_from_when_the_baseline_is_there():
    """One agent on one slot measures its baseline for 2,440 s, four on four for 610: apart."""
    text = VIRTUAL.replace("{ experiments = 20 }", "{ wall_s = 3100 }")
    lone, both = (made(design(f"{text}size = [{size}]\n"), 0) for size in (1, 4))
    assert lone.why == both.why == "research_s"
    assert 2700 < lone.trace.run_s[-1] <= 3100
    assert lone.numbers["experiments"] >= 9
    paid = text.replace("wall_s = 3100", "usd = 6.0") + '"model.cost_usd" = [0.1]\n'
    record = made(design(paid), 0)
    assert 6.0 <= record.numbers["usd"] < 6.6
    assert list(record.trace.usd) == sorted(record.trace.usd)
    assert 0 < record.trace.usd[-1] <= record.numbers["usd"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [('order = "sync"', "order = 'sync'"), ('rival = "equl"', "rival = 'equl'"),
     ("trials = 2.5", "trials = 2.5"), ('network = "rign"', "no graph is called 'rign'")],
)  # fmt: skip
def test_a_misspelt_word_of_a_classic_model_is_refused_before_anything_runs(
    setting: str, said: str
):
    """Not run as something else, and not met as a fault of the program hours later."""
    text = f'study = {{ engine = "classic:zollman" }}\n[set]\n{setting}\n[factors]\nn = [4, 6]\n'
    with pytest.raises(StudyFileError, match=said):
        design(text)


def test_no_crossing_is_told_of_a_time():
    """The outcome of the potions is when they were found: curves of it overtake nobody."""
    found = design(
        'study = { engine = "classic:potions", replicates = 2 }\n[set]\nn = 10\nhorizon = 50\n'
        '[factors]\nnetwork = ["complete", "caves"]\n'
    )
    records = [made(found, place, replicate) for replicate in range(2) for place in range(2)]
    assert analyse(found, records).contrasts[0].crossing is None
