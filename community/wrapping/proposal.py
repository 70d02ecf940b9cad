"""The proposal: everything a task needs to know of a repository, guessed or given.

Pure: what is asked of a person is asked by whoever called, through `Ask`. What can be neither found
nor asked is an error that names the option.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from community.errors import WrappingError
from community.wrapping import reading
from community.wrapping.constants_found import KnobFile, knobs_of
from community.wrapping.reading import defines_model
from community.wrapping.repository_files import Found
from trainer.patch_policy import SOURCE_SUFFIXES
from trainer.script.final_block import Reports
from trainer.script.interpreter import find_interpreter
from trainer.script_table import data_fault

KILL_SHARE: Final = 2.0
"""autoresearch's outer rule: what takes twice its time is killed."""
CEILING_S: Final = 600.0
"""For the first look at a script of which nobody says how long it takes."""
MODEL_ENTRY: Final = "train.py"
MODEL_S: Final = 10.0
"""CPU seconds of one training, unless somebody says otherwise."""
_MOST_EDITABLE: Final = 12
_NOT_OPENED: Final = re.compile(r"prepare|eval|metric|data|test|setup|conftest|download|tokeniz")
_KNOB_FILES: Final = ("config.py", "config.toml", "hparams.py", "hyperparameters.py", "settings.py")

Ask = Callable[[str, str], str]
"""(question, proposed answer) -> answer."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says; empty or None is left to be found or asked."""

    command: str = ""
    metric: str = ""
    line: str = ""
    direction: str = ""
    unit: str = ""
    budget_s: float | None = None
    editable: tuple[str, ...] = ()
    python: str = ""
    data: tuple[str, ...] = ()
    """``SOURCE`` or ``SOURCE:TARGET``."""
    reports: Reports | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A script task, before it is written."""

    command: tuple[str, ...]
    entry: str
    """The file that the command runs."""
    metric: str
    line: str
    anywhere: bool
    reports: Reports
    direction: reading.Direction
    unit: str
    budget_s: float | None
    """The most one experiment may take; None until a first look has told."""
    own_budget_s: float | None
    """What the code gives itself."""
    editable: tuple[str, ...]
    python: str
    """Absolute; empty for this program's own."""
    data: tuple[tuple[str, str], ...]
    """(place, path inside)."""
    environment: dict[str, str]
    knobs: KnobFile | None
    notes: tuple[str, ...]
    """What a person should know about the guesses."""
    kind: Literal["script", "model"] = "script"
    """model: the code defines `build_model` and `train`, and the scorer measures what it trains."""


def propose(found: Found, wishes: Wishes, ask: Ask | None) -> Proposal:
    """Return the task that a repository suggests.

    Args:
        found: The repository's files.
        wishes: What was given.
        ask: How to ask a person; None takes what is found, and fails where nothing is.

    Raises:
        WrappingError: something is neither given nor found, or what is given does not hold.
    """
    if not wishes.command and defines_model(found.files.get(MODEL_ENTRY, b"")):
        return _model(found, wishes)
    command, entry = _command(found, wishes, ask)
    told = _printed(found, wishes, entry, ask)
    direction = _direction(told.metric, wishes, ask)
    knobs = _knobs(found, entry, wishes)
    editable = _editable(found, entry, knobs, wishes)
    data, notes = _data(found, wishes, ask)
    python, more = _python(found.root, wishes)
    own_s = reading.seconds_of(found.files)
    budget_s = wishes.budget_s or (KILL_SHARE * own_s if own_s is not None else None)
    if re.search(rb"manual_seed\(\s*\d|seed\s*=\s*\d|seed\(\s*\d", found.files[entry]):
        notes.append(
            f"{entry} sets a seed of its own: runs may be one run told again. COMMUNITY_SEED holds "
            "the lab's, if you want to see the noise between seeds"
        )
    return Proposal(
        command=tuple(command),
        entry=entry,
        metric=told.metric,
        line=told.line,
        anywhere=told.anywhere,
        reports=wishes.reports or ("last" if told.anywhere else "once"),
        direction=direction,
        unit=wishes.unit or reading.unit_of(told.metric),
        budget_s=budget_s,
        own_budget_s=own_s,
        editable=editable,
        python=python,
        data=data,
        environment={"PYTHONPATH": "src"} if _has_src(found) else {},
        knobs=knobs,
        notes=(*notes, *more),
    )


def _model(found: Found, wishes: Wishes) -> Proposal:
    """Return the task of a repository whose code defines a model for the scorer to measure."""
    return Proposal(
        command=(),
        entry=MODEL_ENTRY,
        metric="val_bpb",
        line="",
        anywhere=False,
        reports="once",
        direction="lower",
        unit="bits per byte",
        budget_s=wishes.budget_s or MODEL_S,
        own_budget_s=None,
        editable=_editable(found, MODEL_ENTRY, None, wishes) if wishes.editable else (MODEL_ENTRY,),
        python="",
        data=(),
        environment={},
        knobs=knobs_of(MODEL_ENTRY, found.files[MODEL_ENTRY]),
        notes=(
            f"{MODEL_ENTRY} defines build_model() and train(model, run): what it trains is "
            "measured by the grader of the task nanolm, in bits per byte of held-out Python text; "
            "put another into locked/grade.py, and `community lock write` it",
        ),
        kind="model",
    )


def _command(found: Found, wishes: Wishes, ask: Ask | None) -> tuple[list[str], str]:
    command = shlex.split(wishes.command) if wishes.command else reading.command_of(found.files)
    if ask is not None and not wishes.command:
        command = shlex.split(ask("command that runs one experiment", shlex.join(command or [])))
    if not command:
        raise WrappingError("no script was found that runs an experiment; give --command")
    if command[:2] in (["uv", "run"], ["poetry", "run"]):
        command = command[2:]
    if command[0].endswith(".py"):
        command = ["python", *command]
    entry = next((word for word in command if word.removeprefix("./") in found.files), "")
    if not entry and "-m" in command[:-1]:
        entry = _module(found, command[command.index("-m") + 1])
    if not entry:
        raise WrappingError(
            f"`{shlex.join(command)}` runs no file of the repository; give --command with one of: "
            f"{', '.join(sorted(p for p in found.files if p.endswith('.py'))[:12])}"
        )
    return command, entry.removeprefix("./")


def _module(found: Found, name: str) -> str:
    tail = name.replace(".", "/")
    places = (f"{tail}.py", f"{tail}/__main__.py", f"src/{tail}.py", f"src/{tail}/__main__.py")
    return next((place for place in places if place in found.files), "")


def _printed(found: Found, wishes: Wishes, entry: str, ask: Ask | None) -> reading.Printed:
    """Return the number that counts, and the line that tells it."""
    near = [entry, *reading.imported_by(entry, found.files)]
    texts = [found.files[path].decode(errors="replace") for path in near if path.endswith(".py")]
    printed = [told for text in texts for told in reading.printed_in(text)]
    if wishes.metric:
        known = next((told for told in printed if told.metric == wishes.metric), None)
        known = known or reading.Printed(wishes.metric, f"{wishes.metric}:", False)
        return replace(known, line=wishes.line, anywhere=False) if wishes.line else known
    best = printed[0] if printed else None
    if ask is not None:
        name = ask("name of the number that counts", best.metric if best else "")
        best = next((told for told in printed if told.metric == name), None) or reading.Printed(
            name, ask("text before it in the line that prints it", f"{name}:"), False
        )
    if best is None or not best.metric:
        raise WrappingError(
            f"{entry} prints no number by a name that says what it is; give --metric (and --line, "
            "the text before it), as in --metric accuracy --line 'test accuracy:'"
        )
    return replace(best, line=wishes.line, anywhere=False) if wishes.line else best


def _direction(metric: str, wishes: Wishes, ask: Ask | None) -> reading.Direction:
    given = wishes.direction or reading.direction_of(metric) or ""
    if ask is not None and not wishes.direction:
        given = ask(f"is a lower or a higher {metric} better?", given)
    if given == "lower":
        return "lower"
    if given == "higher":
        return "higher"
    raise WrappingError(f"is a lower or a higher {metric} better? give --direction lower or higher")


def _knobs(found: Found, entry: str, wishes: Wishes) -> KnobFile | None:
    """Return the file with the most constants that can be turned, the entry where it ties."""
    paths = [entry, *reading.imported_by(entry, found.files)]
    paths += [path for path in found.files if path.rsplit("/", 1)[-1] in _KNOB_FILES]
    if wishes.editable:
        paths = list(wishes.editable)
    paths = [p for p in dict.fromkeys(paths) if not _NOT_OPENED.search(p.rsplit("/", 1)[-1])]
    found_in = [knobs_of(path, found.files[path]) for path in paths if path in found.files]
    known = [each for each in found_in if each is not None]
    return max(known, key=lambda each: len(each.names), default=None)


def _editable(found: Found, entry: str, knobs: KnobFile | None, wishes: Wishes) -> tuple[str, ...]:
    if wishes.editable:
        for path in wishes.editable:
            if path not in found.files:
                why = found.left_out.get(path, "it is no file that git tracks there")
                raise WrappingError(f"--editable {path} cannot be opened: {why}")
        return wishes.editable
    near = [p for p in reading.imported_by(entry, found.files) if not _NOT_OPENED.search(p)]
    if "program.md" in found.files:  # autoresearch opens train.py alone
        near = []
    paths = dict.fromkeys([entry, *([knobs.path] if knobs else []), *near])
    return tuple(path for path in paths if path.endswith(SOURCE_SUFFIXES))[:_MOST_EDITABLE]


def _data(
    found: Found, wishes: Wishes, ask: Ask | None
) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    """Return what is shown beside the tree, and notes on what is not."""
    given = [_given_data(each) for each in wishes.data]
    notes = []
    for place, target in reading.data_of(found.files, str(found.root)):
        if any(target == other for _, other in given):
            continue
        if fault := data_fault(place):
            notes.append(f"{place} is named in the code and not shown: it {fault}")
        elif ask is None or ask(f"show {place} read-only, as {target}?", "yes") in ("yes", "y"):
            given.append((place, target))
    return tuple(given), notes


def _given_data(text: str) -> tuple[str, str]:
    source, _, target = text.partition(":")
    place = os.path.abspath(os.path.expanduser(source))
    if fault := data_fault(place):
        raise WrappingError(f"--data {source} {fault}")
    return place, target or place


def _python(root: Path, wishes: Wishes) -> tuple[str, list[str]]:
    """Return the interpreter, and what to say of it."""
    places = [wishes.python] if wishes.python else [str(root / name) for name in (".venv", "venv")]
    for place in places:
        if wishes.python or os.path.exists(os.path.join(place, "bin", "python")):
            try:
                return find_interpreter(place).path, []
            except ValueError as error:
                raise WrappingError(f"{error} (--python)") from error
    return find_interpreter().path, [
        f"no .venv in {root}: the Python that runs this program runs the script; give --python for "
        "another"
    ]


def _has_src(found: Found) -> bool:
    return any(path.startswith("src/") and path.endswith(".py") for path in found.files)
