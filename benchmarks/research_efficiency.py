"""What a community finds at equal CPU-seconds, beside its controls.

    python benchmarks/research_efficiency.py --seeds 5 --write

Arms: the quick start's community, the same researchers isolated, one greedy agent alone (plain
autoresearch), random search, TPE and CMA-ES; 40 experiments of 5 CPU-seconds each, reproductions
counted. Seeds are paired: all arms of a seed share the baseline's runs and the held-out blocks.
Every arm has one slot on one core, so that all see results one at a time, and two arms run side by
side. The curve is the best *reproduced* commit's mean on vault as a gain over the baseline's there;
intervals are 95 % bootstrap intervals over seeds. Resumable: each finished arm is a gzipped ledger
under ``benchmarks/results/research_efficiency``.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from community.archive.row_file import export_rows, read_state, restore_ledger
from community.archive.state import RunState

RESULTS = Path(__file__).parent / "results" / "research_efficiency"
EXPERIMENTS = 40
BUDGET_S = 5
ARM_LIMIT_S = 1500
RESTORING = threading.Lock()
COMMUNITY = (
    ("ada", "explorer", "policy:social"),
    ("grace", "exploiter", "policy:greedy"),
    ("karl", "reviewer", "policy:judge"),
    ("alan", "explorer", "policy:social"),
    ("emmy", "synthesiser", "policy:merge"),
    ("marie", "reproducer", "policy:verify"),
)
SMALL_WORLD = '{ family = "small_world", k = 4, p = 0.1, carries = "everything" }'
ISOLATED = '{ family = "isolated" }'
ARMS: dict[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    "community": (SMALL_WORLD, COMMUNITY),
    "isolated": (ISOLATED, COMMUNITY),
    "lone greedy": (ISOLATED, (("grace", "exploiter", "policy:greedy"),)),
    "random": (ISOLATED, (("rolf", "explorer", "policy:random"),)),
    "tpe": (ISOLATED, (("tina", "explorer", "policy:tpe"),)),
    "cmaes": (ISOLATED, (("carl", "explorer", "policy:cmaes"),)),
}
COLOURS = dict(
    zip(ARMS, ("#1a7f37", "#d9822b", "#2f6fb5", "#8b949e", "#8250df", "#c93c37"), strict=True)
)


def scenario(arm: str, seed: int) -> str:
    """Return the scenario file of an arm."""
    topology, agents = ARMS[arm]
    lines = [
        f'run = {{ task = "nanolm", seed = {seed} }}',
        f"stop = {{ experiments = {EXPERIMENTS} }}",
        f'budget = {{ kind = "cpu_seconds", amount = {BUDGET_S} }}',
        "pool = { slots = 1 }",
        f"topology = {topology}",
        "noise = { baseline_runs = 4 }",
        "lab = { reproduce_after = 30 }",
        "reviews = { settle_share = 0.03 }",
    ]
    for name, role, mind in agents:
        lines += ["", "[[agents]]", f'name = "{name}"', f'role = "{role}"', f'mind = "{mind}"']
    return "\n".join(lines) + "\n"


def kept(arm: str, seed: int) -> Path:
    """Return where an arm's ledger is kept."""
    return RESULTS / f"{arm.replace(' ', '_')}-{seed}.jsonl.gz"


def run_arm(arm: str, seed: int, core: int, base: Path, baseline: Path | None) -> None:
    """Run one arm on one core and keep its ledger."""
    folder = base / f"{arm.replace(' ', '_')}-{seed}"
    file = base / f"{folder.name}.toml"
    file.write_text(scenario(arm, seed))
    command = [sys.executable, "-m", "community", "run", str(file), "--headless"]
    command += ["--run-dir", str(folder)]
    if (folder / "ledger.db").exists():
        command.append("--resume")
    elif baseline is not None:
        command += ["--baseline-from", str(baseline)]
    with (base / f"{folder.name}.log").open("ab") as log:
        subprocess.run(
            command, check=True, stdout=log, stderr=log, timeout=ARM_LIMIT_S,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )  # fmt: skip
    export_rows(folder / "ledger.db", kept(arm, seed))


def in_order(seeds: range) -> list[tuple[str, int]]:
    """Return (arm, seed) seed by seed, so that an early end leaves whole seeds.

    The communities go two seeds ahead: they give each seed its baseline, and nobody waits for it.
    """
    order: list[tuple[str, int]] = []
    for seed in (*seeds, seeds.stop, seeds.stop + 1):
        if seed in seeds:
            order.append(("community", seed))
        if seed - 2 in seeds:
            order += [(arm, seed - 2) for arm in ARMS if arm != "community"]
    return order


def baseline_of(seed: int, base: Path) -> Path:
    """Return the ledger of a seed's community; made again from what is kept where it is gone."""
    ledger = base / f"community-{seed}" / "ledger.db"
    with RESTORING:
        if not ledger.exists():
            ledger = base / f"baseline-{seed}" / "ledger.db"
            if not ledger.exists():
                restore_ledger(kept("community", seed), ledger)
    return ledger


def run_all(seeds: range, base: Path) -> None:
    """Run what is missing, one arm a core; the community's run of a seed gives the baseline."""
    cores = sorted(os.sched_getaffinity(0))
    work: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    for arm, seed in in_order(seeds):
        if not kept(arm, seed).exists():
            work.put((arm, seed))
    has_baseline = {seed: threading.Event() for seed in seeds}
    for seed in seeds:
        if kept("community", seed).exists():
            has_baseline[seed].set()
    failures: list[str] = []

    def serve(core: int) -> None:
        while True:
            try:
                arm, seed = work.get_nowait()
            except queue.Empty:
                return
            source = None
            try:
                if arm != "community":
                    has_baseline[seed].wait(ARM_LIMIT_S)
                    source = baseline_of(seed, base)
                run_arm(arm, seed, core, base, source)
            except (subprocess.SubprocessError, OSError) as error:
                failures.append(f"{arm} {seed}: {error}")
            finally:
                if arm == "community":
                    has_baseline[seed].set()
            print(f"{arm} seed {seed}: done", flush=True)

    threads = [threading.Thread(target=serve, args=(core,)) for core in cores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit("\n".join(["these arms failed; start again to go on:", *failures]))


def reference(states: list[RunState]) -> float:
    """Return the baseline's mean on vault over all arms of a seed; its mean on dev without any."""
    runs = [
        score
        for state in states
        if state.opened is not None
        for score in state.scores(state.opened.baseline_tree_key, "vault")
    ]
    noise = states[0].noise
    assert noise is not None
    return float(np.mean(runs)) if runs else noise.mean


def curve(state: RunState, baseline: float) -> np.ndarray:
    """Return the gain of the frontier in percent of the baseline's mean.

    Args:
        state: One arm.
        baseline: The baseline's mean on vault.

    Returns:
        float64, shape (EXPERIMENTS + 1,): after 0, 1, ... experiments had their verdict.
    """
    ends = sorted(
        e.verdict_us or 0 for e in state.experiments.values() if e.is_done and not e.is_baseline
    )
    gains = np.zeros(EXPERIMENTS + 1)
    for at_us, moved in state.frontier:
        done = sum(1 for end in ends if end <= at_us)
        gains[done:] = 100 * (baseline - moved.score) / baseline
    return gains


def interval(values: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return 95 % bootstrap bounds of the mean.

    Args:
        values: float64, shape (seeds, points).
        rng: source of resamples.
    """
    picks = rng.integers(len(values), size=(4000, len(values)))
    means = values[picks].mean(axis=1)
    return np.percentile(means, 2.5, axis=0), np.percentile(means, 97.5, axis=0)


def draw(curves: dict[str, np.ndarray]) -> Figure:
    """Draw mean curves with their intervals."""
    rng = np.random.default_rng(0)
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    axes = figure.add_subplot()
    cpu_s = BUDGET_S * np.arange(EXPERIMENTS + 1)
    for arm, values in curves.items():
        low, high = interval(values, rng)
        axes.plot(cpu_s, values.mean(axis=0), color=COLOURS[arm], label=arm, linewidth=1.8)
        axes.fill_between(cpu_s, low, high, color=COLOURS[arm], alpha=0.13, linewidth=0)
    axes.set_xlabel("training CPU-seconds spent (reproductions counted)")
    axes.set_ylabel("best reproduced: gain over the baseline (%)")
    count = len(next(iter(curves.values())))
    axes.set_title(
        f"nanolm, {EXPERIMENTS} experiments of {BUDGET_S} CPU-s, {count} paired seeds", loc="left"
    )
    axes.legend(frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def table(curves: dict[str, np.ndarray]) -> str:
    """Return final gains per arm, and the paired difference of the community to each."""
    rng = np.random.default_rng(1)
    lines = [
        "| arm | gain % (mean) | 95 % interval | per seed | community minus it | 95 % interval |",
        "|---|---|---|---|---|---|",
    ]
    reference = curves["community"][:, -1]
    for arm, values in curves.items():
        last = values[:, -1]
        low, high = interval(last[:, None], rng)
        difference = reference - last
        dlow, dhigh = interval(difference[:, None], rng)
        seeds = ", ".join(f"{gain:.1f}" for gain in last)
        versus = "" if arm == "community" else f"{difference.mean():+.1f}"
        bounds = "" if arm == "community" else f"{dlow[0]:+.1f} to {dhigh[0]:+.1f}"
        lines.append(
            f"| {arm} | {last.mean():.1f} | {low[0]:.1f} to {high[0]:.1f} | {seeds} "
            f"| {versus} | {bounds} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, print the table, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=5, help="paired seeds 1 to N")
    parser.add_argument("--base", type=Path, default=Path("runs/research_efficiency"))
    parser.add_argument("--write", action="store_true", help="keep table and figure")
    options = parser.parse_args()
    seeds = range(1, options.seeds + 1)
    options.base.mkdir(parents=True, exist_ok=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    run_all(seeds, options.base)
    states = {seed: {arm: read_state(kept(arm, seed)) for arm in ARMS} for seed in seeds}
    baselines = {seed: reference(list(arms.values())) for seed, arms in states.items()}
    curves = {
        arm: np.stack([curve(states[seed][arm], baselines[seed]) for seed in seeds]) for arm in ARMS
    }
    text = table(curves)
    print(text)
    if options.write:
        figure = draw(curves)
        figure.savefig(RESULTS.with_suffix(".svg"), metadata={"Date": None})
        figure.savefig(RESULTS.with_suffix(".png"), dpi=130)
        RESULTS.with_suffix(".md").write_text(f"# research_efficiency\n\n{text}\n")
        final = {arm: values.tolist() for arm, values in curves.items()}
        RESULTS.with_suffix(".json").write_text(json.dumps(final) + "\n")


if __name__ == "__main__":
    main()
