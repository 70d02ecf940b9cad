"""``community run``: from a scenario's name to a finished run and what to look at next.

Starts or resumes `community.run`, shows progress, and turns the ways a run can end into words and
exit codes: 0 finished, 130 interrupted (Ctrl-C), 143 terminated. It decides nothing about the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from community.cli.failures import INTERRUPTED, TERMINATED

if TYPE_CHECKING:
    from community.cli.launching import Launch
    from community.cli.progress import Progress
    from community.events import Row
    from community.run import Shared

EXAMPLES = """
Examples:

\b
  community run quickstart                       six researchers, about nine minutes
  community run quickstart --experiments 12      a quarter of it
  community run mine.toml --seed 3 --run-dir /data/mine-3
  community run --resume                         go on with the newest run
  community run quickstart --tui                 with the screens of `community watch`
  community run quickstart --headless > log.txt  one line per event, no panel
  community run replay:latest                    the newest run again, from its record alone
  community run replay:demo                      a small recorded community, shipped
"""

NAMELESS = "name a scenario, for example: community run quickstart"
REPLAY = "replay:"
_BaselineFrom = Annotated[
    str | None,
    typer.Option(
        help="Take over the secret and the baseline runs of another run with the same seed, task, "
        "budget and slots, so that several arms share them.",
    ),
]
_SecretFrom = Annotated[
    str | None,
    typer.Option(
        help="Score on the same held-out blocks as another run, by its secret; a run draws a "
        "secret of its own otherwise.",
    ),
]

_VerdictsOption = Annotated[
    Literal["recorded", "live"],
    typer.Option(
        help="Of replay:RUN. recorded: nothing is asked, trained or paid, and the ledger comes out "
        "the same, or the first row that differs is named. live: experiments are run for real, "
        "models' answers are the record's, and the run ends where a model would be shown something "
        "else than then.",
    ),
]
_Headless = Annotated[
    bool, typer.Option("--headless", help="Print one line per event instead of drawing a panel.")
]
_Tui = Annotated[
    bool,
    typer.Option(
        "--tui",
        help="Show the screens of `community watch`; the run is a process of its own, and goes on "
        "when you leave them unless you say that it shall end.",
    ),
]


def run(
    scenario: Annotated[
        str | None,
        typer.Argument(
            help="A shipped scenario (quickstart, lone, digits, controls, overnight) or the path "
            "of a .toml file; may be left out with --resume. replay:RUN plays a record again.",
        ),
    ] = None,
    *,
    headless: _Headless = False,
    tui: _Tui = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with a stopped or killed run: the newest, or RUN_DIR."
        ),
    ] = False,
    experiments: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many experiments.")
    ] = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(help="The run's own folder; by default runs/<scenario>-<number>."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of all chance in the run.")] = None,
    baseline_from: _BaselineFrom = None,
    secret_from: _SecretFrom = None,
    verdicts: _VerdictsOption = "recorded",
) -> None:
    """Run a community.

    It goes on until a stop condition of the scenario holds, or for ever. Everything that counts
    goes into the run's folder as it happens. Ctrl-C ends the run cleanly within seconds, and
    --resume goes on with nothing lost, also after a power cut.
    """
    if scenario is None and not resume:
        raise typer.BadParameter(NAMELESS, param_hint="SCENARIO")
    shares = {"--baseline-from": baseline_from, "--secret-from": secret_from}
    options = {"--experiments": experiments, "--seed": seed, **shares}
    from community.run import Shared
    from community.run_folder import RunFolder

    ledgers = [x and RunFolder.open(x).ledger for x in (secret_from, baseline_from)]
    shared = Shared(*(each or None for each in ledgers))
    if scenario is not None and scenario.startswith(REPLAY):
        is_odd = resume or tui or any(each is not None for each in options.values())
        launch = _replay(scenario, run_dir, verdicts, is_odd=is_odd)
        if launch is None:
            return
    else:
        _refuse_verdicts(verdicts)
        if tui:
            _with_screens(scenario, options, run_dir, is_headless=headless, is_resumed=resume)
        launch = _usual(scenario, run_dir, experiments, seed, is_resumed=resume)
    for warning in launch.warnings:
        typer.echo(f"community: warning: {warning}", err=True)
    _write_line(f"run folder: {launch.folder.path}")
    if launch.finished:
        _write_line(launch.finished)
        from community.cli.result_commands import show

        show(str(launch.folder.path))
        return
    progress = _progress(launch, is_headless=headless or not sys.stdout.isatty())
    if code := _run(launch, progress, shared):
        raise typer.Exit(code)


def _refuse_verdicts(verdicts: str) -> None:
    """Refuse an option that a run without a record has no use for."""
    if verdicts == "live":
        raise typer.BadParameter("is for replay:RUN alone", param_hint="--verdicts")


def _replay(scenario: str, run_dir: Path | None, verdicts: str, *, is_odd: bool) -> Launch | None:
    """Play a record again; or return what to run with the record's answers."""
    from community.cli.recorded_run import launch_with_answers, replay_recorded

    if is_odd:
        raise typer.BadParameter("takes --run-dir and --verdicts alone", param_hint=scenario)
    name = scenario.removeprefix(REPLAY)
    if verdicts == "live":
        return launch_with_answers(name, run_dir=run_dir)
    replay_recorded(name, run_dir=run_dir, write=_write_line)
    return None


def _usual(
    scenario: str | None,
    run_dir: Path | None,
    experiments: int | None,
    seed: int | None,
    *,
    is_resumed: bool,
) -> Launch:
    """Return what to run, or to go on with."""
    from community.cli.launching import launch_new, launch_resumed

    if scenario is None or is_resumed:
        return launch_resumed(scenario, run_dir=run_dir, experiments=experiments, seed=seed)
    return launch_new(scenario, run_dir=run_dir, experiments=experiments, seed=seed)


def _with_screens(
    scenario: str | None,
    options: Mapping[str, int | str | None],
    run_dir: Path | None,
    *,
    is_headless: bool,
    is_resumed: bool,
) -> NoReturn:
    """Run in a process of its own, and show that."""
    from community.cli.launching import new_run_dir
    from community.cli.tui_run import run_with_screens
    from community.run_folder import LATEST, RunFolder

    if is_headless or not sys.stdout.isatty():
        raise typer.BadParameter("it needs a terminal, and no --headless", param_hint="--tui")
    if run_dir is None:
        is_new = not is_resumed and scenario is not None
        run_dir = new_run_dir(scenario or "") if is_new else RunFolder.open(LATEST).path
    arguments = [scenario] if scenario is not None else []
    arguments += ["--resume"] if is_resumed else []
    for name, value in options.items():
        arguments += [] if value is None else [name, str(value)]
    raise typer.Exit(run_with_screens(arguments, run_dir.absolute()))


def _progress(launch: Launch, *, is_headless: bool) -> Progress:
    from rich.console import Console

    from community.cli.progress import LineProgress, PanelProgress, RowPanelProgress

    if is_headless:
        return LineProgress(_write_line, launch.known_seq)
    scenario = launch.scenario
    title = f"{launch.folder.run_id} · {Path(scenario.run.task).name} · seed {scenario.run.seed}"
    panel = RowPanelProgress if scenario.run.time == "virtual" else PanelProgress
    return panel(Console(), title, scenario.stop)


def _write_line(line: str) -> None:
    try:
        typer.echo(line)
    except BrokenPipeError:
        # Whoever reads our lines may go away (`| head`); the run goes on, and says no more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(launch: Launch, progress: Progress, shared: Shared) -> int:
    """Run to the end, whatever kind of end it is, and return the exit code."""
    try:
        with _runner(launch) as runner:
            runner.run(_drive(launch, progress, shared))
    except KeyboardInterrupt:
        return _stopped_by_signal(launch, "interrupted", INTERRUPTED)
    except asyncio.CancelledError:
        return _stopped_by_signal(launch, "terminated", TERMINATED)
    except Exception:
        typer.echo(f"community: the run's folder is {launch.folder.path}", err=True)
        raise
    from community.cli.result_commands import print_summary

    print_summary(launch.folder)
    return 0


def _runner(launch: Launch) -> contextlib.AbstractContextManager[asyncio.Runner]:
    """Return what runs it: in the wall's time, or in its own."""
    if launch.scenario.run.time == "real":
        return asyncio.Runner()
    from community.virtual.run import virtual_runner

    return virtual_runner()


async def _drive(launch: Launch, progress: Progress, shared: Shared) -> None:
    """Run the community with the progress picture beside it.

    Cancellation: the community stops as `community.run` describes; the picture stays as it is.
    """
    from community.run import run_community

    def on_row(row: Row) -> None:
        progress.on_row(row)
        launch.take_note(row)

    async with asyncio.TaskGroup() as group:
        picture = group.create_task(progress.show(), name="progress")
        with _terminable():
            await run_community(
                launch.scenario,
                launch.text,
                launch.folder,
                is_resumed=launch.is_resumed,
                on_row=on_row,
                shared=shared,
            )
        picture.cancel()


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP unless it is ignored (nohup), end the run as cleanly as Ctrl-C."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    taken = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) == signal.SIG_DFL]
    for each in taken:
        loop.add_signal_handler(each, task.cancel)
    try:
        yield
    finally:
        for each in taken:
            loop.remove_signal_handler(each)


def _stopped_by_signal(launch: Launch, how: str, code: int) -> int:
    typer.echo(f"\n{how}; everything up to here is kept in {launch.folder.path}", err=True)
    typer.echo(f"go on with:  {launch.resume_command}", err=True)
    return code
