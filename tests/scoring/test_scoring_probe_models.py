"""Models of many kinds before the probes: the honest pass, the others are refused for the probe."""

from functools import cache

import numpy as np
import pytest
import torch
from probe_models import CHEATING, HONEST, Changed, InProcess, peek
from scoring_channels import nanolm_division
from torch import nn

from scoring.errors import InvalidAnswersError
from scoring.grader import Examination, Measured
from scoring.language_model import ByteLanguageModel

SMALL = ByteLanguageModel(blocks=64)
"""Nanolm's constants over an eighth of the text."""


@cache
def opened(constants: ByteLanguageModel) -> Examination:
    """Return the examination under one secret."""
    return constants.open(nanolm_division(), b"s")


def examined(build, constants=SMALL, split="dev", seed=1) -> Measured:
    """Examine two instances of a model."""
    chance = np.random.default_rng(seed)
    return opened(constants).examine(split, InProcess(build), InProcess(build), chance)


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_model_passes(name):
    """Whatever it is made of, at every probe of a confirmation, by a wide margin."""
    wary = ByteLanguageModel(blocks=64, tolerance_nats=1e-4)
    assert examined(HONEST[name], wary, "seal").probes == 2048 + 32
    assert examined(HONEST[name]).probes == 512 + 32


@pytest.mark.parametrize("name", CHEATING)
def test_a_cheat_is_refused(name):
    """For the probe, on the first split that is scored."""
    with pytest.raises(InvalidAnswersError) as caught:
        examined(CHEATING[name])
    assert caught.value.reason == "probe"


class Table(nn.Module):
    """A bigram table of the training text that looks ahead where its own loss is high."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        text = np.frombuffer(nanolm_division().train, dtype=np.uint8)
        pairs = np.bincount(text[:-1].astype(np.int64) * 256 + text[1:], minlength=1 << 16)
        self.table = torch.tensor(pairs.reshape(256, 256) + 0.1).float().log()
        self.threshold = threshold

    def losses(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return its loss at every byte that has a successor."""
        odds = self.table[tokens].log_softmax(-1)[:, :-1]
        return -odds.gather(-1, tokens[:, 1:, None])[..., 0]

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T) to (B, T, 256)."""
        logits = self.table[tokens]
        is_high = nn.functional.pad(self.losses(tokens) > self.threshold, (0, 1))
        return logits + peek(tokens, 30.0) * is_high[..., None]


def test_a_leak_at_the_highest_losses_is_refused():
    """At 65 of 65,024 positions, under each of five draws of the probes."""
    constants = ByteLanguageModel()
    honest = InProcess(lambda: Table(torch.inf))
    chance = np.random.default_rng(1)
    score = opened(constants).examine("dev", honest, InProcess(lambda: Table(torch.inf)), chance)
    text = torch.from_numpy(np.concatenate(honest.asked).astype(np.int64))
    threshold = Table(0).losses(text).flatten().topk(66).values[-1].item()
    for seed in range(5):
        with pytest.raises(InvalidAnswersError, match="probe"):
            examined(lambda: Table(threshold), constants, seed=seed)
    # not for being far off: without probes it would have gained half a sigma
    blind = ByteLanguageModel(dev_probes=0, edge_rows=0, tolerance_nats=1e9)
    assert score.value - examined(lambda: Table(threshold), blind).value > 0.01


def leaky(size: float):
    """Return a model that knows a little of every next byte."""
    return lambda: Changed(lambda _, x, t: x.add_(peek(t, size)))


def test_what_passes_the_tolerance_is_worth_less_than_a_tenth_of_sigma():
    """A leak small enough to pass gains below 0.002 bits; one twice the tolerance is refused."""
    honest, small = examined(HONEST["bigram"]), examined(leaky(0.9e-3))
    assert 0 < honest.value - small.value < 0.002
    with pytest.raises(InvalidAnswersError, match="probe"):
        examined(leaky(2e-3))


def test_a_small_gain_everywhere_is_refused_under_a_wide_tolerance():
    """Where single answers may lie further apart, as on a GPU, their mean may not."""
    wide = ByteLanguageModel(blocks=64, tolerance_nats=0.05)
    with pytest.raises(InvalidAnswersError, match="probe"):
        examined(leaky(0.01), wide)
    assert examined(lambda: Changed(lambda _, x, t: x.add_(peek(t, -0.01))), wide).probes
    assert examined(leaky(0.001), wide).probes
