"""What runs of digits came to: size, share read right, worst digit, of the start and the best.

``PYTHONPATH=. python benchmarks/digits.py RUN... --aa RUN [--write]``; each RUN is the folder of a
finished ``community run digits``. That of ``--aa`` has many runs of the start, noise.baseline_runs
= 24 say: screens and confirmations are drawn from these, as if there were claims, and all that pass
have passed by luck.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from community.archive.ledger import LedgerReader
from community.archive.state import RunState
from community.run_folder import RunFolder
from scoring.evidence.sequential import LOOKS, SEEDS, judge_pairs, judge_screen, quantile
from scoring.evidence.sequential import references_wanted as wanted
from scoring.evidence.variance import fit_prior

RESULTS = Path(__file__).parent / "results" / "digits.md"
MEASURES = ("accuracy", "worst_class", "log_loss_bits")
CALIBRATION = 6
"""Runs of the start from which a draw knows sigma, as many as the shipped scenario has."""
DRAWS = 10_000
HEAD = """\
# digits by built-in minds

`community run digits`: six researchers with built-in policies, no model; 3 CPU-seconds an
experiment. *leads* is the commit that led when the run ended; all numbers are of the last runs, on
images (seal) by which nothing was decided, mean ± half the 95 % interval of the runs named.

"""


def state_of(folder: Path) -> RunState:
    """Fold a run's ledger."""
    with LedgerReader(RunFolder(folder).ledger) as reader:
        return RunState.from_rows(reader.rows())


def measured(state: RunState, tree_key: str, split: str) -> Mapping[str, list[float]]:
    """Return every measure of a tree's valid runs on a split."""
    found: dict[str, list[float]] = {}
    for verdict in state.verdicts_by_tree.get((tree_key, split), ()):
        if verdict.outcome == "ok":
            for name, value in state.evidence.measures(verdict.experiment_id).items():
                found.setdefault(name, []).append(value)
    return found


def words(values: Sequence[float]) -> str:
    """Return a mean with half its 95 % interval."""
    if len(values) < 2:
        return f"{values[0]:.4f}" if values else "not measured"
    half = quantile(0.025, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):.4f} ± {half:.4f}"


def section(folder: Path) -> str:
    """Return what one run came to."""
    state = state_of(folder)
    assert state.opened is not None
    trees = [("the start", state.opened.baseline_tree_key, "")]
    finals = state.evidence.finals
    if finals is not None and finals.commits:
        claim = state.hypotheses[state.hypotheses_by_commit[finals.commits[0]][0]]
        trees.append(("leads", claim.tree_key, claim.title))
    done, seconds = state.experiments_done, state.last_us / 1e6
    lines = [
        f"## Seed {state.opened.seed}: {done} experiments, {seconds / 60:.0f} minutes",
        "",
        f"| | parameters | {' | '.join(MEASURES)} | runs | last change |",
        f"|---|---|{'---|' * len(MEASURES)}---|---|",
    ]
    split = "seal" if len(trees) > 1 else "dev"
    for name, tree, title in trees:
        found = measured(state, tree, split)
        cells = " | ".join(words(found[measure]) for measure in MEASURES)
        size = f"{found['parameters'][0]:,.0f}"
        runs = len(found["accuracy"])
        lines.append(f"| {name} | {size} | {cells} | {runs} on {split} | {title} |")
    if len(trees) == 1:
        lines += ["", "Nothing was reproduced, so nothing leads."]
    reasons = [v.reason for v in state.verdicts.values() if v.reason in ("guard", "constraint")]
    held = {reason: reasons.count(reason) for reason in ("guard", "constraint")}
    lines += ["", f"Runs without a score for the guard: {held['guard']}, for the cap: "
              f"{held['constraint']}."]  # fmt: skip
    return "\n".join(lines) + "\n\n"


def by_luck(folder: Path) -> str:
    """Draw claims from runs of the start alone, and count what passes."""
    state = state_of(folder)
    assert state.opened is not None
    scores = measured(state, state.opened.baseline_tree_key, "dev")["accuracy"]
    chance = Random(5)
    improved = confirmed = reproduced = 0
    for _ in range(DRAWS):
        drawn = chance.sample(scores, len(scores))
        prior = fit_prior([drawn[:CALIBRATION]])
        rest = drawn[CALIBRATION:]
        for seeds in range(1, SEEDS + 1):
            parent = rest[SEEDS : SEEDS + wanted(seeds)]
            judged = judge_screen(rest[:seeds], parent, prior, "higher")
            if judged.is_final:
                break
        improved += judged.status == "improved"
        confirmed += judged.may_confirm
        pairs = chance.choices(scores, k=2 * LOOKS[-1])
        most = LOOKS[-1]
        told = judge_pairs(pairs[:most], pairs[most:], prior, "higher")  # as its first look says
        reproduced += told.status == "reproduced"
    return (
        "## A/A\n\n"
        f"{len(scores)} runs of the unmodified start: {statistics.fmean(scores):.4f}, standard "
        f"deviation {statistics.stdev(scores):.4f}, {len(set(scores))} different values. Of "
        f"{DRAWS:,} screens drawn from them (sigma from {CALIBRATION} runs, up to {SEEDS} of the "
        f"child beside up to {wanted(SEEDS)} of the parent) {improved / DRAWS:.2%} were called "
        "improved, "
        f"{confirmed / DRAWS:.2%} got the right to be confirmed; of as many confirmations, drawn "
        f"apart, {reproduced / DRAWS:.2%} passed.\n\n"
    )


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--aa", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    page = HEAD + "".join(map(section, options.runs)) + by_luck(options.aa)
    if options.write:
        RESULTS.write_text(page.rstrip() + "\n")
    else:
        print(page)


if __name__ == "__main__":
    main()
