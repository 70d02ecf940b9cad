"""``community classic``: the published models run again, each number beside the printed one."""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from community.classics.catalogue import Classic
    from community.classics.table import Section

EXAMPLES = """
Examples:

\b
  community classic                          all nine models at stated size, minutes
  community classic lazer_friedman           one of them; M2 is the same
  community classic zollman --size 0.05      a twentieth of the replicates, seconds
  community classic --list                   what there is
"""
_TICK_S = 0.5
_WIDE = 120
"""Columns where there is no terminal."""


def classic(
    names: Annotated[
        list[str] | None, typer.Argument(help="Models by name or number; all if none is given.")
    ] = None,
    size: Annotated[
        float, typer.Option(min=0.001, help="Share of the stated number of replicates.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="All random streams derive from it.")] = 0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default all processors.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
    write: Annotated[
        Path | None, typer.Option(help="Write the table to this Markdown file as well.")
    ] = None,
    is_list: Annotated[bool, typer.Option("--list", help="Tell the models; run nothing.")] = False,
) -> None:
    """Reproduce the classic papers on networks and collective search.

    Each line holds a published or exact number, ours, the standard error of the difference and a
    verdict. At less than the stated size numbers are still judged fairly, but claims (an ordering,
    a peak) may lack the replicates that show them.

    Exit code 0 if everything passes, 1 if not.
    """
    from rich.console import Console

    from community.classics import table

    chosen = _chosen(names)
    if is_list:
        for one in chosen:
            typer.echo(f"{' '.join(one.models)}  {one.name:17} {one.paper}: {one.about}")
        return
    processes = jobs or len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    sections = _run(chosen, size, seed, processes)
    if as_json:
        typer.echo(json.dumps(table.as_json(sections, size, seed), indent=1))
    else:
        console = Console()
        _show(sections, console if console.is_terminal else Console(width=_WIDE))
    if write is not None:
        machine = f"{processes} processes, {platform.machine()}, Python {platform.python_version()}"
        machine += f", load {load:.1f} when it began"
        write.write_text(table.markdown(sections, size, seed, machine))
    if not all(section.is_passed for section in sections):
        raise typer.Exit(1)


def _chosen(names: Sequence[str] | None) -> list[Classic]:
    """Return the models of these names, once each, in the catalogue's order.

    Raises:
        typer.BadParameter: One of them is unknown.
    """
    from community.classics.catalogue import CLASSICS, find

    wanted = set()
    for name in names or [one.name for one in CLASSICS]:
        try:
            wanted.add(find(name))
        except KeyError:
            known = ", ".join(one.name for one in CLASSICS)
            raise typer.BadParameter(f"no model {name!r}; there are: {known}") from None
    return [one for one in CLASSICS if one in wanted]


def _run(chosen: Sequence[Classic], size: float, seed: int, jobs: int) -> list[Section]:
    """Run the models one after the other, each on all processes."""
    from rich.console import Console

    from community.classics.table import Section

    console, sections = Console(stderr=True), []
    forecast = _Forecast([one.core_s * size / jobs + _START_S for one in chosen])
    with _progress(console, forecast):
        for one in chosen:
            forecast.begin(f"{' '.join(one.models)} {one.name}")
            began_s = time.perf_counter()
            cases = one.cases(size=size, seed=seed, jobs=jobs)
            section = Section.judged(one, cases, time.perf_counter() - began_s)
            sections.append(section)
            failed = section.passes.count(False)
            said = f"{failed} of {len(cases)} FAIL" if failed else f"{len(cases)} pass"
            console.print(f"{section.title}: {said}, {section.seconds:.0f} s", highlight=False)
    return sections


_START_S = 4.0
"""A model's compilation, and the start of processes."""


class _Forecast:
    """How far the table is, and how long it will take, from how long the models took so far."""

    def __init__(self, expected_s: Sequence[float]) -> None:
        self._expected_s = list(expected_s)
        self._done = -1
        self._opened_s = self._began_s = time.perf_counter()
        self.title = ""

    def begin(self, title: str) -> None:
        """Say that the next model begins, the one before it being done."""
        self._done += 1
        self._began_s = time.perf_counter()
        self.title = title

    def look(self) -> tuple[float, float]:
        """Return the share that is done and the seconds that are left."""
        now_s = time.perf_counter()
        before = sum(self._expected_s[: max(0, self._done)])
        took_s = self._began_s - self._opened_s
        pace = took_s / before if before > 0 else 1.0  # of this machine beside the table's
        running_s = self._expected_s[max(0, self._done)] * pace
        # a model that takes longer than it should is taken to be nearly, never quite, done
        inside = min((now_s - self._began_s) / running_s, 0.97)
        later_s = sum(self._expected_s[self._done + 1 :]) * pace
        whole_s = took_s + running_s + later_s
        done_s = took_s + inside * running_s
        return done_s / whole_s, whole_s - done_s


@contextmanager
def _progress(console: Console, forecast: _Forecast) -> Iterator[None]:
    """Show a bar with the time left while the body runs; nothing where there is no terminal."""
    from rich.progress import BarColumn, Progress, TextColumn

    if not console.is_terminal:
        yield
        return
    columns = (BarColumn(), TextColumn("{task.description}", markup=False))
    over = threading.Event()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def tick() -> None:
            while not over.wait(_TICK_S):
                share, left_s = forecast.look()
                left = f"about {int(left_s) // 60}:{int(left_s) % 60:02} left"
                bar.update(task, completed=share, description=f"{forecast.title}, {left}")

        ticking = threading.Thread(target=tick, name="progress", daemon=True)
        ticking.start()
        try:
            yield
        finally:
            over.set()
            ticking.join()


def _show(sections: Sequence[Section], console: Console) -> None:
    """Print the table, what failed in red, and a last line that says how it stands."""
    from rich.table import Table
    from rich.text import Text

    from community.classics.table import HEADER, row

    table = Table(box=None, pad_edge=False)
    for name in HEADER:
        right, long = name in ("target", "ours", "standard error"), name in ("case", "source")
        heading = name.replace(" ", "\n")
        justify: Literal["left", "right"] = "right" if right else "left"
        table.add_column(heading, justify=justify, no_wrap=not long, overflow="fold")
    for section in sections:
        for case, passes in zip(section.cases, section.passes, strict=True):
            style = "" if passes else "bold red"
            table.add_row(*(Text(word, style=style) for word in row(case, passes)))
        table.add_section()
    console.print(table)
    count = sum(len(section.cases) for section in sections)
    failed = sum(section.passes.count(False) for section in sections)
    console.print(f"\n{count} numbers and claims: {f'{failed} FAIL' if failed else 'all pass'}")
