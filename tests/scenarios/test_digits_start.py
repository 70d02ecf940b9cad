"""The start of `digits`: a model the scorer accepts, and knobs that may be turned anyhow."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from agents.knobs import Knob, load_knobs, turn
from forum.messages import KnobValue
from trainer.task import load_task

TASK = load_task(Path(__file__).parents[2] / "scenarios" / "tasks" / "digits")
START = TASK.start["train.py"].decode()
KNOBS = load_knobs(TASK.knobs_toml or "", START)
ROWS = np.random.default_rng(5).integers(0, 17, (200, 65), dtype=np.uint8)
ROWS[:, 64] %= 10


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As on a CPU slot."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Run:
    """What `train` gets, with a budget of steps."""

    def __init__(self, steps: int) -> None:
        self.tokens, self.device, self._steps = torch.from_numpy(ROWS.ravel().copy()), "cpu", steps

    def steps(self) -> Iterator[float]:
        """Yield progress exactly as often as there are steps."""
        yield from (index / self._steps for index in range(self._steps))


def candidate(**changes: KnobValue) -> ModuleType:
    """The start with some knobs turned, as a module of its own."""
    turned = turn(START, changes, KNOBS)
    assert not turned.skipped
    module = ModuleType("train")
    exec(compile(turned.text, "train.py", "exec"), module.__dict__)
    return module


def ends(knob: Knob) -> tuple[KnobValue, ...]:
    """Return the values that a knob can take at its ends."""
    return tuple(knob.choices) if knob.choices else (knob.low, knob.high)


def trained(**changes: KnobValue) -> torch.nn.Module:
    """Train two steps."""
    module = candidate(**changes)
    model: torch.nn.Module = module.build_model()
    module.train(model, Run(2))
    return model.eval()


def test_the_start_keeps_to_the_cap_and_is_far_from_small() -> None:
    """Just below the constraint of task.toml, with one layer holding nearly all of it."""
    state = candidate().build_model().state_dict()
    count = sum(tensor.numel() for tensor in state.values())
    assert TASK.constraints[0].most is not None
    assert 0.8 * TASK.constraints[0].most < count <= TASK.constraints[0].most
    assert state["dense.weight"].numel() > 0.9 * count


def test_every_knob_may_stand_at_its_ends() -> None:
    """Each by itself, and twenty corners of the box: built, trained, ten finite logits a row."""
    chance = random.Random(2)
    cases: list[dict[str, KnobValue]] = [{k.name: v} for k in KNOBS for v in ends(k)]
    cases += [{k.name: chance.choice(ends(k)) for k in KNOBS} for _ in range(20)]
    images = torch.from_numpy(ROWS[:5, :64]).long()
    for changes in cases:
        model = trained(**changes)
        with torch.inference_mode():
            logits = model(images)
        assert logits.shape == (5, 10), changes
        assert logits.isfinite().all(), changes


@pytest.mark.parametrize("norm", ["none", "group", "batch"])
def test_an_answer_rests_on_its_own_image(norm: str) -> None:
    """Alone or in company, within what two answers may differ by."""
    model = trained(NORM=norm)
    images = torch.from_numpy(ROWS[:32, :64]).long()
    with torch.inference_mode():
        together = model(images).log_softmax(-1)
        alone = torch.cat([model(image[None]) for image in images]).log_softmax(-1)
    assert (together - alone).abs().max() < 1e-4


def test_edits_of_two_knobs_merge() -> None:
    """A comment line stands between any two of them."""
    lines = START.splitlines()
    places = sorted(
        next(n for n, line in enumerate(lines) if line.startswith(f"{knob.name} = "))
        for knob in KNOBS
    )
    assert all(after - before > 1 for before, after in pairwise(places))
