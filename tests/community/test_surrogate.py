"""Surrogates learn a known landscape from ledgers, say how well, and answer from a file alone."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from surrogate_world import (
    KNOBS_TOML,
    PATH,
    SIGMA,
    START,
    VAULT,
    anywhere,
    knobs,
    tree,
    trees,
    truth,
    write_run,
)

from community.errors import ModelFileError, ModelFitError
from community.modelled.surrogate.fit import fit
from community.modelled.surrogate.ledgers import read_evidence
from community.modelled.surrogate.model_file import FILE_BYTES, ModelFile, dump, load, write
from community.modelled.surrogate.space import Space
from community.modelled.surrogate.task import Choices, Surrogate

ROOT = Path(__file__).resolve().parents[2]


@cache
def learn(places: tuple[Path, ...], kind: str = "best") -> ModelFile:
    """Fit a model."""
    return fit(read_evidence(places, trees()), Space(knobs()), folds=2, kind=kind)


def opened(file: Path, **choices: Any) -> Surrogate:
    """Open a model as a task."""
    return Surrogate(load(file), START, KNOBS_TOML, PATH, Choices(**choices))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Return two runs on the known landscape."""
    folder = tmp_path_factory.mktemp("runs")
    return write_run(folder, 1), write_run(folder, 2)


@pytest.fixture(scope="module")
def model(places: tuple[Path, ...]) -> ModelFile:
    """Return what is learnt from them."""
    return learn(places)


@pytest.fixture(scope="module")
def file(model: ModelFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the model's file."""
    path = tmp_path_factory.mktemp("models") / "model.json"
    write(model, path)
    return path


def check(model: ModelFile, part: str, measure: str) -> float:
    """Return one number of a model's checks."""
    return next(c.model for c in model.checks if c.part == part and c.measure == measure)


def test_a_known_landscape_is_recovered(model: ModelFile, file: Path) -> None:
    """Where nothing was measured, nearly to the noise of one run; and the file says so."""
    rng, surrogate = Random(9), opened(file)
    settings = [anywhere(rng) for _ in range(200)]
    off = np.array([surrogate.truth(tree(**each)) - truth(each) for each in settings])  # type: ignore[operator]
    spread = np.std([truth(each) for each in settings])
    assert np.sqrt(np.mean(off**2)) < 1.2 * SIGMA < 0.15 * spread
    kind = model.score.regression.kind
    said = check(model, f"score, {kind}", "RMSE")
    assert SIGMA * 0.9 < said < 2 * SIGMA
    assert 0.75 < check(model, "score, calibration", "share within its 90 %") <= 1
    assert model.noise.sigma == pytest.approx(SIGMA, rel=0.35)
    assert model.offsets["vault"].mean == pytest.approx(VAULT, abs=0.015)
    assert model.offsets["dev"].mean == 0


def test_what_was_taken_back_or_rewritten_teaches_nothing(model: ModelFile) -> None:
    """Absurd scores of a voided verdict and of other code are left out, and counted."""
    assert model.made_from.left_out == {"taken back": 2, "more than knobs, or knobs not told": 2}
    assert model.made_from.runs == 2
    assert model.score.floor > 2


def test_durations_and_crashes_follow_the_knobs(model: ModelFile, file: Path) -> None:
    """Deep trees take longer, fast ones crash, with the reason on record."""
    surrogate = opened(file)

    def runs(**changes: Any) -> list[Any]:
        files = tree(**changes)
        return [surrogate.run(files, seed=s, split="dev", device="cpu0") for s in range(300)]

    deep = np.mean([run.train_s for run in runs(DEPTH=9, RATE=0.01)])
    flat = np.mean([run.train_s for run in runs(DEPTH=2, RATE=0.01)])
    assert (deep, flat) == (pytest.approx(9, rel=0.12), pytest.approx(2, rel=0.12))
    fast, slow = runs(RATE=0.95), runs(RATE=0.005)
    crashed = [run for run in fast if run.outcome == "invalid"]
    assert len(crashed) > 60 > 20 > sum(run.outcome == "invalid" for run in slow)
    assert {run.reason for run in crashed} == {"memory"}
    assert all(run.score is None and run.score_s == 0 for run in crashed)
    whole = np.mean([run.train_s for run in fast if run.outcome == "ok"])
    assert np.mean([run.train_s for run in crashed]) == pytest.approx(whole / 4, rel=0.2)
    log_loss = next(c for c in model.checks if c.measure == "log loss")
    assert log_loss.mean is not None
    assert log_loss.model < log_loss.mean


def test_one_seed_gives_one_answer(file: Path) -> None:
    """Answers follow from tree, seed and split; noise and offset are what was learnt."""
    first, second, files = opened(file), opened(file), tree(DEPTH=3)
    runs = [first.run(files, seed=s, split="dev", device="a") for s in range(400)]
    assert runs == [second.run(files, seed=s, split="dev", device="b") for s in range(400)]
    elsewhere = [second.run(files, seed=s, split="seal", device="a") for s in range(400)]
    assert [run.train_s for run in elsewhere] == [run.train_s for run in runs]
    scores = [run.score for run in runs if run.score is not None]
    expected = first.truth(files)
    assert np.mean(scores) == pytest.approx(expected, abs=5 * SIGMA / 20)
    assert np.std(scores) == pytest.approx(SIGMA, rel=0.45)
    on_vault = [first.run(files, seed=s, split="vault", device="a").score for s in range(400)]
    mean = np.mean([score for score in on_vault if score is not None])
    assert mean - np.mean(scores) == pytest.approx(VAULT, abs=0.02)


def test_a_scenario_may_choose_noise_duration_and_crashes(file: Path) -> None:
    """What is chosen holds the same everywhere."""
    surrogate = opened(file, noise=0.0, duration_s=300.0, crash=0.0)
    runs = [surrogate.run(START, seed=s, split="dev", device="a") for s in range(200)]
    assert {run.score for run in runs} == {surrogate.truth(START)}
    assert np.median([run.train_s for run in runs]) == pytest.approx(300, rel=0.1)
    always = opened(file, crash=1.0)
    assert always.run(tree(DEPTH=4), seed=1, split="dev", device="a").outcome == "invalid"
    assert always.run(START, seed=1, split="dev", device="a").outcome == "ok"


def test_other_code_is_not_given_a_score(file: Path) -> None:
    """Nothing is known of a tree that differs in more than knobs, or of a knob out of its range."""
    surrogate = opened(file)
    commented = {PATH: START[PATH] + b"# a comment\n"}
    assert surrogate.truth(commented) == surrogate.truth(START)
    strange = (
        {PATH: START[PATH] + b"import os\n"},
        {PATH: START[PATH].replace(b"0.1", b"7.0")},
        {PATH: START[PATH].replace(b"DEPTH = 5", b"DEPTH = 2 + 3")},
        {PATH: b"\xff("},
        {},
        {**START, "more.py": b""},
    )
    for files in strange:
        run = surrogate.run(files, seed=1, split="dev", device="a")
        assert (run.outcome, run.score, surrogate.truth(files)) == ("invalid", None, None)


def test_the_order_of_runs_changes_nothing(places: tuple[Path, ...], model: ModelFile) -> None:
    """The same ledgers give the same file to the byte, and a run given twice counts once."""
    assert dump(learn(places[::-1])) == dump(model)
    twice = read_evidence([*places, places[0]], trees())
    assert twice.measured == read_evidence(places, trees()).measured


@pytest.mark.parametrize("kind", ["ridge", "boosted", "process"])
def test_each_kind_comes_back_from_its_file(
    kind: str, places: tuple[Path, ...], tmp_path: Path
) -> None:
    """With the same predictions, which are bounded however absurd the weights."""
    model, path = learn(places, kind), tmp_path / "model.json"
    write(model, path)
    assert model.score.regression.kind == kind
    assert dump(load(path)) == dump(model)
    expected = opened(path).truth(START)
    assert expected == pytest.approx(truth({k.name: k.start for k in knobs()}), abs=5 * SIGMA)
    raw = json.loads(path.read_text())
    raw["score"]["regression"] = {"kind": "constant", "value": 1e11}
    path.write_text(json.dumps(raw))
    assert opened(path).truth(START) == pytest.approx(
        model.score.floor + np.exp(model.score.most), rel=1e-6
    )


def test_higher_may_be_better(tmp_path: Path) -> None:
    """Then scores rise where costs fall, and the floor is a ceiling."""
    places = tuple(write_run(tmp_path, seed, sign=-1.0) for seed in (1, 2))
    write(learn(places), tmp_path / "model.json")
    surrogate = opened(tmp_path / "model.json")
    good, poor = tree(RATE=0.03), tree(RATE=0.001)
    assert surrogate.truth(good) == pytest.approx(-2.99, abs=0.05)
    assert surrogate.truth(good) > surrogate.truth(poor)  # type: ignore[operator]


def test_draws_agree_where_much_is_known_and_differ_elsewhere(
    places: tuple[Path, ...], tmp_path: Path
) -> None:
    """One seed is one landscape; over seeds they scatter about the mean as much as is unknown."""
    path = tmp_path / "model.json"
    model = learn(places, "process")
    write(model, path)
    draws = [opened(path, posterior="draw", landscape_seed=seed) for seed in range(12)]
    again = opened(path, posterior="draw", landscape_seed=3)
    mean, rng = opened(path), Random(4)
    settings = [tree(**anywhere(rng)) for _ in range(40)]
    assert [again.truth(each) for each in settings] == [draws[3].truth(each) for each in settings]
    values = np.array([[draw.truth(each) for each in settings] for draw in draws], dtype=float)
    middle = np.array([mean.truth(each) for each in settings], dtype=float)
    spread = values.std(axis=0, ddof=1)
    assert (spread > 0).all()
    assert spread.mean() < 2.5 * SIGMA
    off = (values.mean(axis=0) - middle) / (spread / np.sqrt(len(draws)))
    assert abs(off.mean()) < 1.5
    far = tmp_path / "far.json"
    raw = json.loads(path.read_text())
    raw["score"]["regression"]["noise"] = [1e6] * len(raw["points"]["settings"])
    far.write_text(json.dumps(raw))
    free = [opened(far, posterior="draw", landscape_seed=seed).truth(START) for seed in range(12)]
    assert np.std(free) > 3 * spread.mean()  # type: ignore[arg-type]


def test_a_kind_without_doubt_has_one_landscape(places: tuple[Path, ...], tmp_path: Path) -> None:
    """A draw of it is refused."""
    write(learn(places, "ridge"), tmp_path / "model.json")
    with pytest.raises(ModelFileError, match="knows no doubt"):
        opened(tmp_path / "model.json", posterior="draw")


def test_bits_do_not_depend_on_threads(file: Path) -> None:
    """A landscape is the same on one core and on two."""
    program = (
        "import sys; sys.path[:0] = ['tests/community']; from pathlib import Path\n"
        "from surrogate_world import *\n"
        "from community.modelled.surrogate.task import *\n"
        "from community.modelled.surrogate.model_file import load\n"
        "s = Surrogate(load(Path(sys.argv[1])), START, KNOBS_TOML, PATH, Choices('draw', 5))\n"
        "rng = Random(1)\n"
        "print([s.truth(tree(**anywhere(rng))).hex() for _ in range(30)])\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program, str(file)], cwd=ROOT, check=True, timeout=120,
            capture_output=True, env={"OPENBLAS_NUM_THREADS": threads, "PYTHONPATH": "."},
        ).stdout
        for threads in ("1", "2")
    ]  # fmt: skip
    assert said[0] == said[1]
    assert said[0].count(b"0x") == 30


def spoil(path: str, value: Any) -> Any:
    """Return what sets one place of a model's JSON."""

    def change(raw: dict[str, Any]) -> None:
        *before, last = path.split(".")
        place: Any = raw
        for key in before:
            place = place[int(key) if isinstance(place, list) else key]
        place[int(last) if isinstance(place, list) else last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", 2),
        ("format", "pickle"),
        ("surprise", 1),
        ("score.floor", "0"),
        ("score.least", 700.0),
        ("score.regression.alpha", [1.0]),
        ("score.regression.alpha.0", None),
        ("score.regression.lengths.0", 0.0),
        ("score.regression.grain", -1.0),
        ("score.regression.kind", "code"),
        ("score.regression", {"kind": "ridge", "intercept": 0.0, "weights": [1.0]}),
        ("points.settings.0", [0.1, 5]),
        ("points.settings.0", [0.1, 5, "square", 0.5]),
        ("points.settings", [[0.1, 5, "round", 0.5]] * 1501),
        ("knobs.0.low", -1.0),
        ("knobs.1.name", "RATE"),
        ("knobs.2.choices", ["round"]),
        ("offsets", {"dev": {"mean": 0.0, "spread": 0.0}}),
        ("noise.sigma", -0.1),
        ("invalid.weights", [1.0]),
        ("invalid.reasons", {"rm -rf /": 1}),
        ("train.ratios", []),
        ("train.seconds.most", 1e9),
        ("task", "a\nb"),
    ],
)
def test_a_broken_file_is_refused(path: str, value: Any, model: ModelFile, tmp_path: Path) -> None:
    """Whole, and with the place that is wrong."""
    raw, file = json.loads(dump(model)), tmp_path / "model.json"
    spoil(path, value)(raw)
    file.write_text(json.dumps(raw))
    with pytest.raises(ModelFileError, match=r"model\.json is no surrogate"):
        load(file)


def boosted(**lists: Any) -> dict[str, Any]:
    """Return a forest of one tree with two leaves, some of its lists replaced."""
    whole = {
        "kind": "boosted", "base": 0.0, "roots": [0], "column": [0, -1, -1],
        "most": [0.5, 0.0, 0.0], "left": [1, 0, 0], "right": [2, 0, 0], "value": [0.0, -1.0, 1.0],
    }  # fmt: skip
    return {**whole, **lists}


@pytest.mark.parametrize(
    "forest",
    [
        boosted(left=[0, 0, 0]),
        boosted(right=[3, 0, 0]),
        boosted(roots=[3]),
        boosted(roots=[]),
        boosted(column=[6, -1, -1]),
        boosted(column=[-2, -1, -1]),
        boosted(value=[0.0, 1.0]),
    ],
)
def test_a_forest_that_leads_nowhere_is_refused(
    forest: dict[str, Any], model: ModelFile, tmp_path: Path
) -> None:
    """A walk through it would never end, or leave the lists."""
    raw, file = json.loads(dump(model)), tmp_path / "model.json"
    raw["score"]["regression"] = boosted()
    file.write_text(json.dumps(raw))
    fast, slow = opened(file).truth(tree(RATE=0.9)), opened(file).truth(tree(RATE=0.001))
    assert None not in (fast, slow)
    assert fast > slow  # type: ignore[operator]
    raw["score"]["regression"] = forest
    file.write_text(json.dumps(raw))
    with pytest.raises(ModelFileError, match="no surrogate"):
        load(file)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04N.",
        b"NaN",
        b"[" * 100_000,
        b" " * (FILE_BYTES + 1),
        b'{"format": "surrogate"}',
    ],
)
def test_what_is_no_model_at_all_is_refused(content: bytes, tmp_path: Path) -> None:
    """Also a pickle, and what would take memory without end."""
    file = tmp_path / "model.json"
    file.write_bytes(content)
    with pytest.raises(ModelFileError, match="community model fit"):
        load(file)
    with pytest.raises(ModelFileError, match="cannot read"):
        load(tmp_path / "none.json")


def test_a_model_of_other_knobs_is_refused(file: Path) -> None:
    """With the names that differ."""
    wider = KNOBS_TOML.replace("high = 9", "high = 10")
    with pytest.raises(ModelFileError, match="other knobs than the task's: DEPTH"):
        Surrogate(load(file), START, wider, PATH)


def test_too_little_is_said_to_be_too_little(tmp_path: Path) -> None:
    """A handful of settings is no landscape, and runs of two kinds are not mixed."""
    few = write_run(tmp_path, 3, settings=10)
    with pytest.raises(ModelFitError, match="settings of knobs have a score"):
        learn((few,))
    other = write_run(tmp_path, 4, settings=10, sign=-1.0)
    with pytest.raises(ModelFitError, match="differ in direction"):
        learn((few, other))
