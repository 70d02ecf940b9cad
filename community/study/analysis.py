"""What the runs of a study say: arms, contrasts, main effects, graphs. It computes only.

Contrasts come in two families, levels against one another and arms against their controls, and
Holm's procedure runs over each family of the whole study. Next: `community.study.wording`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Final

import numpy as np

from community.study.curves import Band, band, crossing, first_reaching, time_to, within
from community.study.design import Cell, Design, label_of
from community.study.findings import (
    Analysis,
    ArmSummary,
    Contrast,
    Family,
    MainEffect,
    Stratum,
)
from community.study.outcomes import Results
from community.study.records import Axis, Floats, RunRecord
from community.study.regression import Association, Fit, association, regress
from community.study.statistics import holm, interquartile_mean, mean, paired

POINTS: Final = 201
"""Of a curve."""
MEASURES: Final = (*("density", "clustering", "path_length", "spectral_gap", "degree_inequality"),)


def analyse(design: Design, records: Iterable[RunRecord]) -> Analysis:
    """Return what the runs say.

    Args:
        design: The study, or the part of it that was run.
        records: At least one run of each of its arms.
    """
    results = Results(design, records)
    axis = results.axis
    strata: list[Stratum] = []
    contrasts: list[Contrast] = []
    graphs: list[tuple[str, Association]] = []
    for labels, cells in design.strata().items():
        varied = {name: to for name, to in labels if len(design.study.factors[name]) > 1}
        label = label_of(design.study, varied)
        stratum, found, near = _stratum(results, label, dict(labels), cells, axis)
        strata.append(stratum)
        contrasts += found
        graphs += [(label, one) for one in near]
    return Analysis(
        outcome=results.outcome,
        axis=axis,
        strata=tuple(strata),
        contrasts=_corrected(contrasts),
        effects=_main_effects(results),
        graphs=tuple(graphs),
        fit=_fit(results),
    )


def _stratum(
    results: Results, label: str, labels: Mapping[str, str], cells: Sequence[Cell], axis: Axis
) -> tuple[Stratum, list[Contrast], list[Association]]:
    study = results.design.study
    levels = {cell.labels[study.compare]: cell.arm for cell in cells}
    controls = _controls(cells, study.compare)
    beside = {name: key for pairs in controls.values() for name, key in pairs.items()}
    every = {**levels, **{n: key for n, key in beside.items() if key not in levels.values()}}
    common = results.landscapes(every.values())
    grids, equal_s = _grids(results, every.values(), common, axis)
    reference = levels.get(study.reference, next(iter(levels.values())))
    goal = float(results.finals(reference, common).mean())
    spent = within([results.curves(key, common, axis, grids[0]) for key in every.values()])
    timed = within([results.curves(key, common, "run_s", grids[1]) for key in every.values()])
    bands = ((band(one), band(other)) for one, other in zip(spent, timed, strict=True))
    arms = tuple(
        _summary(results, (name, key), common, axis, grids[0], goal, drawn, name not in levels)
        for (name, key), drawn in zip(every.items(), bands, strict=True)
    )
    stratum = Stratum(label, labels, arms, len(common), *grids, goal, equal_s)

    def contrast(family: Family, one: str, other: str) -> Contrast:
        return _contrast(results, (every[one], every[other]), common, equal_s, (axis, grids[0]), (
            family, label, one, other,
        ))  # fmt: skip

    pairs = _pairs(levels, study.reference, study.file.study.contrasts)
    found = [contrast("levels", one, other) for one, other in pairs]
    told = {frozenset(pair) for pair in pairs}
    names = {key: name for name, key in every.items()}
    for level, own in controls.items():
        others = [names[key] for key in own.values() if names[key] != level]
        found += [
            contrast("controls", level, other)
            for other in others
            if frozenset((level, other)) not in told
        ]
    return stratum, found, _graphs(results, levels, common)


def _controls(cells: Sequence[Cell], compare: str) -> dict[str, dict[str, str]]:
    """Return level -> control -> key; a control that is another one for each level names it."""
    keys: dict[str, set[str]] = {}
    for cell in cells:
        for name, key in cell.controls.items():
            keys.setdefault(name, set()).add(key)
    return {
        cell.labels[compare]: {
            name if len(keys[name]) == 1 else f"{name} ({cell.labels[compare]})": key
            for name, key in cell.controls.items()
        }
        for cell in cells
    }


def _grids(
    results: Results, keys: Iterable[str], common: Sequence[int], axis: Axis
) -> tuple[tuple[Floats, Floats], float]:
    """Return the grids of spending and of run time, and when the fastest arm was through."""
    arms = list(keys)
    limit = max(results.limit(key) for key in arms)
    if not np.isfinite(limit):
        limit = float(max(results.ends(key, common, axis).max() for key in arms))
    grid = np.unique(np.linspace(0, limit, POINTS).round(0 if axis == "experiments" else 6))
    spent = [float(np.median(results.ends(key, common, "run_s"))) for key in arms]
    return (grid, np.linspace(0, max(spent), POINTS)), min(spent)


def _summary(
    results: Results,
    named: tuple[str, str],
    common: Sequence[int],
    axis: Axis,
    grid: Floats,
    goal: float,
    bands: tuple[Band, Band],
    is_control: bool,
) -> ArmSummary:
    name, key = named
    finals = results.finals(key, common)
    runs = results.runs(key, common)
    optimum = None
    if results.has_optimum:
        optimum = float(results.is_optimum(key, common).mean())
    until = max(min(float(grid[-1]), results.limit(key)), 1e-9)
    waits = first_reaching(results.curves(key, common, axis, grid), grid, goal)
    return ArmSummary(
        key=key,
        label=name,
        is_control=is_control,
        final=mean(finals),
        middle=interquartile_mean(finals),
        optimum=optimum,
        reach=time_to(waits, until),
        curve=bands[0],
        clock=bands[1],
        numbers=_means(runs),
    )


def _means(runs: Sequence[RunRecord]) -> dict[str, float]:
    names = dict.fromkeys(name for run in runs for name in run.numbers)
    found = {}
    for name in names:
        values = [value for run in runs if (value := run.numbers.get(name)) is not None]
        if values:
            found[name] = float(np.mean(values))
    return found


def _pairs(levels: Mapping[str, str], reference: str, which: str) -> list[tuple[str, str]]:
    if which == "all":
        return [(other, one) for one, other in combinations(levels, 2)]
    return [(name, reference) for name in levels if name != reference and reference in levels]


def _contrast(
    results: Results,
    keys: tuple[str, str],
    common: Sequence[int],
    equal_s: float,
    along: tuple[Axis, Floats],
    told: tuple[Family, str, str, str],
) -> Contrast:
    axis, grid = along
    at = np.array([equal_s])
    one, other = (results.curves(key, common, axis, grid) for key in keys)
    early = [results.curves(key, common, "run_s", at)[:, 0] for key in keys]
    is_followed = told[0] == "levels" and results.is_timed
    return Contrast(
        *told,
        gap=paired(*(results.finals(key, common) for key in keys)),
        early=paired(*early),
        crossing=crossing(one, other, grid) if is_followed else None,
    )


def _corrected(contrasts: Sequence[Contrast]) -> tuple[Contrast, ...]:
    """Return them with Holm's p-values, each family for itself."""
    found = list(contrasts)
    for family in ("levels", "controls"):
        places = [i for i, one in enumerate(found) if one.family == family]
        adjusted = holm([found[i].gap.p for i in places])
        for place, p in zip(places, adjusted, strict=True):
            found[place] = dataclasses.replace(found[place], p_holm=p, family_size=len(places))
    return tuple(found)


def _main_effects(results: Results) -> tuple[MainEffect, ...]:
    """Return each level against its factor's first, where more than one factor is varied."""
    design = results.design
    varied = [name for name, levels in design.study.factors.items() if len(levels) > 1]
    if len(varied) < 2:
        return ()
    found: list[MainEffect] = []
    for factor in varied:
        first, *others = (level.label for level in design.study.factors[factor])
        for other in others:
            one, beside = _matched(design.cells, factor, other, first)
            common = results.landscapes(cell.arm for cell in [*one, *beside])
            if one and beside and common:
                gap = paired(_averaged(results, one, common), _averaged(results, beside, common))
                found.append(MainEffect(factor, other, first, gap))
    adjusted = holm([effect.gap.p for effect in found])
    return tuple(
        dataclasses.replace(effect, p_holm=p) for effect, p in zip(found, adjusted, strict=True)
    )


def _matched(
    cells: Sequence[Cell], factor: str, level: str, other: str
) -> tuple[list[Cell], list[Cell]]:
    """Return the cells of two levels that have a counterpart; of a fraction all of them."""
    one = {tuple(c.without(factor).items()): c for c in cells if c.labels[factor] == level}
    two = {tuple(c.without(factor).items()): c for c in cells if c.labels[factor] == other}
    both = [rest for rest in one if rest in two]
    if not both:
        return list(one.values()), list(two.values())
    return [one[rest] for rest in both], [two[rest] for rest in both]


def _averaged(results: Results, cells: Sequence[Cell], common: Sequence[int]) -> Floats:
    every = [results.finals(cell.arm, common) for cell in cells]
    return np.asarray(np.mean(every, axis=0), dtype=np.float64)


def _graphs(
    results: Results, levels: Mapping[str, str], common: Sequence[int]
) -> list[Association]:
    outcomes = np.array([results.finals(key, common) for key in levels.values()])
    found = []
    for name in MEASURES:
        measure = [_measure(results.runs(key, common), name) for key in levels.values()]
        one = association(name, measure, outcomes)
        if one is not None:
            found.append(one)
    return found


def _measure(runs: Sequence[RunRecord], name: str) -> float:
    values = [run.graph.get(name) for run in runs]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) and known else float("nan")


def _fit(results: Results) -> Fit | None:
    outcome: list[float] = []
    landscape: list[str] = []
    table: dict[str, list[float]] = {name: [] for name in MEASURES}
    for labels, cells in results.design.strata().items():
        for cell in cells:
            common = results.landscapes([cell.arm])
            finals = results.finals(cell.arm, common)
            for run, value in zip(results.runs(cell.arm, common), finals, strict=True):
                outcome.append(float(value))
                landscape.append(f"{labels} {run.replicate}")
                for name in MEASURES:
                    known = run.graph.get(name)
                    table[name].append(float("nan") if known is None else float(known))
    kept = {name: values for name, values in table.items() if np.isfinite(values).any()}
    return regress(outcome, landscape, kept) if kept else None
