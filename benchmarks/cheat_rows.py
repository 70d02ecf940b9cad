"""Rows of the ledgers that `benchmarks/cheats.py` makes up."""

from __future__ import annotations

import base64
import math
import random

from community import events as ev
from trainer.sketch import BITS, TAG_BYTES

TENSORS = 8


def opened() -> ev.RunOpened:
    """Return the first row of a ledger."""
    return ev.RunOpened(
        run_id="r", scenario="", task="t", seed=1, version="0", metric="m", unit="sigma",
        direction="lower", budget_kind="steps", budget_amount=1, slots=("cpu0",),
        device_class="cpu", lock_hash="l", corpus_hash="c", baseline_commit="base",
        baseline_tree_key="t-base", isolation="full",
    )  # fmt: skip


def verdict(of: ev.ExperimentQueued, score: float, sketch: str) -> ev.VerdictGiven:
    """Return the verdict on an experiment."""
    return ev.VerdictGiven(
        verdict_id=f"v{of.experiment_id}", experiment_id=of.experiment_id, commit=of.commit,
        tree_key=of.tree_key, split=of.split, seed=of.seed, outcome="ok", score=score, reason="",
        lock_hash="l", corpus_hash="c", device_class="cpu", isolation="full",
        measured_by="scorer", train_cpu_s=1.0, train_wall_s=1.0, score_cpu_s=1.0, score_wall_s=1.0,
        slot="cpu0", sketch=sketch,
    )  # fmt: skip


def sketch_of(tree_key: str, chance: random.Random, likeness: float) -> str:
    """Return the sketch of one run of a tree, so that two of them lie ``1 - likeness`` apart.

    Two bits agree with ``q = (1 + a) / 2``, ``sin(pi a / 2) = likeness``; both runs depart from
    bits that are the tree's own, so each keeps one with ``(1 + sqrt(a)) / 2``.
    """
    agreeing = 2 * math.asin(likeness) / math.pi
    flip = (1 - math.sqrt(agreeing)) / 2
    entries = []
    for number in range(TENSORS):
        tag = number.to_bytes(TAG_BYTES, "big")
        own = random.Random(f"{tree_key} {number}").getrandbits(BITS) if likeness else 0
        turned = sum((chance.random() < flip) << bit for bit in range(BITS)) if likeness else 0
        bits = own ^ turned if likeness else chance.getrandbits(BITS)
        entries.append(tag + bits.to_bytes(BITS // 8, "big"))
    return base64.b64encode(b"".join(entries)).decode()
