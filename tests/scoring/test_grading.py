"""Data are graded in the scorer's process: exactly, twice, within bounds, whatever they are."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from community.grading_phase import judging_of
from scoring.data_reading import FormError, read_data
from scoring.errors import LockBrokenError, ScorerStartError
from scoring.judging import Bound, Judging
from scoring.scorer import Scorer
from scoring.verdict import Score
from trainer.task import load_task

SECRET = bytes(range(32))
PACKING = Path(__file__).parents[2] / "scenarios" / "tasks" / "circle_packing"
GRADER = """
import json, os, time

def check(artifact):
    if artifact == "refuse":
        raise ValueError("no such\\nthing")
    if artifact == "break the check":
        raise KeyError("x")

def score(artifact, held_out):
    if artifact == "break the score":
        return {}["x"]
    if artifact == "loop":
        while True:
            pass
    if artifact == "sleep":
        time.sleep(60)
    if artifact == "eat":
        return {"m": float(len(bytearray(4 << 30)))}
    if artifact == "waver":
        return {"m": float(os.getpid()), "kept": 1.0}
    if artifact == "nothing":
        return {"other": 1.0}
    if artifact == "endless":
        return {"m": float("inf"), "kept": 1.0}
    told = json.loads(held_out.get("told.json", b"0"))
    return {"m": float(artifact["m"]) + told, "kept": float(artifact.get("kept", 1))}
"""


def judging(**changes: Any) -> Judging:
    """Return how the small grader's data are judged."""
    bounds = (Bound("kept", "guard", 0.5, None),)
    usual = {"metric": "m", "format": "json", "numbers": "float", "most_bytes": 4096}
    return Judging(**{**usual, "cpu_s": 1.0, "bounds": bounds, **changes})


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """Give the small grader's locked folder, with a held-out number a split."""
    folder = tmp_path / "locked"
    for number, split in enumerate(("dev", "vault", "seal")):
        (folder / "held_out" / split).mkdir(parents=True)
        (folder / "held_out" / split / "told.json").write_text(str(10 * number))
    (folder / "grade.py").write_text(GRADER)
    return folder


@asynccontextmanager
async def scorer_of(locked: Path, tmp_path: Path, how: Judging) -> AsyncIterator[Scorer]:
    """Start a scorer of data."""
    scorer = await Scorer.start(locked, tmp_path, tmp_path / "public", SECRET, judging=how)
    try:
        yield scorer
    finally:
        await scorer.aclose()


async def graded(
    scorer: Scorer, tmp_path: Path, content: bytes | str, *, split: Any = "dev", s: float = 30.0
) -> Score:
    """Have some bytes graded."""
    path = tmp_path / "data"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return await scorer.grade(split, os.open(path, os.O_RDONLY), s)


async def test_a_score_is_what_the_grader_says_of_the_split(locked: Path, tmp_path: Path) -> None:
    """With all of its numbers and the bytes' hash; each split has files of its own."""
    async with scorer_of(locked, tmp_path, judging()) as scorer:
        for split, value in (("dev", 2.5), ("vault", 12.5), ("seal", 22.5)):
            score = await graded(scorer, tmp_path, '{"m": 2.5, "kept": 0.75}', split=split)
            assert (score.outcome, score.value) == ("ok", value)
            assert score.measures == {"m": value, "kept": 0.75}
            assert len(score.sha256) == 64
        assert scorer.corpus.dev_bytes == 1
        assert "'kept'" in scorer.manifest["constants"]
        assert "locked/held_out/dev/told.json" in scorer.manifest


HOSTILE: tuple[tuple[bytes | str, str], ...] = (
    ('"refuse"', "refused"),
    ('"break the check"', "grader"),
    ('"break the score"', "grader"),
    ('"nothing"', "grader"),
    ('"endless"', "grader"),
    ('{"m": 1, "kept": 0.4}', "guard"),
    ('{"m": NaN}', "form"),
    ('{"m": 1e999}', "form"),
    ('{"m": 1e-999999999999}', "form"),
    ('{"m": 1, "m": 2}', "form"),
    ('{"m": ' + "9" * 65 + "}", "form"),
    ("[" * 4000, "form"),
    (b"\xff\xfe", "form"),
    ("", "form"),
    (" " * 4097 + "1", "form"),
    ('"loop"', "limit"),
    ('"eat"', "memory"),
)


async def test_whatever_the_bytes_do_is_the_candidates_fault(locked: Path, tmp_path: Path) -> None:
    """And the next artefact is graded as if nothing had been."""
    async with scorer_of(locked, tmp_path, judging()) as scorer:
        pid = scorer.worker_pid
        for content, reason in HOSTILE:
            score = await graded(scorer, tmp_path, content)
            assert (score.outcome, score.value, score.reason) == ("invalid", None, reason), content
            assert score.told.isprintable()
        assert (await graded(scorer, tmp_path, '{"m": 3}')).value == 3.0
        assert scorer.worker_pid == pid


async def test_who_sleeps_is_late_and_who_wavers_is_nobodys_score(
    locked: Path, tmp_path: Path
) -> None:
    """Two answers to the same bytes are the grader's fault, and people are told so."""
    async with scorer_of(locked, tmp_path, judging()) as scorer:
        assert (await graded(scorer, tmp_path, '"sleep"', s=1.0)).reason == "late"
        assert (await graded(scorer, tmp_path, '"waver"')).outcome == "scorer_failed"
        assert "grades the same bytes differently" in scorer.complaints()


async def test_the_lock_holds_over_a_users_grader(locked: Path, tmp_path: Path) -> None:
    """An edit of the grader, or of what is held out, ends the run; a broken one does not begin."""
    async with scorer_of(locked, tmp_path, judging()) as scorer:
        for path in (locked / "grade.py", locked / "held_out" / "vault" / "told.json"):
            before = path.read_bytes()
            path.write_bytes(before + b" ")
            with pytest.raises(LockBrokenError, match=path.name):
                await graded(scorer, tmp_path, '{"m": 1}')
            path.write_bytes(before)
        assert (await graded(scorer, tmp_path, '{"m": 1}')).value == 1.0
    shutil.rmtree(locked / "held_out" / "seal")
    with pytest.raises(ScorerStartError, match="seal has no file"):
        async with scorer_of(locked, tmp_path, judging()):
            pass
    (locked / "grade.py").write_text("def check(artifact): pass")
    with pytest.raises(ScorerStartError, match="score"):
        async with scorer_of(locked, tmp_path, judging()):
            pass


async def test_arrays_are_read_without_pickles(tmp_path: Path) -> None:
    """An .npy of numbers is graded; one of objects is not loaded."""
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "grade.py").write_text(
        "def check(a): pass\ndef score(a, h): return {'m': float(a.sum())}\n"
    )
    async with scorer_of(folder, tmp_path, judging(format="npy", bounds=())) as scorer:
        np.save(tmp_path / "a.npy", np.arange(6.0).reshape(2, 3))
        assert (await graded(scorer, tmp_path, (tmp_path / "a.npy").read_bytes())).value == 15.0
        np.save(tmp_path / "b.npy", np.array([object()]), allow_pickle=True)
        assert (await graded(scorer, tmp_path, (tmp_path / "b.npy").read_bytes())).reason == "form"


@pytest.fixture(scope="module")
def grader() -> ModuleType:
    """Give the shipped grader of circle packing."""
    spec = importlib.util.spec_from_file_location("packing_grade", PACKING / "locked" / "grade.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def grid() -> list[list[str]]:
    """Return 25 circles of radius 0.1 that all touch, and a small one between four of them."""
    big = [[f"0.{2 * i + 1}", f"0.{2 * j + 1}", "0.1"] for i in range(5) for j in range(5)]
    return [*big, ["0.2", "0.2", "0.04"]]


def read(circles: list[list[str]]) -> Any:
    """Return what the scorer's reader makes of circles, each number as it is written."""
    text = ",".join(f"[{','.join(circle)}]" for circle in circles)
    return read_data(f'{{"circles": [{text}]}}'.encode(), "json", "decimal")


def moved(place: int, values: list[str]) -> Callable[[], Any]:
    """Return the grid with one circle in another place."""

    def make() -> Any:
        circles = grid()
        circles[place] = values
        return read(circles)

    return make


def test_touching_circles_are_a_packing(grader: ModuleType) -> None:
    """40 contacts and 20 sides that touch exactly, which doubles would call overlaps."""
    packing = read(grid())
    grader.check(packing)
    assert grader.score(packing, {})["sum_of_radii"] == float(Fraction("2.54"))
    far = Fraction("0.1") ** 2 * 2  # the small circle grows to its neighbours, as far as it may
    assert (Fraction("0.0414") + Fraction("0.1")) ** 2 < far
    grader.check(moved(25, ["0.2", "0.2", "0.0414"])())


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (moved(25, ["0.2", "0.2", "0.0415"]), "overlap"),
        (moved(0, ["0.1", "0.1", "0.100000000001"]), "beyond the square"),
        (moved(12, ["0.5", "0.500000000001", "0.1"]), "overlap"),
        (moved(12, ["0.5", "0.5", "0.10000000000000000000000000000000000001"]), "overlap"),
        (moved(25, ["0.2", "0.2", "0"]), "no radius"),
        (moved(25, ["0.2", "0.2", "-0.1"]), "no radius"),
        (moved(25, ["0.2", "0.2"]), "three numbers"),
        (moved(25, ["0.2", "0.2", "true"]), "three numbers"),
        (moved(25, ["0.2", "0.2", '"0.04"']), "three numbers"),
        (moved(25, ["2", "2", "1e-300"]), "beyond the square"),
        (lambda: read(grid()[:25]), "26 circles"),
        (lambda: read([*grid(), ["0.4", "0.2", "0.01"]]), "26 circles"),
        (lambda: {"circles": read(grid())["circles"], "more": 1}, "nothing else"),
        (lambda: [1], "nothing else"),
    ],
)
def test_what_is_no_packing_is_refused(
    grader: ModuleType, make: Callable[[], Any], why: str
) -> None:
    """By a trillionth, by a part in 10^37, by a count, by a type."""
    with pytest.raises(ValueError, match=why):
        grader.check(make())


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e401", "1e-401", "0." + "1" * 70]
)
async def test_numbers_that_are_none_do_not_reach_the_check(tmp_path: Path, number: str) -> None:
    """Nor does anything of a gigabyte's size: the cap is on bytes, before they are read."""
    with pytest.raises(FormError):
        moved(3, [number, "0.5", "0.1"])()


async def test_the_shipped_grader_in_its_process(tmp_path: Path) -> None:
    """The same through the scorer, with the words that researchers get."""
    how = judging_of(load_task(PACKING))
    assert how is not None
    text = json.dumps({"circles": [[float(v) for v in c] for c in grid()]})
    async with scorer_of(PACKING / "locked", tmp_path, how) as scorer:
        assert (await graded(scorer, tmp_path, text)).value == 2.54
        overlap = await graded(scorer, tmp_path, text.replace("0.04", "0.05"))
        assert (overlap.reason, "circles 0 and 25 overlap" in overlap.told) == ("refused", True)
        assert (await graded(scorer, tmp_path, "9" * 20_000)).reason == "form"
