"""What a training had of its card, as figures for people: memory, business, tokens, FLOPs.

Memory and business come from the driver, outside (`trainer.device_watch`). How many tokens were
trained on only the program knows: its last line ``NN% step N`` is believed, with the constants
BATCH and CONTEXT of its text, so what rests on that is an estimate and the program's own word.
Recorded with the verdict (`community.attempts`); nothing is decided by any of it.

Sources:
    Chowdhery et al. (2022), "PaLM: Scaling Language Modeling with Pathways", appendix B: model
    FLOPs utilisation, of which the attention's own products are left out here: 6 FLOPs for each
    parameter that is multiplied and each token, forward and backward together.
    The peaks are the vendors' datasheets', of dense bfloat16 (float16 where there is none).
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from agents.constants import find_constants
from community.evidence_events import DeviceUsed
from trainer.experiment import Job, TrainResult
from trainer.train_phase import LOG_NAME

PEAKS: Final = {
    "B200": 2250e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10": 125e12,
    "RTX 5090": 210e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
    "V100": 125e12,
    "T4": 65e12,
}
"""FLOP per second by what a card's name contains, the longer names of a family first."""
_STEPS: Final = re.compile(rb"(?m)^\s*(\d{1,3})% step\s+(\d{1,9})\b")
_ROWS_AND_TIME: Final = ("BATCH", "CONTEXT")
_TAIL_BYTES: Final = 1 << 16
_HEADER_BYTES: Final = 1 << 20


def device_used(job: Job, train: TrainResult, model: str, vocab: int) -> DeviceUsed | None:
    """Return what is recorded of a training on a card; reads its log and its artefact's header.

    Args:
        job: What was run.
        train: What became of it.
        model: The card's name.
        vocab: Different tokens of the task.

    Returns:
        None where the driver told nothing, on processors in particular.
    """
    use = train.device_use
    if use is None:
        return None
    rate = _tokens_per_s(job)
    peak = next((peak for name, peak in PEAKS.items() if name in model), None)
    share = None
    if rate is not None and peak is not None and train.artefact is not None:
        share = round(6 * multiplied(train.artefact, vocab) * rate / peak, 4)
    return DeviceUsed(
        job.job_id,
        peak_bytes=use.peak_bytes,
        busy=round(use.busy, 3),
        looks=use.looks,
        untimed_s=job.budget.untimed_s,
        tokens_per_s=None if rate is None else round(rate),
        flop_share=share,
    )


def device_words(used: DeviceUsed) -> str:
    """Return it in words."""
    words = [f"{used.peak_bytes / 2**30:.1f} GiB of its card", f"busy {used.busy:.0%} of the time"]
    if used.tokens_per_s is not None:
        words.append(f"{used.tokens_per_s:,.0f} tokens/s by its own count")
    if used.flop_share is not None:
        words.append(f"MFU about {used.flop_share:.1%} (6 N tokens/s / peak)")
    if used.untimed_s:
        words.append(f"up to {used.untimed_s:g} s before its second step untimed")
    return ", ".join(words)


def cards_lines(used: Sequence[DeviceUsed]) -> list[str]:
    """Return a line about all trainings of a run: the most memory, and medians of the rest."""
    if not used:
        return []
    peak = max(each.peak_bytes for each in used)
    busy = statistics.median(each.busy for each in used)
    words = [f"at most {peak / 2**30:.1f} GiB", f"busy {busy:.0%} of a training"]
    if rates := [each.tokens_per_s for each in used if each.tokens_per_s is not None]:
        words.append(f"{statistics.median(rates):,.0f} tokens/s by the programs' own count")
    if shares := [each.flop_share for each in used if each.flop_share is not None]:
        words.append(f"MFU about {statistics.median(shares):.1%}")
    return [f"cards: {', '.join(words)} (medians of {len(used)})"]


def multiplied(artefact: Path, vocab: int) -> int:
    """Return N: the parameters of an artefact that every token is multiplied by.

    Those of tensors of two axes and more. Of the tables with one row per token all but one, the
    output head, are looked up and not multiplied.

    Args:
        artefact: A file of safetensors; one that cannot be read has none.
        vocab: Rows of such a table.
    """
    try:
        with artefact.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(size, _HEADER_BYTES)))
        shapes = [_shape(entry) for name, entry in header.items() if name != "__metadata__"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    tables = sorted(math.prod(shape) for shape in shapes if len(shape) == 2 and shape[0] == vocab)
    return sum(math.prod(shape) for shape in shapes if len(shape) > 1) - sum(tables[:-1])


def _shape(entry: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(axis) for axis in entry["shape"])


def _tokens_per_s(job: Job) -> float | None:
    """Return the tokens that were trained on per counted second, by the program's own word."""
    if job.budget.kind != "device_seconds":
        return None
    try:
        source = (job.workspace / "train.py").read_text("utf-8")
        with (job.folder / LOG_NAME).open("rb") as log:
            log.seek(max(0, log.seek(0, 2) - _TAIL_BYTES))
            printed = _STEPS.findall(log.read())
    except (OSError, ValueError):
        return None
    places, _ = find_constants(source)
    sizes = [places[name].value for name in _ROWS_AND_TIME if name in places]
    if not printed or len(sizes) != len(_ROWS_AND_TIME):
        return None
    percent, steps = (int(word) for word in printed[-1])
    counted_s = percent / 100 * job.budget.amount
    if not counted_s or not all(type(size) is int for size in sizes):
        return None
    return steps * math.prod(int(size) for size in sizes) / counted_s
