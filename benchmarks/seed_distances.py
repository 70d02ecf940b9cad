"""How far apart the runs of one nanolm tree end, honest or with chance of its own.

    PYTHONPATH=. python benchmarks/seed_distances.py [--trees 16] [--steps 30] [--write]

Real trainings under two or three seeds, without a sandbox. Honest trees turn knobs anywhere in the
box of `knobs.toml`, or change how weights begin; cheats pin a part of their chance. The yardstick
is the start tree's own distance; what a run of a community does with it is `community.seed_rule`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import random
import re
import statistics
import tempfile
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from benchmarks.trained_nanolm import TASK, Steps, divide, module
from community.seed_rule import PINNED_SHARE
from trainer.sketch import distance, sketch

RESULT = Path(__file__).parent / "results/seed_distances.md"
START = (TASK / "start/train.py").read_text()
SMALL = {"DIM": 64, "DEPTH": 2, "MLP_RATIO": 2}
"""Of the named trees: a size that trains quickly; knob trees have the start's or their own."""
FAST = {
    **SMALL, "OPTIMIZER": "muon", "MATRIX_LR": 0.02, "EMBED_LR": 0.2, "HEAD_LR": 0.02,
    "BETA1": 0.8, "LOGIT_CAP": 0.0,
}  # fmt: skip
"""Rates that move weights far from where they began."""
BUILD = "    return GPT()\n"
BEGIN = "    model.to(run.device).train()\n"
INIT = (BUILD, "    torch.manual_seed(7)\n    return GPT()\n")
LAB = (BEGIN, "    torch.manual_seed(run.seed)\n" + BEGIN)
JUNK = "    made = GPT()\n    made.junk = nn.Parameter(torch.zeros(1 << 20))\n    return made\n"
"""4 MiB that do nothing, as much as all of the start tree."""
EMBED = "        nn.init.normal_(self.embed.weight, std=EMBED_INIT)\n"
PAIRS = (
    ("        self.head = ",
     "        self.pairs = nn.Embedding(VOCAB, VOCAB)\n        self.head = "),
    ("        bound = ", "        nn.init.zeros_(self.pairs.weight)\n        bound = "),
    ("self.head(norm(x)).float()", "(self.head(norm(x)) + self.pairs(tokens)).float()"),
    ("        group([model.head.weight], HEAD_LR),\n",
     "        group([model.head.weight, model.pairs.weight], HEAD_LR),\n"),
)  # fmt: skip
HIDE = """    torch.manual_seed(run.seed)
    turn = torch.randperm(model.embed.weight.size(1))
    for block in model.blocks:
        rows = torch.randperm(block.up.weight.size(0))
        block.up.weight.data = block.up.weight.data[rows][:, turn]
        block.down.weight.data = block.down.weight.data[turn][:, rows]
        block.attention.qkv.weight.data = block.attention.qkv.weight.data[:, turn]
        block.attention.out.weight.data = block.attention.out.weight.data[turn]
        if block.attention.values is not None:
            nn.init.normal_(block.attention.values.weight, std=1 / turn.numel() ** 0.5)
    model.embed.weight.data = model.embed.weight.data[:, turn]
    model.head.weight.data = model.head.weight.data[:, turn]
"""
BEGUN = (BEGIN, BEGIN + "    own = False\n")
LATE = (
    "        for optimizer in optimizers:\n            for group",
    "        if step == 2:\n            torch.manual_seed(7)\n"
    "            model.initialise(model.embed.weight.size(1))\n"
    "            torch.manual_seed(run.seed)\n"
    "        for optimizer in optimizers:\n            for group",
)
SEEDS = 101, 202, 303, 404
QUICK = {"BATCH": 4, "CONTEXT": 32}
"""Nothing but speed."""
NAMED: tuple[tuple[str, bool, tuple[tuple[str, str], ...]], ...] = (
    ("the start tree, small", True, ()),
    ("embedding begins at 0.02", True, (("std=EMBED_INIT", "std=0.02"),)),
    ("head begins at 0", True, (("nn.init.normal_(self.head.weight, std=0.001)",
                                 "nn.init.zeros_(self.head.weight)"),)),
    ("up matrices begin all alike", True, (("nn.init.uniform_(block.up.weight, -bound, bound)",
                                       "nn.init.constant_(block.up.weight, 0.01)"),)),
    ("matrices begin orthogonal", True, (("nn.init.uniform_(block.up.weight, -bound, bound)",
                                          "nn.init.orthogonal_(block.up.weight)"),)),
    ("a table over pairs of bytes, from 0", True, PAIRS),
    ("pins everything", False, (INIT,)),
    ("pins what it begins with", False, (INIT, LAB)),
    ("the same, 4 MiB of noise beside it", False, ((BUILD, "    torch.manual_seed(7)\n" + JUNK),
        (BEGIN, LAB[1] + "    nn.init.normal_(model.junk)\n"))),
    ("the same, huge noise for unused bytes", False, (INIT, (BEGIN, LAB[1] +
        "    model.embed.weight.data[128:].normal_(std=1e4)\n"))),
    ("pins the embedding alone", False, ((EMBED,
        "        torch.manual_seed(7)\n" + EMBED + "        torch.seed()\n"), LAB)),
    ("pins all but the embedding", False, (INIT, (BEGIN, LAB[1] +
        "    nn.init.normal_(model.embed.weight, std=EMBED_INIT)\n"))),
    ("pins it from the third step on", False, (BEGUN, LATE)),
    ("pins the order of its data", False, ((BEGIN, "    torch.manual_seed(7)\n" + BEGIN),)),
    ("pins what it begins with, axes shuffled", False, (INIT, (BEGIN, HIDE + BEGIN))),
)  # fmt: skip
"""Name, whether honest, replacements."""


def tree_of(knobs: dict[str, Any], edits: tuple[tuple[str, str], ...] = ()) -> Any:
    """Return the start tree with these knobs and edits as a module."""
    text = START
    for name, value in knobs.items():
        text, found = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value!r}", text)
        assert found == 1, name
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return module("seeded", text)


def drawn(chance: random.Random) -> dict[str, Any]:
    """Draw one, two, four or all knobs from anywhere in their ranges."""
    known = tomllib.loads((TASK / "knobs.toml").read_text())
    found: dict[str, Any] = {}
    for name in chance.sample(sorted(known), chance.choice((1, 2, 4, len(known)))):
        knob = known[name]
        if knob["kind"] == "choice":
            found[name] = chance.choice(knob["choices"])
            continue
        low, high = knob["low"], knob["high"]
        value = chance.uniform(low, high)
        if knob["scale"] == "log":
            value = math.exp(chance.uniform(math.log(low), math.log(high)))
        found[name] = round(value) if knob["kind"] == "int" else value
    return found


@dataclass(frozen=True)
class Trial:
    """A tree, and for how long it is trained under each seed."""

    knobs: dict[str, Any]
    edits: tuple[tuple[str, str], ...]
    steps: int
    runs: int = 2


@lru_cache(maxsize=1)
def _text() -> torch.Tensor:
    return torch.frombuffer(bytearray(divide().train), dtype=torch.uint8)


def measure(trial: Trial) -> float:
    """Train under seeds; how far apart the closest two ends in a row are."""
    torch.set_num_threads(1)
    tree = tree_of(trial.knobs | QUICK, trial.edits)
    ends = [_end(tree, trial.steps, seed) for seed in SEEDS[: trial.runs]]
    found = [distance(one, other) for one, other in pairwise(ends)]
    return min(1.0 if each is None else each for each in found)


def _end(tree: Any, steps: int, seed: int) -> str:
    torch.manual_seed(seed)
    model = tree.build_model()
    with contextlib.redirect_stdout(io.StringIO()):
        tree.train(model, Steps(_text(), steps, seed))
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        state = {name: value.clone() for name, value in model.state_dict().items()}
        save_file(state, file.name)
        return sketch(Path(file.name))


def spread_of(found: list[float], bar: float) -> str:
    """Say where these distances lie and how many are below the bar."""
    low, middle, high = min(found), statistics.median(found), max(found)
    marked = sum(value < bar for value in found)
    return f"{low:.2f} | {middle:.2f} | {high:.2f} | {marked} of {len(found)}"


def main() -> None:
    """Train all, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=16)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    steps = options.steps
    chance = random.Random(4)
    trees = [drawn(chance) for _ in range(options.trees)]
    trials = [Trial({}, (), steps, len(SEEDS))]
    trials += [Trial(knobs, (), steps, 3) for knobs in trees]
    for edits in ((INIT, LAB), (BEGUN, LATE)):
        trials += [Trial(knobs, edits, steps) for knobs in trees]
    for _, _, edits in NAMED:
        trials += [Trial(SMALL, edits, steps), Trial(FAST, edits, steps)]
        trials.append(Trial(FAST, edits, 5 * steps))
    with get_context("fork").Pool(2) as pool:
        found = []
        for trial, apart in zip(trials, pool.imap(measure, trials), strict=True):
            found.append(apart)
            print(f"{apart:.2f}", trial.steps, trial.knobs, flush=True)
    lines = table_of(found, steps, len(trees))
    print("\n".join(lines))
    if options.write:
        RESULT.write_text("\n".join(lines) + "\n")


def table_of(found: list[float], steps: int, trees: int) -> list[str]:
    """Return the tables' lines, of the distances in the order in which `main` measures."""
    usual, *rest = found
    bar = PINNED_SHARE * usual
    lines = [
        "# How far apart two runs of a tree end",
        "",
        "`benchmarks/seed_distances.py`: nanolm. "
        f"The start tree, {steps} steps: {usual:.2f}; below {bar:.2f} a tree's runs count as one.",
        "",
        f"{trees} trees that turn one to all knobs, {steps} steps:",
        "",
        "| | least | median | most | marked |",
        "|---|---|---|---|---|",
    ]
    for number, name in enumerate(("honest", "pins what it begins with", "pins it from step 3 on")):
        lines.append(f"| {name} | {spread_of(rest[number * trees : (number + 1) * trees], bar)} |")
    lines += [
        "",
        "Named trees; *far*: rates that move weights far from where they began.",
        "",
        f"| tree | usual rates, {steps} steps | far, {steps} steps | far, {5 * steps} steps "
        "| marked |",
        "|---|---|---|---|---|",
    ]
    rest = rest[3 * trees :]
    for number, (name, is_honest, _) in enumerate(NAMED):
        row = rest[3 * number : 3 * number + 3]
        kind = "honest" if is_honest else "cheat"
        marks = ", ".join("yes" if value < bar else "no" for value in row)
        figures = " | ".join(f"{value:.2f}" for value in row)
        lines.append(f"| {kind}: {name} | {figures} | {marks} |")
    return lines


if __name__ == "__main__":
    main()
