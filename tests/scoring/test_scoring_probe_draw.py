"""The positions that are asked blindly: how many, which, and what a rare leak risks."""

import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from scoring_channels import NANOLM, STDLIB, nanolm_division

from scoring.block_draw import draw, generator
from scoring.ngram import NgramModel
from scoring.probe_draw import deal, detection, draw_positions

EDGES = (1, 2, 3, 63, 64, 65, 127, 128)


def chance(seed: int = 1) -> np.random.Generator:
    """Return a generator."""
    return np.random.default_rng(seed)


def uneven(rows: int = 100, seed: int = 1) -> np.ndarray:
    """Return surprises as skewed as real ones."""
    return chance(seed).exponential(2.5, size=(rows, 128))


@cache
def drawn_text(split: str) -> np.ndarray:
    """Return the blocks that a run of nanolm asks."""
    files = nanolm_division().heldout[split]
    requests = draw(list(files.values()), 508, 129, 8, generator(b"s", f"blocks/{split}"))
    return np.concatenate([request.blocks for request in requests])


@cache
def counted(order: int) -> NgramModel:
    """Return a model of the training text."""
    return NgramModel(nanolm_division().train, order)


@cache
def loss(split: str, order: int) -> np.ndarray:
    """Return the loss of an n-gram model on them; 5 bytes score as well as a trained nanolm."""
    return counted(order).surprise(drawn_text(split))


def highest(losses: np.ndarray, fraction: float) -> np.ndarray:
    """Mark that share of all positions where the loss is highest."""
    leaks = np.zeros(losses.shape, dtype=bool)
    leaks.flat[np.argsort(losses, axis=None)[-round(fraction * losses.size) :]] = True
    return leaks


@pytest.mark.parametrize("count", [64, 512, 2048])
def test_the_draw_has_exactly_the_count_and_the_edges(count):
    """All positions differ; every length is asked about alike in the uniform half."""
    drawn = draw_positions(uneven(), count, EDGES, 4, chance())
    assert drawn.sum() == count + 4 * len(EDGES)
    of_each = drawn.sum(axis=0)
    assert of_each.min() >= count // 2 // 128
    assert of_each[[edge - 1 for edge in EDGES]].min() >= 4


def test_a_draw_of_more_than_there_is_takes_everything():
    """And ends."""
    assert draw_positions(uneven(rows=3), 5000, EDGES, 4, chance()).all()
    assert draw_positions(np.zeros((3, 128)), 384, (500,), 4, chance()).all()


def test_half_of_the_draw_follows_the_squared_surprise():
    """A tenth of the positions, three times as surprising as the rest, gets half of that half."""
    surprise = np.ones((500, 128))
    surprise[:50] = 3.0
    loud = np.mean([draw_positions(surprise, 512, (), 0, chance(i))[:50].sum() for i in range(40)])
    assert loud == pytest.approx(256 * 0.1 + 256 * 0.5, abs=6)


def test_draws_depend_on_chance_alone():
    """The same generator draws the same, another one something else."""
    one, again, other = (draw_positions(uneven(), 512, EDGES, 4, chance(i)) for i in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_requests_ascend_and_mix_files():
    """Each drawn position once, at most eight rows of a request, no two of one file."""
    files = np.repeat(np.arange(17), [140, 90, 60, *[15] * 14])
    drawn = draw_positions(uneven(len(files)), 2048, EDGES, 4, chance())
    requests = deal(drawn, files, 8, chance(2))
    lengths = [request.length for request in requests]
    assert lengths == sorted(lengths)
    again = np.zeros_like(drawn)
    for request in requests:
        assert 1 <= len(request.rows) <= 8
        assert len(set(files[request.rows])) == len(request.rows)
        assert not again[request.rows, request.length - 1].any()
        again[request.rows, request.length - 1] = True
    assert (again == drawn).all()
    in_order = [list(request.rows) == sorted(request.rows) for request in requests]
    assert not all(in_order)


@pytest.mark.parametrize("split", ["dev", "vault", "seal"])
@pytest.mark.parametrize("order", [2, 3, 5])
def test_a_leak_at_one_position_in_a_thousand_is_met(split, order):
    """The stated power, at the count of dev: whoever's loss decides where the leak is worth it."""
    leaks = highest(loss(split, order), 0.001)
    assert leaks.sum() == 65
    assert detection(leaks, loss(split, 3), 512) >= 0.95


def test_detection_grows_with_the_leak():
    """The curve, for the losses of a 5-gram model: from one position to one in a hundred."""
    losses = loss("dev", 5)
    fractions = (1 / losses.size, 0.0001, 0.0003, 0.0005, 0.001, 0.002, 0.01)
    curve = [detection(highest(losses, f), loss("dev", 3), 512) for f in fractions]
    assert curve == sorted(curve)
    assert curve[0] < 0.5
    assert curve[3] >= 0.95
    assert curve[-1] > 1 - 1e-9
    more = [detection(highest(losses, f), loss("dev", 3), 2048) for f in fractions]
    assert all(many >= few for many, few in zip(more, curve, strict=True))
    assert more[2] >= 0.99


def test_a_leak_at_one_length_is_always_met():
    """Every length is asked about, so at a length that leaks there is no luck."""
    leaks = np.zeros((508, 128), dtype=bool)
    leaks[:, 77] = True
    assert detection(leaks, np.ones(leaks.shape), 512) == 1.0
    assert (draw_positions(uneven(508), 512, (), 0, chance(3)) & leaks).any()


@pytest.mark.parametrize("where", ["anywhere", "one column", "high surprise"])
def test_the_formula_agrees_with_drawing(where):
    """In a thousand draws leaks are met as often as it says, within four standard errors."""
    surprise = uneven(seed=5)
    leaks = highest(surprise, 0.0002) if where == "high surprise" else np.zeros_like(surprise, bool)
    if where == "anywhere":
        leaks.flat[chance(8).permutation(leaks.size)[:40]] = True
    if where == "one column":
        leaks[:40, 7] = True
    count = 256
    stated = detection(leaks, surprise, count)
    assert 0.2 < stated < 0.95
    seen = np.mean(
        [(draw_positions(surprise, count, (), 0, chance(i)) & leaks).any() for i in range(1000)]
    )
    error = np.sqrt(stated * (1 - stated) / 1000)
    assert stated - 4 * error < seen < stated + 4 * error + 0.02


def test_the_reference_agrees_with_counting_by_hand():
    """Witten-Bell trigram over a text that fits on a line."""
    train = b"abracadabra"

    def p(context: bytes, byte: int) -> float:
        after = [
            train[i + len(context)] for i in range(len(train) - 2) if train[i:].startswith(context)
        ]
        shorter = p(context[1:], byte) if context else 1 / 256
        kinds = len(set(after))
        return (after.count(byte) + kinds * shorter) / (len(after) + kinds) if after else shorter

    text = np.frombuffer(b"abrazab", dtype=np.uint8)[None]
    found = NgramModel(train).surprise(text)[0]
    expected = [
        -np.log2(p(bytes(text[0][max(0, i - 2) : i]), int(text[0][i]))) for i in range(1, 7)
    ]
    assert found == pytest.approx(expected)


def test_the_reference_is_a_distribution():
    """Over all bytes it sums to one, after contexts seen and unseen; untaught it is uniform."""
    for train in (b"the cat sat on the mat" * 9, b"", b"a"):
        model = NgramModel(train, order=4)
        for context in (b"the", b"xyz", b"at "):
            blocks = np.array([[*context, byte] for byte in range(256)], dtype=np.uint8)
            assert np.exp2(-model.surprise(blocks)[:, -1]).sum() == pytest.approx(1)
    assert (NgramModel(b"").surprise(drawn_text("dev")) == 8).all()


MEASURE = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from pathlib import Path

def answers(requests):
    for tokens in requests:
        yield np.zeros((*tokens.shape, 256), np.float32)

class Uniform:
    answers = staticmethod(answers)

def peak_mib():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024

task = runpy.run_path(sys.argv[2])
examination = task["GRADER"].open(task["prepare"](Path(sys.argv[3])), b"s")
opening = peak_mib()
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = peak_mib()
measured = examination.examine("seal", Uniform, Uniform, np.random.default_rng(1))
assert measured.positions == 508 * 128, measured
assert measured.probes == 2048 + 32, measured
print(opening, before, peak_mib())
"""


def test_a_confirmation_takes_little_memory():
    """Dividing, counting, scoring and probing 2,048 positions stay under 256 MiB in total."""
    command = [
        sys.executable,
        "-I",
        "-c",
        MEASURE,
        str(NANOLM.parents[3]),
        str(NANOLM / "grade.py"),
    ]
    done = subprocess.run(
        [*command, str(STDLIB)], capture_output=True, text=True, timeout=120, check=True
    )
    opening, before, peak = map(int, done.stdout.split())
    assert max(opening, peak) < 256
    assert peak - before < 64
