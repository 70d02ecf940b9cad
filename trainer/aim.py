"""The other objective: a score that is given, to be reached in as little device time as possible.

What is measured of a run is then how long its program took, and counts only if what it left scores
the target. Time is a draw like a score, so everything that is asked of scores (the start's spread,
screens, pairs on fresh seeds) is asked of times. `community.attempts` applies it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Aim:
    """A target."""

    metric: str
    """What the scorer measures, and `target` is of."""
    direction: Literal["lower", "higher"]
    """Which way of it is better."""
    target: float

    def is_reached(self, score: float) -> bool:
        """Whether `score` is as good."""
        return score <= self.target if self.direction == "lower" else score >= self.target

    @property
    def name(self) -> str:
        """What a run with this aim measures."""
        sign = "<=" if self.direction == "lower" else ">="
        return f"seconds to {self.metric} {sign} {self.target:g}"[:80]
