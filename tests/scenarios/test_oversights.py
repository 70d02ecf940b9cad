"""The five known oversights are in both starts; each can be mended by knobs, and trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import torch

from benchmarks.oversights import FIXES, FIXES_GPU, SMALL, arms_of, interval, mended, table, words
from benchmarks.trained_nanolm import Steps, module
from forum.messages import KnobValue

SIZES = {
    "nanolm": {"DIM": 32, "HEADS": 2, "BATCH": 4},
    "nanolm-gpu": {"DEPTH": 2, "ASPECT": 32, "HEAD_WIDTH": 32, "BATCH": 64, "CONTEXT": 64},
}
"""Knobs at which a step takes milliseconds."""
STEPS = 4
TEXT = torch.from_numpy(np.random.default_rng(3).integers(97, 123, 4000).astype(np.uint8))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(task: str, changes: Mapping[str, KnobValue]) -> dict[str, torch.Tensor]:
    """Return the weights after a few steps, from one seed for everything."""
    source = mended(task, {**SIZES[task], **changes})
    if task == "nanolm-gpu":  # as many rows as its knobs allow are a lot for a processor
        source = source.replace("BATCH = 64\n", "BATCH = 4\n").replace(
            "VOCAB = 8192", "VOCAB = 128"
        )
    tree = module(f"small_{task.replace('-', '_')}", source)
    torch.manual_seed(1)
    model = tree.build_model()
    tree.train(model, Steps(TEXT, STEPS))
    return model.state_dict()


@pytest.mark.parametrize(("task", "fixes"), [("nanolm", FIXES), ("nanolm-gpu", FIXES_GPU)])
def test_each_of_the_five_is_in_the_start_and_mending_it_trains_otherwise(
    task: str, fixes: Mapping[str, Mapping[str, KnobValue]]
):
    """Within the knobs' ranges; the weights are finite, and others than the start's."""
    start = trained(task, {})
    arms = arms_of(fixes)
    assert len(arms) == 7
    for name, changes in arms.items():
        weights = trained(task, changes)
        assert all(tensor.isfinite().all() for tensor in weights.values()), name
        same = all(torch.equal(weights[key], start[key]) for key in start)
        assert same == (name == "start"), name


def test_a_fix_that_is_there_already_or_out_of_range_is_refused():
    """So a start that has been mended, or a knob that is gone, is noticed."""
    with pytest.raises(ValueError, match="nanolm"):
        mended("nanolm", {"QK_SCALE": 1.0})
    with pytest.raises(ValueError, match="nanolm"):
        mended("nanolm", {"QK_SCALE": 99.0})


def test_what_is_said_of_a_gain_follows_from_its_interval():
    """Three words, and a fourth where no run could show it."""
    gain, low, high = interval(np.array([0.10, 0.12, 0.08, 0.11]), 1)
    assert gain == pytest.approx(0.1025)
    assert (low, high) == pytest.approx((0.0753, 0.1297), abs=1e-4)  # t of 3: 3.182
    wide = interval(np.array([0.10, 0.12, 0.08, 0.11]), 6)
    assert wide[1] < low
    assert wide[2] > high
    assert words(0.01, 0.03, sigma=0.03) == "helps"
    assert words(-0.03, -0.01, sigma=0.03) == "harms"
    assert words(-0.01, 0.03, sigma=0.03) == "cannot be told from nothing"
    assert words(0.001, 0.9 * SMALL, sigma=1.0) == "helps, less than a run could show"
    scores = {name: [3.0, 3.1, 3.05] for name in arms_of(FIXES)}
    scores["all five"] = [2.9, 3.0, 2.95]
    page = table(scores, 10)
    assert "| all five |  | 2.9500 | +0.1000 | +0.1000 to +0.1000 | helps |" in page
    assert page.count("cannot be told") == 5
