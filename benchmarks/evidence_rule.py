"""How often the decision rule errs, what it finds, and what it costs: a simulation.

    python benchmarks/evidence_rule.py [--communities 1000] [--hypotheses 300] [--seed 1] [--write]

Communities whose truth is known (`evidence_world.py`) pass through the rule of
`scoring.evidence.sequential`. Beside it the naive rule: a run above the baseline's mean by two of
its standard deviations counts if a rerun is, too.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from evidence_world import GAINS, Outcome, Setting, naive, simulate
from matplotlib.figure import Figure

RESULT = Path(__file__).parent / "results" / "evidence_rule"
BASELINES = (4, 8)
SHARES = (0.03, 0.15)
IMPROVED = "null called improved, %"
REPRODUCED = "null called reproduced, %"
REQUIRED = {
    IMPROVED: "≤ 1",
    REPRODUCED: "≤ 0.3",
    "power at 2 sigma, %": "≥ 60",
    "power at 4 sigma, %": "≥ 95",
} | {
    name.format(share=share): limit
    for share in SHARES
    for name, limit in (
        ("false discovery rate at {share:.0%} true, %", "≤ 5"),
        ("runs per hypothesis at {share:.0%} true", "≤ 2.5"),
    )
}
VARIANTS: dict[str, dict[str, float]] = {
    "10 % drawn": {"drawn": 0.1},
    "10 share a parent": {"siblings": 10},
    "no drift": {"drift": 0.0},
    "drift 0.8": {"drift": 0.8},
}


def rate(hits: np.ndarray, among: np.ndarray) -> tuple[float, float]:
    """Return the share of hits and its standard error, communities being what is independent."""
    value = hits[among].sum() / among.sum()
    off = (np.where(among, hits - value, 0)).sum(axis=1)
    return float(value), float(np.sqrt((off**2).sum()) / among.sum())


def false_discoveries(outcome: Outcome) -> tuple[float, float]:
    """Return the mean over communities of the share of `reproduced` that is null, and its error."""
    false = (outcome.reproduced & (outcome.gain == 0)).sum(axis=1)
    shares = false / np.maximum(outcome.reproduced.sum(axis=1), 1)
    return float(shares.mean()), float(shares.std(ddof=1) / np.sqrt(len(shares)))


def measure(outcomes: dict[float, Outcome]) -> dict[str, str]:
    """Return each measure with its standard error, in percent where it is a share.

    What does not depend on the share of true hypotheses is taken over all communities.
    """
    found: dict[str, str] = {}
    gain, improved, reproduced = (
        np.concatenate([getattr(o, name) for o in outcomes.values()])
        for name in ("gain", "improved", "reproduced")
    )

    def add(name: str, value: float, error: float, digits: int) -> None:
        found[name] = f"{value:.{digits}f} ± {error:.{digits}f}"

    for name, hits in ((IMPROVED, improved), (REPRODUCED, reproduced)):
        value, error = rate(hits, gain == 0)
        add(name, 100 * value, 100 * error, 3)
    for share, outcome in outcomes.items():
        value, error = false_discoveries(outcome)
        add(f"false discovery rate at {share:.0%} true, %", 100 * value, 100 * error, 2)
    for size in GAINS:
        value, error = rate(reproduced, gain == size)
        add(f"power at {size:g} sigma, %", 100 * value, 100 * error, 1)
    for share, outcome in outcomes.items():
        runs = outcome.runs.mean(axis=1)
        error = float(runs.std(ddof=1)) / len(runs) ** 0.5
        add(f"runs per hypothesis at {share:.0%} true", float(runs.mean()), error, 3)
    return found


def tabulate(columns: dict[str, dict[str, str]]) -> str:
    """Return a Markdown table with what is required in the second column."""
    lines = [f"| | required | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for name in next(iter(columns.values())):
        cells = " | ".join(column[name] for column in columns.values())
        lines.append(f"| {name} | {REQUIRED.get(name, '')} | {cells} |")
    return "\n".join(lines)


def draw(results: dict[str, dict[float, Outcome]]) -> Figure:
    """Draw power against gain, and false discoveries, of both rules."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for place, (name, outcomes) in enumerate(results.items()):
        colour = ("#1a7f37", "#c93c37")[place]
        truth = (0.0, *GAINS)
        outcome = outcomes[SHARES[-1]]
        points = np.array([rate(outcome.reproduced, outcome.gain == gain) for gain in truth])
        left.errorbar(
            truth, 100 * points[:, 0], 200 * points[:, 1],
            color=colour, marker="o", markersize=4, label=name, capsize=2,
        )  # fmt: skip
        bars = 100 * np.array([false_discoveries(o) for o in outcomes.values()])
        at = np.arange(len(bars)) + 0.36 * place - 0.18
        right.bar(at, bars[:, 0], 0.34, yerr=2 * bars[:, 1], color=colour, capsize=3)
    left.set(xlabel="true gain over the parent (sigma)", ylabel="reproduced (%)")
    left.legend(frameon=False)
    right.axhline(5, color="#57606a", linewidth=1, linestyle="--")
    right.set_xticks(range(len(SHARES)), [f"{share:.0%} true" for share in SHARES])
    right.set_ylabel("false among what is called reproduced (%)")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def column(
    title: str, rule: Callable[[Setting, int], Outcome], setting: Setting, seed: int
) -> dict[float, Outcome]:
    """Simulate one column of a table: a rule under both shares of true hypotheses."""
    print(title, flush=True)
    return {
        share: rule(replace(setting, share=share), seed + place)
        for place, share in enumerate(SHARES)
    }


def main() -> None:
    """Simulate, print the tables, keep them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--communities", type=int, default=1000)
    parser.add_argument("--hypotheses", type=int, default=300, help="per community, in 30s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="keep tables and figure")
    options = parser.parse_args()
    plain = Setting(0.0, 8, options.communities, options.hypotheses)
    seeds = itertools.count(1000 * options.seed, len(SHARES))
    both, shown = {}, {}
    for name, rule in (("the rule", simulate), ("the naive rule", naive)):
        for k in BASELINES:
            title = f"{name}, k = {k}"
            shown[name] = column(title, rule, replace(plain, baseline_runs=k), next(seeds))
            both[title] = measure(shown[name])
    others = {
        title: measure(column(title, simulate, replace(plain, **change), next(seeds)))
        for title, change in VARIANTS.items()
    }
    total = options.communities * options.hypotheses
    nulls, each = sum(round((1 - s) * total) for s in SHARES), sum(s * total / 4 for s in SHARES)
    text = (
        f"# How often the decision rule errs, what it finds, and what it costs\n\n"
        f"Each column: 2 x {options.communities} communities of {options.hypotheses} hypotheses, "
        f"together {nulls:,} nulls and {each:,.0f} gains of each size. k: baseline runs. ±: one "
        f"standard error, communities being what is independent.\n\n{tabulate(both)}\n\n"
        f"The rule, k = 8, in other circumstances:\n\n{tabulate(others)}\n"
    )
    print(text)
    if options.write:
        figure = draw(shown)
        figure.savefig(RESULT.with_suffix(".svg"), metadata={"Date": None})
        figure.savefig(RESULT.with_suffix(".png"), dpi=130)
        RESULT.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
