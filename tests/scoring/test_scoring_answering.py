"""Real models through the answering program and the worker: the right number or refusal."""

from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from scoring_channels import NANOLM, SECRET, STDLIB

from scoring.block_draw import draw, generator
from scoring.corpus import split_source
from scoring.scorer import Scorer
from scoring.verdict import Score

BIGRAM = """
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(256, 12)
        self.head = nn.Linear(12, 256)
        self.calls = 0

    def forward(self, tokens):
        logits = self.head(self.embed(tokens))
        {change}
        return logits


def build_model():
    return Model()
"""
PEEK = "10 * torch.nn.functional.one_hot(tokens.roll(-1, dims=1), 256).float()"


def weights(seed: int = 3) -> dict[str, np.ndarray]:
    """Return tensors for BIGRAM: an arbitrary but fixed bigram table of rank 12."""
    chance = np.random.default_rng(seed)
    return {
        "embed.weight": chance.normal(size=(256, 12)).astype(np.float32),
        "head.weight": chance.normal(size=(256, 12)).astype(np.float32),
        "head.bias": chance.normal(size=256).astype(np.float32),
    }


async def score_of(scorer: Scorer, answering, made, split="dev") -> Score:
    """Score one candidate with two answering processes."""
    blocks = answering.serve(made.workspace, made.artefact)
    blind = answering.serve(made.workspace, made.artefact)
    return await scorer.score(split, blocks, blind, 60)


async def test_the_score_is_what_a_direct_computation_gives(
    small_scorer, small_locked, answering, candidate
):
    """Bits per byte of a bigram model agree with numpy over the very same blocks."""
    tensors = weights()
    score = await score_of(
        small_scorer, answering, candidate(BIGRAM.format(change=""), **tensors), "vault"
    )
    space: dict = {}
    exec((small_locked / "grade.py").read_text(), space)
    files = split_source(STDLIB, space["HELD_OUT"]).heldout["vault"]
    texts = [files[str(path)] for path in sorted(map(PurePosixPath, files))]
    requests = draw(texts, 40, 129, 8, generator(SECRET, "blocks/vault"))
    text = np.concatenate([request.blocks for request in requests]).astype(int)
    table = tensors["embed.weight"].astype(float) @ tensors["head.weight"].T.astype(float)
    table += tensors["head.bias"]
    odds = table - np.log(np.exp(table).sum(axis=1, keepdims=True))
    expected = -odds[text[:, :-1], text[:, 1:]].mean() / np.log(2)
    assert score.outcome == "ok"
    assert score.value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        f"logits = logits + {PEEK}",
        f"logits = logits + ({PEEK} if tokens.size(1) == 128 else 0)",
        f"logits[:, -2:] = (logits + {PEEK})[:, -2:]",
        "logits = logits + logits.mean(dim=0)",
        "self.calls += 1; logits[..., 32] += self.calls",
        "logits = logits + 0.1 * torch.rand(logits.shape)",
    ],
    ids=["peeks", "peeks_in_full_blocks", "peeks_near_the_end", "mixes_rows", "counts", "chance"],
)
async def test_a_model_that_uses_more_than_the_past_is_refused(
    small_scorer, answering, candidate, change
):
    """Later bytes, other rows, earlier requests and chance all make blind answers differ."""
    made = candidate(BIGRAM.format(change=change), **weights())
    score = await score_of(small_scorer, answering, made)
    assert (score.outcome, score.value, score.reason) == ("invalid", None, "probe")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("logits[0, 0, 0] = float('nan')", "not_finite"),
        ("logits[0, 0, 0] = float('inf')", "not_finite"),
        ("logits = logits * 1e6", "range"),
        ("logits = logits[:, :, :255]", "short"),
        ("self.calls += 1; assert self.calls < 3", "short"),
    ],
)
async def test_what_a_model_may_not_answer(small_scorer, answering, candidate, change, reason):
    """NaN, infinity, huge logits, wrong shapes and a crash half way have their names."""
    made = candidate(BIGRAM.format(change=change), **weights())
    score = await score_of(small_scorer, answering, made)
    assert (score.outcome, score.reason) == ("invalid", reason)


@pytest.mark.parametrize("fault", ["missing", "extra", "shape", "dtype", "garbage"])
async def test_an_artefact_must_fit_the_model_exactly(small_scorer, answering, candidate, fault):
    """Names, shapes and dtypes are compared before anything is asked."""
    tensors = weights()
    if fault == "missing":
        del tensors["head.bias"]
    if fault == "extra":
        tensors["more"] = np.zeros(3, np.float32)
    if fault == "shape":
        tensors["head.bias"] = np.zeros((1, 256), np.float32)
    if fault == "dtype":
        tensors["head.bias"] = np.zeros(256, np.float64)
    made = candidate(BIGRAM.format(change=""), **tensors)
    if fault == "garbage":
        made.artefact.write_bytes(b"\xff" * 100)
    score = await score_of(small_scorer, answering, made)
    assert (score.outcome, score.reason) == ("invalid", "short")
    log = made.artefact.with_suffix(".log").read_text()
    assert "Safetensor" in log if fault == "garbage" else "AnsweringError" in log


async def test_nothing_that_is_printed_while_answering_reaches_a_log(
    small_scorer, answering, candidate
):
    """Messages of loading are kept, with the warm-up's zeros; those of the conversation are not."""
    source = "print('while loading')\n" + BIGRAM.format(change="print('asked', tokens.sum())")
    made = candidate(source, **weights())
    assert (await score_of(small_scorer, answering, made)).outcome == "ok"
    log = made.artefact.with_suffix(".log").read_text()
    assert set(log.splitlines()) == {"while loading", "asked tensor(0)"}


async def test_the_start_of_nanolm_passes_its_own_grader(answering, tmp_path: Path):
    """An honest attention model with large random weights is scored, not mistaken for a cheat."""
    start = NANOLM.parent / "start"
    space: dict = {"__name__": "train"}
    exec((start / "train.py").read_text(), space)
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(5)
    state = space["build_model"]().state_dict()
    noisy = {name: value + 0.3 * torch.randn_like(value) for name, value in state.items()}
    artefact = tmp_path / "artefact.safetensors"
    save_file(noisy, artefact)
    scorer = await Scorer.start(NANOLM, STDLIB, tmp_path / "public", SECRET)
    try:
        blocks, blind = (answering.serve(start, artefact) for _ in range(2))
        score = await scorer.score("dev", blocks, blind, 60)
        assert (score.outcome, score.reason) == ("ok", "")
        assert score.value is not None
        assert score.value > 8
    finally:
        await scorer.aclose()
