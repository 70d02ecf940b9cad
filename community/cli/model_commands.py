"""``community model fit`` and ``community model show``: landscapes learnt from real runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ABOUT = """
Landscapes learnt from real runs, for studies in virtual time.

What an experiment of a task comes to (score, noise, durations, the chance to fail) is learnt from
ledgers as a function of the task's knobs. The file is JSON, and says how good it is: what
cross-validation showed, no tree in training and test at once.

\b
  community model fit runs/* --out nanolm.json            from run folders, ledgers or exported rows
  community model fit runs/* --out nanolm.json --write    and again, in place of the old one
  community model show nanolm.json                        how good it is, and what each knob does
"""

_Runs = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN...", help="Run folders, ledger.db files, or rows exported as .jsonl.gz."
    ),
]
_Task = Annotated[
    str | None,
    typer.Option(help="Task whose knobs they turned: a shipped one's name, or a folder. By default "
    "the one that the ledgers name."),
]  # fmt: skip
_Out = Annotated[Path, typer.Option(help="File to write the model to.")]
_Folds = Annotated[int, typer.Option(min=2, max=50, help="Of the cross-validation.")]
_Score = Annotated[
    str,
    typer.Option(help="What predicts the score: ridge, boosted or process; best: whichever "
    "predicted the trees best that it had not seen."),
]  # fmt: skip
_Write = Annotated[bool, typer.Option("--write", help="Replace the file if it is there already.")]
_File = Annotated[Path, typer.Argument(help="A file that `community model fit` wrote.")]


def fit(
    runs: _Runs,
    out: _Out,
    task: _Task = None,
    folds: _Folds = 5,
    score: _Score = "best",
    *,
    write: _Write = False,
) -> None:
    """Learn a surrogate of a task from runs, and print how good it is."""
    from agents.knobs import load_knobs
    from community.archive.row_file import open_rows
    from community.errors import ModelFitError
    from community.events import RunOpened
    from community.modelled.surrogate import model_file
    from community.modelled.surrogate.fit import fit as learn
    from community.modelled.surrogate.ledgers import Trees, read_evidence
    from community.modelled.surrogate.space import Space
    from community.modelled.surrogate.words import checks_in_words
    from trainer.task import find_task, load_task

    if out.exists() and not write:
        raise ModelFitError(f"{out} is there already; add --write to replace it")
    if task is None:
        opened = next((r.event for r in open_rows(runs[0]) if isinstance(r.event, RunOpened)), None)
        if opened is None:
            raise ModelFitError(f"{runs[0]} was never opened, so there is nothing to learn from it")
        task = opened.task
    loaded = load_task(find_task(task, Path.cwd()))
    if loaded.knobs_toml is None or loaded.knobs_path is None:
        raise ModelFitError(f"task {loaded.name} has no knobs.toml, so there is nothing to turn")
    knobs = load_knobs(loaded.knobs_toml, loaded.start[loaded.knobs_path].decode())
    evidence = read_evidence(runs, Trees(loaded.start, loaded.knobs_path, knobs))
    settings = len({each.values for each in evidence.measured})
    typer.echo(
        f"{len(evidence.measured)} experiments on {settings} settings of {len(knobs)} knobs, "
        f"{len(runs)} runs; cross-validating in {folds} folds ..."
    )
    for why, count in sorted(evidence.left_out.items()):
        typer.echo(f"left out: {count} experiments, {why}")
    model = learn(evidence, Space(knobs), folds=folds, kind=score)
    for line in checks_in_words(model.checks):
        typer.echo(line)
    model_file.write(model, out)
    typer.echo(f"{out}: written, {out.stat().st_size // 1024} KiB")


def show(file: _File) -> None:
    """Print what a surrogate is, how good it is, and what it says of each knob."""
    from community.modelled.surrogate.model_file import load
    from community.modelled.surrogate.words import model_in_words

    for line in model_in_words(load(file)):
        typer.echo(line)
