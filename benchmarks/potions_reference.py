"""Crossover times of the potions task from plain Python: what the compiled model is held against.

    python benchmarks/potions_reference.py [--write]

Sets and lists, `random` and no numpy: written from the public model's rules and sharing nothing
with `community.classics.potions`. `--write` stores 200 times of either graph where that module
reads them, about ten minutes on one core.
"""

from __future__ import annotations

import argparse
import random
import statistics
from pathlib import Path

RUNS = 200
STORED = Path(__file__).resolve().parent.parent / "community/classics/potions_times.py"
WORTH = {"a1": 6, "a2": 8, "a3": 10, "b1": 6, "b2": 8, "b3": 10, "1a": 48, "1b": 48}
WORTH |= {"2a": 109, "2b": 109, "3a": 188, "3b": 188, "4a": 358, "4b": 358}
BREWS = {
    frozenset({"a1", "a2", "a3"}): "1a",
    frozenset({"b1", "b2", "b3"}): "1b",
    frozenset({"1a", "a1", "b2"}): "2a",
    frozenset({"1b", "a2", "a3"}): "2b",
    frozenset({"2a", "b2", "a3"}): "3a",
    frozenset({"2b", "b1", "a2"}): "3b",
    frozenset({"3a", "3b", "2a"}): "4a",
    frozenset({"3a", "3b", "2b"}): "4b",
}


def complete(n: int) -> list[list[int]]:
    """Return everybody's neighbours where all know all."""
    return [[j for j in range(n) if j != i] for i in range(n)]


def caves(cliques: int, size: int) -> list[list[int]]:
    """Return everybody's neighbours in cliques that are joined round a ring."""
    pairs = {
        frozenset({c * size + a, c * size + b})
        for c in range(cliques)
        for a in range(size)
        for b in range(a)
    }
    for c in range(cliques):
        first = c * size
        pairs.remove(frozenset({first, first + 1}))
        pairs.add(frozenset({first, (first - 1) % (cliques * size)}))
    return [
        [j for pair in sorted(pairs, key=sorted) if i in pair for j in pair if j != i]
        for i in range(cliques * size)
    ]


def drawn(chance: random.Random, items: list[str], count: int) -> list[str]:
    """Return `count` different items, each drawn in proportion to its worth."""
    left, taken = list(items), []
    for _ in range(count):
        item = chance.choices(left, weights=[WORTH[each] for each in left])[0]
        left.remove(item)
        taken.append(item)
    return taken


def crossover(neighbours: list[list[int]], chance: random.Random) -> int:
    """Return the step in which somebody first brews 4a or 4b."""
    held = [list(WORTH)[:6] for _ in neighbours]
    step = 0
    while True:
        step += 1
        done = False
        for agent in chance.sample(range(len(held)), len(held)):
            partner = chance.choice(neighbours[agent])
            own = chance.randint(1, 2)
            brew = drawn(chance, held[agent], own) + drawn(chance, held[partner], 3 - own)
            made = BREWS.get(frozenset(brew))
            if made is None:
                continue
            for who in {agent, partner, *neighbours[agent], *neighbours[partner]}:
                if made not in held[who]:
                    held[who].append(made)
            done = done or made in ("4a", "4b")
        if done:
            return step


def lines(name: str, times: list[int]) -> list[str]:
    """Return the times as a tuple in Python, sorted, in lines of less than a hundred characters."""
    found, line = ["# fmt: off", f"{name}: Final = ("], "   "
    for time in sorted(times):
        if len(line) + len(f" {time},") > 99:
            found.append(line)
            line = "   "
        line += f" {time},"
    return [*found, line, ")", "# fmt: on"]


def main() -> None:
    """Print medians and quartiles of either graph; store the times when asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--runs", type=int, default=RUNS)
    wanted = parser.parse_args()
    text = [
        '"""Crossover times of the potions task: 200 of either graph, from plain Python.',
        "",
        "Written by `benchmarks/potions_reference.py`: thirty agents, all together or in cliques",
        "of five; whoever hears a brewer gets what it brewed.",
        '"""',
        "",
        "from typing import Final",
        "",
    ]
    for name, neighbours in (("COMPLETE", complete(30)), ("CAVES", caves(6, 5))):
        times = [crossover(neighbours, random.Random(seed)) for seed in range(wanted.runs)]
        low, median, high = statistics.quantiles(times, n=4)
        print(f"{name}: median {median:g}, quartiles {low:g} to {high:g}, {wanted.runs} runs")
        text += lines(name, times)
    if wanted.write:
        STORED.write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
