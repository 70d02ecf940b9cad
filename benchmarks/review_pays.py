"""Do reviewers save device-seconds?

    PYTHONPATH=. nice -n 5 python benchmarks/review_pays.py --seeds 10 --write

Two arms under the same seeds: nine proposers, six of them `policy:careless` (a quarter of whose
proposals are duplicates, a quarter crash, a quarter are hopeless), with two reviewers and without
them. 24 experiments of 2 CPU-seconds each on one slot, so that there is always a queue; everybody
hears everybody. A seed's arms share the baseline's runs and the held-out blocks; which of them runs
first alternates. Two seeds run side by side, one a core.

Wasted, as defined before anything was measured, are the device-seconds charged for a claim's
screen, and for runs of its parent made for it alone, where the claim is, whoever proposed it,

* a crash: its run is invalid for another reason than answers that came late, which on a busy
  machine are nobody's fault; else
* a duplicate: a tree queued before it, or the start, is nearer to it than `agents.closeness.CLOSE`
  and differs from it in knobs alone; else
* hopeless: its gain over its parent is below -3 sigma.

Runs of a parent count for the claim whose judgement cites them first. Confirmations and sentinels
are never wasted; timings that were void because the machine had slowed down count nowhere. The
interval is Student's t over the paired differences. Resumable: each arm keeps its run folder, and a
finished one is read from its ledger.
"""

from __future__ import annotations

import argparse
import math
import os
import queue
import shutil
import statistics
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agents.closeness import CLOSE, distance, skeletons
from agents.knobs import Knob, load_knobs, read_values
from community.archive.ledger import LedgerReader
from community.archive.queries import best_commit
from community.archive.state import HypothesisState, RunState
from community.reviewing import skills
from scoring.evidence.sequential import quantile
from trainer.repository import Repository
from trainer.task import Task, find_task, load_task

RESULTS = Path(__file__).parent / "results" / "review_pays.md"
EXPERIMENTS = 24
BUDGET_S = 2
ARM_LIMIT_S = 3000
LATE = "late"
"""Why a run is invalid whose model answered too slowly: mostly the machine's fault here."""
HOPELESS_SIGMAS = 3.0
KINDS = ("crash", "duplicate", "hopeless")
PROPOSERS = (
    ("ada", "explorer", "policy:social", 1),
    ("alan", "explorer", "policy:social", 1),
    ("grace", "exploiter", "policy:greedy", 1),
    ("rush", "explorer", "policy:careless", 6),
)
REVIEWERS = (("karl", "reviewer", "policy:judge", 1), ("rosa", "reviewer", "policy:judge", 1))
ARMS = {"with reviewers": (*PROPOSERS, *REVIEWERS), "without": PROPOSERS}
SCENARIO = f"""
run = {{ task = "nanolm", seed = SEED }}
stop = {{ experiments = {EXPERIMENTS} }}
budget = {{ kind = "cpu_seconds", amount = {BUDGET_S} }}
pool = {{ slots = 1 }}
topology = {{ family = "complete", carries = "everything" }}
noise = {{ baseline_runs = 4 }}
seal = {{ runs = 1 }}
credit = {{ share = 0.0 }}
reviews = {{ reviewers = 2, settle_share = 0.0 }}
"""


@dataclass(frozen=True, slots=True)
class Waste:
    """What one arm wasted."""

    seconds: Mapping[str, float]
    """Device-seconds by kind."""
    claims: Mapping[str, int]
    screened: int
    """Claims, wasteful or not."""
    of_s: float
    """Device-seconds of all experiments."""
    gain_percent: float
    """Of the best reproduced commit; 0 where there is none."""
    late: int
    """Runs whose answers came late: how much else the machine had to do."""

    @property
    def total_s(self) -> float:
        """Device-seconds wasted."""
        return sum(self.seconds.values())


def scenario(arm: str, seed: int) -> str:
    """Return the scenario file of an arm."""
    text = SCENARIO.replace("SEED", str(seed))
    for name, role, mind, count in ARMS[arm]:
        text += f'\n[[agents]]\nname = "{name}"\nrole = "{role}"\nmind = "{mind}"\n'
        text += f"count = {count}\n"
    return text


def folder_of(base: Path, arm: str, seed: int) -> Path:
    """Return where an arm runs."""
    return base / f"{arm.replace(' ', '_')}-{seed}"


def state_of(folder: Path) -> RunState | None:
    """Return an arm's state if it has ended by itself, else None."""
    ledger = folder / "ledger.db"
    if not ledger.exists():
        return None
    with LedgerReader(ledger) as reader:
        state = RunState.from_rows(reader.rows())
    return None if state.stop_reason in (None, "interrupted", "failed") else state


def run_arm(arm: str, seed: int, base: Path, core: int, baseline: Path | None) -> None:
    """Run an arm on one core, or go on with it, or do nothing where it has ended."""
    folder = folder_of(base, arm, seed)
    if state_of(folder) is not None:
        return
    if _has_no_baseline(folder):  # it failed before anything was proposed: begin anew
        shutil.rmtree(folder)
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
    print(f"{arm}, seed {seed}: done", flush=True)


def _has_no_baseline(folder: Path) -> bool:
    """Whether a run in `folder` broke off before its noise was known."""
    if not (folder / "ledger.db").exists():
        return folder.exists()
    with LedgerReader(folder / "ledger.db") as reader:
        return RunState.from_rows(reader.rows()).noise is None


def run_seed(seed: int, base: Path, core: int) -> None:
    """Run both arms of a seed; the first gives the baseline."""
    first, second = list(ARMS) if seed % 2 else list(reversed(ARMS))
    run_arm(first, seed, base, core, None)
    run_arm(second, seed, base, core, folder_of(base, first, seed) / "ledger.db")


def run_all(seeds: range, base: Path) -> None:
    """Run what is missing, one seed a core at a time."""
    work: queue.SimpleQueue[int] = queue.SimpleQueue()
    for seed in seeds:
        work.put(seed)
    failures: list[str] = []

    def serve(core: int) -> None:
        while True:
            try:
                seed = work.get_nowait()
            except queue.Empty:
                return
            try:
                run_seed(seed, base, core)
            except (subprocess.SubprocessError, OSError) as error:
                failures.append(f"seed {seed}: {error}")

    cores = sorted(os.sched_getaffinity(0))
    threads = [threading.Thread(target=serve, args=(core,)) for core in cores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit("\n".join(["these failed; start again to go on:", *failures]))


class Trees:
    """The trees of one run, as settings of the knobs and what else there is to them."""

    def __init__(self, folder: Path, task: Task, knobs: tuple[Knob, ...]) -> None:
        self._repository = Repository.open(folder / "repo.git")
        self._task, self._knobs = task, knobs

    def are_close(self, one: str, other: str) -> bool:
        """Whether two commits are the same idea."""
        a, b = self._read(one), self._read(other)
        path = self._task.knobs_path or ""
        if skeletons(a, path, self._knobs) != skeletons(b, path, self._knobs):
            return False
        settings = [read_values(tree.get(path, ""), self._knobs) for tree in (a, b)]
        return distance(self._knobs, *settings) < CLOSE

    def _read(self, commit: str) -> dict[str, str]:
        files = self._repository.read(commit)
        return {path: files[path].decode() for path in self._task.editable if path in files}


def trees_of(folder: Path) -> Trees:
    """Return the trees of the run in `folder`."""
    task = load_task(find_task("nanolm", Path.cwd()))
    assert task.knobs_toml is not None
    assert task.knobs_path is not None
    knobs = load_knobs(task.knobs_toml, task.start[task.knobs_path].decode())
    return Trees(folder, task, knobs)


def kind_of(state: RunState, trees: Trees, claim: HypothesisState, earlier: list[str]) -> str:
    """Return how a screened claim wasted its runs, or an empty string.

    Args:
        state: The run.
        trees: Its trees.
        claim: A claim with a screen.
        earlier: Commits that were queued before, the start first.
    """
    runs = [state.experiments[name] for name in claim.experiments]
    screens = [run.verdict for run in runs if run.queued.purpose == "screen"]
    failed = [each for each in screens if each is not None and each.outcome == "invalid"]
    if failed:
        return "" if failed[-1].reason == LATE else "crash"
    if any(trees.are_close(claim.commit, commit) for commit in earlier):
        return "duplicate"
    gain, noise = claim.screened_gain, state.noise
    if gain is not None and noise is not None and gain < -HOPELESS_SIGMAS * noise.sigma:
        return "hopeless"
    return ""


def waste_of(folder: Path) -> Waste:
    """Return what the arm in `folder` wasted."""
    state, trees = state_of(folder), trees_of(folder)
    assert state is not None
    assert state.opened is not None
    seconds, claims = dict.fromkeys(KINDS, 0.0), dict.fromkeys(KINDS, 0)
    earlier, seen = [state.opened.baseline_commit], set[str]()
    for run in state.experiments.values():
        if run.queued.purpose != "screen" or run.queued.hypothesis in seen:
            continue
        claim = state.hypotheses[run.queued.hypothesis]
        seen.add(claim.post_id)
        if kind := kind_of(state, trees, claim, earlier):
            claims[kind] += 1
            seconds[kind] += charge_of(state, claim)
        earlier.append(claim.commit)
    late = sum(verdict.reason == LATE for verdict in state.verdicts.values())
    return Waste(seconds, claims, len(seen), all_s(state), gain_percent(state), late)


def charge_of(state: RunState, claim: HypothesisState) -> float:
    """Return the device-seconds of a claim's screen and of the parent's runs made for it."""
    screens = [n for n in claim.experiments if state.experiments[n].queued.purpose == "screen"]
    parents = [name for name, first in _parent_runs(state).items() if first == claim.post_id]
    return sum(
        attempt.charge_s
        for name in (*screens, *parents)
        for attempt in state.experiments[name].attempts
        if not attempt.is_void
    )


def all_s(state: RunState) -> float:
    """Return the device-seconds of all experiments but those listed apart."""
    return sum(
        attempt.charge_s
        for run in state.experiments.values()
        if not run.is_apart
        for attempt in run.attempts
        if not attempt.is_void
    )


def _parent_runs(state: RunState) -> dict[str, str]:
    """Return, for each run of a parent, the claim whose judgement cites it first."""
    judged = sorted(
        (at_us, claim.post_id, change.verdicts)
        for claim in state.hypotheses.values()
        for at_us, change in claim.changes[:1]
    )
    found: dict[str, str] = {}
    for _, post_id, verdicts in judged:
        for verdict_id in verdicts:
            run = state.experiments[state.verdicts[verdict_id].experiment_id]
            if run.queued.purpose == "parent":
                found.setdefault(run.queued.experiment_id, post_id)
    return found


def gain_percent(state: RunState) -> float:
    """Return the gain of the best reproduced commit, 0 where there is none."""
    best = best_commit(state)
    if best is None or best.hypothesis.status != "reproduced":
        return 0.0
    return best.gain_percent or 0.0


def interval(values: list[float]) -> tuple[float, float, float]:
    """Return mean and 95 % interval by Student's t."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.nan, math.nan
    half = quantile(0.025, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def table(base: Path, seeds: list[int]) -> str:
    """Return the differences and the numbers per seed; all arms of `seeds` have ended."""
    wastes = {arm: [waste_of(folder_of(base, arm, seed)) for seed in seeds] for arm in ARMS}
    lines = [f"| | {' | '.join(ARMS)} | difference | 95 % interval |", "|---" * 5 + "|"]
    for name, values in (
        ("wasted, device-seconds a run", [[w.total_s for w in arm] for arm in wastes.values()]),
        ("of all, %", [[100 * w.total_s / w.of_s for w in arm] for arm in wastes.values()]),
        *(
            (f"{kind}, s", [[w.seconds[kind] for w in arm] for arm in wastes.values()])
            for kind in KINDS
        ),
        ("best reproduced, gain %", [[w.gain_percent for w in arm] for arm in wastes.values()]),
    ):
        one, other = values
        mean, low, high = interval([a - b for a, b in zip(one, other, strict=True)])
        lines.append(
            f"| {name} | {statistics.fmean(one):.1f} | {statistics.fmean(other):.1f} "
            f"| {mean:+.1f} | {low:+.1f} to {high:+.1f} |"
        )
    lines += ["", reviewers_skill(base, seeds), ""]
    head = ("seed", "arm", *(f"{kind} s" for kind in KINDS), "wasted s", "of s", "claims", "gain %")
    head = (*head, "late")
    lines += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for index, seed in enumerate(seeds):
        for arm in ARMS:
            one_run = wastes[arm][index]
            parts = " | ".join(f"{one_run.seconds[kind]:.1f}" for kind in KINDS)
            claims = f"{sum(one_run.claims.values())} of {one_run.screened}"
            lines.append(
                f"| {seed} | {arm} | {parts} | {one_run.total_s:.1f} | {one_run.of_s:.1f} "
                f"| {claims} | {one_run.gain_percent:.1f} | {one_run.late} |"
            )
    return "\n".join(lines)


def reviewers_skill(base: Path, seeds: list[int]) -> str:
    """Return in words what the reviewers' forecasts were worth when the runs ended."""
    arm = next(iter(ARMS))
    states = [state_of(folder_of(base, arm, seed)) for seed in seeds]
    found = [one for state in states if state is not None for one in skills(state).values()]
    if not found:
        return "No review was settled."
    claims = statistics.fmean(one.points for one in found)
    runs = statistics.fmean(one.run_points for one in found)
    return (
        f"A reviewer's forecasts earned {claims:+.2f} points on claims and {runs:+.2f} on first "
        "runs in the mean, when the run ended; 1 weighs as much as the base rate."
    )


def main() -> None:
    """Run what is missing, print the table."""
    parser = argparse.ArgumentParser(description="Do reviewers save device-seconds?")
    parser.add_argument("--seeds", type=int, default=10, help="paired seeds 1 to N")
    parser.add_argument("--base", type=Path, default=Path("runs/review_pays"))
    parser.add_argument("--note", default="", help="a line for the table: what ran beside it")
    parser.add_argument("--table", action="store_true", help="of what has ended; run nothing")
    parser.add_argument("--write", action="store_true", help="keep the table")
    options = parser.parse_args()
    options.base.mkdir(parents=True, exist_ok=True)
    seeds = range(1, options.seeds + 1)
    if not options.table:
        run_all(seeds, options.base)
    ended = [
        seed
        for seed in seeds
        if all(state_of(folder_of(options.base, arm, seed)) is not None for arm in ARMS)
    ]
    if not ended:
        sys.exit("no seed has both arms yet")
    text = table(options.base, ended)
    print(text)
    if options.write:
        note = f"\n{options.note}\n" if options.note else ""
        RESULTS.write_text(f"# review_pays\n\n{len(ended)} paired seeds.\n{note}\n{text}\n")


if __name__ == "__main__":
    main()
