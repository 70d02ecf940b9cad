"""Grades classifiers of images: the share that is read right, higher is better.

What is asked are *views* of held-out images (`scoring.views`): drawn with the run's secret, so that
they exist nowhere else. Every view gets one answer, logits over the classes. It is read right where
its class is likelier than every other by more than two answers about one view may lie apart:
whoever answers all classes almost alike, and hides the rest below what is compared, is right
nowhere. Then all views are asked once more, of a blind sandbox, in another order and other
company; an answer that differs has used what it must not see (other images of a request, earlier
requests), and there is no score. That is all that is compared: an image has no future, so prefixes
of it, which `scoring.language_model` asks, would say nothing.

With the share of a few hundred images one image is a step, and two runs tie. Views make the steps
fine; they do not make the images more, and how much a score owes to which images are held out is
not in the spread of seeds (``vault`` has others).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from scoring.block_draw import generator
from scoring.errors import CorpusError, InvalidAnswersError
from scoring.grader import (
    Answerer,
    AnswerForm,
    Division,
    Examination,
    Logits,
    Measured,
    Tokens,
)
from scoring.log_loss import likely_bits, target_bits
from scoring.verdict import Split
from scoring.views import Views, draw_views

_BITS_PER_NAT = 1 / math.log(2)
WORST: str = "worst_class"
"""Name of the measure that says how many of the class which is read worst are read right."""


@dataclass(frozen=True, slots=True)
class ImageClassifier:
    """The constants of the examination; implements `scoring.grader.Grader`."""

    vocab: int = 10
    """How many classes there are."""
    side: int = 8
    """Pixels of an image's side; rows of pixels follow one another."""
    ink: int = 16
    """The most that a pixel holds; 0 is blank."""
    of_each: int = 34
    """Images of each class and split that a run draws; their split has a few more."""
    views: int = 8
    """Of each of them, none like another."""
    shift: int = 1
    """Pixels by which a view is moved at most, each way."""
    blot: float = 1.5
    """Standard deviation of what is added to each pixel of a view."""
    rows: int = 32
    """Views that are asked together at most."""
    logit_cap: float = 1e4
    tolerance_nats: float = 1e-3
    """How far two answers about one view may lie apart, as in `scoring.language_model`."""
    unlikely_bits: float = 20.0
    """Classes less likely than 2^-20 are not told apart where whole distributions are compared."""

    @property
    def answers(self) -> AnswerForm:
        """Every row, an image, gets one: what it shows."""
        return "rows"

    def asked(self, split: Split) -> int:
        """Return how many bytes a score on `split` sends: every view to each of two sandboxes."""
        return 2 * self.vocab * self.of_each * self.views * self.side**2

    def open(self, division: Division, run_secret: bytes) -> Examination:
        """Draw from all splits the views that this run asks, the same for all its scores.

        Raises:
            CorpusError: a split has too few images of a class.
        """
        drawn: dict[Split, Views] = {}
        for split in get_args(Split):
            chance = generator(run_secret, f"views/{split}")
            images, classes = self._held_out(division, split)
            drawn[split] = draw_views(
                images,
                classes,
                of_each=self.of_each,
                views=self.views,
                shift=self.shift,
                blot=self.blot,
                ink=self.ink,
                chance=chance,
            )
        return ClassExamination(self, drawn)

    def _held_out(self, division: Division, split: Split) -> tuple[Tokens, Tokens]:
        """Return images, shape (n, side, side), and classes, shape (n,), of a split."""
        width = self.side**2 + 1
        rows = np.frombuffer(b"".join(division.heldout[split].values()), np.uint8)
        if rows.size % width:
            raise CorpusError(f"{split} has {rows.size} bytes, not images of {width}, class last")
        rows = rows.reshape(-1, width)
        images, classes = rows[:, :-1], rows[:, -1]
        if rows.size and (classes.max() >= self.vocab or images.max() > self.ink):
            raise CorpusError(
                f"{split} has an image with ink above {self.ink} or a class above {self.vocab - 1}"
            )
        counts = np.bincount(classes, minlength=self.vocab)
        if counts.min() < self.of_each:
            raise CorpusError(
                f"{split} has {counts.min()} images of class {counts.argmin()}, "
                f"{self.of_each} of each are asked"
            )
        return images.reshape(-1, self.side, self.side), classes


@dataclass(frozen=True, slots=True)
class _Answers:
    """What one sandbox answered, in the order of the views."""

    lost: NDArray[np.float64]
    """Shape (n,): -log2 p of the view's own class."""
    likely: NDArray[np.float64]
    """Shape (n, classes): -log2 p of every class, as far as it is compared."""
    led_by: NDArray[np.float64]
    """Shape (n,): by how many nats its own class is likelier than any other; negative if not."""


class ClassExamination:
    """The drawn views of one run; implements `scoring.grader.Examination`, keeps no state."""

    def __init__(self, constants: ImageClassifier, drawn: dict[Split, Views]) -> None:
        self._constants = constants
        self._drawn = drawn

    def examine(
        self, split: Split, blocks: Answerer, blind: Answerer, chance: np.random.Generator
    ) -> Measured:
        """Return the share of views that is read right, overall and class by class.

        All views are answered before the first is asked blindly, and by a sandbox that has ended
        before the other begins (`scoring.pipe_answerer.DeferredAnswerer`).

        Raises:
            InvalidAnswersError: probe, where two answers about one view lie apart.
        """
        views, constants = self._drawn[split], self._constants
        count = len(views.classes)
        dealt = [
            np.arange(at, min(at + constants.rows, count)) for at in range(0, count, constants.rows)
        ]
        first = self._ask(views, dealt, blocks)
        second = self._ask(views, _dealt_anew(count, constants.rows, chance), blind)
        apart = constants.tolerance_nats * _BITS_PER_NAT
        if not (
            np.abs(first.likely - second.likely).max() <= apart
            and np.abs(first.lost - second.lost).max() <= apart
        ):
            raise InvalidAnswersError("probe")
        is_right = first.led_by > 2 * constants.tolerance_nats
        of_class = [float(is_right[views.classes == one].mean()) for one in range(constants.vocab)]
        value = float(is_right.mean())
        measures = {
            "accuracy": value,
            WORST: min(of_class),
            "log_loss_bits": math.fsum(first.lost) / count,
            **{f"share_of_{one}": share for one, share in enumerate(of_class)},
        }
        return Measured(value, count, count, measures)

    def _ask(self, views: Views, dealt: Sequence[NDArray[np.intp]], answerer: Answerer) -> _Answers:
        """Ask the views request by request, as `dealt` numbers them.

        Raises:
            InvalidAnswersError: whatever the answerer raises; not_finite or range.
        """
        constants, count = self._constants, len(views.classes)
        found = _Answers(np.empty(count), np.empty((count, constants.vocab)), np.empty(count))
        asked = (views.rows[chosen] for chosen in dealt)
        for chosen, logits in zip(dealt, answerer.answers(asked), strict=True):
            classes = views.classes[chosen]
            lost = target_bits(logits[:, None], classes[:, None], constants.logit_cap)
            found.lost[chosen] = lost[:, 0]
            found.likely[chosen] = likely_bits(logits, constants.unlikely_bits)
            found.led_by[chosen] = _lead(logits, classes)
        return found


def _dealt_anew(count: int, most: int, chance: np.random.Generator) -> list[NDArray[np.intp]]:
    """Return all numbers below `count` in another order, in requests of 1 to `most` of them."""
    order, dealt, at = chance.permutation(count).astype(np.intp), [], 0
    while at < count:
        size = int(chance.integers(1, most + 1))
        dealt.append(order[at : at + size])
        at += size
    return dealt


def _lead(logits: Logits, classes: Tokens) -> NDArray[np.float64]:
    """Return by how much each row's own class leads the best other one, in nats."""
    others = logits.astype(np.float64)
    rows = np.arange(len(classes))
    own = others[rows, classes].copy()
    others[rows, classes] = -np.inf
    lead: NDArray[np.float64] = own - others.max(axis=-1)
    return lead
