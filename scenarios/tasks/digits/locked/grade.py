"""Judges `digits`: which images are held out, and how answers become a share that is read right.

Runs in the scorer's worker process alone; it is never mounted where candidate code runs. The images
are those of scikit-learn's file, the test part of E. Alpaydin and C. Kaynak, Optical Recognition of
Handwritten Digits (1998), https://doi.org/10.24432/C50P49: 1,797 of 8 x 8 pixels, ink from 0 to 16.
"""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np

from scoring.classification import ImageClassifier
from scoring.errors import CorpusError
from scoring.grader import Division
from scoring.labelled_images import divide, read_tables

GRADER = ImageClassifier()
WIDTH = GRADER.side**2 + 1
"""Of a row: the pixels, and the class."""


def prepare(source: Path, heldout: Path | None = None) -> Division:
    """Divide scikit-learn's images, and ask `heldout` instead of them where it is given.

    Args:
        source: Not asked: the images come with an installed package.
        heldout: A folder of a user's own images, as `scoring.labelled_images.read_tables` reads it.

    Raises:
        CorpusError: scikit-learn's file is not there, or `heldout` cannot be used.
    """
    found = importlib.util.find_spec("sklearn")  # found, not imported: the worker stays small
    if found is None or found.origin is None:
        raise CorpusError("scikit-learn, which has the images of digits, is not installed")
    path = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
    try:
        with gzip.open(path, "rt") as stream:
            rows = np.loadtxt(stream, delimiter=",", ndmin=2).astype(np.uint8)
    except (OSError, ValueError) as error:
        raise CorpusError(f"the images of digits, {path}, cannot be read: {error}") from error
    return divide(rows, WIDTH, None if heldout is None else read_tables(heldout, WIDTH))
