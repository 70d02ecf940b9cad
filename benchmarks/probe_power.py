"""With what probability do the blind probes of nanolm meet a model that looks ahead?

    python benchmarks/probe_power.py [--steps 600] [--write]

For models that look ahead at few positions: at those where their own loss is highest (two counting
models and a trained one), at random ones, and at those that gain most for the risk, which a cheat
could choose who has fitted the reference itself. Probabilities are those of the drawing
(`scoring.probe_draw.detection`); the edges, which come on top, are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
from trained_nanolm import divide, losses, train

from scoring.block_draw import draw, generator
from scoring.language_model import ByteLanguageModel
from scoring.ngram import NgramModel
from scoring.probe_draw import deal, detection, draw_positions
from scoring.verdict import Split

RESULT = Path(__file__).parent / "results/probe_power.md"
GRADER = ByteLanguageModel()
FRACTIONS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01)
GAINS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.06)
"""Bits per byte; 0.02 is about one sigma of nanolm, three are an attack that counts."""
COUNTS = (GRADER.dev_probes, GRADER.seal_probes)
"""The second is about what the first two runs of a confirmation come to as well."""


def first(order: np.ndarray, number: int, shape: tuple[int, ...]) -> np.ndarray:
    """Mark the first `number` positions of an order."""
    leaks = np.zeros(shape, dtype=bool)
    leaks.flat[order[:number]] = True
    return leaks


def by_fraction(orders: dict[str, np.ndarray], surprise: np.ndarray) -> Iterator[str]:
    """Yield the table of leak fraction against detection."""
    names = " | ".join(f"{name}, {count}" for name in orders for count in COUNTS)
    yield f"| share of positions | number | {names} |"
    yield "|---" * (2 + len(orders) * len(COUNTS)) + "|"
    for fraction in FRACTIONS:
        number = round(fraction * surprise.size)
        found = [
            f"{detection(first(order, number, surprise.shape), surprise, count):.4f}"
            for order in orders.values()
            for count in COUNTS
        ]
        yield f"| {100 * fraction:g} % | {number} | {' | '.join(found)} |"


def by_gain(orders: dict[str, np.ndarray], loss: np.ndarray, surprise: np.ndarray) -> Iterator[str]:
    """Yield the table of what a leak gains against detection, for one model's loss."""
    names = " | ".join(f"{name}: positions, {COUNTS[0]}, {COUNTS[1]}" for name in orders)
    yield f"| gain in bpb | {names} |"
    yield "|---" * (1 + len(orders)) + "|"
    for gain in GAINS:
        cells = []
        for order in orders.values():
            reached = np.cumsum(loss.ravel()[order]) / loss.size
            number = int(np.searchsorted(reached, gain)) + 1
            leaks = first(order, number, loss.shape)
            found = [f"{detection(leaks, surprise, count):.4f}" for count in COUNTS]
            cells.append(f"{number}, {', '.join(found)}")
        yield f"| {gain:g} | {' | '.join(cells)} |"


def price(files: np.ndarray, surprise: np.ndarray) -> Iterator[str]:
    """Yield what the probes add to what is asked, over a few draws."""
    for split in get_args(Split):
        count = GRADER.probes(split)
        tokens, requests, asked = [], [], []
        for seed in range(10):
            chance = np.random.default_rng(seed)
            drawn = draw_positions(surprise, count, GRADER.edges, GRADER.edge_rows, chance)
            parts = deal(drawn, files, GRADER.rows, chance)
            tokens.append(sum(part.length * len(part.rows) for part in parts))
            requests.append(len(parts))
            asked.append(int(drawn.sum()))
        share = np.mean(tokens) / surprise.size
        yield (
            f"- {split}: {np.mean(asked):.0f} prefixes in {np.mean(requests):.0f} requests, "
            f"{np.mean(tokens):,.0f} bytes: {share:.2f} of the {surprise.size:,} that are scored "
            f"in {-(-GRADER.blocks // GRADER.rows)}."
        )


def report(steps: int) -> str:
    """Return the whole page."""
    division = divide()
    files = division.heldout["dev"]
    texts = [files[path] for path in sorted(files)]
    chance = generator(b"probe power", "blocks/dev")
    requests = draw(texts, GRADER.blocks, GRADER.block, GRADER.rows, chance)
    text = np.concatenate([request.blocks for request in requests])
    surprise = NgramModel(division.train).surprise(text)
    known = {
        "trigram": surprise,
        "5-gram": NgramModel(division.train, 5).surprise(text),
        "trained": losses(train(division.train, steps, seed=1), text),
    }
    orders = {name: np.argsort(-loss, axis=None) for name, loss in known.items()}
    orders["anywhere"] = np.random.default_rng(1).permutation(text[:, 1:].size)
    own = known["trained"]
    hazard = 1 / surprise.size + np.square(surprise) / np.square(surprise).sum()
    shrewd = {
        "highest loss": orders["trained"],
        "most for the risk": np.argsort(-own / hazard, axis=None),
    }
    scores = ", ".join(f"{name} {loss.mean():.2f}" for name, loss in known.items())
    lines = [
        "# How likely the blind probes meet a model that looks ahead",
        "",
        f"nanolm, `dev`, one draw of {surprise.shape[0]} blocks; losses in bits per byte: {scores}",
        f"(trained: {steps} steps of a tuned start tree). Columns: whose loss, probes.",
        "",
        "A model that looks ahead where its own loss is highest:",
        "",
        *by_fraction(orders, surprise),
        "",
        "What a leak of the trained model's whole loss gains, and risks; sigma is about 0.02:",
        "",
        *by_gain(shrewd, own, surprise),
        "",
        "Price:",
        "",
        *price(np.concatenate([request.files for request in requests]), surprise),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the page, and keep it with --write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    page = report(chosen.steps)
    print(page)
    if chosen.write:
        RESULT.write_text(page)


if __name__ == "__main__":
    main()
