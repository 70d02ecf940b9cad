"""What a run is started with: its scenario, its folder, and whether it goes on from a ledger.

A resumed run keeps the scenario its ledger holds; only the limit of experiments may be changed, and
stays changed.
Nothing runs here. Next: `community.cli.run_command` hands the `Launch` to `community.run`.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

from community.admission import Admission
from community.archive.ledger import Ledger, LedgerReader
from community.archive.queries import experiment_limit
from community.archive.state import RunState
from community.errors import Fault, LedgerDamagedError, ResumeError
from community.events import Row
from community.institution import DESERTED
from community.loading import (
    LoadedScenario,
    apply_overrides,
    check_task,
    override,
    parse_scenario,
    read_scenario,
)
from community.mind_faults import check_means
from community.run_folder import LATEST, RUNS, RunFolder
from community.run_secret import keep_secret
from community.scenario import Scenario, StopSection
from community.task_lock import must_be_as_expected
from trainer.task import find_task, load_task
from trainer.task_kinds import KINDS


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything `community.run.run_community` is called with, and what people are told first."""

    scenario: Scenario
    text: str
    """The scenario as the ledger keeps it."""
    folder: RunFolder
    is_resumed: bool
    """Whether there is a ledger to go on from."""
    known_seq: int
    """Last row of that ledger, 0 for a new run."""
    warnings: tuple[Fault, ...]
    finished: str = ""
    """Why there is nothing to go on with, and what to do about it; empty for a run to be run."""

    @property
    def resume_command(self) -> str:
        """What to type to go on with this run."""
        place = RUNS.absolute()
        is_newest = self.folder.path == (place / LATEST).resolve()
        where = "" if is_newest else f" --run-dir {self.folder.path}"
        return f"community run --resume{where}"

    def take_note(self, row: Row) -> None:
        """Make a new run in ``runs`` the newest with its first row; one that fails before is not.

        Raises:
            RunFolderError: the link cannot be written.
        """
        is_among_runs = self.folder.path.parent.resolve() == RUNS.resolve()
        if row.seq == 1 and self.known_seq == 0 and is_among_runs:
            self.folder.make_latest()


def launch_new(
    scenario: str, *, run_dir: Path | None, experiments: int | None, seed: int | None
) -> Launch:
    """Read the scenario and make the folder of a new run.

    Args:
        scenario: A shipped name or a path.
        run_dir: The run's own folder; None takes the next free ``runs/<scenario>-<number>``.
        experiments: Replaces the scenario's limit.
        seed: Replaces the scenario's seed.

    Raises:
        ScenarioError: the scenario cannot be used.
        TaskError, KnobError, DeviceError: its task, that task's knobs, or its slots cannot be used;
            nothing was made.
        MindError: a model's SDK or key is missing; nothing was made.
        TaskLockError: the task's lock manifest does not hold; nothing was made.
        RunFolderError: the folder is taken or cannot be written.
    """
    loaded = override(read_scenario(scenario), experiments=experiments, seed=seed)
    _check(loaded.scenario)
    if loaded.scenario.run.time == "real":
        task = load_task(find_task(loaded.scenario.run.task, Path.cwd()))
        if KINDS[task.kind].grader or task.artifact is not None:
            must_be_as_expected(task)
    if run_dir is None:
        folder = RunFolder.create(RUNS, _next_id(RUNS, loaded.name))
    else:
        path = run_dir.absolute()
        with contextlib.suppress(OSError):
            path.rmdir()  # an empty folder, made by mktemp -d say; any other stays and is refused
        folder = RunFolder.create(path.parent, path.name)
    return _launch(loaded, folder)


def new_run_dir(scenario: str) -> Path:
    """Return the folder that a new run of a scenario would get.

    Raises:
        ScenarioError: the scenario cannot be read.
    """
    return RUNS / _next_id(RUNS, read_scenario(scenario).name)


def launch_loaded(loaded: LoadedScenario, run_dir: Path, secret: bytes | None) -> Launch:
    """Make the folder of a new run of a scenario that is no file.

    Args:
        loaded: The scenario.
        run_dir: The run's own folder.
        secret: What its scores are drawn by, where it shall be another run's.

    Raises:
        TaskError, KnobError, DeviceError, TaskLockError: as `launch_new`.
        RunFolderError: the folder is taken or cannot be written.
    """
    _check(loaded.scenario)
    if loaded.scenario.run.time == "real":
        must_be_as_expected(load_task(find_task(loaded.scenario.run.task, Path.cwd())))
    folder = RunFolder.create(run_dir.parent, run_dir.name)
    if secret is not None:
        keep_secret(folder, secret)
    return _launch(loaded, folder)


def next_folder(name: str) -> Path:
    """Return the next free ``runs/<name>-<number>``."""
    return RUNS / _next_id(RUNS, name)


def launch_resumed(
    scenario: str | None, *, run_dir: Path | None, experiments: int | None, seed: int | None
) -> Launch:
    """Find the run to go on with and read its scenario from its ledger.

    Args:
        scenario: May be None; if given, it must be the one the run was started with.
        run_dir: The run's own folder; None takes the newest run.
        experiments: Replaces the limit the run was started with.
        seed: Must be the run's own, if given.

    Raises:
        RunFolderError: there is no such run.
        ResumeError: the scenario or the seed is another one than the run's.
        ScenarioError: the scenario cannot be used.
        TaskError, KnobError, DeviceError: its task, that task's knobs, or its slots cannot be used.
    """
    given = None if scenario is None else read_scenario(scenario)
    if run_dir is not None and given is not None and _never_began(run_dir):
        loaded = override(given, experiments=experiments, seed=seed)
        _check(loaded.scenario)
        return _launch(loaded, _folder_again(run_dir))
    folder = RunFolder.open(LATEST if run_dir is None else run_dir)
    state = _recorded(folder)
    if state.opened is None:
        if given is None and folder.scenario.exists():
            given = read_scenario(folder.scenario)
        if given is None:
            raise ResumeError(
                f"run {folder.run_id} was killed before it began, and holds no scenario; name one: "
                f"community run SCENARIO --resume --run-dir {folder.path}"
            )
        loaded = override(given, experiments=experiments, seed=seed)
        _check(loaded.scenario)
        return _launch(loaded, folder)
    text = state.opened.scenario
    loaded = parse_scenario(text, folder.ledger)
    _must_be_same(folder, loaded.scenario, given, seed)
    limit = experiment_limit(state) if experiments is None else experiments
    changed = apply_overrides(loaded.scenario, experiments=limit)
    _check(changed)
    warnings = _limits_not_taken(changed, given, has_new_limit=experiments is not None)
    finished = _finished(state, changed)
    return Launch(changed, text, folder, True, state.last_seq, warnings, finished)


def _check(scenario: Scenario) -> None:
    """Check what a run would stop at soon after its start: the task, slots, SDKs and keys."""
    check_task(scenario)
    check_means(scenario)


def _launch(loaded: LoadedScenario, folder: RunFolder) -> Launch:
    """A run without recorded rows; its ledger may exist, blank."""
    has_ledger = folder.ledger.exists()
    folder.scenario.write_text(loaded.text, encoding="utf-8")
    return Launch(loaded.scenario, loaded.text, folder, has_ledger, 0, loaded.warnings)


def _next_id(base: Path, name: str) -> str:
    """Return the first free ``<name>-<number>``, made of what a run's name may consist of."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("._-")[:48] or "run"
    number = 1
    while (base / f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"


def _never_began(run_dir: Path) -> bool:
    """Whether a run was killed between making this folder and making its ledger."""
    return (run_dir / "jobs").is_dir() and not (run_dir / "ledger.db").exists()


def _folder_again(run_dir: Path) -> RunFolder:
    """Complete the folder of a run that was killed while it was made."""
    folder = RunFolder(run_dir.resolve())
    for inner in (folder.jobs, folder.data, folder.report):
        inner.mkdir(exist_ok=True)
    return folder


def _recorded(folder: RunFolder) -> RunState:
    """Return what the run's ledger says; nothing for a blank one."""
    try:
        with LedgerReader(folder.ledger) as ledger:
            return RunState.from_rows(ledger.rows())
    except LedgerDamagedError:
        # Killed while the ledger was made? The writer completes such a file, or refuses it as well.
        Ledger.open(folder.ledger).close()
        return RunState()


def _finished(state: RunState, scenario: Scenario) -> str:
    """Say that the run ended by a limit, and that a limit still holds; empty when it may go on."""
    if state.opened is None or state.stop_reason not in (*StopSection.model_fields, DESERTED):
        return ""
    admission = Admission(scenario.stop, scenario.noise.confirm_pairs)
    reason = admission.reason_to_stop(state, state.last_us / 1e6)
    if not reason and state.stop_reason == DESERTED and not state.evidence.is_open_again:
        return f"run {state.opened.run_id} is finished ({DESERTED}); start a new run"
    way_on = "start a new run, only the limit of experiments can be raised"
    if reason == "experiments":
        way_on = f"give --experiments N, more than {state.experiments_admitted}, to go on"
    return reason and f"run {state.opened.run_id} is finished ({reason}); {way_on}"


def _must_be_same(
    folder: RunFolder, recorded: Scenario, given: LoadedScenario | None, seed: int | None
) -> None:
    """Refuse to go on under another scenario than the run began with."""
    if seed is not None and seed != recorded.run.seed:
        raise ResumeError(
            f"run {folder.run_id} has seed {recorded.run.seed} and keeps it; leave --seed out, or "
            "start a new run without --resume"
        )
    if given is None:
        return
    then, now = recorded.model_dump(), given.scenario.model_dump()
    for scenario in (then, now):
        scenario.pop("stop")  # --experiments may have set it
        scenario["run"].pop("seed")  # so may --seed
    if changed := [key for key in then if then[key] != now[key]]:
        raise ResumeError(
            f"run {folder.run_id} began with another scenario than {given.path} is now (changed: "
            f"{', '.join(changed)}); resume it without naming a scenario, or start a new run"
        )


def _limits_not_taken(
    kept: Scenario, given: LoadedScenario | None, *, has_new_limit: bool
) -> tuple[Fault, ...]:
    """Warn about limits of the named file that the resumed run does not take over."""
    if given is None:
        return ()
    ours, theirs = kept.stop.model_dump(), given.scenario.stop.model_dump()
    if has_new_limit:
        del ours["experiments"]
    return tuple(
        Fault(
            str(given.path),
            f"stop.{key}",
            f"{_limit(theirs[key])} is not taken over: the run keeps {_limit(value)}, and only "
            "--experiments changes the limit of a run that is resumed",
        )
        for key, value in ours.items()
        if value != theirs[key]
    )


def _limit(value: float | None) -> str:
    return "no limit" if value is None else f"{value:g}"
