"""Scores without any lock: plain torch trains and scores a tree, in one ordinary process.

What the lock makes of an honest candidate must equal what this makes of it. It runs as a process of
its own (``python -m``), since candidates are imported; the asyncio side is `Unlocked`. The formula
is written out again here, on purpose: torch's cross entropy in float64, and its log-probabilities.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import math
import os
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoring.verdict import Split

_ROWS = 64
_LEAD_NATS = 0.002
"""Of a view that is read right: twice what two answers about it may lie apart."""
_ROOT = Path(__file__).resolve().parents[3]


class Unlocked:
    """The process, started at the first score and ended by `aclose`."""

    def __init__(self, locked: Path, source: Path, data: Path, run_secret: bytes) -> None:
        self._facts = {
            "locked": str(locked),
            "source": str(source),
            "data": str(data),
            "run_secret": run_secret.hex(),
        }
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def score(
        self, tree: Mapping[str, bytes], seed: int, steps: int, split: Split
    ) -> float | None:
        """Train `tree` for `steps` steps and return its score; None if it fails."""
        order = {
            "tree": {path: content.decode() for path, content in tree.items()},
            "seed": seed,
            "steps": steps,
            "split": split,
        }
        async with self._turn:
            process = await self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(order).encode() + b"\n")
            answer = json.loads(await process.stdout.readline() or b'{"score": null}')
        score = answer["score"]
        return None if score is None else float(score)

    async def aclose(self) -> None:
        """End the process."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", __name__, json.dumps(self._facts)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=1 << 20,
                cwd=_ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
            )
        return self._process


@dataclass
class _Run:
    """What `train` gets, by hand: fixed steps and nothing else."""

    tokens: Any
    seed: int
    amount: int
    device: str = "cpu"
    done: int = 0

    def remaining(self) -> float:
        """Steps that are left."""
        return float(self.amount - self.done)

    def progress(self) -> float:
        """Share of the steps that are done."""
        return self.done / self.amount

    def steps(self) -> Iterator[float]:
        """Progress, once per step."""
        while self.done < self.amount:
            self.done += 1
            yield (self.done - 1) / self.amount


def main() -> None:
    """Answer orders, one JSON line each, until the input ends."""
    import torch

    torch.set_num_threads(1)
    out, sys.stdout = sys.stdout, io.StringIO()  # candidates print
    facts = json.loads(sys.argv[1])
    grade = _module("grade", Path(facts["locked"], "grade.py").read_text())
    heldout = grade["prepare"](Path(facts["source"])).heldout
    constants, secret = grade["GRADER"], bytes.fromhex(facts["run_secret"])
    draw = _views if constants.answers == "rows" else _blocks
    tokens = torch.frombuffer(
        bytearray(Path(facts["data"], "train.bin").read_bytes()), dtype=torch.uint8
    )
    for line in sys.stdin:
        order = json.loads(line)
        split = order["split"]
        drawn = torch.from_numpy(draw(constants, heldout[split], secret, split)).long()
        try:
            model = _trained(order, tokens)
            score = _share(model, drawn) if constants.answers == "rows" else _bits(model, drawn)
        except Exception as error:
            print(f"unlocked: {error!r}", file=sys.stderr)  # noqa: T201 - a process of its own
            score = None
        print(json.dumps({"score": score}), file=out, flush=True)


def _blocks(constants: Any, files: Mapping[str, bytes], secret: bytes, split: Split) -> Any:
    """Return the blocks that are asked of a language model, shape (rows, block)."""
    import numpy as np

    from scoring.block_draw import draw, generator

    texts = [files[path] for path in sorted(files, key=lambda path: path.split("/"))]
    chance = generator(secret, f"blocks/{split}")
    drawn = draw(texts, constants.blocks, constants.block, constants.rows, chance)
    return np.concatenate([request.blocks for request in drawn])


def _views(constants: Any, files: Mapping[str, bytes], secret: bytes, split: Split) -> Any:
    """Return the views that are asked of a classifier, their class last: (rows, pixels + 1)."""
    import numpy as np

    from scoring.block_draw import generator
    from scoring.views import draw_views

    side = constants.side
    rows = np.frombuffer(b"".join(files.values()), np.uint8).reshape(-1, side**2 + 1)
    drawn = draw_views(
        rows[:, :-1].reshape(-1, side, side),
        rows[:, -1],
        of_each=constants.of_each,
        views=constants.views,
        shift=constants.shift,
        blot=constants.blot,
        ink=constants.ink,
        chance=generator(secret, f"views/{split}"),
    )
    return np.concatenate([drawn.rows, drawn.classes[:, None]], axis=1)


def _trained(order: dict[str, Any], tokens: Any) -> Any:
    """Train a tree and return its model."""
    import numpy as np
    import torch

    seed = order["seed"]
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: TID251 - as the harness does
    torch.manual_seed(seed)
    candidate = _module("train", order["tree"]["train.py"])
    model = candidate["build_model"]()
    candidate["train"](model, _Run(tokens, seed, order["steps"]))
    return model.eval()


def _bits(model: Any, blocks: Any) -> float:
    """Return bits per token."""
    import torch

    total = 0.0
    with torch.inference_mode():
        for rows in blocks.split(_ROWS):
            logits = model(rows[:, :-1]).double()  # (rows, time, vocab)
            total += torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="sum"
            ).item()
    return float(total / math.log(2) / blocks[:, 1:].numel())


def _share(model: Any, views: Any) -> float:
    """Return the share whose class is likelier than every other by more than `_LEAD_NATS`."""
    import torch

    right = 0
    with torch.inference_mode():
        for rows in views.split(_ROWS):
            own = torch.nn.functional.one_hot(rows[:, -1], 10).bool()
            log_p = model(rows[:, :-1]).double().log_softmax(-1)  # (rows, classes)
            others = log_p.masked_fill(own, -math.inf).max(-1).values
            right += int((log_p[own] - others > _LEAD_NATS).sum())
    return right / len(views)


def _module(name: str, source: str) -> dict[str, Any]:
    """Run `source` as a fresh module and return what it defines."""
    spec = importlib.util.spec_from_loader(name, loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - trusted: the user's own start and ours
    return module.__dict__


if __name__ == "__main__":
    main()
