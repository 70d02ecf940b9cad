"""Judges `nanolm-gpu`: bits per byte of the held-out shards in the user's folder.

Runs in the scorer's worker process alone; it is never mounted where candidate code runs.
"""

from __future__ import annotations

from pathlib import Path

from scoring.grader import Division
from scoring.token_model import TokenLanguageModel
from scoring.token_shards import divide_shards

GRADER = TokenLanguageModel()


def prepare(source: Path, heldout: Path | None = None) -> Division:
    """Read the folder that `community lock write nanolm-gpu --heldout FOLDER` has recorded.

    Args:
        source: The standard library, of which nothing is used.
        heldout: Shards to train on and three splits that are held out; see `scoring.token_shards`.
    """
    return divide_shards(heldout)
