"""What a thousand looks at ``dev`` find where there is nothing to find.

    python benchmarks/dev_looks.py [--looks 1000] [--write]

A real run, sandboxes and scorer included, on ``benchmarks/tasks/noeffect``, whose knobs nothing
reads. A TPE searcher looks at dev again and again; a reproducer and the lab confirm what has the
right to it. Then every tree that was once the best on dev, and the start, are trained on fresh
seeds and asked ``seal`` (a study may; a run asks it once). Shown: dev minus seal against looks, the
interval of the best tree's advantage on seal, and where the frontier is. Resumable.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from community.archive.ledger import LedgerReader
from community.archive.progress import progress_points
from community.archive.state import RunState
from community.loading import read_scenario
from community.opening import open_bench
from community.run_folder import RunFolder
from community.scheduler import Bench
from trainer.experiment import Job
from trainer.tree_key import measurement_seed
from trainer.workspace import write_workspace

HERE = Path(__file__).parent
RESULT = HERE / "results/dev_looks"
SEAL_RUNS = 16
"""Fresh seeds of each tree on seal."""
SCENARIO = """\
run = {{ task = "{task}", seed = 1 }}
stop = {{ experiments = {experiments} }}
board = {{ broker = "memory" }}
topology = {{ family = "complete" }}
noise = {{ baseline_runs = 8 }}

[[agents]]
name = "looker"
role = "explorer"
mind = "policy:tpe"

[[agents]]
name = "marie"
role = "reproducer"
mind = "policy:verify"
"""


@dataclass(frozen=True)
class Record:
    """A tree that was the best on dev for a while."""

    looks: int
    """At which look it took the lead."""
    commit: str
    tree_key: str
    dev: float


def look(looks: int, base: Path) -> Path:
    """Run the search until it has looked `looks` times; returns the run's folder."""
    folder, file, task = base / "run", base / "dev_looks.toml", base / "noeffect"
    if not task.exists():  # a manifest names this machine's files, so it is made here
        shutil.copytree(HERE / "tasks/noeffect", task)
        command = [sys.executable, "-m", "community", "lock", "write", str(task)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    file.write_text(SCENARIO.format(task=task.absolute(), experiments=looks))
    limit = looks
    while not (folder / "ledger.db").exists() or (missing := looks - len(screens(folder))) > 0:
        command = [sys.executable, "-m", "community", "run"]
        if (folder / "ledger.db").exists():  # what was spent on references and confirmations
            limit += missing
            command += ["--resume", "--run-dir", str(folder), "--experiments", str(limit)]
        else:
            command += [str(file), "--run-dir", str(folder)]
        with (base / "run.log").open("ab") as log:
            subprocess.run([*command, "--headless"], check=True, stdout=log, stderr=log)
        print(f"{len(screens(folder))} looks of {looks}", flush=True)
    return folder


def state_of(folder: Path) -> RunState:
    """Fold the run's ledger."""
    with LedgerReader(folder / "ledger.db") as reader:
        return RunState.from_rows(reader.rows())


def screens(folder: Path) -> list[float]:
    """Return the dev scores that were looked at, in order."""
    return [point.score for point in progress_points(state_of(folder))]


def records(state: RunState) -> list[Record]:
    """Return the trees that led on dev, in order."""
    found: list[Record] = []
    for looks, point in enumerate(progress_points(state), start=1):
        if not found or point.score < found[-1].dev:
            claim = state.hypotheses[point.hypothesis]
            found.append(Record(looks, claim.commit, claim.tree_key, point.score))
    return found


async def seal_scores(folder: Path, state: RunState, base: Path) -> dict[str, list[float]]:
    """Train and score each record and the start on seal, on fresh seeds, interleaved."""
    assert state.opened is not None
    scenario = read_scenario(str(base / "dev_looks.toml"))
    trees = {"": (state.opened.baseline_commit, state.opened.baseline_tree_key)}
    trees |= {each.commit: (each.commit, each.tree_key) for each in records(state)}
    scores: dict[str, list[float]] = {name: [] for name in trees}
    parts = RunFolder.open(folder)
    async with open_bench(scenario.scenario, scenario.text, parts, state.opened) as opening:
        for number in range(SEAL_RUNS):
            for name, (commit, key) in trees.items():
                seed = measurement_seed(state.opened.seed, f"seal/{key}", number)
                scores[name].append(await one_score(opening.bench, commit, seed, base / "seal"))
            print(f"seal: {number + 1} of {SEAL_RUNS} rounds", flush=True)
    return scores


async def one_score(bench: Bench, commit: str, seed: int, folder: Path) -> float:
    """Train `commit` under `seed` and return its score on seal; tries again what nobody broke."""
    for attempt in count(1):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        workspace = write_workspace(bench.repository.read(commit), folder / "tree")
        async with bench.pool.lease() as lease:
            job = Job(
                job_id=f"x{seed % 10**6}", attempt=attempt, workspace=workspace,
                data=bench.folder.data, folder=folder, seed=seed, budget=bench.budget,
                memory_bytes=bench.task.memory_bytes, artefact_bytes=bench.task.artefact_bytes,
            )  # fmt: skip
            trained = await bench.executor.train(job, lease)
            if trained.artefact is not None:
                scored = await bench.score_phase.score(
                    trained.artefact, workspace, "seal", lease, seed, None
                )
                if scored.score.value is not None:
                    return scored.score.value
        if attempt == 5:
            raise RuntimeError(f"{commit[:10]} could not be scored: {trained.reason}")
    raise AssertionError


def advantage(own: list[float], start: list[float]) -> tuple[float, float, float]:
    """Return by how much `own` is better than `start`, with a 95 % interval (Welch 1947)."""
    test = stats.ttest_ind(start, own, equal_var=False)
    low, high = test.confidence_interval(0.95)
    return float(np.mean(start) - np.mean(own)), float(low), float(high)


def table(state: RunState, scores: dict[str, list[float]]) -> str:
    """Return what was found, line by line."""
    assert state.noise is not None
    dev, seal = state.noise.mean, float(np.mean(scores[""]))
    lines = [
        "| after looks | gain on dev | advantage on seal | 95 % interval | dev minus seal |",
        "|---|---|---|---|---|",
    ]
    for each in records(state):
        gain, low, high = advantage(scores[each.commit], scores[""])
        promised = dev - each.dev
        lines.append(
            f"| {each.looks} | {promised:+.4f} | {gain:+.4f} | {low:+.4f} to {high:+.4f} "
            f"| {promised - gain:+.4f} |"
        )
    tally: dict[str, int] = {}
    for claim in state.hypotheses.values():
        tally[claim.status] = tally.get(claim.status, 0) + 1
    frontier = state.frontier[-1][1].commit[:10] if state.frontier else "the baseline"
    words = ", ".join(f"{number} {name}" for name, number in sorted(tally.items()))
    lines += [
        "",
        f"{len(progress_points(state))} looks in {state.experiments_done} experiments: {words}.",
        f"The frontier is {frontier}. Baseline {dev:.4f} ± {state.noise.sigma:.4f} on dev, "
        f"{seal:.4f} on seal; {SEAL_RUNS} fresh seeds of each tree on seal.",
    ]
    return "\n".join(lines)


def draw(state: RunState, scores: dict[str, list[float]]) -> Figure:
    """Draw what dev promised, what seal says, and their difference against looks."""
    assert state.noise is not None
    found, looks = records(state), len(progress_points(state))
    edges = [each.looks for each in found] + [looks]
    promised = np.array([state.noise.mean - each.dev for each in found])
    kept = np.array([advantage(scores[each.commit], scores[""]) for each in found])
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.add_subplot()
    axes.axhspan(-state.noise.sigma, state.noise.sigma, color="#eceff2", label="± 1 sigma")
    axes.step(edges, [*promised, promised[-1]], where="post", color="#d9822b",
              label="gain that dev promises")  # fmt: skip
    axes.errorbar(edges[:-1], kept[:, 0], yerr=[kept[:, 0] - kept[:, 1], kept[:, 2] - kept[:, 0]],
                  fmt="o", color="#2f6fb5", capsize=3,
                  label="advantage on seal, 95 % interval")  # fmt: skip
    gap = promised - kept[:, 0]
    axes.step(edges, [*gap, gap[-1]], where="post", color="#8b949e", linestyle="--",
              label="dev minus seal")  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("looks at dev (each one a real experiment; the edits change nothing)")
    axes.set_ylabel("best tree so far over the baseline, bits per byte")
    axes.legend(frameon=False, loc="upper left", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    """Look, ask seal, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--looks", type=int, default=1000)
    parser.add_argument("--base", type=Path, default=Path("runs/dev_looks"))
    parser.add_argument("--write", action="store_true", help="keep table and figure")
    options = parser.parse_args()
    options.base.mkdir(parents=True, exist_ok=True)
    folder = look(options.looks, options.base)
    state, answers = state_of(folder), options.base / "seal.json"
    if not answers.exists():
        scores = asyncio.run(seal_scores(folder, state, options.base))
        answers.write_text(json.dumps(scores) + "\n")
    scores = json.loads(answers.read_text())
    text = table(state, scores)
    print(text)
    if options.write:
        figure = draw(state, scores)
        figure.savefig(RESULT.with_suffix(".svg"), metadata={"Date": None})
        figure.savefig(RESULT.with_suffix(".png"), dpi=130)
        RESULT.with_suffix(".md").write_text(f"# dev_looks\n\n{text}\n")


if __name__ == "__main__":
    main()
