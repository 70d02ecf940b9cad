"""How much of the variance between runs is in the weights they begin with, and in their data.

    PYTHONPATH=. python benchmarks/seed_shares.py [--seeds 5] [--steps 100] [--write]

Every first seed (weights) with every second one (order of the data), trained without a sandbox and
scored on 64 held-out blocks: a two-way layout without replicates, whose mean squares give the
shares (Searle, Casella & McCulloch 1992, Variance Components, section 4.7). `benchmarks/cheats.py`
takes the largest as what a cheat pins.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.seed_distances import FAST, QUICK, SMALL, tree_of
from benchmarks.trained_nanolm import Steps, divide, losses

RESULT = Path(__file__).parent / "results/seed_shares.md"
BLOCK = 129
BLOCKS = 64


def scores_of(tree: Any, seeds: int, steps: int) -> np.ndarray:
    """Return the score under each first seed (rows) and second seed (columns), bits per byte."""
    parts = divide()
    text = torch.frombuffer(bytearray(parts.train), dtype=torch.uint8)
    held = np.frombuffer(b"".join(parts.heldout["dev"].values()), np.uint8)
    held = held[: held.size // BLOCK * BLOCK].reshape(-1, BLOCK)
    blocks = held[np.random.default_rng(0).choice(len(held), BLOCKS, replace=False)]
    scores = np.zeros((seeds, seeds))
    for first in range(seeds):
        for second in range(seeds):
            torch.manual_seed(1000 + first)
            model = tree.build_model()
            torch.manual_seed(5000 + second)
            with contextlib.redirect_stdout(io.StringIO()):
                tree.train(model, Steps(text, steps))
            scores[first, second] = losses(model.eval(), blocks).mean()
    return scores


def shares_of(scores: np.ndarray) -> tuple[float, float, float]:
    """Return sigma, and the rows' and the columns' share of its square."""
    count = len(scores)
    mean, rows, columns = scores.mean(), scores.mean(1), scores.mean(0)
    rest = ((scores - rows[:, None] - columns + mean) ** 2).sum() / (count - 1) ** 2
    parts = [max(0.0, float(side.var(ddof=1) - rest / count)) for side in (rows, columns)]
    total = sum(parts) + float(rest)
    return total**0.5, parts[0] / total, parts[1] / total


def main() -> None:
    """Train all, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "# Where the noise comes from",
        "",
        f"`benchmarks/seed_shares.py`: nanolm, {options.steps} steps; {options.seeds} first "
        f"weights with {options.seeds} orders of the data each.",
        "",
        "| tree | sigma, bits per byte | first weights | order of the data | both together |",
        "|---|---|---|---|---|",
    ]
    for name, knobs in (("usual rates", SMALL), ("rates that move weights far", FAST)):
        found = scores_of(tree_of(knobs | QUICK), options.seeds, options.steps)
        sigma, begun, order = shares_of(found)
        rest = 1 - begun - order
        lines.append(f"| {name} | {sigma:.3f} | {begun:.0%} | {order:.0%} | {rest:.0%} |")
        print(lines[-1], flush=True)
    print("\n".join(lines))
    if options.write:
        RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
