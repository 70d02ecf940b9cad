"""How fast the classic models are, beside the same models in Mesa.

    PYTHONPATH=. .venv/bin/python benchmarks/classics_speed.py [--write]

Lazer and Friedman's model on a lattice and on a complete graph of 100, 1,000 and 10,000 agents, and
Zollman's on a cycle of ten, each in one process, in processor seconds, the two engines in turn. No
number is taken before both have passed the same checks: on five landscapes both walk through the
same states when they try the same bits, and both agree with the published levels and with Zollman's
success and rounds. Mesa's models are in `classics_mesa.py`.

Mesa is an extra: `pip install .[bench]`.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mesa
import numpy as np
from classics_mesa import Science, Search

from community.classics import lazer_friedman, zollman
from community.classics.case import Case, mean_and_error, number, share_and_error, verdicts
from community.classics.copying import flips_drawn, trajectory
from community.classics.networks import Network, complete, ring_lattice

RESULTS = Path(__file__).parent / "results" / "classics_speed.md"
SHARED = 5
LEVEL_LANDSCAPES = 100
SCIENCES = 400
REPEATS = 3
GOAL = 30
LEVELS = {"lattice": {10: 0.4577, 15: 0.5941}, "complete": {1: 0.2636, 2: 0.2855}}
"""Mean score after so many rounds, 1,000 landscapes of an independent implementation."""
NETWORKS: dict[str, Callable[[int], Network]] = {
    "lattice": lambda n: ring_lattice(n, 4),
    "complete": complete,
}
PARAMETERS = lazer_friedman.Parameters(until_settled=False)


# --- the checks --------------------------------------------------------------------------------


def contacts_of(network: Network) -> list[list[int]]:
    """Return whom each agent sees, as lists."""
    return [network.contacts_of(agent).tolist() for agent in range(network.n)]


def landscape(index: int) -> np.ndarray:
    """Return all values of one landscape (2^20,)."""
    return lazer_friedman.landscape(PARAMETERS, 0, index).all_fitness()


def same_states(rounds: int = 30) -> bool:
    """Whether both engines walk through the same states on shared landscapes."""
    for index in range(SHARED):
        values = landscape(index)
        starts = lazer_friedman.starts(PARAMETERS, 0, index)
        for draw in NETWORKS.values():
            network, keys = draw(100), lazer_friedman.keys(0, index)
            flips = flips_drawn(keys, rounds, 100, 20)
            ours = trajectory(
                values,
                network,
                starts,
                PARAMETERS.conduct,
                keys,
                rounds,
                flips=flips,
                until_settled=False,
            )
            search = Search(
                values.tolist(), starts.tolist(), contacts_of(network), flips=flips.tolist()
            )
            for now in range(1, rounds + 1):
                search.step()
                if [agent.state for agent in search.agents] != ours[now].tolist():
                    return False
    return True


def levels() -> list[Case]:
    """Compare both engines' mean scores with the published ones, on the same landscapes."""
    scores: dict[tuple[str, str, int], list[float]] = {}
    for index in range(LEVEL_LANDSCAPES):
        values = landscape(index)
        score, told = (values / values.max()) ** 8, values.tolist()
        starts = lazer_friedman.starts(PARAMETERS, 0, index)
        for name, rounds in LEVELS.items():
            network = NETWORKS[name](100)
            ours = trajectory(
                values,
                network,
                starts,
                PARAMETERS.conduct,
                lazer_friedman.keys(0, index),
                max(rounds),
                until_settled=False,
            )
            search = Search(told, starts.tolist(), contacts_of(network), seed=index)
            for now in range(1, max(rounds) + 1):
                search.step()
                if now in rounds:
                    states = [agent.state for agent in search.agents]
                    scores.setdefault(("Mesa", name, now), []).append(float(score[states].mean()))
                    mean = float(score[ours[now]].mean())
                    scores.setdefault(("ours", name, now), []).append(mean)
    cases = []
    for (engine, name, now), found in scores.items():
        mean, error = mean_and_error(np.array(found))
        behind = error * (LEVEL_LANDSCAPES / 1000) ** 0.5
        cases.append(
            number(
                engine,
                f"{name}, t={now}",
                LEVELS[name][now],
                mean,
                error,
                source="own run",
                target_se=behind,
            )
        )
    return cases


def sciences() -> list[Case]:
    """Compare both engines' success and rounds with the published ones, on a cycle of ten."""
    ring = contacts_of(ring_lattice(10, 2))
    found = {"ours": zollman.simulate(zollman.Parameters(), SCIENCES, seed=1)}
    success, rounds = [], []
    for seed in range(SCIENCES):
        science = Science(ring, seed=seed)
        while science.running:
            science.step()
        success.append(science.has_succeeded)
        rounds.append(science.rounds)
    pairs = {
        "ours": (found["ours"].success, found["ours"].rounds),
        "Mesa": (np.array(success), np.array(rounds)),
    }
    cases = []
    for engine, (succeeded, took) in pairs.items():
        share, error = share_and_error(int(succeeded.sum()), SCIENCES)
        cases.append(
            number(engine, "success", 0.9701, share, error, source="own run", target_se=0.0012)
        )
        mean, error = mean_and_error(took[succeeded].astype(float))
        cases.append(number(engine, "rounds", 857, mean, error, source="own run", target_se=3.4))
    return cases


# --- the clock ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One model of one size: agents' updates a second of either engine."""

    model: str
    n: int
    mesa: float
    ours: float

    @property
    def ratio(self) -> float:
        """How many times as fast ours is."""
        return self.ours / self.mesa


def fastest(work: Callable[[], int]) -> float:
    """Return updates per processor second, the best of several times; `work` says how many."""
    best = 0.0
    for _ in range(REPEATS):
        began_s = time.process_time()
        updates = work()
        best = max(best, updates / (time.process_time() - began_s))
    return best


def searching(name: str, n: int, rounds: int, runs: int, mesa_rounds: int) -> list[Line]:
    """Measure Lazer and Friedman's model; a complete graph in Mesa plainly and with a leader."""
    values, network = landscape(0), NETWORKS[name](n)
    rng, told, seen = np.random.default_rng(n), values.tolist(), contacts_of(network)
    starts = rng.integers(2**20, size=(runs, n))
    keys = [lazer_friedman.keys(1, run) for run in range(runs)]  # set up outside, as Mesa's agents

    def ours() -> int:
        for run in range(runs):
            trajectory(
                values,
                network,
                starts[run],
                PARAMETERS.conduct,
                keys[run],
                rounds,
                until_settled=False,
            )
        return runs * rounds * n

    def theirs(finds_leader: bool, how_many: int) -> Callable[[], int]:
        search = Search(told, starts[0].tolist(), seen, finds_leader=finds_leader)

        def steps() -> int:
            for _ in range(how_many):
                search.step()
            return how_many * n

        return steps

    ours()
    fast = fastest(ours)
    lines = [Line(f"Lazer-Friedman, {name}", n, fastest(theirs(False, mesa_rounds)), fast)]
    if name == "complete":
        title = "Lazer-Friedman, complete, Mesa finds the best once a round"
        lines.append(Line(title, n, fastest(theirs(True, max(5, 20_000 // n))), fast))
    return lines


def bandits() -> Line:
    """Measure Zollman's model on a cycle of ten."""
    ring = contacts_of(ring_lattice(10, 2))

    def ours() -> int:
        found = zollman.simulate(zollman.Parameters(), 300, seed=2)
        return int(found.rounds.sum()) * 10

    def theirs() -> int:
        science = Science(ring, seed=3)
        for _ in range(400):
            science.step()
        return 400 * 10

    ours()
    return Line("Zollman, cycle", 10, fastest(theirs), fastest(ours))


def table(lines: list[Line], load: float) -> str:
    """Return the page."""
    words = [
        "# How fast the classic models are",
        "",
        f"Agents' updates per processor second, one process each, best of {REPEATS}; Mesa "
        f"{mesa.__version__}, Python {platform.python_version()}, {os.cpu_count()} processors, "
        f"load {load:.1f} when it began. Both engines first passed the same checks: equal states "
        f"on {SHARED} landscapes, published levels, Zollman's success and rounds.",
        "",
        "| model | agents | Mesa | ours | ratio |",
        "|---|---|---|---|---|",
    ]
    for line in lines:
        rates = [f"{rate / 1e6:.3g} M" for rate in (line.mesa, line.ours)]
        words.append(f"| {line.model} | {line.n:,} | {rates[0]} | {rates[1]} | {line.ratio:,.0f} |")
    small = [line for line in lines if line.n <= 100]
    least = min(small, key=lambda line: line.ratio)
    met = "met" if least.ratio >= GOAL else "not met"
    words += [
        "",
        f"The goal, {GOAL} times Mesa on small communities run again and again, is {met}: least "
        f"{least.ratio:.0f} ({least.model}).",
    ]
    return "\n".join(words) + "\n"


def main() -> None:
    """Check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"keep the table in {RESULTS}")
    wanted = parser.parse_args()
    load = os.getloadavg()[0]
    if not same_states():
        raise SystemExit("the engines part ways on a shared landscape: nothing is measured")
    cases = levels() + sciences()
    for case, passes in zip(cases, verdicts(cases), strict=True):
        print(
            f"{case.model}, {case.name}: {case.ours:.4f} (published {case.target}), "
            f"{'passes' if passes else 'FAILS'}"
        )
    if not all(verdicts(cases)):
        raise SystemExit("an engine does not agree with print: nothing is measured")
    lines = []
    for name in NETWORKS:
        lines += searching(name, 100, 60, 200, 60 if name == "lattice" else 20)
        lines += searching(name, 1000, 60, 20, 20 if name == "lattice" else 3)
        lines += searching(name, 10_000, 40, 4, 5 if name == "lattice" else 1)
    lines.append(bandits())
    text = table(lines, load)
    print(text)
    if wanted.write:
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
