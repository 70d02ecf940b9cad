"""Do the five known oversights of nanolm's start cost anything? Each mended alone, paired by seed.

    PYTHONPATH=. python benchmarks/oversights.py [--seeds 8] [--steps 200] [--write]

They are those that two days of autoresearch found in nanochat: nobody had looked at the sharpness
of q and k after their norm, at the decay of value embeddings, at the reach of short blocks, at
AdamW's betas, at the schedule of weight decay. nanolm-gpu's start, the same program, has them at
its size. Here they are mended at the size of a processor: every arm with every seed, the same first
weights and order of the data, a fixed number of steps, without a sandbox, on 96 held-out blocks. A
gain is the start's bits per byte less the arm's, paired by seed, with a t interval at 95 % for all
arms together (Bonferroni); what is said of an arm follows from its interval, and from how large the
gain is beside the spread between seeds.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from agents.knobs import load_knobs, turn
from benchmarks.trained_nanolm import Steps, divide, losses, module
from forum.messages import KnobValue
from trainer.task import BUNDLED, load_task

RESULT = Path(__file__).parent / "results/oversights.md"
BLOCK, BLOCKS = 129, 96
FIXES: Mapping[str, Mapping[str, KnobValue]] = {
    "q and k are sharpened": {"QK_SCALE": 1.5},
    "value embeddings decay": {"VALUE_DECAY": 0.1},
    "short blocks look further": {"WINDOW": 16},
    "AdamW forgets sooner": {"BETA1": 0.8, "BETA2": 0.95},
    "weight decay falls to 0": {"DECAY_SCHEDULE": "cosine"},
}
"""Knobs of nanolm's start that mend one each."""
FIXES_GPU: Mapping[str, Mapping[str, KnobValue]] = {
    **FIXES,
    "short blocks look further": {"WINDOW": 64},
}
"""The same of nanolm-gpu's, whose windows are in tokens of a longer row."""
ALL = "all five"
SIZE: Mapping[str, KnobValue] = {"DIM": 64}
"""In every arm: half of nanolm's width, so that eight seeds of seven arms take minutes."""
SMALL = 0.2
"""Of the spread between seeds: smaller gains no confirmation would find."""


def arms_of(fixes: Mapping[str, Mapping[str, KnobValue]]) -> dict[str, dict[str, KnobValue]]:
    """Return the start, each fix alone, and all of them together."""
    together = {name: value for fix in fixes.values() for name, value in fix.items()}
    return {"start": {}, **{name: dict(fix) for name, fix in fixes.items()}, ALL: together}


def mended(task: str, changes: Mapping[str, KnobValue]) -> str:
    """Return the start of a shipped task with some of its knobs turned.

    Raises:
        ValueError: a knob is not there, is out of its range, or stood there already.
    """
    found = load_task(BUNDLED / task)
    text = found.start["train.py"].decode()
    turned = turn(text, changes, load_knobs(found.knobs_toml or "", text))
    if turned.skipped or set(turned.applied) != set(changes):
        raise ValueError(f"{task}: {dict(turned.skipped)}, applied {dict(turned.applied)}")
    return turned.text


def scores_of(seeds: int, steps: int) -> dict[str, list[float]]:
    """Return bits per byte of every arm, by seed."""
    parts = divide()
    text = torch.frombuffer(bytearray(parts.train), dtype=torch.uint8)
    held = np.frombuffer(b"".join(parts.heldout["dev"].values()), np.uint8)
    held = held[: held.size // BLOCK * BLOCK].reshape(-1, BLOCK)
    blocks = held[np.random.default_rng(0).choice(len(held), BLOCKS, replace=False)]
    torch.set_num_threads(1)
    scores: dict[str, list[float]] = {}
    trees: dict[str, Any] = {
        name: module(f"arm_{number}", mended("nanolm", {**SIZE, **changes}))
        for number, (name, changes) in enumerate(arms_of(FIXES).items())
    }
    for seed in range(seeds):
        for name, tree in trees.items():
            torch.manual_seed(1000 + seed)
            model = tree.build_model()
            with contextlib.redirect_stdout(io.StringIO()):
                tree.train(model, Steps(text, steps))
            scores.setdefault(name, []).append(float(losses(model.eval(), blocks).mean()))
        print(f"seed {seed + 1} of {seeds}", flush=True)
    return scores


def interval(differences: np.ndarray, looks: int) -> tuple[float, float, float]:
    """Return the mean gain and its interval at 95 % for `looks` arms together."""
    count = len(differences)
    mean, error = float(differences.mean()), float(differences.std(ddof=1)) / count**0.5
    reach = float(stats.t.ppf(1 - 0.025 / looks, count - 1)) * error
    return mean, mean - reach, mean + reach


def words(low: float, high: float, sigma: float) -> str:
    """Return what may be said of a gain with this interval, where seeds spread by `sigma`."""
    if low <= 0 <= high:
        return "cannot be told from nothing"
    said = "helps" if low > 0 else "harms"
    is_small = max(abs(low), abs(high)) < SMALL * sigma
    return f"{said}, less than a run could show" if is_small else said


def table(scores: Mapping[str, list[float]], steps: int) -> str:
    """Return the page."""
    start = np.array(scores["start"])
    arms = [name for name in scores if name != "start"]
    sigma = float(start.std(ddof=1))
    lines = [
        "# The five oversights of the start, each mended alone",
        "",
        f"`benchmarks/oversights.py`: nanolm at {SIZE['DIM']} wide, {steps} steps, {len(start)} "
        "seeds, each with the same first weights and order of the data in every arm; bits",
        f"per byte on {BLOCKS} held-out blocks. Gain: the start's less the arm's, paired; "
        f"intervals at 95 % for all {len(arms)} together. The start's seeds spread by {sigma:.4f}.",
        "",
        "| arm | knobs | bits per byte | gain | interval | mending it |",
        "|---|---|---|---|---|---|",
        f"| start | | {start.mean():.4f} | | | |",
    ]
    changes = arms_of(FIXES)
    for name in arms:
        found = np.array(scores[name])
        gain, low, high = interval(start - found, len(arms))
        knobs = ", ".join(f"`{knob} = {value!r}`" for knob, value in changes[name].items())
        lines.append(
            f"| {name} | {knobs if name != ALL else ''} | {found.mean():.4f} | {gain:+.4f} "
            f"| {low:+.4f} to {high:+.4f} | {words(low, high, sigma)} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train all, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/results")
    asked = parser.parse_args()
    scores = scores_of(asked.seeds, asked.steps)
    page = table(scores, asked.steps)
    print(page)
    if asked.write:
        RESULT.write_text(page)
        numbers = {"steps": asked.steps, "scores": scores}
        RESULT.with_suffix(".json").write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
