"""From a study to its arms: cells of the factorial, their controls, and what is run how often.

Arms are named by the hash of their scenario without its seed, so that what is the same is run once:
the control ``isolated`` of a community and its level ``isolated`` are one arm, and a lone agent is
one arm whatever the size of the community it is held against.

Common random numbers: the seed of a run derives from the study's seed and the replicate alone, so
landscape, start and noise of a replicate are the same in every arm.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from community.errors import ModelError
from community.loading import settle_data
from community.modelled.parameters import read_section
from community.scenario import Scenario, scenario_toml
from community.study.controls import control_of
from community.study.fractions import is_kept
from community.study.levels import ORDER, Data, LevelError, apply_level, set_keys
from community.study.study_file import Level, Study, matches
from community.toml_lines import KeyPath
from community.topology.faults import Found
from trainer.errors import TrainerError
from trainer.task import find_task, load_task

MOST_CELLS = 20_000
STOPS: Final = {"wall_s": "research_s"}
"""What a budget is in a scenario's `stop`, where it is called otherwise: calibration is apart."""
_HASH_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Arm:
    """One scenario that is run on every landscape."""

    key: str
    """Hash of what is run, its seed left out."""
    label: str
    scenario: Scenario | None
    """Its seed is 0; None of a classic model."""
    parameters: Mapping[str, Any]
    """Of a classic model; empty otherwise."""

    def text(self, seed: int) -> str:
        """Return the scenario file of one run."""
        assert self.scenario is not None
        run = self.scenario.run.model_copy(update={"seed": seed})
        return scenario_toml(self.scenario.model_copy(update={"run": run}))


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of levels."""

    labels: Mapping[str, str]
    """Factor -> label."""
    arm: str
    """Key."""
    controls: Mapping[str, str]
    """Control -> key of its arm."""

    def without(self, factor: str) -> dict[str, str]:
        """Return the labels of all other factors."""
        return {name: label for name, label in self.labels.items() if name != factor}


@dataclass(frozen=True, slots=True)
class Job:
    """One run: an arm on a landscape."""

    arm: str
    replicate: int
    """From 0."""
    seed: int


@dataclass(frozen=True, slots=True)
class Design:
    """What a study runs."""

    study: Study
    cells: tuple[Cell, ...]
    arms: Mapping[str, Arm]
    """By key; the arms of cells first, then controls."""
    replicates: int

    def jobs(self) -> list[Job]:
        """Return all runs, replicate by replicate, so that an early end leaves whole landscapes."""
        return [
            Job(key, replicate, seed_of(self.study.file.study.seed, replicate))
            for replicate in range(self.replicates)
            for key in self.arms
        ]

    def only(self, words: Sequence[str], replicates: int | None = None) -> Design:
        """Return the part of the design whose arms' labels hold one of these words.

        Args:
            words: Empty: all arms.
            replicates: In place of the study's.

        Raises:
            ValueError: no arm does.
        """
        arms = {
            key: arm
            for key, arm in self.arms.items()
            if not words or any(word in arm.label for word in words)
        }
        if not arms:
            known = "; ".join(arm.label for arm in self.arms.values())
            raise ValueError(f"no arm is called {' or '.join(words)}; arms: {known}")
        cells = tuple(
            dataclasses.replace(
                cell, controls={name: key for name, key in cell.controls.items() if key in arms}
            )
            for cell in self.cells
            if cell.arm in arms
        )
        number = self.replicates if replicates is None else replicates
        return dataclasses.replace(self, cells=cells, arms=arms, replicates=number)

    def strata(self) -> dict[tuple[tuple[str, str], ...], list[Cell]]:
        """Return cells by the labels of all factors but the compared one, in the file's order."""
        found: dict[tuple[tuple[str, str], ...], list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(tuple(cell.without(self.study.compare).items()), []).append(cell)
        return found


@dataclass(slots=True)
class _Faults:
    """What is wrong, and in which arms: one sentence for all arms that share it."""

    arms: dict[tuple[KeyPath, str], list[str]] = field(default_factory=dict)

    def add(self, key: KeyPath, text: str, label: str) -> None:
        self.arms.setdefault((key, text), []).append(label)

    def told(self) -> Found:
        return [
            (key, f"{text} (in {_count(labels)} {labels[0]!r})")
            for (key, text), labels in self.arms.items()
        ]


def _count(labels: Sequence[str]) -> str:
    return "arm" if len(labels) == 1 else f"{len(labels)} arms, the first"


def label_of(study: Study, labels: Mapping[str, str]) -> str:
    """Name a combination of levels by the factors that are varied: ``ring, hard, size 16``."""
    varied = [name for name in labels if len(study.factors[name]) > 1] or list(labels)
    return ", ".join(_plain(name, labels[name]) for name in varied)


def _plain(factor: str, label: str) -> str:
    """Return a label that is told from others: a number says of what."""
    is_bare = label in ("on", "off") or label.replace(".", "").isdigit()
    return f"{factor.rpartition('.')[2]} {label}" if is_bare else label


def seed_of(study_seed: int, replicate: int) -> int:
    """Return the seed of every run of one replicate, whatever the arm."""
    digest = hashlib.sha256(f"study/{study_seed}/{replicate}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


def design_of(study: Study) -> Design:
    """Return what the study runs.

    Raises:
        StudyFileError: a level does not fit, or what comes out is no scenario; lists every fault.
    """
    arms: dict[str, Arm] = {}
    controls: dict[str, Arm] = {}
    cells: list[Cell] = []
    found = _Faults()
    every = math.prod(len(levels) for levels in study.factors.values())
    if every > MOST_CELLS:
        what = f"{every} combinations of levels; at most {MOST_CELLS}: take factors or levels away"
        raise study.fail([(("factors",), what)])
    combinations = list(_combinations(study))
    if not combinations:
        raise study.fail([(("factors",), "no cell is left: only, exclude or generators drop all")])
    for chosen in combinations:
        labels = {name: level.label for name, level in chosen.items()}
        if study.file.study.engine != "community":
            arm = _classic_arm(study, chosen, labels, found)
            arms.setdefault(arm.key, arm)
            cells.append(Cell(labels, arm.key, {}))
            continue
        label = label_of(study, labels)
        data, touched, wrong = _data(study, chosen, labels)
        for key, text in wrong:
            found.add(key, text, label)
        if wrong:
            continue
        made = _arm(study, data, label, touched, found)
        if made is None:
            continue
        arms.setdefault(made.key, made)
        beside = {}
        for name in study.file.controls:
            control = _arm(study, control_of(name, data), f"{name} ({label})", {}, found)
            if control is not None:
                controls.setdefault(control.key, control)
                beside[name] = control.key
        cells.append(Cell(labels, made.key, beside))
    if found.arms:
        raise study.fail(found.told())
    found_arms = arms | {key: arm for key, arm in controls.items() if key not in arms}
    named = _named(study, found_arms, cells)
    return Design(study, tuple(cells), named, study.file.study.replicates)


def _combinations(study: Study) -> Iterator[dict[str, Level]]:
    """Yield the cells that are run: factor -> level."""
    sizes = [range(len(levels)) for levels in study.factors.values()]
    for places in itertools.product(*sizes):
        cell = dict(zip(study.factors, places, strict=True))
        chosen = {name: study.factors[name][place] for name, place in cell.items()}
        labels = {name: level.label for name, level in chosen.items()}
        if not is_kept(cell, study.generators):
            continue
        if study.file.only and not any(matches(labels, when) for when in study.file.only):
            continue
        if not any(matches(labels, when) for when in study.file.exclude):
            yield chosen


def _data(
    study: Study, chosen: Mapping[str, Level], labels: Mapping[str, str]
) -> tuple[Data, dict[KeyPath, KeyPath], Found]:
    """Return a cell's scenario, which key of the study file set which of its keys, and faults."""
    data: Data = copy.deepcopy(dict(study.base))
    touched: dict[KeyPath, KeyPath] = {}
    found: Found = []
    if study.budget is not None:
        kind, amount = study.budget
        data["stop"] = {STOPS.get(kind, kind): amount}
        touched["stop",] = ("budget", kind)
    steps = sorted(chosen, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    try:
        if study.file.set:
            touched |= dict.fromkeys(set_keys(data, copy.deepcopy(study.file.set)), ("set",))
        for name in steps:
            place = ("factors", name, study.factors[name].index(chosen[name]))
            try:
                keys = apply_level(name, copy.deepcopy(chosen[name].value), data)
            except LevelError as error:
                found.append((place, str(error)))
            else:
                touched |= dict.fromkeys(keys, place)
        for index, more in enumerate(study.file.adjust):
            if matches(labels, more.when):
                keys = set_keys(data, copy.deepcopy(more.set))
                touched |= dict.fromkeys(keys, ("adjust", index, "set"))
    except LevelError as error:
        found.append((("set",), str(error)))
    if data.get("topology", {}).get("family") in ("isolated", "none"):
        data["topology"] = {"family": "isolated"}  # whatever edges would carry
    data.setdefault("run", {})["seed"] = 0
    return data, touched, found


def _arm(
    study: Study, data: Data, label: str, touched: Mapping[KeyPath, KeyPath], found: _Faults
) -> Arm | None:
    """Return the arm of a scenario; None where it is none, which is added to `found`."""
    _, wrong = settle_data(data, study.base_path)
    for key, text in wrong:
        found.add(_origin(study, key, touched), f"{'.'.join(map(str, key))}: {text}", label)
    if wrong:
        return None
    scenario = Scenario.model_validate(data)
    if fault := _model_fault(scenario):
        found.add(_origin(study, ("model",), touched), f"model: {fault}", label)
        return None
    return Arm(_hash(scenario_toml(scenario)), label, scenario, {})


def _model_fault(scenario: Scenario) -> str:
    """Return why a modelled task does not take its parameters, or nothing."""
    if scenario.run.time == "real":
        return ""
    try:
        landscape = _landscape(scenario.run.task)
        if landscape is None:
            return f'task {scenario.run.task} is trained; set run.time = "real", or name another'
        read_section(landscape, scenario.model)
    except (ModelError, TrainerError) as error:
        return str(error)
    return ""


@cache
def _landscape(task: str) -> Mapping[str, Any] | None:
    return load_task(find_task(task, Path.cwd())).landscape


def _origin(study: Study, key: KeyPath, touched: Mapping[KeyPath, KeyPath]) -> KeyPath:
    """Return which key of the study file a key of a scenario comes from."""
    for length in range(len(key), 0, -1):
        sources = [source for place, source in touched.items() if place[:length] == key[:length]]
        if sources:
            return sources[-1]
    inner: KeyPath = key if isinstance(study.file.scenario, dict) else ()
    return ("scenario", *inner)


def _classic_arm(
    study: Study, chosen: Mapping[str, Level], labels: Mapping[str, str], found: _Faults
) -> Arm:
    from community.study.classic_runs import parameter_fault

    label = label_of(study, labels)
    parameters: dict[str, Any] = dict(study.file.set)
    for name, level in chosen.items():
        is_bundle = isinstance(level.value, dict) and set(level.value) == {"set"}
        parameters |= level.value["set"] if is_bundle else {name: level.value}
    for more in study.file.adjust:
        if matches(labels, more.when):
            parameters |= more.set
    name = study.file.study.engine.partition(":")[2]
    if fault := parameter_fault(name, parameters):
        found.add(("factors",), fault, label)
    return Arm(_hash(json.dumps([name, parameters], sort_keys=True)), label, None, parameters)


def _named(study: Study, arms: Mapping[str, Arm], cells: Sequence[Cell]) -> dict[str, Arm]:
    """Name each control by the levels that all its cells share: ``lone (hard)``."""
    named = dict(arms)
    own = {cell.arm for cell in cells}
    for name in study.file.controls:
        users: dict[str, list[Cell]] = {}
        for cell in cells:
            if name in cell.controls:
                users.setdefault(cell.controls[name], []).append(cell)
        for key, beside in users.items():
            if key in own:
                continue
            common = {
                factor: label
                for factor, label in beside[0].labels.items()
                if len(study.factors[factor]) > 1
                and all(cell.labels[factor] == label for cell in beside)
            }
            label = f"{name} ({label_of(study, common)})" if common else name
            named[key] = dataclasses.replace(named[key], label=label)
    return named


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARACTERS]
