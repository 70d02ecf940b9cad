"""How fast virtual time is: an event loop beside SimPy, and a whole run by its parts.

    .venv/bin/pip install -e '.[bench]'
    PYTHONPATH=. .venv/bin/python benchmarks/virtual_speed.py --write

*Events*: researchers think, wait in a queue for one of sixteen devices, hold it, and begin anew;
the same draws of chance and the same callback at every step, in asyncio on our loop and in SimPy.
Both have to leave the same log, step by step, before either is timed.

*A whole run*: ``scenarios/skypilot.toml``, eight hours of sixteen researchers and sixteen devices,
with commits, posts, reviews, confirmations and the ledger. Once for its processor time, and once
under a profiler for the shares of its parts (which the profiler slows by a factor of two or three,
the busiest small functions most).
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from random import Random

import simpy

from community.loading import read_scenario
from community.virtual.loop import VirtualLoop
from community.virtual.run import VirtualRun, run_virtual

RESULT = Path(__file__).parent / "results/virtual_speed.md"
DEVICES = 16
LIMIT = 1536
"""Experiments of five minutes that sixteen devices have room for in eight hours."""
GOAL_S = 15.0

Step = Callable[[int, int, str], None]
"""(time in microseconds, who, what): called at every step in both."""

PARTS = {
    "minds decide": [("agents/minds/policy/", "decide")],
    "agents observe": [("agents/agent.py", "observe")],
    "proposals: patch, hunks, commit": [("community/lab.py", "prepare")],
    "clerk: posts to readers": [("community/clerk.py", "_take")],
    "slots: lease, model, verdict": [("community/scheduler.py", "_attempt")],
    "screens and confirmations": [
        ("community/screening.py", "follow"),
        ("community/reproduction.py", "carry_out"),
    ],
    "lab's own watch": [
        ("community/institution.py", "until_over"),
        ("community/institution.py", "reproduce_unclaimed"),
        ("community/sentinels.py", "watch"),
    ],
    "of all these, the ledger": [("community/archive/ledger.py", "append")],
}
"""What is told apart: functions whose time, with all that they call, is added up. They do not call
one another, but for the last, which most of them do."""


def draws(who: int, steps: int) -> list[tuple[int, int]]:
    """Return how long somebody thinks and holds a device, again and again, in microseconds."""
    rng = Random(f"virtual speed/{who}")
    return [(rng.randrange(1, 10**9), rng.randrange(1, 10**8)) for _ in range(steps)]


def ours(agents: int, steps: int, step: Step) -> None:
    """Run the model on the virtual loop."""

    async def live(who: int, pool: Pool) -> None:
        loop = asyncio.get_running_loop()
        for think_us, hold_us in draws(who, steps):
            await asyncio.sleep(think_us / 1e6)
            step(loop.now_us, who, "asks")
            await pool.acquire()
            step(loop.now_us, who, "begins")
            await asyncio.sleep(hold_us / 1e6)
            pool.release()
            step(loop.now_us, who, "ends")

    async def main() -> None:
        pool = Pool(DEVICES)
        async with asyncio.TaskGroup() as group:
            for who in range(agents):
                group.create_task(live(who, pool))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


class Pool:
    """So many devices; who waits longest is next, as in SimPy's Resource."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> None:
        """Wait for a device."""
        if self._free:
            self._free -= 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter

    def release(self) -> None:
        """Hand the device on."""
        if self._waiting:
            self._waiting.popleft().set_result(None)
        else:
            self._free += 1


def simpys(agents: int, steps: int, step: Step) -> None:
    """Run the model in SimPy, in whole microseconds."""
    env = simpy.Environment()
    pool = simpy.Resource(env, DEVICES)

    def live(who: int):
        for think_us, hold_us in draws(who, steps):
            yield env.timeout(think_us)
            step(env.now, who, "asks")
            with pool.request() as request:
                yield request
                step(env.now, who, "begins")
                yield env.timeout(hold_us)
            step(env.now, who, "ends")

    for who in range(agents):
        env.process(live(who))
    env.run()


def logged(engine: Callable[[int, int, Step], None], agents: int, steps: int) -> list:
    """Return all steps of an engine, in order."""
    log: list[tuple[int, int, str]] = []
    engine(agents, steps, lambda at_us, who, what: log.append((at_us, who, what)))
    return log


def events_table(repeats: int) -> list[str]:
    """Return the table of events a second, once both engines have left the same log."""
    lines = [
        "| agents | steps | asyncio on the virtual loop, events/s | SimPy, events/s | ratio |",
        "|---|---|---|---|---|",
    ]
    for agents, steps in ((16, 4000), (100, 1000), (1000, 100)):
        if logged(ours, agents, 50) != logged(simpys, agents, 50):
            raise SystemExit(f"with {agents} agents the two engines do not leave the same log")
        rates = {}
        for engine in (ours, simpys):
            taken = []
            for _ in range(repeats):
                began = time.process_time()
                count = 0

                def step(at_us: int, who: int, what: str) -> None:
                    nonlocal count
                    count += 1

                engine(agents, steps, step)
                taken.append(time.process_time() - began)
            rates[engine] = count / min(taken)
        row = (agents, 3 * agents * steps, *(f"{rates[e]:,.0f}" for e in (ours, simpys)))
        lines.append(f"| {' | '.join(map(str, row))} | {rates[ours] / rates[simpys]:.2f} |")
    return lines


def whole_run() -> tuple[VirtualRun, float, dict[str, float]]:
    """Return the SkyPilot scenario's run, its processor time, and the share of each part."""
    loaded = read_scenario("skypilot")
    taken = []
    for _ in range(2):  # the first also fills what the program keeps: modules, compiled loops
        began = time.process_time()
        run = run_virtual(loaded.scenario, loaded.text)
        taken.append(time.process_time() - began)
    profile = cProfile.Profile()
    profile.enable()
    run_virtual(loaded.scenario, loaded.text)
    profile.disable()
    stats = pstats.Stats(profile)
    whole = stats.total_tt  # type: ignore[attr-defined]
    found = {}
    for name, functions in PARTS.items():
        seconds = sum(
            cumulative
            for (path, _, function), (_, _, _, cumulative, _) in stats.stats.items()  # type: ignore[attr-defined]
            if any(part in path and function == named for part, named in functions)
        )
        found[name] = seconds / whole
    return run, min(taken), found


def run_table() -> list[str]:
    """Return the table of the whole run."""
    run, seconds, shares = whole_run()
    state = run.state
    valid = sum(e.verdict is not None and e.verdict.outcome == "ok" for e in within(state))
    begun = len(within(state))
    done = len(state.by_verdict)
    lines = [
        f"{seconds:.1f} s of processor time for {done} experiments, calibration and last runs "
        f"included, {run.events:,} rows (goal: under {GOAL_S:g} s); "
        f"{1e3 * seconds / done:.1f} ms an experiment. Within the eight hours {begun} were begun, "
        f"{begun / LIMIT:.0%} of what there is room for, and {valid / LIMIT:.0%} came to a valid "
        "result.",
        "",
        "| part | share | ms an experiment |",
        "|---|---|---|",
    ]
    told = sum(share for name, share in shares.items() if not name.startswith("of all"))
    for name, share in shares.items():
        lines.append(f"| {name} | {share:.0%} | {1e3 * share * seconds / done:.2f} |")
    lines.append(f"| all else | {1 - told:.0%} | {1e3 * (1 - told) * seconds / done:.2f} |")
    return lines


def within(state) -> list:
    """Return the experiments that began before the eight hours were over."""
    return [
        e
        for e in state.experiments.values()
        if e.attempts and e.attempts[0].started_us < 28_800 * 1_000_000
    ]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"keep it as {RESULT}")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    lines = ["# Virtual time", "", "Events, best of some repeats, processor time of one core:", ""]
    lines += events_table(options.repeats)
    lines += ["", "The whole SkyPilot scenario:", "", *run_table()]
    print("\n".join(lines))
    if options.write:
        RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
