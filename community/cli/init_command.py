"""``community init``: make a task of a repository; it asks, shows and reports.

What is found and written is `community.wrapping`'s.
"""

from __future__ import annotations

import asyncio
import math
import re
import shlex
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from community.wrapping.first_look import FirstLook
    from community.wrapping.proposal import Proposal
    from community.wrapping.repository_files import Found

EXAMPLES = """
Examples:

\b
  community init                         look at this folder, ask what is not clear
  community init ~/autoresearch --yes    take everything as it is found
  community init . --yes --command 'python train.py --fast' --metric accuracy --budget 60
  community init . --python .venv --data ~/corpus:data --editable train.py
"""
_Many = list[str] | None


def init(
    path: Annotated[
        Path, typer.Argument(help="Your repository, or the folder of one project.")
    ] = Path(),
    *,
    into: Annotated[
        Path | None, typer.Option(help="The new task folder; by default NAME_task beside PATH.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    command: Annotated[str, typer.Option(help="What runs one experiment.")] = "",
    metric: Annotated[str, typer.Option(help="Name of the number that it prints.")] = "",
    line: Annotated[str, typer.Option(help="Text before that number in its line.")] = "",
    direction: Annotated[str, typer.Option(help="Which is better: lower or higher.")] = "",
    unit: Annotated[str, typer.Option(help="Unit of the number.")] = "",
    budget: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds after which an experiment is killed.")
    ] = None,
    editable: Annotated[
        _Many, typer.Option(help="A file that researchers may change; may be repeated.")
    ] = None,
    python: Annotated[
        str, typer.Option(help="The Python that runs it, or its virtual environment.")
    ] = "",
    data: Annotated[
        _Many,
        typer.Option(help="SOURCE[:TARGET], shown read-only; may be repeated."),
    ] = None,
    reports: Annotated[
        str, typer.Option(help="last: the number is printed as it goes, the last one counts.")
    ] = "",
    baseline: Annotated[
        bool, typer.Option(help="Run the unmodified script twice and show the noise.")
    ] = True,
) -> None:
    """Make a task of your repository, and a scenario that runs at once.

    It looks at what git tracks, proposes what to run, what counts, what may be changed and for how
    long, asks what it cannot know, and writes a folder of its own. Your files are only read.
    """
    from community.errors import WrappingError
    from community.wrapping.proposal import Wishes, propose
    from community.wrapping.repository_files import find_files

    if reports not in ("", "once", "last"):
        raise typer.BadParameter("say once or last", param_hint="--reports")
    root = Path(path).expanduser().resolve()
    folder = _folder(root, into)
    if folder.exists():
        raise WrappingError(f"{folder} exists already; give another with --into")
    kind: Literal["once", "last"] | None = "last" if reports == "last" else None
    wishes = Wishes(
        command, metric, line, direction, unit, budget, tuple(editable or ()), python,
        tuple(data or ()), kind,
    )  # fmt: skip
    if not yes and not sys.stdin.isatty():
        raise WrappingError("there is no terminal to ask on; add --yes, and options for the rest")
    found = find_files(root)
    proposal = propose(found, wishes, None if yes else _ask)
    _show(found, proposal)
    if not yes:
        typer.confirm(f"write {folder}?", default=True, abort=True)
    _make(folder, found, proposal, has_baseline=baseline)


def _folder(root: Path, into: Path | None) -> Path:
    """Return where the task goes: never into the repository unless somebody says so."""
    if into is not None:
        return into.expanduser().resolve()
    name = re.sub(r"[^a-z0-9_-]+", "_", root.name.lower()).strip("_-") or "my"
    name = name if name[0].isalpha() else f"task_{name}"
    here = Path.cwd().resolve()
    place = root.parent if here.is_relative_to(root) else here
    return place / f"{name[:48]}_task"


def _ask(question: str, proposed: str) -> str:
    return str(typer.prompt(question, default=proposed or None)).strip()


def _show(found: Found, proposal: Proposal) -> None:
    """Print what was found."""
    budget = f"{proposal.budget_s:g} s" if proposal.budget_s else "by what the baseline takes"
    own = f" (it gives itself {proposal.own_budget_s:g} s)" if proposal.own_budget_s else ""
    knobs = proposal.knobs
    constants = f"{len(knobs.names)} in {knobs.path}: {', '.join(knobs.names)}" if knobs else "none"
    source = "tracked by git" if found.is_git else "as it lies there; no git"
    is_model = proposal.kind == "model"
    runs = [("command", shlex.join(proposal.command)), ("python", proposal.python)]
    rows = [
        ("repository", f"{found.root} ({len(found.files)} files, {source})"),
        *([("model", f"build_model() and train() of {proposal.entry}")] if is_model else runs),
        ("metric", f"{proposal.metric} in {proposal.unit}, {proposal.direction} is better"),
        *([] if is_model else [("its line", f"{proposal.line} NUMBER")]),
        ("budget, CPU" if is_model else "killed after", f"{budget}{own}"),
        ("may be changed", ", ".join(proposal.editable)),
        ("constants", constants),
        *(("shown read-only", f"{place} as {target}") for place, target in proposal.data),
    ]
    for name, value in rows:
        typer.echo(f"  {name:<16} {value}")
    told = [(path, why) for path, why in sorted(found.left_out.items()) if why != "hidden"]
    for path, why in told[:10]:
        typer.echo(f"  left out         {ascii(path)[1:-1]}: {why}")
    if len(told) > 10:
        typer.echo(f"  left out         and {len(told) - 10} more")
    for path in found.untracked[:5]:
        typer.echo(f"  note             {ascii(path)[1:-1]} is not tracked by git, and left out")
    for note in proposal.notes:
        typer.echo(f"  note             {note}")


def _make(folder: Path, found: Found, proposal: Proposal, *, has_baseline: bool) -> None:
    """Write the task beside its place, look at it, and put it there once it works."""
    from community.loading import check_task, read_scenario
    from community.wrapping.task_writing import SCENARIO, write_task
    from trainer.task import load_task

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".community-init-") as place:
        draft = Path(place) / folder.name
        write_task(draft, found, proposal)
        if proposal.kind == "model":
            from community.lock_writing import write_lock

            asyncio.run(write_lock(load_task(draft), None))
        seen = _look(draft) if has_baseline else None
        if seen is not None and proposal.budget_s is None:
            usual_s = max(seen.walls_s)
            proposal = replace(proposal, budget_s=max(2.0, math.ceil(2 * usual_s)))
            shutil.rmtree(draft)
            write_task(draft, found, proposal)
        check_task(read_scenario(draft / SCENARIO).scenario)
        draft.rename(folder)
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    typer.echo(f"\nwrote {shown}: task.toml, brief.md, knobs.toml, {SCENARIO}, start/")
    if seen is not None:
        _tell(seen, proposal)
    if proposal.kind == "script":
        typer.echo("scores are the script's own word (self-reported): nobody measures them")
    typer.echo(f"\nnext:  community run {shown / SCENARIO}")


def _look(draft: Path) -> FirstLook:
    from community.wrapping.first_look import RUNS, look
    from trainer.task import load_task

    def on_run(number: int) -> None:
        typer.echo(f"running the unmodified script, {number} of {RUNS} ...")

    return asyncio.run(look(load_task(draft), on_run))


def _tell(seen: FirstLook, proposal: Proposal) -> None:
    """Print the noise."""
    scores = " and ".join(f"{score:.6g}" for score in seen.scores)
    walls = " and ".join(f"{wall_s:.1f}" for wall_s in seen.walls_s)
    typer.echo(f"baseline: {scores} {proposal.unit}, in {walls} s on {seen.device}")
    if seen.apart:
        typer.echo(
            f"noise: two runs of the same code lie {seen.apart:.3g} apart; a gain has to be well "
            "beyond that to be one. Every run calibrates it anew"
        )
    else:
        typer.echo(
            "noise: none to be seen, both runs gave the same number. If the script fixes its seed, "
            "luck with it looks like a gain; let it take COMMUNITY_SEED from its environment"
        )
