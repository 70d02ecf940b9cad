"""Reads scenario files: from a name or a path to a checked `Scenario`, or to every fault at once.

Each fault names file and line, the key, what is wrong and the nearest thing that would be right.
Nothing is started or written here. Next: `community.cli` hands the result to
`community.run`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agents.knobs import Knob, load_knobs
from agents.minds.catalogue import known_minds
from community.board_faults import resolve_board_paths
from community.errors import Fault, ModelError, ScenarioError, TopologyError
from community.key_faults import key_faults
from community.role_faults import all_roles, read_role_files
from community.scenario import REMOTE, Scenario, StopSection, scenario_toml
from community.scenario_faults import cross_checks, nearest, shape_faults, warnings_of
from community.toml_lines import KeyPath, key_lines, line_of
from community.topology.edge_file import read_edges
from community.topology.faults import Found
from trainer.task import find_task, list_tasks, load_task
from trainer.task_kinds import KINDS
from trainer.task_slots import slots_for

SCENARIOS = Path(__file__).resolve().parent.parent / "scenarios"
"""The shipped scenarios, tasks and roles: beside the packages, in a checkout as in a wheel."""


@dataclass(frozen=True, slots=True)
class LoadedScenario:
    """A scenario with where it came from."""

    scenario: Scenario
    text: str
    """TOML that stands for exactly this scenario; what the ledger keeps."""
    path: Path
    warnings: tuple[Fault, ...]
    """What is allowed but probably not meant."""

    @property
    def name(self) -> str:
        """The file's name without ending."""
        return self.path.stem


def shipped_scenarios() -> tuple[str, ...]:
    """Return the names of the scenarios that come with the project."""
    return tuple(sorted(path.stem for path in SCENARIOS.glob("*.toml")))


def shipped_tasks() -> tuple[str, ...]:
    """Return the names of the tasks that come with the project."""
    return tuple(path.name for path in list_tasks())


def find_scenario(path_or_name: str | Path) -> Path:
    """Return the file that a user means: a path, or the name of a shipped scenario.

    Raises:
        ScenarioError: there is no such file; the message lists what there is.
    """
    path = Path(path_or_name)
    if path.is_file():
        return path
    shipped = SCENARIOS / f"{path_or_name}.toml"
    if path.name == str(path_or_name) and shipped.is_file():
        return shipped
    names = shipped_scenarios()
    known = f"shipped scenarios: {', '.join(names)}; or give the path of a .toml file"
    text = f"no such scenario file{nearest(path.name.removesuffix('.toml'), names)}; {known}"
    raise ScenarioError([Fault(str(path_or_name), "", text)])


def load_scenario(path_or_name: str | Path) -> Scenario:
    """Return the checked scenario of a file or of a shipped name, such as ``quickstart``.

    Raises:
        ScenarioError: it cannot be used; `faults` lists everything that is wrong.
    """
    return read_scenario(path_or_name).scenario


def read_scenario(path_or_name: str | Path) -> LoadedScenario:
    """Like `load_scenario`, with the text, the path and the warnings.

    Raises:
        ScenarioError: it cannot be used; `faults` lists everything that is wrong.
    """
    path = find_scenario(path_or_name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError([Fault(str(path), "", f"cannot be read: {error}")]) from error
    return parse_scenario(text, path, more=key_faults)


def parse_scenario(
    text: str, path: Path, *, more: Callable[[dict[str, Any]], Found] = lambda data: []
) -> LoadedScenario:
    """Check a scenario's text; `path` is what messages name and where relative tasks start.

    Args:
        text: The scenario, of a file or of a ledger.
        path: Where it stands.
        more: What else can be wrong with it.

    Raises:
        ScenarioError: it cannot be used; `faults` lists everything that is wrong.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([_syntax_fault(error, text, path)]) from error
    found = more(data)
    told, others = settle_data(data, path)
    found += others
    lines = key_lines(text)

    def placed(items: list[tuple[KeyPath, str]]) -> list[Fault]:
        rows = [(line_of(key, lines), key, what) for key, what in items]
        rows.sort(key=lambda row: row[0])
        return [Fault(f"{path}:{line}", _dotted(key), what) for line, key, what in rows]

    if found:
        raise ScenarioError(placed(found))
    scenario = Scenario.model_validate(data)
    if told:
        text = f"# {path.name}, {' and '.join(told)}\n{scenario_toml(scenario)}"
    return LoadedScenario(scenario, text, path, tuple(placed(warnings_of(scenario))))


def settle_data(data: dict[str, Any], path: Path) -> tuple[list[str], list[tuple[KeyPath, str]]]:
    """Put what a scenario's data name by a relative path in its place, then check all of it.

    Args:
        data: As tomllib gave it; changed in place.
        path: Of the file, where relative paths start.

    Returns:
        What was put in its place, in words, and every fault: where, and what is wrong.
    """
    is_moved = _resolve_task(data, path)
    is_placed = resolve_board_paths(data, path)
    found, places = _read_graph(data, path)
    unread, is_read = read_role_files(data, path)
    unread_roles = {key[:2] for key, _ in unread}
    found += unread + [each for each in shape_faults(data) if each[0][:2] not in unread_roles]
    found += cross_checks(data, shipped_tasks(), all_roles(data), (*known_minds(), REMOTE))
    told = [*["the task's path made absolute"] * is_moved, *["its graph read"] * bool(places)]
    told += ["the files of its roles read"] * is_read
    told += ["the board's files made absolute"] * is_placed
    return told, [_placed_in_graph(fault, places) for fault in found]


def check_task(scenario: Scenario) -> tuple[Knob, ...]:
    """Read the task of a checked scenario, and its knobs, as a run would; return the knobs.

    Raises:
        TaskError: the task folder is not whole.
        KnobError: its knobs.toml does not fit its start.
        ModelError: it is modelled, and its parameters or the world do not fit that.
        DeviceError: this machine does not have the slots that the scenario asks for.
    """
    if scenario.run.time == "virtual":
        from community.modelled.opening import slots_of
        from community.modelled.tasks import modelled_task

        modelled = modelled_task(scenario)
        slots_of(scenario, modelled)
        task = modelled.task
    else:
        task = load_task(find_task(scenario.run.task, Path.cwd()))
        if KINDS[task.kind].is_modelled:
            raise ModelError(
                [f'task {task.name} is modelled, in virtual time only; set run.time = "virtual"']
            )
        kind = (scenario.budget or task.budget).kind
        if scenario.pool.backend == "local":  # a cluster is asked when the run begins
            slots_for(task, "device_seconds" if kind == "auto" else kind, scenario.pool.slots)
    if task.knobs_toml is None or task.knobs_path is None:
        return ()
    return load_knobs(task.knobs_toml, task.start[task.knobs_path].decode())


def apply_overrides(
    scenario: Scenario, *, experiments: int | None = None, seed: int | None = None
) -> Scenario:
    """Return `scenario` with what the command line sets; None leaves a value as it is.

    Raises:
        ScenarioError: a value is out of range.
    """
    data = scenario.model_dump()
    if experiments is not None:
        data["stop"]["experiments"] = experiments
    if seed is not None:
        data["run"]["seed"] = seed
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        faults = [
            Fault("command line", f"--{item['loc'][-1]}", item["msg"]) for item in error.errors()
        ]
        raise ScenarioError(faults) from error


def override(
    loaded: LoadedScenario, *, experiments: int | None = None, seed: int | None = None
) -> LoadedScenario:
    """Return `loaded` with `apply_overrides` applied and a text that says so.

    Raises:
        ScenarioError: a value is out of range.
    """
    if experiments is None and seed is None:
        return loaded
    scenario = apply_overrides(loaded.scenario, experiments=experiments, seed=seed)
    given = {"experiments": experiments, "seed": seed}
    options = " ".join(f"--{key} {value}" for key, value in given.items() if value is not None)
    text = f"# {loaded.path.name} with {options}\n{scenario_toml(scenario)}"
    return LoadedScenario(scenario, text, loaded.path, loaded.warnings)


def has_no_end(stop: StopSection) -> bool:
    """Return whether a run with this section goes on until it is interrupted."""
    return not any(value is not None for value in stop.model_dump().values())


def _resolve_task(data: dict[str, Any], path: Path) -> bool:
    """Make the path of a task folder of the user's absolute; answer whether it was not yet."""
    run = data.get("run")
    task = run.get("task") if isinstance(run, dict) else None
    if not isinstance(run, dict) or not isinstance(task, str) or task in shipped_tasks():
        return False
    folder = Path(os.path.abspath(path.parent / Path(task).expanduser()))
    if "/" not in task and not (folder / "task.toml").is_file():
        return False
    run["task"] = str(folder)
    return str(folder) != task


def _read_graph(
    data: dict[str, Any], path: Path
) -> tuple[list[tuple[KeyPath, str]], tuple[str, ...]]:
    """Put the edges of a graph's file in its place; answer faults, and where each edge stood."""
    table = data.get("topology")
    if not isinstance(table, dict) or table.get("family") != "edges":
        return [], ()
    file = table.get("file")
    if not isinstance(file, str) or not file:
        return [], ()
    key = ("topology", "file")
    if "edges" in table:
        return [(key, "file and edges are two graphs; keep one")], ()
    try:
        read = read_edges(path.parent / Path(file).expanduser())
    except TopologyError as error:
        return [(key, str(error))], ()
    table["edges"] = [edge for _, edge in read]
    if not read:
        return [(key, f"{file} has no edges; isolated is the family without any")], ()
    del table["file"]
    return [], tuple(where for where, _ in read)


def _placed_in_graph(fault: tuple[KeyPath, str], places: Sequence[str]) -> tuple[KeyPath, str]:
    """Say of a fault in an edge where that stands in the graph's file, if it is from one."""
    key, text = fault
    if not places or len(key) < 3 or key[:2] != ("topology", "edges"):
        return fault
    what = "".join(f"{part}: " for part in key[3:])
    return ("topology", "file"), f"{places[int(key[2])]}: {what}{text}"


def _syntax_fault(error: tomllib.TOMLDecodeError, text: str, path: Path) -> Fault:
    """Return tomllib's complaint with its line taken out of the sentence."""
    message = str(error)
    what, _, where = message.rpartition(" (at ")
    digits = where.removeprefix("line ").split(",")[0]
    line = int(digits) if digits.isdigit() else text.count("\n") + 1
    return Fault(f"{path}:{line}", "", f"not valid TOML: {what or message}")


def _dotted(key: KeyPath) -> str:
    """Return ``agents[2].role`` for ``("agents", 2, "role")``."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in key]
    return "".join(parts).removeprefix(".")
