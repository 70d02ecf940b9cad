"""NK landscapes as a task: start, truth, noise, crashes, devices, and the exact optimum."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from agents.knobs import load_knobs, turn
from community.landscapes.nk import genotypes_of
from community.modelled.bits import PATH, bits_text, read_bits
from community.modelled.nk_model import NkModel, crashes
from community.modelled.parameters import DeviceSection, NkSection


def model_of(seed: int = 1, **changes: object) -> NkModel:
    """Return a small landscape."""
    return NkModel(NkSection.model_validate({"model": "nk", "n": 8, "k": 3, **changes}), seed)


def tree_of(bits: np.ndarray) -> dict[str, bytes]:
    """Return the tree of a solution."""
    return {PATH: bits_text(bits).encode()}


def test_knobs_turn_bits_and_the_model_reads_them() -> None:
    """What a mind turns is what the landscape is asked for."""
    model = model_of(transform="raw")
    start = model.start()[PATH].decode()
    knobs = load_knobs(model.knobs_toml(), start)
    assert len(knobs) == 8
    turned = turn(start, {"BIT_02": 1, "BIT_07": 1}, knobs)
    assert turned.applied == {"BIT_02": 1, "BIT_07": 1}
    bits = np.array([0, 0, 1, 0, 0, 0, 0, 1], np.uint8)
    expected = model.landscape.fitness(bits[None, :])[0]
    assert model.truth({PATH: turned.text.encode()}) == pytest.approx(expected, abs=0)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        bits_text(np.zeros(7, np.uint8)).encode(),
        bits_text(np.zeros(8, np.uint8)).replace("BIT_03 = 0", "BIT_03 = 2").encode(),
        bits_text(np.zeros(8, np.uint8)).replace("BIT_03 = 0", "BIT_03 = True").encode(),
        bits_text(np.zeros(8, np.uint8)).replace("BIT_03 = 0", "BIT_03 = 1.0").encode(),
        bits_text(np.zeros(8, np.uint8)).replace("BIT_03 = 0", "BIT_03 = f()").encode(),
    ],
)
def test_what_is_no_solution_does_not_run(text: bytes) -> None:
    """It takes part of its time, and ends as a crash."""
    model = model_of(duration_s=100.0)
    told = model.run({PATH: text}, seed=3, split="dev", device="device-1")
    assert (told.outcome, told.reason, told.score) == ("invalid", "crash", None)
    assert 0 < told.train_s < 100
    assert model.truth({PATH: text}) is None


def test_the_optimum_is_that_of_all_that_run() -> None:
    """Every solution is listed, those that crash are left out, and the start never crashes."""
    for seed in range(20):
        model = model_of(seed, crash=0.5, transform="share_of_max")
        worths = [model.truth(tree_of(bits)) for bits in genotypes_of(np.arange(256), 8)]
        assert worths[0] is not None
        valid = [worth for worth in worths if worth is not None]
        assert model.best() == pytest.approx(max(valid), abs=0)
        assert 80 < len(valid) < 180


def test_share_of_crashes_is_as_asked_and_the_same_whoever_asks() -> None:
    """Drawn for each solution once, on every machine alike."""
    solutions = genotypes_of(np.arange(2**14), 14)
    found = crashes(solutions, 0.1, 5)
    assert found.mean() == pytest.approx(0.1, abs=0.01)
    assert np.array_equal(found[100:200], crashes(solutions[100:200], 0.1, 5))
    assert not np.array_equal(found, crashes(solutions, 0.1, 6))


def test_noise_belongs_to_the_measurement() -> None:
    """One seed and split give one score; over seeds scores spread as asked around the truth."""
    model = model_of(noise=0.02)
    tree = model.start()

    def score(seed: int, split: str = "dev") -> float:
        told = model.run(tree, seed=seed, split=split, device="device-1")
        assert told.score is not None
        return told.score

    assert score(7) == score(7) != score(7, "vault")
    scores = [score(seed) for seed in range(2000)]
    assert statistics.stdev(scores) == pytest.approx(0.02, rel=0.06)
    assert statistics.fmean(scores) == pytest.approx(model.truth(tree), abs=0.002)


def test_devices_differ_in_speed_and_in_what_they_add() -> None:
    """A fast device is done sooner; in a fixed time it adds to the score. Others do not know it."""
    fast = DeviceSection(name="fast", count=2, speed=2.0, gain=0.1)
    model = model_of(duration_s=100.0, devices=(fast, DeviceSection(name="slow", count=1)))
    on = {
        name: model.run(model.start(), seed=1, split="dev", device=name)
        for name in ("fast-2", "slow-1")
    }
    assert (on["fast-2"].train_s, on["slow-1"].train_s) == (50.0, 100.0)
    assert on["fast-2"].score == pytest.approx((on["slow-1"].score or 0) + 0.1)


def test_bits_of_every_solution_come_back_from_its_text() -> None:
    """Text and bits are one to one."""
    for bits in genotypes_of(np.arange(256), 8):
        assert np.array_equal(read_bits(bits_text(bits).encode(), 8), bits)
