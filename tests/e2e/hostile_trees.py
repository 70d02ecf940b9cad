"""Candidates that do what no candidate should, each as the text of its ``train.py``.

All but the look-ahead are a tiny honest model with something added to its training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

HONEST = """
import os, sys, time
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.table, self.head = nn.Embedding(256, width), nn.Linear(width, 256)

    def forward(self, tokens):
        return self.head(self.table(tokens))

def build_model():
    return Model()

def fit(model, run):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in run.steps():
        starts = torch.randint(len(run.tokens) - 65, (8, 1))
        rows = run.tokens[starts + torch.arange(65)].long()
        loss = nn.functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

def train(model, run):
    fit(model, run)
"""

INVALID = {
    "crashes": (HONEST + "    raise ValueError('no')\n", "crash"),
    "cannot be imported": ("import nothing_of_the_kind\n" + HONEST, "crash"),
    "exits in mid-training": (HONEST + "    os._exit(0)\n", None),
    "computes for ever": (HONEST + "    while True: pass\n", "limit"),
    "sleeps for ever": (HONEST + "    time.sleep(10_000)\n", "limit"),
    "fills the memory": (
        HONEST.replace("    fit(", "    held = []\n    while True: held.append(b'x' * 2**26)\n#"),
        "memory",
    ),
    "leaves too large an artefact": (
        HONEST.replace("width=16", "width=9_000"),
        "artefact",
    ),
    "leaves NaN": (
        HONEST + "    model.head.bias.data.fill_(float('nan'))\n",
        "artefact",
    ),
    "answers NaN": (
        HONEST.replace("table(tokens))", "table(tokens)) + (0 if self.training else float('nan'))"),
        "not_finite",
    ),
    "looks ahead": (
        HONEST.replace(
            "return self.head(self.table(tokens))",
            "ahead = torch.cat([tokens[:, 1:], tokens[:, -1:]], 1)\n"
            "        return 9.0 * nn.functional.one_hot(ahead, 256).float() + self.head.bias",
        ),
        "probe",
    ),
    "sees neighbouring rows": (
        HONEST.replace(
            "return self.head(self.table(tokens))",
            "return self.head(self.table(tokens) + self.table(tokens).mean(0, keepdim=True))",
        ),
        "probe",
    ),
    "answers too little": (
        HONEST.replace("return self.head(self.table(tokens))",
                       "return self.head(self.table(tokens))[:, :-1]"),
        None,
    ),
}  # fmt: skip
"""What it does -> (its text, the verdict's reason or None where several are right)."""

PRINTS = HONEST.replace(
    "        loss.backward()\n",
    "        loss.backward()\n        sys.stdout.write('x' * (1 << 26) + '\\n')\n",
)
"""Prints 64 MiB a step; otherwise honest."""


def snooping(paths: Sequence[str], modules: Sequence[str], names: Sequence[str]) -> str:
    """Return a candidate that tries to read what it must not, prints what it got, and trains on.

    Args:
        paths: files that exist outside, by their own names.
        modules: held-out modules.
        names: file names looked for in everything that can be seen.
    """
    orders: Mapping[str, Sequence[str]] = {
        "PATHS": list(paths), "MODULES": list(modules), "NAMES": list(names),
    }  # fmt: skip
    told = "".join(f"{name} = {value!r}\n" for name, value in orders.items())
    return told + HONEST.replace("    fit(model, run)\n", _SNOOP + "    fit(model, run)\n")


_SNOOP = """
    import glob, importlib, socket
    tried = 0
    for path in PATHS:
        for way in (path, '/proc/1/root' + path, '/proc/self/cwd/../../../..' + path):
            tried += 1
            try:
                print('LEAK', way, len(open(way, 'rb').read()))
            except OSError:
                pass
    for name in MODULES:
        tried += 1
        try:
            print('LEAK import', importlib.import_module(name).__file__)
        except ImportError:
            pass
    for folder, folders, files in os.walk('/'):
        folders[:] = [f for f in folders if folder != '/' or f not in ('proc', 'sys')]
        for name in files:
            if name in NAMES:
                print('LEAK found', os.path.join(folder, name))
    for number in range(3, 64):
        try:
            print('descriptor', number, os.readlink(f'/proc/self/fd/{number}'))
        except OSError:
            pass
    try:
        socket.create_connection(('127.0.0.1', 9), 0.1)
        print('LEAK network')
    except OSError:
        tried += 1
    try:
        open('train.py', 'a').write('# changed')
        print('LEAK own tree can be changed')
    except OSError:
        tried += 1
    print('SECRETS', sorted(os.environ))
    print('TRIED', tried)
"""
