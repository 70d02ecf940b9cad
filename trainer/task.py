"""Task folders: what is to be improved, what may be changed, and what it may cost.

A folder is read once, at the start of a run, and refused whole: every fault is listed. The files of
start/ become the run's first commit (`trainer.repository`); locked/ is only looked for here, since
the scorer alone reads it; knobs.toml is passed on as text to whoever turns knobs.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trainer.aim import Aim
from trainer.errors import PatchRefusedError, TaskError
from trainer.experiment import Budget
from trainer.left_data import MODEL
from trainer.patch_policy import SOURCE_SUFFIXES, PatchPolicy, check_path, check_tree
from trainer.script_table import ScriptTable
from trainer.task_file import ArtifactTable, BoundTable, TaskFile, nearest, parse_task_file
from trainer.task_kinds import KINDS

BUNDLED = Path(__file__).resolve().parent.parent / "scenarios" / "tasks"
"""The tasks that come with the distribution: beside the packages, in a checkout as in a wheel."""
ENTRY = KINDS["model"].entry
"""The file of a ``model`` task's tree that defines `build_model` and `train`."""
TEXT_BYTES = 256 * 1024
"""Cap on task.toml, brief.md and knobs.toml each; a brief is quoted in every prompt."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_LEFTOVERS = ("__pycache__",)
"""Folders that running the start tree leaves behind; not part of it."""
_MOST_FILES = 1000


@dataclass(frozen=True, slots=True)
class Task:
    """A task folder that was found to be whole."""

    name: str
    """The folder's name."""
    folder: Path
    """Absolute."""
    kind: str
    """One of `trainer.task_kinds.KINDS`."""
    metric: str
    unit: str
    direction: Literal["lower", "higher"]
    editable: tuple[str, ...]
    """Paths that researchers may change."""
    tree_bytes: int
    """Cap on the whole tree."""
    patch_bytes: int
    """Cap on the new text of one change."""
    patch_files: int
    """Cap on the files one change may touch."""
    literal_bytes: int
    """Cap on the literals one change adds."""
    novel_bytes: int
    """Cap on what the whole tree tells beyond the start, deflated."""
    budget: Budget
    """Of one experiment, unless the scenario says otherwise."""
    artefact_bytes: int
    """Cap on what a job leaves."""
    memory_bytes: int
    """Cap on one job's memory."""
    loading_cpu_s: float
    """Cap on what building and loading the model takes where it is scored, in CPU seconds."""
    block: int
    """Tokens of one scored row; a model sees at most ``block - 1`` inputs."""
    vocab: int
    """Logits of one answer."""
    brief: str
    """The text of brief.md."""
    start: Mapping[str, bytes]
    """The start tree: content by path."""
    knobs_toml: str | None
    """The text of knobs.toml, or None where the task names no knobs."""
    knobs_path: str | None
    """The file of the tree that holds the knobs."""
    device: Literal["any", "cuda"] = "any"
    """What it is run on; see `trainer.task_file.TaskFile`."""
    artifact: ArtifactTable | None = None
    """Of a task whose program leaves data: the format, and how it is graded."""
    answers: str = "tokens"
    """What of a model's input gets an answer; see `trainer.task_file.ModelTable`."""
    noise: str = "seeds"
    """What another run of a tree may differ by; see `trainer.task_file.NoiseTable`."""
    aim: Aim | None = None
    """Of a task whose objective is the time to a target: `metric`, `unit` and `direction` are then
    those of the time, and what the scorer measures is in here."""
    constraints: tuple[BoundTable, ...] = ()
    guards: tuple[BoundTable, ...] = ()
    landscape: Mapping[str, Any] | None = None
    """Parameters of a task whose scores are computed; its start tree and its knobs follow from
    them, and are empty here."""
    script: ScriptTable | None = None
    """The command of a task that reports its own score, with absolute paths."""

    @property
    def locked(self) -> Path:
        """The folder with grade.py; never mounted where candidate code runs."""
        return self.folder / "locked"

    @property
    def leaves(self) -> str:
        """What a job of this task leaves, as `trainer.experiment.Job.leaves` has it."""
        return self.artifact.format if self.artifact is not None else MODEL

    @property
    def token_bytes(self) -> int:
        """How many bytes a token takes in the training data."""
        return 1 if self.vocab <= 1 << 8 else 2

    @property
    def scored_metric(self) -> str:
        """What the scorer measures."""
        return self.aim.metric if self.aim is not None else self.metric

    @property
    def policy(self) -> PatchPolicy:
        """What a change may touch."""
        return PatchPolicy(
            self.editable,
            self.tree_bytes,
            self.patch_bytes,
            self.patch_files,
            self.literal_bytes,
            self.novel_bytes,
        )


def list_tasks(library: Path | None = None) -> tuple[Path, ...]:
    """Return the folders of the tasks that come with the distribution, in name order.

    Args:
        library: another folder of task folders to look in.
    """
    root = library or BUNDLED
    if not root.is_dir():
        return ()
    return tuple(sorted(path for path in root.iterdir() if (path / "task.toml").is_file()))


def find_task(name_or_path: str, relative_to: Path, library: Path | None = None) -> Path:
    """Return the folder of a task that is named by its own name or by a path.

    Args:
        name_or_path: ``nanolm``, or a path such as ``../tasks/mine``. A bundled name wins; write
            ``./nanolm`` for a folder of your own that is called the same.
        relative_to: folder that a relative path starts from (where the scenario file is).
        library: as in `list_tasks`.

    Raises:
        TaskError: neither a bundled task nor a folder with a task.toml.
    """
    known = {path.name: path for path in list_tasks(library)}
    if name_or_path in known:
        return known[name_or_path]
    folder = Path(os.path.abspath(relative_to / Path(name_or_path).expanduser()))
    if (folder / "task.toml").is_file():
        return folder
    advice = nearest(name_or_path, list(known))
    names = ", ".join(known) or "none"
    fault = (
        f"no task {name_or_path!r}: it is not bundled (those are: {names}), and this folder has no"
        f" task.toml{advice}"
    )
    raise TaskError(folder, [fault])


def load_task(folder: Path) -> Task:
    """Read and check a task folder.

    Raises:
        TaskError: with every fault that was found, not only the first.
    """
    folder = Path(os.path.abspath(folder))
    if not folder.is_dir():
        raise TaskError(folder, ["there is no such folder; give one with a task.toml in it"])
    faults: list[str] = []
    if not _NAME.fullmatch(folder.name):
        faults.append(
            f"folder name {folder.name!r}: use small letters, digits, '_' and '-', a letter first"
        )
    text = _read_text(folder / "task.toml", faults)
    file, wrong = parse_task_file(text) if text is not None else (None, ())
    faults += wrong
    brief = _read_text(folder / "brief.md", faults)
    if brief is not None and not brief.strip():
        faults.append("brief.md is empty: tell researchers what counts")
    start: dict[str, bytes] = {}
    knobs = None
    kind = KINDS[file.kind] if file is not None else KINDS["model"]
    grader = kind.grader
    if file is not None and file.artifact is not None:  # also of a script that is graded
        grader = KINDS["artifact"].grader
    if grader and not _is_regular(folder / "locked" / "grade.py"):
        faults.append(f"locked/grade.py is missing: it defines {grader}")
    if not kind.is_modelled:
        start = _read_start(folder / "start", faults)
    if file is not None and not kind.is_modelled:
        _check_against_start(file, start, faults)
        if file.noise.model == "exact" and _holds_out(folder / "locked"):
            faults.append('noise.model = "exact": scores on different held-out files are no facts')
        knobs = _read_knobs(folder, file, faults)
    if file is not None and file.script is not None:
        faults += file.script.faults(folder)
        if file.budget.kind != "device_seconds":
            faults.append('budget.kind of a script is "device_seconds": its own clock is the wall')
    if faults or file is None or brief is None:
        raise TaskError(folder, faults)
    return _task(folder, file, brief, start, knobs)


def _task(
    folder: Path, file: TaskFile, brief: str, start: Mapping[str, bytes], knobs: str | None
) -> Task:
    """Join what was read into the record."""
    limits, target = file.limits, file.objective.target
    aim = Aim(file.metric, file.direction, target) if target is not None else None
    return Task(
        name=folder.name,
        folder=folder,
        kind=file.kind,
        metric=aim.name if aim else file.metric,
        unit="device-seconds" if aim else file.unit,
        direction="lower" if aim else file.direction,
        editable=tuple(file.editable),
        tree_bytes=limits.tree_bytes,
        patch_bytes=limits.patch_bytes,
        patch_files=limits.patch_files,
        literal_bytes=limits.literal_bytes,
        novel_bytes=limits.novel_bytes,
        budget=Budget(file.budget.kind, file.budget.amount, untimed_s=file.budget.untimed_s),
        device=file.device,
        artefact_bytes=limits.artefact_bytes,
        memory_bytes=limits.memory_bytes,
        loading_cpu_s=limits.loading_cpu_s,
        block=file.model.block,
        vocab=file.model.vocab,
        brief=brief,
        start=start,
        knobs_toml=knobs,
        knobs_path=file.knobs.path if file.knobs else None,
        artifact=file.artifact,
        answers=file.model.answers,
        noise=file.noise.model,
        aim=aim,
        constraints=tuple(file.constraints),
        guards=tuple(file.guards),
        landscape=file.landscape,
        script=file.script.placed(folder) if file.script else None,
    )


def _check_against_start(file: TaskFile, start: Mapping[str, bytes], faults: list[str]) -> None:
    """Find what task.toml names and start/ does not hold."""
    seen: set[str] = set()
    for path in file.editable:
        if path in seen:
            faults.append(f"editable path {path!r} is listed twice; drop one")
        elif path not in start:
            advice = nearest(path, list(start))
            faults.append(f"editable path {path!r} is not a file of start/{advice}")
        elif not path.endswith(SOURCE_SUFFIXES):
            kinds = ", ".join(SOURCE_SUFFIXES)
            faults.append(f"editable path {path!r} is no source file; open only: {kinds}")
        seen.add(path)
    kind = KINDS[file.kind]
    if kind.entry and kind.entry not in start:
        faults.append(f"start/{kind.entry} is missing: it defines {kind.defines}")
    if file.budget.kind == "steps" and not float(file.budget.amount).is_integer():
        faults.append(f"budget.amount = {file.budget.amount} steps: give a whole number")
    try:
        check_tree(start, file.limits.tree_bytes)
    except PatchRefusedError as error:
        if error.rule in ("size", "clash"):  # bad names were reported where they were read
            faults.append(f"start/: {error}; change start/ or limits.tree_bytes")


def _holds_out(locked: Path) -> bool:
    """Whether something is held out: below the locked folder, or recorded there."""
    return any(os.path.lexists(locked / name) for name in ("held_out", "heldout.toml"))


def _read_knobs(folder: Path, file: TaskFile, faults: list[str]) -> str | None:
    """Return knobs.toml's text; what its tables mean is the business of those who turn knobs."""
    place = folder / "knobs.toml"
    if file.knobs is None:
        if os.path.lexists(place):
            faults.append("knobs.toml is there, but task.toml has no [knobs] path: add one")
        return None
    if file.knobs.path not in file.editable:
        faults.append(f"knobs.path {file.knobs.path!r} is not editable: name an editable file")
    text = _read_text(place, faults)
    if text is not None:
        try:
            tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            faults.append(f"knobs.toml is not TOML: {error}; mend that place first")
    return text


def _read_start(root: Path, faults: list[str]) -> dict[str, bytes]:
    """Return the start tree; links, devices and names that no patch could have are faults."""
    if root.is_symlink() or not root.is_dir():
        faults.append("start/ is missing or a link: put the tree to be improved there")
        return {}
    found: dict[str, bytes] = {}
    pending = [root]
    count = 0
    while pending:
        for place in sorted(pending.pop().iterdir()):
            count += 1
            if count > _MOST_FILES:
                faults.append(f"start/ has more than {_MOST_FILES} files; keep what is trained")
                return found
            if place.is_dir() and not place.is_symlink():
                if place.name not in _LEFTOVERS:
                    pending.append(place)
                continue
            path = place.relative_to(root).as_posix()
            try:
                check_path(path)
            except PatchRefusedError as error:
                faults.append(f"start/: {error}")
                continue
            if not _is_regular(place):
                faults.append(f"start/{path} is a link or no regular file; put a copy there")
                continue
            found[path] = _read_start_file(place, path, faults)
    return dict(sorted(found.items()))


def _read_start_file(place: Path, path: str, faults: list[str]) -> bytes:
    """Return one file's content, empty with a fault where it cannot be read."""
    try:
        if place.stat().st_size <= 16 << 20:  # the largest cap that task.toml can set
            return place.read_bytes()
        faults.append(f"start/{path} is larger than 16 MiB; data does not belong in the tree")
    except OSError as error:
        faults.append(f"start/{path} cannot be read: {error.strerror}; check its rights")
    return b""


def _read_text(place: Path, faults: list[str]) -> str | None:
    """Return one of the folder's own text files, or None with a fault."""
    try:
        if not _is_regular(place):
            faults.append(f"{place.name} is missing or no regular file: write it")
        elif place.stat().st_size > TEXT_BYTES:
            faults.append(f"{place.name} is larger than {TEXT_BYTES} bytes: shorten it")
        else:
            return place.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        faults.append(f"{place.name} is not UTF-8 at byte {error.start}: save it so")
    except OSError as error:
        faults.append(f"{place.name} cannot be read: {error.strerror}; check its rights")
    return None


def _is_regular(place: Path) -> bool:
    """Whether `place` is a file itself, not a link to one."""
    try:
        return stat.S_ISREG(place.lstat().st_mode)
    except OSError:
        return False
