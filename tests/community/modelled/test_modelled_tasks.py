"""From a scenario to a modelled task: parameters, their faults, devices, and what a lock covers."""

from __future__ import annotations

from pathlib import Path

import pytest

from community.errors import ModelError, ScenarioError
from community.loading import check_task, parse_scenario
from community.modelled.opening import slots_of
from community.modelled.parameters import parameters_hash, read_section
from community.modelled.tasks import modelled_task

SCENARIO = """
run = { task = "nk", seed = 4, time = "virtual" }
[[agents]]
name = "ada"
role = "explorer"
mind = "policy:greedy"
count = 3
"""


def scenario(more: str = "", text: str = SCENARIO):
    """Return a checked scenario with some lines before its agents."""
    return parse_scenario(
        text.replace("[[agents]]", more + "\n[[agents]]"), Path("mine.toml")
    ).scenario


def test_the_scenario_stands_before_the_task() -> None:
    """Keys that it gives replace the task's; the landscape's seed is the run's unless given."""
    usual, other = modelled_task(scenario()), modelled_task(scenario("model = { n = 6, k = 1 }"))
    assert (usual.section.n, other.section.n, other.section.k) == (16, 6, 1)  # type: ignore[attr-defined]
    assert other.section.duration_s == usual.section.duration_s
    assert usual.seed == 4
    assert modelled_task(scenario("model = { landscape_seed = 9 }")).seed == 9
    assert len(check_task(scenario("model = { n = 6, k = 1 }"))) == 6


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        ('{ model = "hills" }', "there are"),
        ("{ bits = 3 }", "bits is not known here"),
        ("{ n = 0 }", "n:"),
        ("{ noise = -1.0 }", "noise:"),
        ("{ crash = 1.0 }", "crash:"),
        ("{ n = 40 }", "raw"),
        ('{ mode = "sideways" }', "mode:"),
        ("{ devices = [] }", "devices"),
    ],
)
def test_what_cannot_be_is_refused_in_words(model: str, fault: str) -> None:
    """Unknown models, unknown keys, values out of range."""
    with pytest.raises(ModelError, match=fault):
        modelled_task(scenario(f"model = {model}"))


def test_worlds_are_not_mixed() -> None:
    """A trained task has no virtual time, a modelled one no real time, a model no real run."""
    with pytest.raises(ModelError, match="is trained"):
        check_task(scenario(text=SCENARIO.replace('"nk"', '"nanolm"')))
    with pytest.raises(ModelError, match="in virtual time only"):
        check_task(scenario(text=SCENARIO.replace('time = "virtual"', 'time = "real"')))
    with pytest.raises(ScenarioError, match="model is for runs in virtual time"):
        scenario("model = { n = 6 }", SCENARIO.replace(', time = "virtual"', ""))
    with pytest.raises(ScenarioError, match="nobody comes from outside"):
        scenario(text=SCENARIO.replace("policy:greedy", "remote"))
    with pytest.raises(ScenarioError, match="nobody reaches it"):
        scenario('board = { broker = "embedded", port = 1883 }')


def test_devices_are_the_pools_or_the_models() -> None:
    """One for each researcher by default; the pool's number; or the model's, which must agree."""
    devices = 'model = { devices = [{ name = "h100", count = 2 }, { name = "h200", count = 1 }] }'
    for more, expected in (
        ("", ("device-1", "device-2", "device-3")),
        ("pool = { slots = 2 }", ("device-1", "device-2")),
        (devices, ("h100-1", "h100-2", "h200-1")),
        (f"pool = {{ slots = 3 }}\n{devices}", ("h100-1", "h100-2", "h200-1")),
    ):
        asked = scenario(more)
        assert slots_of(asked, modelled_task(asked)) == expected
    for more, fault in (
        (f"pool = {{ slots = 4 }}\n{devices}", "pool.slots says 4"),
        (devices.replace("h200", "h100"), "one name"),
    ):
        asked = scenario(more)
        with pytest.raises(ModelError, match=fault):
            slots_of(asked, modelled_task(asked))


def test_a_lock_covers_what_scores_rest_on_and_no_more() -> None:
    """Time, money and devices may differ between runs that compare; a landscape may not."""
    base = {"model": "nk", "n": 8, "k": 2}
    known = parameters_hash(read_section(base, None), 1)
    for same in ({"duration_s": 9.0}, {"thinking_s": 5.0}, {"cost_usd": 1.0}, {"score_s": 2.0}):
        assert parameters_hash(read_section(base, same), 1) == known
    for other in ({"k": 3}, {"noise": 0.1}, {"crash": 0.1}, {"transform": "raw"}):
        assert parameters_hash(read_section(base, other), 1) != known
    assert parameters_hash(read_section(base, None), 2) != known
