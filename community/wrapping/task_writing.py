"""Writes a proposed task: task.toml, brief.md, knobs.toml, start/, and a scenario that runs.

Into a folder that did not exist. Next: `community.wrapping.first_look` runs the baseline.
"""

from __future__ import annotations

import json
import math
import os
import shlex
from pathlib import Path
from typing import Final

from community.errors import WrappingError
from community.wrapping.proposal import CEILING_S, Proposal
from community.wrapping.repository_files import Found
from trainer.devices import find_slots, usable_memory_bytes
from trainer.task import BUNDLED

SCENARIO: Final = "community.toml"
_BESIDE: Final = "beside"
_GRADED: Final = BUNDLED / "nanolm"
_MEMORY_SHARE: Final = 0.8
_LEAST_TREE: Final = 64 << 10
_QUOTED: Final = 24 << 10
"""Of the repository's own words so much is passed on."""


def write_task(folder: Path, found: Found, proposal: Proposal) -> None:
    """Write the whole task folder; `folder` must not exist.

    Raises:
        WrappingError: it exists, or cannot be written.
    """
    try:
        folder.mkdir(parents=True)
        for path, content in found.files.items():
            _put(folder / "start" / path, content)
        for path, content in found.beside.items():
            _put(folder / _BESIDE / path, content)
        is_model = proposal.kind == "model"
        toml = _model_toml(found, proposal) if is_model else task_toml(found, proposal)
        _put(folder / "task.toml", toml.encode())
        words = _model_brief(found, proposal) if is_model else _brief(found, proposal)
        _put(folder / "brief.md", words.encode())
        if is_model:
            _put(folder / "locked" / "grade.py", (_GRADED / "locked" / "grade.py").read_bytes())
        if proposal.knobs is not None:
            _put(folder / "knobs.toml", proposal.knobs.toml.encode())
        _put(folder / SCENARIO, _scenario(folder.name, proposal).encode())
    except FileExistsError as error:
        raise WrappingError(f"{folder} exists already; give another with --into") from error
    except OSError as error:
        raise WrappingError(
            f"cannot write {error.filename or folder}: {error.strerror}; give another --into"
        ) from error


def task_toml(found: Found, proposal: Proposal) -> str:
    """Return the text of task.toml."""
    size = sum(map(len, found.files.values()))
    opened = sum(len(found.files[path]) for path in proposal.editable)
    memory = memory_bytes()
    data = [*((place, target) for place, target in proposal.data), *_mounts(found)]
    lines = [
        f"# Made by `community init` of {found.root.name}; every value may be changed.",
        'kind = "script"',
        f"metric = {_text(proposal.metric)}",
        f"unit = {_text(proposal.unit)}",
        f"direction = {_text(proposal.direction)}",
        f"editable = {_list(proposal.editable)}",
        "",
        "[budget] # the most one experiment may take of its device, start-up included; then killed",
        'kind = "device_seconds"',
        f"amount = {_number(proposal.budget_s or CEILING_S)}",
        "",
        "[limits]",
        f"tree_bytes = {_rounded(2 * size)}",
        f"patch_bytes = {_rounded(2 * opened)}",
        "literal_bytes = 65536",
        "novel_bytes = 262144",
        f"memory_bytes = {memory} # of one experiment, with all that it starts",
        "",
        "[script]",
        f"command = {_list(proposal.command)}",
        f"python = {_text(proposal.python)} # shown read-only",
        f"line = {_text(proposal.line)} # what stands before the number in the line that tells it",
    ]
    if proposal.anywhere:
        lines.append("anywhere = true # that text may stand within its line")
    if proposal.reports == "last":
        lines.append('reports = "last" # it is printed as the script goes; the last one counts')
    lines.append(f"scratch_bytes = {min(4 << 30, max(256 << 20, memory // 8))}")
    if proposal.environment:
        pairs = ", ".join(f"{key} = {_text(x)}" for key, x in proposal.environment.items())
        lines.append(f"environment = {{ {pairs} }}")
    if data:
        lines.append("data = [ # shown read-only")
        lines += [f"  {{ source = {_text(p)}, target = {_text(t)} }}," for p, t in data]
        lines.append("]")
    if proposal.knobs is not None:
        lines += ["", "[knobs]", f"path = {_text(proposal.knobs.path)}"]
    return "\n".join(lines) + "\n"


def _model_toml(found: Found, proposal: Proposal) -> str:
    """Return the text of task.toml for code that defines a model."""
    size = sum(map(len, found.files.values()))
    lines = [
        f"# Made by `community init` of {found.root.name}; every value may be changed.",
        'kind = "model"',
        f"metric = {_text(proposal.metric)}",
        f"unit = {_text(proposal.unit)}",
        f"direction = {_text(proposal.direction)}",
        f"editable = {_list(proposal.editable)}",
        "",
        "[budget] # of the one process that trains; device_seconds on a GPU",
        'kind = "cpu_seconds"',
        f"amount = {_number(proposal.budget_s or CEILING_S)}",
        "",
        "[limits]",
        f"tree_bytes = {_rounded(2 * size)}",
        "",
        "# [[constraints]] # a cap on what the state dict holds, in float32 numbers",
        '# measure = "parameters"',
        "# most = 1000000",
    ]
    if proposal.knobs is not None:
        lines += ["", "[knobs]", f"path = {_text(proposal.knobs.path)}"]
    return "\n".join(lines) + "\n"


def _model_brief(found: Found, proposal: Proposal) -> str:
    return (
        f"# {found.root.name}\n\n`{proposal.entry}` defines `build_model()` and "
        f"`train(model, run)`. Make what it trains in {proposal.budget_s:g} CPU seconds better at "
        f"telling the next byte of Python text: `{proposal.metric}`, {proposal.direction} is "
        "better, measured by a scorer on text that training never sees. The model maps tokens, "
        "int64 of shape (batch, time), to logits of shape (batch, time, 256).\n"
    )


def memory_bytes() -> int:
    """Return what one experiment may hold where each slot has one."""
    slots = len(find_slots("auto", device="auto"))
    share = int(_MEMORY_SHARE * usable_memory_bytes() / slots)
    return max(64 << 20, share >> 20 << 20)


def _mounts(found: Found) -> list[tuple[str, str]]:
    """Return (source, target) of what the tree cannot hold: whole folders where nothing else is."""
    return [(f"{_BESIDE}/{path}", path) for path in sorted(found.beside)]


def _brief(found: Found, proposal: Proposal) -> str:
    own = f" It gives itself {proposal.own_budget_s:g} s." if proposal.own_budget_s else ""
    parts = [
        f"# {found.root.name}",
        f"Make `{proposal.metric}` {proposal.direction} ({proposal.unit}). One experiment is "
        f"`{shlex.join(proposal.command)}`, run in a sandbox without network, and killed after "
        f"{proposal.budget_s or CEILING_S:g} s.{own}",
        f"You may change {', '.join(f'`{path}`' for path in proposal.editable)}. Everything else, "
        "the packages and the data are fixed.",
        f"The script reports its own number, in the line that begins `{proposal.line}`. Leave "
        "alone how it is computed, what it is computed on and how it is printed: a number that was "
        "bought there is no gain, and whoever adds a grader will see it.",
        "Equal score with less code is a gain; a small gain for much code is none.",
    ]
    words = found.files.get("program.md", b"")[:_QUOTED].decode(errors="replace").strip()
    if words:
        parts += [
            "## program.md",
            "Written for a lone agent with a shell; what it says of git, branches, logs and of "
            "going on for ever does not apply here.",
            words,
        ]
    return "\n\n".join(parts) + "\n"


def _scenario(name: str, proposal: Proposal) -> str:
    turns = "policy:social" if proposal.knobs else "anthropic:claude-sonnet-5-5"
    greedy = "policy:greedy" if proposal.knobs else turns
    verify = "policy:verify" if proposal.knobs else turns
    why = (
        ""
        if proposal.knobs
        else "# No constants were found that built-in minds could turn; these ask a model.\n"
    )
    return f"""# Three researchers on {name}:  community run {name}/{SCENARIO}
# Every key is explained in scenarios/README.md.
run = {{ task = ".", seed = 1 }}
stop = {{ experiments = 40 }}
pool = {{ slots = "auto" }}          # one experiment at a time on each GPU, else on each processor
noise = {{ baseline_runs = 4 }}      # the unmodified start, first: the noise a gain has to clear
seal = {{ runs = 2 }}

{why}[[agents]]
name = "ada"
role = "explorer"
mind = "{turns}"

[[agents]]
name = "grace"
role = "exploiter"
mind = "{greedy}"

[[agents]]
name = "marie"
role = "reproducer"
mind = "{verify}"
"""


def _put(place: Path, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(place, flags, 0o644), "wb") as stream:
        stream.write(content)


def _text(value: str) -> str:
    """Return a TOML string; JSON's are TOML's but for one control character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(values: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_text, values))}]"


def _number(value: float) -> str:
    return f"{value:g}" if value < 1e6 else f"{math.ceil(value)}"


def _rounded(size: int) -> int:
    """Return a cap in whole KiB, with room for what is added."""
    return min(16 << 20, max(_LEAST_TREE, -(-size // 1024) * 1024))
