"""A pool in virtual time: how much of it is used, and where the institution is the limit.

    PYTHONPATH=. .venv/bin/python benchmarks/virtual_pool.py --write

*Sixteen devices*: SkyPilot's setting (13 slower, 3 faster, five minutes an experiment, one run in
twenty a crash, a minute of thinking) for eight hours, with 16, 24 and 32 researchers. Used is the
time of runs that came to a verdict, valid or failed by their own fault; there is room for 1,536
runs of full length, and a crash leaves room for another.

*From 1 to 1,024 devices*, three researchers to two devices: the processor time that institution
and minds take for an experiment. One core carries so many experiments a second, hence so many
devices at five minutes (or at five seconds) an experiment. Minds are programs here; a model's
thinking costs other people's processors, so the institution's part is told by itself. It is what
the run's process does between two rows: the real board's own work (``board_speed.md``) and
the disk's are not in it.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from pathlib import Path

from virtual_speed import LIMIT, PARTS, within

from community.archive.state import RunState
from community.loading import parse_scenario
from community.virtual.run import VirtualRun, run_virtual

RESULT = Path(__file__).parent / "results/virtual_pool.md"
HOURS_S = 28_800
RUN_S = 300
DEVICES = 16
SIZES = (1, 4, 16, 64, 256, 1024)
PER_DEVICE = 3
FEWEST = 96
"""Experiments of a small pool, so that its start does not weigh too much."""
MOST = 1000
"""Agents of one table of a scenario."""
MINDS = ("minds decide", "agents observe")

SCENARIO = """
run = {{ task = "nk", seed = {seed}, time = "virtual" }}
stop = {{ {stop} }}
budget = {{ kind = "device_seconds", amount = 300 }}
topology = {topology}
noise = {{ baseline_runs = {baselines} }}
[model]
n = 20
k = 5
noise = 0.005
crash = 0.05
duration_s = 300
score_s = 3
thinking_s = 60
thinking_spread = 0.6
devices = [{devices}]
"""


def scenario(devices: int, researchers: int, stop: str, seed: int) -> str:
    """Return a scenario with so many devices and researchers."""
    faster = devices * 3 // 16
    reproducers = max(1, researchers // 6)
    names = [f'{{ name = "h100", count = {devices - faster} }}']
    names += [f'{{ name = "h200", count = {faster}, gain = 0.002 }}'] if faster else []
    small_world = '{ family = "small_world", k = 6, p = 0.1 }'
    text = SCENARIO.format(
        seed=seed,
        stop=stop,
        topology=small_world if researchers > 7 else '{ family = "complete" }',
        baselines=min(16, max(2, devices)),
        devices=", ".join(names),
    )
    explorers = researchers - reproducers
    groups = [("explorer", "social", min(MOST, explorers - at)) for at in range(0, explorers, MOST)]
    groups.append(("reproducer", "verify", reproducers))
    for number, (role, mind, count) in enumerate(groups):
        text += (
            f'[[agents]]\nname = "{role}{number}"\nrole = "{role}"\nmind = "policy:{mind}"\n'
            f"count = {count}\n"
        )
    return text


def carried_out(text: str) -> VirtualRun:
    """Run a scenario."""
    return run_virtual(parse_scenario(text, Path("pool.toml")).scenario, text)


def used_s(state: RunState, until_s: int) -> float:
    """Return device-seconds up to then of attempts that came to a verdict, valid or failed."""
    spans = [
        (a.started_us / 1e6, min(until_s, a.ended_us / 1e6))
        for e in state.experiments.values()
        for a in e.attempts
        if a.ended_us is not None and a.ended is not None
        and a.ended.outcome != "interrupted" and not a.is_void
    ]  # fmt: skip
    return sum(max(0.0, end - start) for start, end in spans)


def use_rows(seeds: int) -> list[str]:
    """Return a line for each number of researchers on sixteen devices."""
    lines = []
    for researchers in (16, 24, 32):
        counts = []
        for seed in range(1, seeds + 1):
            text = scenario(DEVICES, researchers, f"wall_s = {HOURS_S}", seed)
            state = carried_out(text).state
            begun = [e for e in within(state) if e.verdict is not None]
            valid = sum(e.verdict.outcome == "ok" for e in begun)
            used = used_s(state, HOURS_S) / (DEVICES * HOURS_S)
            counts.append((len(begun), valid, len(begun) - valid, used))
        mean = [sum(column) / seeds for column in zip(*counts, strict=True)]
        lines.append(
            f"| {researchers} | {mean[0]:,.0f} | {mean[1]:,.0f} | {mean[2]:.0f} "
            f"| {mean[0] / LIMIT:.1%} | {mean[3]:.1%} | {min(c[3] for c in counts):.1%} |"
        )
    return lines


def shares(text: str) -> tuple[VirtualRun, float, dict[str, float]]:
    """Return a run, its processor time without a profiler, and the share of each part."""
    began = time.process_time()
    run = carried_out(text)
    seconds = time.process_time() - began
    profile = cProfile.Profile()
    profile.runcall(carried_out, text)
    stats = pstats.Stats(profile)
    whole = stats.total_tt  # type: ignore[attr-defined]
    found = {}
    for name, functions in PARTS.items():
        found[name] = sum(
            entry[3]
            for (path, _, function), entry in stats.stats.items()  # type: ignore[attr-defined]
            if any(part in path and function == named for part, named in functions)
        ) / whole  # fmt: skip
    return run, seconds, found


def sweep_rows(sizes: tuple[int, ...]) -> list[str]:
    """Return a line for each size of the pool."""
    carried_out(scenario(1, 2, "experiments = 8", 1))  # imports and compiled loops
    lines = []
    for devices in sizes:
        experiments = max(FEWEST, PER_DEVICE * devices)
        researchers = max(2, devices * 3 // 2)
        text = scenario(devices, researchers, f"experiments = {experiments}", 1)
        run, seconds, parts = shares(text)
        each_ms = 1e3 * seconds / len(run.state.by_verdict)
        minds_ms = each_ms * sum(parts[name] for name in MINDS)
        rest_ms = each_ms - minds_ms
        rate = 1e3 / rest_ms
        told = [parts[name] * each_ms for name in PARTS if name not in MINDS]
        lines.append(
            f"| {devices:,} | {researchers:,} | {len(run.state.by_verdict):,} | {minds_ms:.1f} "
            f"| {rest_ms:.1f} | {' | '.join(f'{ms:.2f}' for ms in told)} | {rate:.0f} "
            f"| {RUN_S * rate:,.0f} | {5 * rate:,.0f} | {devices / (RUN_S * rate):.1%} |"
        )
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"keep it as {RESULT}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="devices of the largest pool")
    options = parser.parse_args()
    parts = [name for name in PARTS if name not in MINDS]
    heads = (
        *("devices", "researchers", "experiments", "minds", "institution", *parts),
        *("experiments/s", "devices at 300 s", "devices at 5 s", "busy with this pool"),
    )
    lines = [
        "# A pool in virtual time", "",
        f"Sixteen devices for eight hours, {options.seeds} seeds:", "",
        "| researchers | runs | valid | failed | of 1,536 | device time used | least of seeds |",
        "|---|---|---|---|---|---|---|", *use_rows(options.seeds), "",
        "What one core carries (milliseconds of processor time an experiment):", "",
        f"| {' | '.join(heads)} |", "|---" * len(heads) + "|",
    ]  # fmt: skip
    print("\n".join(lines))
    lines += sweep_rows(tuple(size for size in SIZES if size <= options.most))
    if options.write:
        RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
