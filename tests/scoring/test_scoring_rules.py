"""Noise, decisions, ranking, lock: pure rules at their edges."""

import math
from pathlib import Path

import pytest

from scoring.errors import LockBrokenError, ScoringError, StatisticsError
from scoring.evidence.noise import estimate
from scoring.evidence.ranking import Contribution, rank, reproduced
from scoring.evidence.sequential import gain_over
from scoring.lock import compare, lock_hash, lock_manifest, verify


def test_the_band_is_mean_and_sample_deviation():
    """With n - 1 in the denominator."""
    band = estimate([3.0, 3.2, 3.1, 2.9])
    assert band.mean == pytest.approx(3.05)
    assert band.sigma == pytest.approx(math.sqrt(0.05 / 3))
    assert (band.n, band.scores) == (4, (3.0, 3.2, 3.1, 2.9))
    assert estimate([2.0, 2.0]).sigma == 0


@pytest.mark.parametrize("scores", [[], [3.0], [3.0, math.nan], [3.0, math.inf]])
def test_a_band_needs_two_finite_scores(scores):
    """Anything less is refused, as an error of ours and as a ValueError."""
    with pytest.raises(StatisticsError) as caught:
        estimate(scores)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, ScoringError)


def test_gains_are_positive_when_better_in_both_directions():
    """The direction belongs to the task, never to the reader."""
    assert gain_over(2.5, 3.0, "lower") == 0.5
    assert gain_over(2.5, 3.0, "higher") == -0.5


def contribution(name: str, status: str, dev, vault=None, outcome="ok", low=None) -> Contribution:
    """Return one row."""
    return Contribution(name, status, outcome, dev, vault, low=low)


ROWS = [
    contribution("invalid", "measured", None, outcome="invalid"),
    contribution("lucky", "improved", 1.0),
    contribution("second", "reproduced", 2.0, 2.6),
    contribution("nan", "measured", math.nan),
    contribution("first", "reproduced", 2.3, 2.4),
    contribution("retracted", "retracted", 0.5, 0.5),
    contribution("plain", "not_improved", 3.0),
    contribution("odd", "reproduced", 2.9, math.nan),
]


def test_reproduced_work_leads_and_broken_work_ends_the_ranking():
    """A lucky screen never stands above a reproduction; a NaN never stands above a number."""
    order = [row.name for row in rank(ROWS, "lower")]
    assert order == ["first", "second", "lucky", "odd", "plain", "retracted", "invalid", "nan"]
    order = [row.name for row in rank(ROWS, "higher")]
    assert order == ["second", "first", "plain", "odd", "lucky", "retracted", "invalid", "nan"]


def test_the_frontier_is_the_best_reproduced():
    """None without a reproduction."""
    assert [row.name for row in reproduced(ROWS, "lower")] == ["first", "second"]
    assert [row.name for row in reproduced(ROWS, "higher")] == ["second", "first"]
    assert reproduced([row for row in ROWS if row.status != "reproduced"], "lower") == []


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_a_gain_counts_by_its_lower_bound(direction):
    """Not by its mean; where no gain is known the mean comes after, and groups still come first."""
    rows = [
        contribution("unknown", "reproduced", 1.0, 1.0),
        contribution("wide", "reproduced", 2.0, 2.0, low=0.1),
        contribution("sure", "reproduced", 2.5, 2.5, low=0.3),
        contribution("screened", "improved", 0.5, low=9.0),
        contribution("nan", "reproduced", 0.1, 0.1, low=math.nan),
    ]
    order = [row.name for row in rank(rows, direction)]
    unknown = ["nan", "unknown"] if direction == "lower" else ["unknown", "nan"]
    assert order == ["sure", "wide", *unknown, "screened"]
    assert [row.name for row in reproduced(rows, direction)] == ["sure", "wide", *unknown]


def test_the_manifest_names_what_decides_a_score(tmp_path: Path):
    """Task files, our sources, versions, corpus and constants; its hash moves with each."""
    (tmp_path / "grade.py").write_text("GRADER = 1\n")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "grade.pyc").write_text("not locked")
    manifest = lock_manifest(tmp_path, "c0ffee", "constants")
    assert {
        "locked/grade.py",
        "scoring/worker.py",
        "scoring/log_loss.py",
        "python",
        "numpy",
    } <= set(manifest)
    assert not [name for name in manifest if "__pycache__" in name]
    hashes = {lock_hash({**manifest, name: "other"}) for name in manifest}
    assert len(hashes | {lock_hash(manifest)}) == len(manifest) + 1
    assert lock_hash(dict(reversed(manifest.items()))) == lock_hash(manifest)


@pytest.mark.parametrize("change", ["changed", "missing", "new"])
def test_verification_names_the_file(tmp_path: Path, change: str):
    """Changed, missing or new: the error says which and what to do."""
    (tmp_path / "grade.py").write_text("GRADER = 1\n")
    (tmp_path / "table.json").write_text("{}")
    manifest = lock_manifest(tmp_path)
    verify(manifest, tmp_path)
    if change == "changed":
        (tmp_path / "table.json").write_text("{ }")
    if change == "missing":
        (tmp_path / "table.json").unlink()
    if change == "new":
        manifest.pop("locked/table.json")
    with pytest.raises(LockBrokenError, match=f"'locked/table.json' is {change}") as caught:
        verify(manifest, tmp_path)
    assert (caught.value.name, caught.value.change) == ("locked/table.json", change)


def test_two_manifests_must_agree_in_every_entry():
    """Also in versions and in the corpus."""
    compare({"python": "3.11", "corpus": "a"}, {"corpus": "a", "python": "3.11"})
    with pytest.raises(LockBrokenError, match="'corpus' is changed"):
        compare({"python": "3.11", "corpus": "a"}, {"python": "3.11", "corpus": "b"})
