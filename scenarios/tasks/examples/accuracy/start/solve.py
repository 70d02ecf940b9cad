"""Labels each point as the nearest mean of a class."""

import json
from pathlib import Path

import numpy as np


def solve(run):
    """Return labels, int64 of shape (360,)."""
    told = json.loads(Path(__file__).with_name("points.json").read_text())
    known, asked = np.array(told["known"]), np.array(told["asked"])
    means = np.stack([known[known[:, 2] == label, :2].mean(0) for label in range(3)])
    return np.linalg.norm(asked[:, None] - means, axis=2).argmin(1)
