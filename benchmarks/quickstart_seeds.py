"""What the quick start finds over several seeds.

    python benchmarks/quickstart_seeds.py --seeds 5 --write

For each seed: baseline mean and sigma on dev, its mean on vault, the best reproduced commit's mean
on vault, the gain in percent of the baseline's and in sigmas, how busy the slots were, and the wall
time. Goals: median gain at least 15 %, every seed at least 8 % and outside the noise band, slots
busy at least 95 %. Resumable: a finished seed is read from its ledger.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from community.archive.ledger import LedgerReader
from community.archive.queries import baseline_mean, best_commit, pool_use
from community.archive.state import RunState

RESULTS = Path(__file__).parent / "results"
RUN_LIMIT_S = 1200


def state_of(folder: Path) -> RunState | None:
    """Return the run's state if it has ended, else None."""
    ledger = folder / "ledger.db"
    if not ledger.exists():
        return None
    with LedgerReader(ledger) as reader:
        state = RunState.from_rows(reader.rows())
    return state if state.stop_reason == "experiments" else None


def run_seed(seed: int, base: Path) -> RunState:
    """Run the quick start under `seed`, or read it if it is done."""
    folder = base / f"seed-{seed}"
    state = state_of(folder)
    if state is not None:
        return state
    command = [sys.executable, "-m", "community", "run", "quickstart", "--headless"]
    command += ["--seed", str(seed), "--run-dir", str(folder)]
    if (folder / "ledger.db").exists():
        command.append("--resume")
    with (base / f"seed-{seed}.log").open("ab") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log, timeout=RUN_LIMIT_S)
    state = state_of(folder)
    assert state is not None, f"seed {seed} did not finish; see {base}/seed-{seed}.log"
    return state


def row_of(seed: int, state: RunState) -> dict[str, float | str | None]:
    """Return one line of the table."""
    best, noise, use = best_commit(state), state.noise, pool_use(state)
    assert noise is not None
    is_reproduced = best is not None and best.hypothesis.status == "reproduced"
    score = best.score if best is not None and is_reproduced else None
    # the frontier is measured on vault, so its gain is told against the baseline's runs there
    reference = baseline_mean(state, "vault")
    reference = noise.mean if reference is None else reference
    gain = None if score is None else reference - score
    return {
        "seed": seed,
        "baseline_dev": noise.mean,
        "sigma": noise.sigma,
        "baseline_vault": reference,
        "best_reproduced": score,
        "gain_percent": None if gain is None else 100 * gain / reference,
        "gain_sigmas": None if gain is None else gain / noise.sigma,
        "reproduced": sum(h.status == "reproduced" for h in state.hypotheses.values()),
        "experiments": state.experiments_done,
        "busy_percent": 100 * use.busy_share,
        "train_percent": 100 * use.train_share,
        "wall_s": state.last_us / 1e6,
        "by": best.hypothesis.author if best else "",
    }


def table(rows: list[dict[str, float | str | None]]) -> str:
    """Return the rows as a Markdown table with the median of the gains below."""
    keys = list(rows[0])
    lines = ["| " + " | ".join(keys) + " |", "|" + "---|" * len(keys)]
    for row in rows:
        cells = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()]
        lines.append("| " + " | ".join(cells) + " |")
    gains = [float(row["gain_percent"] or 0.0) for row in rows]
    lines += [
        "",
        f"median gain {statistics.median(gains):.1f} %, least {min(gains):.1f} %; "
        f"least busy share {min(float(row['busy_percent'] or 0) for row in rows):.1f} %",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 1 to N")
    parser.add_argument("--base", type=Path, default=Path("runs/quickstart_seeds"))
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/results")
    options = parser.parse_args()
    options.base.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in range(1, options.seeds + 1):
        began = time.monotonic()
        rows.append(row_of(seed, run_seed(seed, options.base)))
        print(f"seed {seed}: {rows[-1]} ({time.monotonic() - began:.0f} s)", flush=True)
    text = table(rows)
    print(text)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "quickstart_seeds.md").write_text(f"# quickstart_seeds\n\n{text}\n")
        (RESULTS / "quickstart_seeds.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
