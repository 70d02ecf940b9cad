"""A study's report: one self-contained HTML page, figures as SVG and PNG, the table, all curves.

It writes what `analysis` computed and `wording` said; whatever is drawn is drawn by
`community.report.study_figures`. Every text is escaped, no script, no link to anywhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from community.errors import StudyError
from community.report import study_figures as draw
from community.report.drawing import png, svg
from community.scenario import Scenario
from community.study.analysis import analyse
from community.study.controls import MEANINGS
from community.study.design import Design, seed_of
from community.study.findings import Analysis, Contrast, Family, Stratum
from community.study.fractions import aliases, resolution
from community.study.records import RunRecord, write_durably
from community.study.table import pack_records, table_csv
from community.study.wording import (
    contrast_sentence,
    effect_sentence,
    interval,
    null_lines,
    number,
    probability,
    summary_lines,
    verdict_word,
)
from community.topology import build_topology
from community.topology.layout import places_of

OUTCOMES: Final = {
    "confirmed": "the true score of what leads, by reproduced claims alone",
    "found": "the true score of the best that was run, whether or not it was confirmed",
}
COLUMNS: Final = (
    ("valid", "valid runs"),
    ("run_s", "run time (s)"),
    ("device_seconds", "device-seconds"),
    ("usd", "dollars"),
    ("utilisation", "devices used"),
    ("submitted_share", "submitted, of what fits"),
    ("valid_share", "valid, of what fits"),
    ("duplicate_rate", "duplicates"),
    ("lineages", "lineages"),
    ("herding", "herding"),
    ("false_improved", "false improved"),
    ("false_reproduced", "false reproduced"),
    ("adopted", "adopted"),
    ("spread_s", "spread (s)"),
    ("credit_gini", "credit Gini"),
    ("spend_per_gain", "device-s per gain"),
    ("distinct", "distinct solutions"),
    ("rounds", "rounds"),
)
"""Telemetry that the page shows, where there is any; the table has all of it."""
FILES: Final = ("index.html", "results.csv", "records.jsonl.gz")
MOST_PICTURES: Final = 28


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a report."""

    page: Path
    table: Path
    records: Path
    figures: tuple[Path, ...]
    analysis: Analysis


@dataclass(frozen=True, slots=True)
class _Drawn:
    name: str
    svg: str
    png: bytes
    caption: str


def write_report(
    design: Design,
    records: Sequence[RunRecord],
    folder: Path,
    command: str,
) -> Written:
    """Write the report of a study, or of the part of it that was run.

    Args:
        design: What was run.
        records: Its runs, in the design's order.
        folder: Where to; made when missing.
        command: What was typed.

    Raises:
        StudyError: the folder cannot be written.
    """
    analysis = analyse(design, records)
    margin = design.study.file.study.margin
    drawn = [
        _Drawn(name, svg(figure), png(figure), caption)
        for name, figure, caption in _figures(analysis, design, margin)
    ]
    page = _page(design, records, analysis, drawn, command)
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        figures = []
        for one in drawn:
            path = folder / "figures" / f"{one.name}.svg"
            write_durably(path, one.svg)
            path.with_suffix(".png").write_bytes(one.png)
            figures += [path, path.with_suffix(".png")]
        write_durably(folder / "results.csv", table_csv(design, records))
        pack_records(folder / "records.jsonl.gz", records)
        write_durably(folder / "index.html", page)
    except OSError as error:
        raise StudyError(f"{folder} cannot be written: {error}; give another --out") from error
    page_path, table, kept = (folder / name for name in FILES)
    return Written(page_path, table, kept, tuple(figures), analysis)


def keep(design: Design, records: Sequence[RunRecord], written: Written, folder: Path) -> None:
    """Write what belongs into a repository: runs, table, figures as PNG, and the sentences.

    The page and the SVGs, some megabytes of a large study, can be made from the runs at any time.

    Raises:
        StudyError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(folder / "results.csv", table_csv(design, records))
        pack_records(folder / "records.jsonl.gz", records)
        for path in written.figures:
            if path.suffix == ".png":
                (folder / path.name).write_bytes(path.read_bytes())
        write_durably(folder / "README.md", _summary(design, records, written.analysis, folder))
    except OSError as error:
        raise StudyError(f"{folder} cannot be written: {error}") from error


def _summary(design: Design, records: Sequence[RunRecord], analysis: Analysis, folder: Path) -> str:
    """Return the study in Markdown: how it was made, and every sentence on levels."""
    study, margin = design.study, design.study.file.study.margin
    budget = f"{study.budget[1]:g} {study.budget[0]}" if study.budget else "the model's horizon"
    lines = [
        f"# {study.file.study.title or study.name}", "",
        f"{len(design.arms)} arms, {design.replicates} landscapes, {len(records)} runs, {budget} "
        f"each; outcome: {analysis.outcome}. Study seed {study.file.study.seed}, program "
        f"`{records[0].code}`, study file `{_hash(study.text)}`.", "",
        f"    community study {study.name} --replicates {design.replicates}",
        f"    community study {study.name} --replicates {design.replicates} "
        f"--records {folder / 'records.jsonl.gz'}",
        "", "![Curves](curves.png)", "",
    ]  # fmt: skip
    lines += [f"- {line}" for line in summary_lines(analysis, margin)]
    lines += ["", "Where nothing is shown:", ""]
    lines += [f"- {line}" for line in null_lines(analysis, margin)] or ["- nowhere"]
    for stratum in analysis.strata:
        lines += ["", f"## {stratum.label or 'Levels'}", "", *_arm_rows(stratum), ""]
        lines += [f"- {told}" for told, _, _ in _sentences(analysis, stratum, "levels", margin)]
    if analysis.effects:
        lines += ["", "## Main effects", ""]
        lines += [f"- {effect_sentence(effect)}" for effect in analysis.effects]
    return "\n".join(lines) + "\n"


def _arm_rows(stratum: Stratum) -> list[str]:
    """Return where each arm ended and its telemetry as a table in Markdown."""
    columns = [(key, head) for key, head in COLUMNS if any(key in a.numbers for a in stratum.arms)]
    rows = [
        ["arm", "at the end", *(head for _, head in columns)],
        ["---", *["---:"] * (1 + len(columns))],
    ]
    for arm in stratum.arms:
        name = f"{arm.label} (control)" if arm.is_control else arm.label
        numbers = [_cell(arm.numbers.get(key)) for key, _ in columns]
        rows.append([name.replace("|", "/"), interval(arm.final), *numbers])
    return ["| " + " | ".join(row) + " |" for row in rows]


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _figures(
    analysis: Analysis, design: Design, margin: float | None
) -> list[tuple[str, Any, str]]:
    """Return (name, figure, caption) of everything there is to draw."""
    spent = draw.AXIS_LABELS[analysis.axis]
    wanted = [
        ("curves", draw.curves_figure(analysis), f"Mean over landscapes against {spent}; 95 % "
         "bands of the comparison between arms, what is common to a landscape taken out (Cousineau "
         "and Morey); controls are dashed."),
        ("curves_time", draw.curves_figure(analysis, "clock"), "The same against run time: an arm "
         "that is through keeps what it had."),
        ("ends", draw.ends_figure(analysis), "Where each arm ended: mean with its interval; the "
         "short stroke is the interquartile mean."),
        ("differences", draw.forest_figure(analysis, "levels", margin), "Paired differences "
         "between levels."),
        ("against_controls", draw.controls_figure(analysis, margin), "Paired differences "
         "to the controls."),
        ("graphs", draw.graphs_figure(_pictures(design)), "Who hears whom, on the first landscape, "
         "and the measures of these graphs."),
    ]  # fmt: skip
    is_timed = design.study.file.study.engine == "community"
    return [
        (name, figure, caption)
        for name, figure, caption in wanted
        if figure is not None and (is_timed or name != "curves_time")
    ]


def _pictures(design: Design) -> list[draw.GraphPicture]:
    """Return each different graph of the design's cells once."""
    seed = seed_of(design.study.file.study.seed, 0)
    found: dict[str, draw.GraphPicture] = {}
    for cell in design.cells:
        scenario = design.arms[cell.arm].scenario
        if scenario is None or "topology" not in design.study.factors:
            continue
        names = [member.name for member in scenario.members()]
        key = f"{len(names)} {scenario.topology.model_dump_json(exclude={'carries'})}"
        if key in found:
            continue
        found[key] = _picture(scenario, names, seed, cell.labels["topology"])
    return list(found.values())[:MOST_PICTURES]


def _picture(scenario: Scenario, names: list[str], seed: int, label: str) -> draw.GraphPicture:
    topology = build_topology(names, scenario.topology, seed)
    places = places_of(topology.edges, scenario.topology.family)
    numbers = topology.measures.as_numbers()
    return draw.GraphPicture(f"{len(names)} agents", label, topology.edges, places, numbers)


def _page(
    design: Design,
    records: Sequence[RunRecord],
    analysis: Analysis,
    drawn: Sequence[_Drawn],
    command: str,
) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    text = files("community.study").joinpath("page.html.j2").read_text(encoding="utf-8")
    study, margin = design.study, design.study.file.study.margin
    numbers = {name for s in analysis.strata for arm in s.arms for name in arm.numbers}
    is_classic = study.file.study.engine != "community"
    return environment.from_string(text).render(
        title=study.file.study.title or study.name,
        name=study.name,
        arms=len(design.arms),
        landscapes=len({record.replicate for record in records}),
        runs=len(records),
        budget=f"{study.budget[1]:g} {study.budget[0]}" if study.budget else "the model's horizon",
        outcome_is="" if is_classic else OUTCOMES[study.file.study.outcome],
        analysis=analysis,
        summary=summary_lines(analysis, margin),
        nulls=null_lines(analysis, margin),
        figures=[(one.name, Markup(one.svg), one.caption) for one in drawn],  # noqa: S704 - our own
        strata=[
            (
                s,
                _sentences(analysis, s, "levels", margin),
                _sentences(analysis, s, "controls", margin),
            )
            for s in analysis.strata
        ],
        has_optimum=any(arm.optimum is not None for s in analysis.strata for arm in s.arms),
        columns=[(key, head) for key, head in COLUMNS if key in numbers],
        level=lambda stratum: number(stratum.level, scale=abs(stratum.level) / 30 or 1.0),
        interval=interval,
        cell=_cell,
        reference=study.reference,
        effects=[effect_sentence(effect) for effect in analysis.effects],
        fraction=_fraction(design),
        graphs=_graph_lines(analysis),
        command=command,
        controls=[(name, MEANINGS[name]) for name in study.file.controls if not is_classic],
        keys=[(key, arm.label) for key, arm in design.arms.items()],
        code=records[0].code,
        study_hash=_hash(study.text),
        table_hash=_hash(table_csv(design, records)),
        seed=study.file.study.seed,
        seeds=", ".join(str(seed_of(study.file.study.seed, n)) for n in range(3)),
        text=study.text,
    )


def _sentences(
    analysis: Analysis, stratum: Stratum, family: Family, margin: float | None
) -> list[tuple[str, str, bool]]:
    """Return (sentence, at equal run time, whether nothing is shown) of a stratum's contrasts."""
    return [
        (
            contrast_sentence(contrast, margin),
            _early(contrast),
            verdict_word(contrast, margin) in ("not shown", "negligible"),
        )
        for contrast in analysis.contrasts
        if (contrast.stratum, contrast.family) == (stratum.label, family)
    ]


def _early(contrast: Contrast) -> str:
    early, gap = contrast.early, contrast.gap
    if early is None or early.difference == gap.difference:
        return ""
    return f"{interval(early.difference, is_signed=True)}, {probability(early.p)} unadjusted"


def _fraction(design: Design) -> list[str]:
    generators = design.study.generators
    found = resolution(generators)
    if found is None:
        return []
    told = "; ".join(f"{one} with {other}" for one, other in aliases(generators))
    return [
        f"A fraction of the full factorial, resolution {found}: "
        f"{', '.join(design.study.file.generators)}. "
        f"What cannot be told apart: {told or 'nothing of up to two factors'}."
    ]


def _graph_lines(analysis: Analysis) -> list[str]:
    lines = [
        f"{stratum + ': ' if stratum else ''}{one.measure.replace('_', ' ')} and outcome over "
        f"{one.arms} arms: Spearman's rho {one.rho:+.2f} ({one.low:+.2f} to {one.high:+.2f}, "
        "interval over landscapes)"
        for stratum, one in analysis.graphs
    ]
    if analysis.fit is None:
        return lines
    for slope in analysis.fit.alone:
        half = (slope.high - slope.low) / 2
        low, high = (number(x, scale=half, is_signed=True) for x in (slope.low, slope.high))
        lines.append(
            f"one standard deviation more {slope.measure.replace('_', ' ')} goes with "
            f"{number(slope.value, scale=half, is_signed=True)} ({low} to {high}) within "
            f"landscapes, over {slope.graphs} graphs and {slope.runs} runs"
        )
    return lines


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
