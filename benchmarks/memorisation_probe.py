"""Would a memorisation probe tell a model that knows the held-out text from one that does not?

    python benchmarks/memorisation_probe.py [--steps 400] [--seeds 2] [--write]

The probe: the held-out blocks once as they are, and once after a secret, consistent renaming of
identifiers and digits that keeps every length; the number is score(renamed) - score(original). An
honest model loses a little by names that do not fit, one that knows the text by heart should lose
more. Compared: an honest small model; the same with a table of the kind that fits into a patch or
an artefact (what follows the last eight bytes, for the bytes of the held-out split that the model
predicts worst); the same trained on the held-out split besides. Each scored on `dev`, which the
cheats know, and on `vault`, which nobody does: the spread there is the noise.
"""

from __future__ import annotations

import argparse
import keyword
import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from trained_nanolm import divide, losses, train

from scoring.block_draw import draw, generator
from scoring.grader import Division
from scoring.language_model import ByteLanguageModel

RESULT = Path(__file__).parent / "results/memorisation_probe.md"
GRADER = ByteLanguageModel()
TABLES = (1_000, 10_000, 100_000)
"""Entries: 1,000 fill a patch's literals; an artefact of 8 MiB holds all that 100,000 need."""
CONTEXT = 8
KEPT = frozenset(keyword.kwlist) | {"self", "cls", "None", "True", "False", "print", "len", "str"}
WORD = re.compile(rb"[A-Za-z_][A-Za-z_0-9]*|[0-9]")
Score = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Renaming:
    """One secret mapping of words to other words of the same length, and of digits."""

    words: dict[bytes, bytes]
    digits: bytes

    @classmethod
    def drawn(cls, train: bytes, held_out: bytes, chance: np.random.Generator) -> Renaming:
        """Rename to words of the training text, of the same length and about as common there."""
        common: dict[int, list[bytes]] = {}
        counts: dict[bytes, int] = {}
        for word in WORD.findall(train):
            counts[word] = counts.get(word, 0) + 1
        for word in sorted(counts, key=lambda word: (-counts[word], word)):
            if len(word) > 1 and word.decode() not in KEPT:
                common.setdefault(len(word), []).append(word)
        rank = {word: at for words in common.values() for at, word in enumerate(words)}
        words: dict[bytes, bytes] = {}
        for word in sorted(set(WORD.findall(held_out))):
            others = common.get(len(word), [])
            if len(word) == 1 or word.decode() in KEPT or len(others) < 3:
                continue
            at = rank.get(word, len(others) // 2)
            low, high = max(0, at // 2 - 2), min(len(others), 2 * at + 4)
            words[word] = others[int(chance.integers(low, high))]
        return cls(words, bytes(chance.permutation(10).astype(np.uint8) + ord("0")))

    def of(self, text: bytes) -> bytes:
        """Return `text` renamed, byte for byte as long."""

        def renamed(match: re.Match[bytes]) -> bytes:
            word = match[0]
            return (
                bytes([self.digits[word[0] - 48]]) if word.isdigit() else self.words.get(word, word)
            )

        return WORD.sub(renamed, text)


def blocks(texts: list[bytes], split: str) -> np.ndarray:
    """Return the drawn blocks of a split; the same places whether renamed or not."""
    requests = draw(
        texts, GRADER.blocks, GRADER.block, GRADER.rows, generator(b"memory", f"blocks/{split}")
    )
    return np.concatenate([request.blocks for request in requests])


def with_table(model: object, held_out: bytes, entries: int) -> Score:
    """Return the score of `model` with a table of what it predicts worst in `held_out`."""
    whole = np.frombuffer(held_out, dtype=np.uint8)
    cut = whole[: len(whole) // GRADER.block * GRADER.block].reshape(-1, GRADER.block)
    spans = np.lib.stride_tricks.sliding_window_view(whole, CONTEXT)
    contexts, counts = np.unique(spans.copy().view(f"V{CONTEXT}").ravel(), return_counts=True)
    lone = {bytes(context) for context in contexts[counts == 1]}  # common ones would tell lies
    worst = np.argsort(-losses(model, cut)[:, CONTEXT - 1 :], axis=None)
    table: dict[bytes, int] = {}
    for row, place in zip(
        *np.unravel_index(worst, (len(cut), GRADER.block - CONTEXT)), strict=True
    ):
        if len(table) == entries:
            break
        context = bytes(cut[row, place : place + CONTEXT])
        if context in lone:
            table[context] = int(cut[row, place + CONTEXT])

    def score(text: np.ndarray) -> float:
        bits = losses(model, text)
        p = np.exp2(-bits)
        for row, place in np.ndindex(len(text), GRADER.block - CONTEXT):
            told = table.get(bytes(text[row, place : place + CONTEXT]))
            if told is not None:  # nine tenths for the byte in the table, the rest as before
                is_right = told == text[row, place + CONTEXT]
                p[row, place + CONTEXT - 1] = 0.1 * p[row, place + CONTEXT - 1] + 0.9 * is_right
        return float(-np.log2(p).mean())

    return score


def candidates(division: Division, steps: int, seed: int) -> Iterator[tuple[str, Score]]:
    """Train and yield what is compared."""
    known = b"\n\0".join(division.heldout["dev"].values())
    honest = train(division.train, steps, seed)
    yield "honest", lambda text: float(losses(honest, text).mean())
    for other in (steps // 4, 2 * steps):
        model = train(division.train, other, seed)
        yield (
            f"honest, {other} steps",
            lambda text, model=model: float(losses(model, text).mean()),
        )
    for entries in TABLES:
        yield f"table of {entries:,}", with_table(honest, known, entries)
    for share in (0.1, 0.5):
        copies = round(share / (1 - share) * len(division.train) / len(known))
        taught = train(division.train + known * copies, steps, seed)
        yield (
            f"{share:.0%} of training on it",
            lambda text, taught=taught: float(losses(taught, text).mean()),
        )


def report(steps: int, seeds: int) -> str:
    """Return the whole page."""
    division = divide()
    texts: dict[tuple[str, bool], np.ndarray] = {}
    held_out = b"".join(text for files in division.heldout.values() for text in files.values())
    renaming = Renaming.drawn(division.train, held_out, np.random.default_rng(7))
    for split in ("dev", "vault"):
        plain = [text for _, text in sorted(division.heldout[split].items())]
        texts[split, False] = blocks(plain, split)
        texts[split, True] = blocks([renaming.of(text) for text in plain], split)
    found: dict[str, list[list[float]]] = {}
    for seed in range(1, seeds + 1):
        for name, score in candidates(division, steps, seed):
            row = [score(texts[key]) for key in texts]
            found.setdefault(name, []).append(row)
            print(seed, name, *(f"{value:.4f}" for value in row), flush=True)
    changed = float((texts["dev", False] != texts["dev", True]).mean())
    return "\n".join(page(found, steps, seeds, changed))


def page(
    found: dict[str, list[list[float]]], steps: int, seeds: int, changed: float
) -> Iterator[str]:
    """Yield the lines of the page."""
    yield "# Does renaming separate a model that knows the held-out text?\n"
    yield (
        f"nanolm, {steps} steps of a tuned start tree, {seeds} seeds; bits per byte; `dev` is "
        f"known to the cheats, `vault` to nobody.\nRenaming changes {changed:.0%} of the bytes. "
        "Mean and, after ±, sample deviation over seeds.\n"
    )
    yield "| model | dev | gain on dev | renamed - original, dev | the same, vault | dev - vault |"
    yield "|---|---|---|---|---|---|"
    honest = [row[0] for row in found["honest"]]
    for name, rows in found.items():
        gains = [base - row[0] for base, row in zip(honest, rows, strict=True)]
        lost = [(row[1] - row[0], row[3] - row[2]) for row in rows]
        columns = [
            [row[0] for row in rows],
            gains,
            [dev for dev, _ in lost],
            [vault for _, vault in lost],
            [dev - vault for dev, vault in lost],
        ]
        yield f"| {name} | {' | '.join(map(spread, columns))} |"
    yield ""


def spread(values: list[float]) -> str:
    """Return mean and deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {deviation:.3f}"


def main() -> None:
    """Print the page, and keep it with --write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    text = report(chosen.steps, chosen.seeds)
    print(text)
    if chosen.write:
        RESULT.write_text(text)


if __name__ == "__main__":
    main()
