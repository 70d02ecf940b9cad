"""The start of `nanolm`: a model the scorer accepts, and knobs that may be turned anyhow."""

from __future__ import annotations

import argparse
import math
import random
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pygit2
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F

from agents.knobs import Knob, load_knobs, turn
from forum.messages import KnobValue
from trainer.task import load_task

TASK = load_task(Path(__file__).parents[2] / "scenarios" / "tasks" / "nanolm")
START = TASK.start["train.py"].decode()
KNOBS = load_knobs(TASK.knobs_toml or "", START)
TOKENS = torch.frombuffer(bytearray(Path(argparse.__file__).read_bytes()), dtype=torch.uint8)
"""Some Python source to train on."""
LONGEST = TASK.block - 1
SMALL: dict[str, KnobValue] = {"DIM": 32, "DEPTH": 4, "HEADS": 2, "BATCH": 2, "CONTEXT": 32}
"""Trains a step in milliseconds; four blocks, so that the pattern holds a long one."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As on a CPU slot; two threads on busy processors take many times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Run:
    """What `train` gets, with a budget of steps."""

    def __init__(self, steps: int) -> None:
        self.tokens, self.seed, self.device, self._steps = TOKENS, 1, "cpu", steps

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


def trained(steps: int, **changes: KnobValue) -> torch.nn.Module:
    """A model after `steps` steps of seed 1, in evaluation mode."""
    module = candidate(**changes)
    torch.manual_seed(1)
    model = module.build_model()
    if steps:
        module.train(model, Run(steps))
    return model.eval()


@torch.no_grad()
def stirred(**changes: KnobValue) -> torch.nn.Module:
    """A model with every parameter random, so that no path through it is silent."""
    model = trained(0, **changes)
    for parameter in model.parameters():
        parameter.normal_(std=0.3)
    return model


def rows(count: int, time: int = LONGEST) -> torch.Tensor:
    """Random bytes, int64, shape (count, time)."""
    return torch.randint(256, (count, time), generator=torch.Generator().manual_seed(5))


@torch.no_grad()
def surprisals(model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of all next bytes, shape (rows, time, vocab)."""
    return model(tokens).double().log_softmax(-1)


def extremes(knob: Knob) -> tuple[KnobValue, ...]:
    """Its lowest and highest value, or all of its choices."""
    if not knob.is_number:
        return knob.options
    assert knob.low is not None
    assert knob.high is not None
    as_kind = int if knob.kind == "int" else float
    return as_kind(knob.low), as_kind(knob.high)


def require_sound(model: torch.nn.Module) -> None:
    """Fail unless the model answers finite logits of the right shape and its artefact fits."""
    with torch.no_grad():
        logits = model(rows(2))
    assert logits.shape == (2, LONGEST, TASK.vocab)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert len(safetensors.torch.save(state)) <= TASK.artefact_bytes


VARIANTS: tuple[dict[str, KnobValue], ...] = (
    {},
    {"PATTERN": "SL", "CONTEXT": 16, "WINDOW": 128},
    {"PATTERN": "L", "DIM": 33, "HEADS": 5},
    {"PATTERN": "SSL", "WINDOW": 17, "DEPTH": 1, "LOGIT_CAP": 0.0},
)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_last_answer_to_a_prefix_is_the_answer_within_the_block(
    changes: dict[str, KnobValue],
) -> None:
    """The scorer's probe: a prefix of any length gets the same last answer as inside a block."""
    model = stirred(**changes)
    tokens = rows(2)
    whole = surprisals(model, tokens)
    for time in range(1, LONGEST + 1):
        alone = surprisals(model, tokens[:, :time])[:, -1]
        assert (alone - whole[:, time - 1]).abs().max() < 1e-4, time


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_later_bytes_and_other_rows_change_nothing(changes: dict[str, KnobValue]) -> None:
    """No answer moves when the text after it, or another row, is replaced."""
    model = stirred(**changes)
    tokens = rows(4)
    before = surprisals(model, tokens)
    tokens[1, 60:] = rows(9)[8, 60:]
    tokens[3] = rows(9)[7]
    after = surprisals(model, tokens)
    assert (after[:3, :60] - before[:3, :60]).abs().max() < 1e-4
    assert (after[[0, 2]] - before[[0, 2]]).abs().max() < 1e-4
    assert (after[1, 60:] - before[1, 60:]).abs().max() > 0.1


def test_every_earlier_byte_counts_in_a_long_block() -> None:
    """With every block long, the last answer depends on the very first byte."""
    model = stirred(PATTERN="L")
    tokens = rows(1)
    before = surprisals(model, tokens)[:, -1]
    tokens[0, 0] += 1
    assert (surprisals(model, tokens)[:, -1] - before).abs().max() > 1e-6


def test_a_short_block_looks_back_on_its_window_only() -> None:
    """One block of window 4 answers from the last four bytes, and from the fourth too."""
    model = stirred(PATTERN="S", DEPTH=1, WINDOW=4)
    tokens = rows(1, 20)
    before = surprisals(model, tokens)[0, -1]
    tokens[0, :16] = rows(2, 20)[1, :16]
    assert (surprisals(model, tokens)[0, -1] - before).abs().max() < 1e-6
    tokens[0, 16] = (tokens[0, 16] + 1) % 256
    assert (surprisals(model, tokens)[0, -1] - before).abs().max() > 1e-4


def test_batch_size_changes_no_answer() -> None:
    """A row is answered alike alone and among 64."""
    model = stirred()
    tokens = rows(64)
    alone = torch.cat([surprisals(model, row[None]) for row in tokens[:8]])
    assert (surprisals(model, tokens)[:8] - alone).abs().max() < 1e-4


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_thirty_steps_learn(optimizer: str, capsys: pytest.CaptureFixture[str]) -> None:
    """From eight bits per byte to well below six, in ten to a dozen printed lines."""
    changes: dict[str, KnobValue] = {"BATCH": 4, "CONTEXT": 64, "OPTIMIZER": optimizer}
    text = TOKENS[: 40 * TASK.block].view(40, TASK.block).long()

    def bits(steps: int) -> float:
        answers = surprisals(trained(steps, **changes), text[:, :-1])
        return F.nll_loss(answers.flatten(0, 1), text[:, 1:].flatten()).item() / math.log(2)

    assert bits(0) == pytest.approx(8, abs=0.05)
    assert bits(30) < 5.5
    assert len(capsys.readouterr().out.splitlines()) <= 12


def test_one_seed_gives_one_model() -> None:
    """Two runs of a fixed number of steps agree bit for bit."""
    one, other = (trained(4, **SMALL).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.name)
def test_every_extreme_of_a_knob_trains_and_fits(knob: Knob) -> None:
    """A single turn to either end, or to any choice, runs and stays under the cap."""
    for value in extremes(knob):
        require_sound(trained(1, **{knob.name: value}))


def test_random_corners_train_and_fit() -> None:
    """Whole settings drawn from the ends of the ranges run as well; so does the largest."""
    chance = random.Random(3)
    for _ in range(8):
        require_sound(trained(1, **{knob.name: chance.choice(extremes(knob)) for knob in KNOBS}))
    largest = {name: extremes(knob)[-1] for knob in KNOBS if (name := knob.name) != "HEADS"}
    for heads in (1, 7, 8):
        require_sound(trained(0, **largest, HEADS=heads))


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.name)
def test_no_knob_is_dead(knob: Knob) -> None:
    """A turn of any knob leads to another model."""
    module = candidate(**SMALL)
    here = module.__dict__[knob.name]
    others = [value for value in extremes(knob) if value != here]
    # A limit above every gradient acts no more than none does: tighten this one.
    value = 0.3 if knob.name == "GRAD_CLIP" else others[0]
    usual = surprisals(trained(5, **SMALL), rows(2))
    turned = surprisals(trained(5, **(SMALL | {knob.name: value})), rows(2))
    assert not torch.equal(usual, turned)


def test_about_two_dozen_knobs_stand_apart_with_a_comment_between() -> None:
    """Each knob is one line `NAME = literal`, with a comment line above it."""
    lines = START.splitlines()
    named = [line.split(" = ")[0] for line in lines]
    places = [named.index(name) for name in tomllib.loads(TASK.knobs_toml or "")]
    assert 18 <= len(places) <= 28
    assert len(places) == len(KNOBS)
    assert all(lines[place - 1].startswith("# ") for place in places)
    assert all(later - earlier >= 2 for earlier, later in pairwise(sorted(places)))


def test_edits_of_neighbouring_knobs_merge(tmp_path: Path) -> None:
    """Git joins a turn of one knob and a turn of the next without a conflict."""
    repository = pygit2.init_repository(tmp_path, bare=True)

    def tree(text: str) -> pygit2.Oid:
        builder = repository.TreeBuilder()
        builder.insert(
            "train.py", repository.create_blob(text.encode()), pygit2.enums.FileMode.BLOB
        )
        return builder.write()

    def other(knob: Knob) -> KnobValue:
        return next(value for value in extremes(knob) if value != knob.start)

    for one, two in pairwise(KNOBS):
        first, second = {one.name: other(one)}, {two.name: other(two)}
        ours, theirs = (tree(turn(START, change, KNOBS).text) for change in (first, second))
        index = repository.merge_trees(tree(START), ours, theirs)
        assert index.conflicts is None, (one.name, two.name)
        merged = repository[index["train.py"].id].data.decode()
        assert merged == turn(START, first | second, KNOBS).text


def test_the_start_is_short_enough_to_read() -> None:
    """Three hundred lines at most, and a tree that leaves room for ideas."""
    assert len(START.splitlines()) <= 300
    assert len(START.encode()) <= TASK.tree_bytes // 2
