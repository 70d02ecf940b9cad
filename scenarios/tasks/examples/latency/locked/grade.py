"""Latency of replayed requests, counted and not timed: the same placement has the same latency.

A grader that timed something would give the same bytes two numbers, which is refused. Where real
time matters, measure once what each step costs and count steps here.
"""

import json
import math

FILES = 120
ROOM = {"memory": 12, "disk": 40}
MS = {"memory": 0.2, "disk": 6.0}
FAR_MS = 50.0


def check(artifact) -> None:
    """Refuse what does not fit into the tiers.

    Args:
        artifact: ``{"memory": [file, ...], "disk": [file, ...]}``.

    Raises:
        ValueError: why.
    """
    if not isinstance(artifact, dict) or set(artifact) != set(ROOM):
        raise ValueError(f"leave the lists {' and '.join(ROOM)} and nothing else")
    seen = set()
    for tier, files in artifact.items():
        if not isinstance(files, list) or len(files) > ROOM[tier]:
            raise ValueError(f"{tier}: a list of at most {ROOM[tier]} files")
        for file in files:
            if type(file) is not int or not 0 <= file < FILES:
                raise ValueError(f"{tier}: files are numbers from 0 to {FILES - 1}")
            if file in seen:
                raise ValueError(f"file {file} lies in two places")
            seen.add(file)


def score(artifact, held_out) -> dict:
    """Return mean and 95th percentile of the latency over this split's requests."""
    place_ms = {file: MS[tier] for tier, files in artifact.items() for file in files}
    took = sorted(place_ms.get(file, FAR_MS) for file in json.loads(held_out["requests.json"]))
    rank = math.ceil(0.95 * len(took)) - 1  # nearest rank
    return {"mean_ms": math.fsum(took) / len(took), "p95_ms": took[rank]}
