"""Images, classes and the share that is read right: what is drawn, what counts, what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from scoring.block_draw import generator
from scoring.classification import ClassExamination, ImageClassifier
from scoring.errors import CorpusError, InvalidAnswersError
from scoring.grader import Division, Logits, Measured, Tokens
from scoring.labelled_images import divide, read_tables
from scoring.loading import load_grader
from scoring.views import Views, draw_views

GRADE = Path(__file__).parents[2] / "scenarios" / "tasks" / "digits" / "locked" / "grade.py"
SECRET = b"s" * 32
Reads = Callable[[Tokens], Logits]


@pytest.fixture(scope="module")
def division() -> Division:
    """Give the digits as their task divides them."""
    divided: Division = load_grader(GRADE).prepare(Path())
    return divided


@pytest.fixture(scope="module")
def examination(division: Division) -> ClassExamination:
    """Give the examination of one run."""
    opened = ImageClassifier().open(division, SECRET)
    assert isinstance(opened, ClassExamination)
    return opened


@pytest.fixture(scope="module")
def views(division: Division) -> Views:
    """Give what that examination asks of dev, drawn by hand."""
    rows = _rows(division.heldout["dev"]["images"])
    images, classes = rows[:, :64].reshape(-1, 8, 8), rows[:, 64]
    chance = generator(SECRET, "views/dev")
    return draw_views(
        images, classes, of_each=34, views=8, shift=1, blot=1.5, ink=16, chance=chance
    )


@pytest.fixture(scope="module")
def nearest(division: Division) -> Reads:
    """Give a classifier: minus the squared distance to the mean of each class."""
    rows = np.frombuffer(division.train, np.uint8).reshape(-1, 65)
    means = np.stack([rows[rows[:, 64] == one, :64].mean(0) for one in range(10)])

    def read(images: Tokens) -> Logits:
        apart = images.astype(np.float64)[:, None] - means
        return (-np.square(apart).sum(-1) / 100).astype(np.float32)

    return read


class Answers:
    """A sandbox with a classifier of numpy in it; notes what it was asked."""

    def __init__(self, read: Reads) -> None:
        self._read = read
        self.asked: list[Tokens] = []

    def answers(self, requests: Iterable[Tokens]) -> Iterator[Logits]:
        """Answer each request as it comes."""
        for images in requests:
            self.asked.append(images)
            yield self._read(images)


def examined(examination: ClassExamination, read: Reads, blind: Reads | None = None) -> Measured:
    """Score a classifier on dev."""
    chance = generator(SECRET, "probes/dev/0")
    return examination.examine("dev", Answers(read), Answers(blind or read), chance)


def test_no_image_is_public_and_held_out(division: Division) -> None:
    """All 1,797 are dealt, none twice; each split has enough of every class."""
    parts = {"train": division.train, **{k: v["images"] for k, v in division.heldout.items()}}
    rows = {name: np.frombuffer(part, np.uint8).reshape(-1, 65) for name, part in parts.items()}
    every = [row.tobytes()[:64] for part in rows.values() for row in part]
    assert len(every) == len(set(every)) == 1797
    for name, part in rows.items():
        assert np.bincount(part[:, 64], minlength=10).min() >= 34 * (2 if name == "train" else 1)
    assert division.corpus.train_bytes == len(division.train)


def test_what_is_asked_exists_nowhere_else_and_follows_from_the_secret(
    division: Division, examination: ClassExamination, nearest: Reads
) -> None:
    """Views, not images; the same for one secret, others for another, alike in both sandboxes."""

    def asked(by: ClassExamination) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        blocks, blind = Answers(nearest), Answers(nearest)
        by.examine("dev", blocks, blind, generator(SECRET, "probes/dev/0"))
        return np.concatenate(blocks.asked), np.concatenate(blind.asked)

    first, blind = asked(examination)
    assert first.shape == (2720, 64)
    assert first.size + blind.size == ImageClassifier().asked("dev")
    assert first.max() <= 16
    known = {row.tobytes() for part in division.heldout.values() for row in _pixels(part["images"])}
    assert not known & {row.tobytes() for row in first}
    assert sorted(map(bytes, first)) == sorted(map(bytes, blind))
    assert not np.array_equal(first, blind)
    again, _ = asked(_opened(division, SECRET))
    other, _ = asked(_opened(division, b"o" * 32))
    assert np.array_equal(first, again)
    assert not {row.tobytes() for row in first} & {row.tobytes() for row in other}


def test_the_share_that_is_read_right(
    examination: ClassExamination, views: Views, nearest: Reads
) -> None:
    """Accuracy, each class's and the worst one's, as plain code counts them; all beside."""
    found = examined(examination, nearest)
    right = nearest(views.rows).argmax(-1) == views.classes
    shares = [float(right[views.classes == one].mean()) for one in range(10)]
    assert 0.2 < found.value < 0.95
    assert found.value == pytest.approx(right.mean(), abs=1e-12)
    assert found.measures["worst_class"] == pytest.approx(min(shares), abs=1e-12)
    assert [found.measures[f"share_of_{one}"] for one in range(10)] == pytest.approx(shares)
    logits = nearest(views.rows).astype(np.float64)
    nats = np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)) + logits.max(-1)
    lost = nats - logits[np.arange(len(logits)), views.classes]
    assert found.measures["log_loss_bits"] == pytest.approx(lost.mean() / math.log(2))
    assert (found.positions, found.probes) == (2720, 2720)


def test_who_answers_all_classes_alike_is_right_nowhere(
    examination: ClassExamination, nearest: Reads
) -> None:
    """A margin below what is compared would hide any leak, and ties would be luck."""
    assert examined(examination, lambda images: nearest(images) * np.float32(1e-6)).value == 0
    assert examined(examination, lambda images: nearest(images) * np.float32(0)).value == 0


def test_answers_rest_on_the_image_alone(
    examination: ClassExamination, views: Views, nearest: Reads
) -> None:
    """Other images of a request, and earlier requests, change an answer: no score."""

    def by_company(images: Tokens) -> Logits:
        logits = nearest(images)
        return logits - np.float32(0.05) * logits.mean(0)

    seen = [np.zeros(10, np.float32)]

    def by_memory(images: Tokens) -> Logits:
        logits = nearest(images) + seen[0] * np.float32(0.001)
        seen[0] = seen[0] - np.float32(1) * np.bincount(logits.argmax(-1), minlength=10)
        return logits.astype(np.float32)

    for cheat in (by_company, by_memory):
        with pytest.raises(InvalidAnswersError) as caught:
            examined(examination, cheat)
        assert caught.value.reason == "probe"
    first = views.rows[0].tobytes()

    def once_otherwise(images: Tokens) -> Logits:
        logits = nearest(images)
        logits[[row.tobytes() == first for row in images]] += np.eye(10, dtype=np.float32)[3]
        return logits

    with pytest.raises(InvalidAnswersError):  # every view is compared, so one of 2,720 is met
        examined(examination, nearest, once_otherwise)


@pytest.mark.parametrize(("factor", "reason"), [(np.nan, "not_finite"), (1e6, "range")])
def test_answers_that_are_none(
    examination: ClassExamination, nearest: Reads, factor: float, reason: str
) -> None:
    """NaN and huge numbers are refused as a language model's are."""
    with pytest.raises(InvalidAnswersError) as caught:
        examined(examination, lambda images: nearest(images) * np.float32(factor))
    assert caught.value.reason == reason


def test_images_of_ones_own_are_asked_instead(division: Division, tmp_path: Path) -> None:
    """A folder of tables takes the held-out images' place, and says what is wrong with it."""
    rows = np.random.default_rng(3).integers(0, 17, (30, 65))
    rows[:, 64] = np.arange(30) % 10
    table = tmp_path / "mine.csv"
    np.savetxt(table, rows, fmt="%d", delimiter=",")
    private = read_tables(tmp_path, 65)
    public = np.frombuffer(division.train, np.uint8).reshape(-1, 65)
    mine = divide(public, 65, private)
    assert {bytes(r) for part in mine.heldout.values() for r in _rows(part["images"])} == {
        bytes(row) for row in private
    }
    assert mine.corpus.hash != division.corpus.hash
    with pytest.raises(CorpusError, match="34 of each are asked"):
        ImageClassifier().open(mine, SECRET)
    with pytest.raises(CorpusError, match="occurs twice"):
        divide(np.concatenate([private, private]), 65)
    for text, fault in (("1,2\n", "needs 65 columns"), ("a,b\n", "no table of whole numbers")):
        table.write_text(text)
        with pytest.raises(CorpusError, match=fault):
            read_tables(tmp_path, 65)


def _opened(division: Division, secret: bytes) -> ClassExamination:
    opened = ImageClassifier().open(division, secret)
    assert isinstance(opened, ClassExamination)
    return opened


def _rows(part: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(part, np.uint8).reshape(-1, 65)


def _pixels(part: bytes) -> NDArray[np.uint8]:
    return _rows(part)[:, :64]
