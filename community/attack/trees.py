"""Trees of candidates: the task's own start, made small, with a suffix that rebinds its functions.

A suffix works on any ``model`` task, since it needs only the names `build_model` and `train`; cheat
and twin share it but for one line.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

from trainer.task import ENTRY, Task

_SMALL: Mapping[str, str] = {
    "DIM": "32",
    "DEPTH": "2",
    "HEADS": "2",
    "MLP_RATIO": "1",
    "BATCH": "4",
    "CONTEXT": "32",
    "HIDDEN": "64",
    "LR": "0.01",
}
"""Knobs that are turned where a task has them, so that a trial takes half a second, and seeds
differ after six steps."""

ARTEFACT_PIPE = """
import os
ARTEFACT = max(int(n) for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}"))
"""
"""Lines that find the pipe which the artefact is written to: the last descriptor still open."""

_AROUND_TRAIN = """

# ---- what the attack suite adds ----
_train = train


def _look(model, run):
{look}


def train(model, run):
    try:
        print("GOT", _look(model, run), flush=True)
    except BaseException as error:
        print("REFUSED", type(error).__name__, error, flush=True)
    _train(model, run)
"""

_AROUND_MODEL = """

# ---- what the attack suite adds ----
import torch
import torch.nn.functional as F

_build, _train = build_model, train


class Around(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = _build()
{init}

    def forward(self, tokens):
        logits = self.inner(tokens)
{forward}
        return logits


def build_model():
    return Around()


def train(model, run):
    _train(model.inner, run)
"""


def start_of(task: Task) -> str:
    """Return the start's entry file with its sizes turned down."""
    text = task.start[ENTRY].decode()
    for name, value in _SMALL.items():
        text = re.sub(rf"^{name} = [0-9.]+$", f"{name} = {value}", text, flags=re.MULTILINE)
    return text


def around_train(task: Task, look: str) -> dict[str, bytes]:
    """Return a change that runs `look`, prints what it returns or raises, and then trains."""
    return {ENTRY: (start_of(task) + _AROUND_TRAIN.format(look=_indent(look, 1))).encode()}


def around_model(task: Task, forward: str, init: str = "") -> dict[str, bytes]:
    """Return a change that wraps the model: `forward` may alter `logits`, knowing `tokens`."""
    body = _AROUND_MODEL.format(forward=_indent(forward, 2), init=_indent(init, 2))
    return {ENTRY: (start_of(task) + body).encode()}


def appended(task: Task, suffix: str) -> dict[str, bytes]:
    """Return a change that adds `suffix` as it is."""
    return {ENTRY: (start_of(task) + "\n\n" + textwrap.dedent(suffix)).encode()}


def _indent(code: str, levels: int) -> str:
    return textwrap.indent(textwrap.dedent(code).strip("\n"), "    " * levels)
