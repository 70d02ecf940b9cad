"""The map and the potions as tasks: what trees hold, what they are worth, what does not run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agents.knobs import load_knobs, turn
from community.loading import parse_scenario
from community.modelled.grid_model import GridModel
from community.modelled.parameters import MasonWattsSection, PotionsSection
from community.modelled.potions_model import PotionsModel
from community.virtual.run import run_virtual

WAY = (
    ("a1", "a2", "a3"),
    ("b1", "b2", "b3"),
    ("1a", "a1", "b2"),
    ("1b", "a2", "a3"),
    ("2a", "b2", "a3"),
    ("2b", "b1", "a2"),
    ("3a", "3b", "2a"),
)


def turned(model, changes) -> dict[str, bytes]:
    """Return the start with some knobs turned."""
    ((path, content),) = model.start().items()
    text = content.decode()
    told = turn(text, changes, load_knobs(model.knobs_toml(), text))
    assert not told.skipped
    return {path: told.text.encode()}


def test_every_place_of_the_map_is_worth_what_the_landscape_says() -> None:
    """And the summit is 1."""
    model = GridModel(MasonWattsSection(model="mason_watts", side=12), 3)
    values = model.landscape.values
    for x, y in np.ndindex(values.shape):
        assert model.truth(turned(model, {"X": x, "Y": y})) == pytest.approx(values[x, y] / 100)
    assert model.best() == pytest.approx(1.0)
    text = turned(model, {})["place.py"]
    assert model.truth({"place.py": text.replace(b"X = 6", b"X = 12")}) is None
    assert model.truth({"place.py": text.replace(b"X = 6", b"X = 6.0")}) is None


def test_places_that_do_not_run_are_no_summit() -> None:
    """The best is that of all that run; the start does."""
    model = GridModel(MasonWattsSection(model="mason_watts", side=12, crash=0.5), 3)
    worths = [model.truth(turned(model, {"X": x, "Y": y})) for x, y in np.ndindex(12, 12)]
    valid = [worth for worth in worths if worth is not None]
    assert 40 < len(valid) < 104
    assert model.best() == max(valid)
    assert model.truth(model.start()) is not None


def test_a_list_of_brews_climbs_from_remedy_to_remedy() -> None:
    """Each step of the way is worth more; what is not on the shelf yet cannot be brewed."""
    model = PotionsModel(PotionsSection(model="potions"), 1)
    assert model.truth(model.start()) == 48 / 358
    seen = []
    for length in range(1, 8):
        changes = {
            f"BREW_{brew}_{'ABC'[part]}": item
            for brew, items in enumerate(WAY[:length], start=1)
            for part, item in enumerate(items)
        }
        seen.append(model.truth(turned(model, changes)))
    assert [round(358 * worth) for worth in seen] == [48, 48, 109, 109, 188, 188, 358]
    too_soon = {f"BREW_1_{'ABC'[part]}": item for part, item in enumerate(WAY[6])}
    assert model.truth(turned(model, too_soon)) == 48 / 358
    assert model.best() == 1.0
    assert PotionsModel(PotionsSection(model="potions", brews=3), 1).best() is None


@pytest.mark.parametrize("task", ["mason_watts", "potions"])
def test_a_community_works_on_it(task: str) -> None:
    """Runs come to verdicts, and nothing is told that the landscape does not have."""
    text = f"""
run = {{ task = "{task}", seed = 2, time = "virtual" }}
stop = {{ experiments = 60 }}
noise = {{ baseline_runs = 3 }}
[[agents]]
name = "ada"
role = "explorer"
mind = "policy:social"
count = 3
"""
    loaded = parse_scenario(text, Path("mine.toml"))
    state = run_virtual(loaded.scenario, loaded.text).state
    assert state.stop_reason == "experiments"
    scores = [v.score for v in state.verdicts.values() if v.score is not None]
    assert len(scores) > 50
    assert max(scores) < 1.05
