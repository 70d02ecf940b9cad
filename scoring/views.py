"""Views of held-out images: moved and blotted as a run's secret draws. Pure functions.

The images of a public data set are known to whoever has it, labels and all, and a program has room
for a table of a few hundred labels. What is asked is therefore made anew for each run: a candidate
cannot look a view up, it has to read it. Used by `scoring.classification`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.grader import Tokens


@dataclass(frozen=True, slots=True)
class Views:
    """What one split is asked, in the order it is asked."""

    rows: Tokens
    """uint8, shape (n, pixels)."""
    classes: Tokens
    """uint8, shape (n,)."""


def draw_views(
    images: Tokens,
    classes: Tokens,
    *,
    of_each: int,
    views: int,
    shift: int,
    blot: float,
    ink: int,
    chance: np.random.Generator,
) -> Views:
    """Draw `of_each` images of every class and make `views` of each, shuffled.

    Args:
        images: uint8, shape (n, side, side).
        classes: uint8, shape (n,); at least `of_each` of every class that occurs.
        of_each: Images of each class.
        views: Of each image.
        shift: Pixels by which a view is moved at most, each way; what leaves the frame is lost.
        blot: Standard deviation of what is added to each pixel, rounded and cut to 0..`ink`.
        ink: The most that a pixel holds.
        chance: The only source of chance.
    """
    chosen = np.concatenate(
        [chance.permutation(np.flatnonzero(classes == one))[:of_each] for one in np.unique(classes)]
    )
    chosen = chance.permutation(np.repeat(chosen, views))
    moved = _moved(images[chosen], shift, chance)
    blotted = np.rint(moved + chance.normal(0.0, blot, moved.shape))
    rows = np.clip(blotted, 0, ink).astype(np.uint8).reshape(len(chosen), -1)
    return Views(rows, classes[chosen])


def _moved(images: Tokens, shift: int, chance: np.random.Generator) -> NDArray[np.float64]:
    """Move each image by whole pixels; shape (n, side, side)."""
    side = images.shape[1]
    framed = np.pad(images, ((0, 0), (shift, shift), (shift, shift))).astype(np.float64)
    down, right = chance.integers(0, 2 * shift + 1, (2, len(images), 1))
    within = np.arange(side)
    moved: NDArray[np.float64] = framed[
        np.arange(len(images))[:, None, None],
        (down + within)[:, :, None],
        (right + within)[:, None, :],
    ]
    return moved
