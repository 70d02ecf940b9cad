"""A modelled landscape for tests: twenty knobs and the score a tree with them would get."""

from __future__ import annotations

import math

from agents.knobs import load_knobs, read_values

PATH = "train.py"
# name: (toml, start, best place on the unit range or best option, weight in bits per byte)
_SHAPE = {
    "LR": ('kind="float"\nlow=1e-4\nhigh=5e-2\nscale="log"', "0.002", 0.80, 0.25),
    "EMBED_LR": ('kind="float"\nlow=1e-4\nhigh=1e-1\nscale="log"', "0.002", 0.75, 0.14),
    "HEAD_LR": ('kind="float"\nlow=1e-4\nhigh=1e-1\nscale="log"', "0.004", 0.55, 0.02),
    "BETA1": ('kind="float"\nlow=0.5\nhigh=0.99', "0.9", 0.70, 0.02),
    "BETA2": ('kind="float"\nlow=0.8\nhigh=0.999', "0.999", 0.75, 0.06),
    "DECAY": ('kind="float"\nlow=1e-3\nhigh=1.0\nscale="log"', "0.1", 0.60, 0.02),
    "WARMUP": ('kind="float"\nlow=0.0\nhigh=0.5', "0.05", 0.10, 0.10),
    "WARMDOWN": ('kind="float"\nlow=0.0\nhigh=1.0', "0.0", 0.60, 0.16),
    "CLIP": ('kind="float"\nlow=0.1\nhigh=10.0\nscale="log"', "1.0", 0.50, 0.02),
    "QK_SCALE": ('kind="float"\nlow=0.25\nhigh=4.0\nscale="log"', "1.0", 0.75, 0.10),
    "LOGIT_CAP": ('kind="float"\nlow=5.0\nhigh=50.0\nscale="log"', "15.0", 0.50, 0.05),
    "EMBED_INIT": ('kind="float"\nlow=0.01\nhigh=2.0\nscale="log"', "1.0", 0.50, 0.06),
    "DIM": ('kind="int"\nlow=32\nhigh=384\nscale="log"', "96", 0.50, 0.20),
    "DEPTH": ('kind="int"\nlow=1\nhigh=8', "3", 0.20, 0.10),
    "BATCH": ('kind="int"\nlow=4\nhigh=128\nscale="log"', "16", 0.25, 0.15),
    "WINDOW": ('kind="int"\nlow=4\nhigh=128\nscale="log"', "8", 0.80, 0.12),
    "OPTIMIZER": ('kind="choice"\nchoices=["adamw","muon"]', '"adamw"', "muon", 0.12),
    "ACTIVATION": ('kind="choice"\nchoices=["relu2","gelu","silu"]', '"relu2"', "relu2", 0.04),
    "SCHEDULE": ('kind="choice"\nchoices=["flat","linear","cosine"]', '"flat"', "linear", 0.02),
    "TIED": ('kind="bool"', "True", False, 0.03),
}  # fmt: skip
KNOBS_TOML = "\n".join(f"[{name}]\n{toml}" for name, (toml, *_) in _SHAPE.items())
START = (
    '"""A start."""\n'
    + "".join(f"# About {name}.\n{name} = {row[1]}\n" for name, row in _SHAPE.items())
    + "\ndef build_model():\n    return None\n"
)
KNOBS = load_knobs(KNOBS_TOML, START)
SIGMA = 0.02
FLOOR = 2.05


def unit(knob, value) -> float:
    """Return where a value lies in its range."""
    if knob.scale == "log":
        return math.log(value / knob.low) / math.log(knob.high / knob.low)
    return (value - knob.low) / (knob.high - knob.low)


def true_score(text: str) -> float:
    """Return the noiseless score of a tree, lower is better; the start has about 3.1."""
    values = read_values(text, KNOBS)
    score = FLOOR
    for knob in KNOBS:
        best, weight = _SHAPE[knob.name][2:]
        value = values.get(knob.name, knob.start)
        if knob.is_number:
            if knob.name == "LR":
                best += 0.2 * (unit(KNOBS[14], values.get("BATCH", 16)) - 0.4)
            far = unit(knob, value) - best
            score += 1.4 * weight * (1 - math.exp(-((far / 0.35) ** 2)))
            if knob.name == "LR" and far > 0.17:
                score += 3.0  # diverged
        elif value != best:
            score += weight
    return score
