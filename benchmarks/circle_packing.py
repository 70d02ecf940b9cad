"""What runs of circle_packing came to: when 2.60 was passed, and the best packing, from ledgers.

``PYTHONPATH=. python benchmarks/circle_packing.py RUN... [--write]``; each RUN is the folder of a
finished ``community run circle_packing``. Seconds are the run's own, on its machine and load.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from community.archive.ledger import LedgerReader
from community.archive.state import RunState
from community.artefacts import best_data
from community.run_folder import RunFolder

LEVEL = 2.60
RESULTS = Path(__file__).parent / "results" / "circle_packing.md"
HEAD = """\
# Circle packing by built-in minds

26 circles in the unit square, sum of radii, checked in rational numbers. `community run
circle_packing` (eight researchers with built-in policies, no model; 4 CPU-seconds an experiment,
nine minutes, two cores), each row one seed. *left* is the moment at which a packing above 2.60 was
on record, *led* the moment at which one whose claim somebody else had run again led. Published:
2.634 (people), 2.6358627564 (AlphaEvolve), 2.63598 (ShinkaEvolve).

| seed | experiments | start | left | led | leads at the end | best packing | by a change of |
|---|---|---|---|---|---|---|---|
"""


def row(folder: Path) -> str:
    """Return the table's row of one run."""
    with LedgerReader(RunFolder(folder).ledger) as reader:
        state = RunState.from_rows(reader.rows())
    opened, best = state.opened, best_data(state)
    assert opened is not None
    left = [
        run.verdict_us or 0
        for run in state.by_verdict
        if run.verdict is not None and (run.verdict.score or 0) > LEVEL
    ]
    led = [at_us for at_us, moved in state.frontier if moved.score > LEVEL]
    leads = state.frontier[-1][1].score if state.frontier else None
    first = best[0]
    assert first.verdict is not None
    assert state.noise is not None
    change = state.proposals.get(first.queued.commit)
    title = change.title if change is not None else "nothing"
    return (
        f"| {opened.seed} | {state.experiments_done} | {state.noise.mean:.4f} | {_clock(left)} | "
        f"{_clock(led)} | {'-' if leads is None else f'{leads:.6f}'} | "
        f"{first.verdict.score:.10f} | {title[:90]} |"
    )


def _clock(moments_us: list[int]) -> str:
    if not moments_us:
        return "never"
    seconds = min(moments_us) // 1_000_000
    return f"{seconds // 60}:{seconds % 60:02d}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help=f"keep it as {RESULTS.name}")
    parser.add_argument("--note", default="", help="what else the machine did meanwhile")
    given = parser.parse_args()
    rows = "\n".join(sorted(row(folder) for folder in given.runs))
    text = HEAD + rows + "\n" + (f"\n{given.note}\n" if given.note else "")
    print(text)
    if given.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
