"""Modelled tasks: from a folder of kind ``landscape`` and a scenario to a task and its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from community.errors import ModelError
from community.modelled.model import Model
from community.modelled.parameters import (
    MasonWattsSection,
    NkSection,
    PotionsSection,
    SurrogateSection,
    WorldSection,
    read_section,
)
from community.scenario import Scenario
from trainer.errors import TaskError
from trainer.task import Task, find_task, load_task


@dataclass(frozen=True, slots=True)
class ModelledTask:
    """A task whose scores are computed."""

    task: Task
    """With the start tree and the knobs that the model gives it."""
    model: Model
    section: WorldSection
    seed: int
    """The landscape's."""


def modelled_task(scenario: Scenario) -> ModelledTask:
    """Return the task of a scenario in virtual time with its model.

    Raises:
        TaskError: the task folder is not whole, or does not fit its model.
        ModelError: its parameters cannot be used.
    """
    task = load_task(find_task(scenario.run.task, Path.cwd()))
    if task.landscape is None:
        raise ModelError(
            [
                f"task {task.name} is trained, and training has no virtual time; "
                'set time = "real", or name a task of kind landscape'
            ]
        )
    section = read_section(task.landscape, scenario.model)
    seed = scenario.run.seed if section.landscape_seed is None else section.landscape_seed
    if isinstance(section, SurrogateSection):
        section, model = _surrogate(section, seed, task, scenario)
    else:
        model = make_model(section, seed)
    start = dict(model.start())
    if absent := [path for path in task.editable if path not in start]:
        raise TaskError(task.folder, [f"editable path {absent[0]!r} is not in the model's start"])
    has_knobs = task.knobs_path is not None
    whole = replace(task, start=start, knobs_toml=model.knobs_toml() if has_knobs else None)
    return ModelledTask(whole, model, section, seed)


def make_model(section: WorldSection, seed: int) -> Model:
    """Return the model of some parameters; `seed` is its landscape's."""
    return _MAKERS[type(section)](section, seed)


def _nk(section: Any, seed: int) -> Model:
    from community.modelled.nk_model import NkModel

    return NkModel(section, seed)


def _mason_watts(section: Any, seed: int) -> Model:
    from community.modelled.grid_model import GridModel

    return GridModel(section, seed)


def _potions(section: Any, seed: int) -> Model:
    from community.modelled.potions_model import PotionsModel

    return PotionsModel(section, seed)


_MAKERS: dict[type[WorldSection], Callable[[Any, int], Model]] = {
    NkSection: _nk,
    MasonWattsSection: _mason_watts,
    PotionsSection: _potions,
}
"""Imported when they are asked for: a surrogate needs no landscape, nor the other way round."""


def _surrogate(
    section: SurrogateSection, seed: int, task: Task, scenario: Scenario
) -> tuple[SurrogateSection, Model]:
    """Return the landscape of a real task, and the parameters with the hash of what was learnt."""
    from community.modelled.surrogate.opening import open_surrogate

    asked = scenario.budget or task.budget
    model, digest = open_surrogate(section, seed, task, (asked.kind, asked.amount))
    return section.model_copy(update={"fitted_sha256": digest}), model
