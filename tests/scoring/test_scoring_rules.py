"""Noise, decisions, ranking, lock: pure rules at their edges."""

import math
from pathlib import Path

import pytest

from scoring.errors import LockBrokenError, ScoringError, StatisticsError
from scoring.evidence.decision import LOTTERY_Z, Z, confirm, gain_over, screen, threshold
from scoring.evidence.noise import estimate
from scoring.evidence.ranking import Contribution, rank, reproduced
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


def test_screening_turns_at_the_threshold_and_one_sigma_below():
    """The threshold itself is not improved; a sigma below it is not undecided."""
    sigma, edge = 0.02, 2.33 * 0.02 * math.sqrt(1 + 1 / 4)
    assert threshold(sigma, 1, 4) == edge
    assert screen(edge, sigma, 4).status == "undecided"
    assert screen(math.nextafter(edge, 1), sigma, 4).status == "improved"
    assert screen(math.nextafter(edge - sigma, 1), sigma, 4).status == "undecided"
    assert screen(edge - sigma, sigma, 4).status == "not_improved"
    assert screen(-1.0, sigma, 4).status == "not_improved"
    assert screen(edge, sigma, 4).threshold == edge


def test_more_runs_lower_the_threshold():
    """Of the parent or of the child."""
    assert threshold(0.1, 1, 8) < threshold(0.1, 1, 2)
    assert threshold(0.1, 3, 2) < threshold(0.1, 1, 2)


def test_identical_runs_count_as_one_and_face_a_higher_bar():
    """A tree whose runs ignore the seed is not confirmed by what would confirm another."""
    child, parent, sigma = [2.95, 2.95, 2.95], [3.0, 3.0, 3.0], 0.02
    seeded = confirm(child, parent, sigma, "lower")
    fixed = confirm(child, parent, sigma, "lower", is_child_fixed=True)
    assert (seeded.status, fixed.status) == ("reproduced", "not_improved")
    assert fixed.threshold == LOTTERY_Z * sigma * math.sqrt(1 + 1 / 3)
    on_fixed = confirm(child, parent, sigma, "lower", is_parent_fixed=True)
    assert on_fixed.threshold == threshold(sigma, 3, 1)
    assert confirm([2.9] * 3, parent, sigma, "lower", is_child_fixed=True).status == "reproduced"
    assert screen(0.06, sigma, 4).status == "improved"
    assert screen(0.06, sigma, 4, z=LOTTERY_Z).status == "not_improved"


def test_without_noise_any_gain_counts():
    """A budget in steps is bit-reproducible: sigma is 0."""
    assert screen(1e-9, 0.0, 2).status == "improved"
    assert screen(0.0, 0.0, 2).status == "not_improved"
    assert confirm([1.0] * 3, [1.0] * 3, 0.0, "lower").status == "not_improved"


@pytest.mark.parametrize(
    ("gain", "sigma", "n"),
    [(math.nan, 0.1, 2), (math.inf, 0.1, 2), (0.1, -0.1, 2), (0.1, math.nan, 2), (0.1, 0.1, 0)],
)
def test_screening_refuses_what_is_no_number(gain, sigma, n):
    """A NaN never slips through a comparison."""
    with pytest.raises(StatisticsError):
        screen(gain, sigma, n)


def test_gains_are_positive_when_better_in_both_directions():
    """The direction belongs to the task, never to the reader."""
    assert gain_over(2.5, 3.0, "lower") == 0.5
    assert gain_over(2.5, 3.0, "higher") == -0.5


def test_a_confirmation_takes_all_pairs_to_reproduce():
    """Before the last pair a good gain stays undecided and not final."""
    for n in (1, 2):
        so_far = confirm([2.0] * n, [3.0] * n, 0.02, "lower")
        assert (so_far.status, so_far.is_final, so_far.gain) == ("undecided", False, 1.0)
    done = confirm([2.0] * 3, [3.0] * 3, 0.02, "lower")
    assert (done.status, done.is_final) == ("reproduced", True)
    assert done.threshold == pytest.approx(Z * 0.02 * math.sqrt(2 / 3))
    assert confirm([2.0] * 3, [3.0] * 3, 0.02, "higher").status == "not_improved"


def test_a_hopeless_confirmation_ends_after_the_pair_that_shows_it():
    """Mean gain of zero or below is final at once, whatever came before."""
    first = confirm([3.0], [3.0], 0.02, "lower")
    assert (first.status, first.is_final) == ("not_improved", True)
    second = confirm([2.9, 3.2], [3.0, 3.0], 0.02, "lower")
    assert (second.status, second.is_final) == ("not_improved", True)
    assert not confirm([3.1, 3.1], [3.0, 3.15], 0.02, "higher").is_final


def test_a_small_gain_is_undecided_or_not_improved_after_all_pairs():
    """Within one sigma below the threshold, and further below."""
    needed = threshold(0.1, 3, 3)
    near = confirm([3.0 - needed + 0.05] * 3, [3.0] * 3, 0.1, "lower")
    assert (near.status, near.is_final) == ("undecided", True)
    far = confirm([3.0 - needed + 0.15] * 3, [3.0] * 3, 0.1, "lower")
    assert (far.status, far.is_final) == ("not_improved", True)


def test_pairs_must_be_pairs():
    """Unequal numbers, none, or a missing number are refused."""
    for child, parent in (([], []), ([1.0], [1.0, 2.0]), ([math.nan], [1.0])):
        with pytest.raises(StatisticsError):
            confirm(child, parent, 0.1, "lower")


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
