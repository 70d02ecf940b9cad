"""The report for people: a table for a terminal, lines without one, and JSON for programs."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from community.attack.attack import Finding, Row, TwinFinding
from community.attack.blocks import MEANINGS
from community.attack.suite import Report
from trainer.task import Task

_STYLES = {True: "green", False: "bold red"}


def show(report: Report, console: Console) -> None:
    """Print the table, the honest models, and what is wrong."""
    if not console.is_terminal:
        for line in (*lines(report), *summary(report)):
            console.print(Text(line), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("attack", "block", "under the lock", "without the block", "honest twin"):
        table.add_column(title, overflow="fold")
    for row in report.rows:
        table.add_row(
            Text(row.attack.name),
            Text(row.attack.block, style="dim"),
            Text(locked_words(row), style=_STYLES[row.is_refused]),
            _unblocked(row.unblocked),
            _twin(row.twin),
        )
    for name, finding in report.honest:
        table.add_row(Text(name, style="italic"), "", "", "", _twin(finding))
    console.print(table)
    for line in summary(report):
        console.print(Text(line))


def lines(report: Report) -> list[str]:
    """Return the table's rows as plain lines."""
    rows = [
        "; ".join(
            words
            for words in (
                f"{'ok ' if row.is_green else 'RED'} {row.attack.name} [{row.attack.block}]"
                f" {locked_words(row)}",
                f"without {row.attack.block} {_unblocked(row.unblocked)}" if row.unblocked else "",
                f"twin {_twin(row.twin)}" if row.twin else "",
            )
            if words
        )
        for row in report.rows
    ]
    return rows + [
        f"{'ok ' if finding.is_accepted else 'RED'} {name}, honest: {_twin(finding)}"
        for name, finding in report.honest
    ]


def summary(report: Report) -> list[str]:
    """Return what the table comes to."""
    refused = sum(row.is_refused for row in report.rows)
    lines = [f"{refused} of {len(report.rows)} attacks refused"]
    if report.off is not None:
        through = [row.attack.name for row in report.rows if row.locked.got_through]
        lines.append(f"without {report.off!r} got through: {', '.join(through) or 'none'}")
        return lines
    tried = [row.unblocked for row in report.rows if row.unblocked is not None]
    seen = sum(finding.got_through for finding in tried)
    twins = [row.twin for row in report.rows if row.twin is not None]
    honest = [*twins, *(finding for _, finding in report.honest)]
    accepted = sum(finding.is_accepted for finding in honest)
    if tried:
        lines += [
            f"{seen} of {len(tried)} seen to succeed with their block off",
            f"{accepted} of {len(honest)} honest candidates accepted with the unlocked score",
        ]
    else:
        lines.append("not tried: their success with a block off, honest candidates")
    red = [row.attack.name for row in report.rows if not row.is_green]
    red += [name for name, finding in report.honest if not finding.is_accepted]
    lines.append("all green" if report.is_green else f"RED: {', '.join(red)}")
    return lines


def locked_words(row: Row) -> str:
    """Return what became of an attack under the lock."""
    if row.locked.got_through:
        return f"GOT THROUGH: {row.locked.evidence}"
    if not row.is_refused:
        expected = " or ".join(row.attack.reasons)
        return f"{row.locked.reason}, not {expected}: {row.locked.evidence}"
    return f"refused: {row.locked.reason}"


def as_json(report: Report, task: Task) -> dict[str, Any]:
    """Return the whole report as plain data."""
    return {
        "task": task.name,
        "off": report.off,
        "is_green": report.is_green,
        "blocks": dict(MEANINGS),
        "attacks": [_row(row) for row in report.rows],
        "honest": {name: _twin_json(finding) for name, finding in report.honest},
    }


def _row(row: Row) -> dict[str, Any]:
    attack = row.attack
    return {
        "name": attack.name,
        "source": attack.source,
        "tries": attack.tries,
        "block": attack.block,
        "form": attack.trial.form,
        "expected": list(attack.reasons),
        "is_green": row.is_green,
        "locked": _finding(row.locked),
        "unblocked": None if row.unblocked is None else _finding(row.unblocked),
        "twin": None if row.twin is None else _twin_json(row.twin),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "got_through": finding.got_through,
        "reason": finding.reason,
        "evidence": finding.evidence,
    }


def _twin_json(finding: TwinFinding) -> dict[str, Any]:
    return {
        "is_accepted": finding.is_accepted,
        "score": finding.score,
        "unlocked": finding.unlocked,
        "apart": finding.apart,
        "reason": finding.reason,
    }


def _unblocked(finding: Finding | None) -> Text:
    if finding is None:
        return Text("")
    words = "succeeded" if finding.got_through else f"did not succeed ({finding.reason})"
    return Text(f"{words}: {finding.evidence}", style="" if finding.got_through else "bold red")


def _twin(finding: TwinFinding | None) -> Text:
    if finding is None:
        return Text("")
    if not finding.is_accepted:
        return Text(f"REFUSED: {finding.reason}", style="bold red")
    apart = "" if finding.apart is None else f", {finding.apart:.0e} apart"
    return Text(f"accepted{apart}", style="green")
