"""A transfer's report: one page, the figure as SVG and PNG, numbers as JSON, words as Markdown."""

from __future__ import annotations

import dataclasses
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from community.errors import TransferError
from community.report.drawing import png, svg
from community.report.transfer_figure import transfer_figure
from community.transfer.findings import Findings
from community.transfer.wording import lines, size_words, table


def write_report(found: Findings, unit: str, folder: Path, command: str) -> Path:
    """Write ``index.html``, ``transfer.svg``, ``.png``, ``.json`` and ``.md`` into `folder`.

    Returns:
        The page.

    Raises:
        TransferError: the folder cannot be written.
    """
    figure = transfer_figure(found, unit)
    drawn, picture = svg(figure), png(figure)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    text = files("community.transfer").joinpath("page.html.j2").read_text(encoding="utf-8")
    sizes = [size_words(size, unit) for size in (found.before, found.after)]
    page = environment.from_string(text).render(
        title=f"Transfer: {found.after.label}, {found.after.budget}",
        leader=found.plan.leader,
        leader_title=found.plan.title,
        run_id=found.plan.run_id,
        lines=lines(found, unit),
        rows=table(found),
        sizes=sizes,
        figure=Markup(drawn),  # noqa: S704 - our own
        command=command,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "transfer.svg").write_text(drawn, "utf-8")
        (folder / "transfer.png").write_bytes(picture)
        (folder / "transfer.json").write_text(json.dumps(as_json(found, unit), indent=1) + "\n")
        (folder / "transfer.md").write_text(as_markdown(found, unit, command), "utf-8")
        (folder / "index.html").write_text(page, "utf-8")
    except OSError as error:
        raise TransferError(f"{folder} cannot be written: {error}; give another --out") from error
    return folder / "index.html"


def as_json(found: Findings, unit: str) -> dict[str, Any]:
    """Return everything that was found as plain values."""
    plan = found.plan
    groups = [
        {"commits": list(group.commits), "hunks": list(group.hunks), "credit": group.credit,
         **dataclasses.asdict(row)}
        for group, row in zip(plan.groups, found.groups, strict=True)
    ]  # fmt: skip
    sizes = {
        name: {
            **dataclasses.asdict(dataclasses.replace(size, invalid={})),
            "invalid": {f"{part} {at}": why for (part, at), why in size.invalid.items()},
        }
        for name, size in (("before", found.before), ("after", found.after))
    }
    return {
        "run": plan.run_id,
        "leader": plan.leader,
        "unit": unit,
        "whole": dataclasses.asdict(found.whole),
        "groups": groups,
        "inseparable": list(plan.inseparable),
        **sizes,
    }


def as_markdown(found: Findings, unit: str, command: str) -> str:
    """Return the findings as a Markdown page."""
    rows = table(found)
    told = [f"# Transfer: {found.after.label}, {found.after.budget}", "", f"    {command}", ""]
    told += [f"- {size_words(size, unit)}" for size in (found.before, found.after)]
    told += ["", *(f"- {line}" for line in lines(found, unit)), ""]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    told.append(f"| {' | '.join(cells[0])} |")
    told.append("|" + "---|" * len(cells[0]))
    told += [f"| {' | '.join(row)} |" for row in cells[1:]]
    return "\n".join([*told, "", "![What carried over](transfer.png)", ""])
