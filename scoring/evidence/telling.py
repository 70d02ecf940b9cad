"""What researchers are told of a number on dev: so much and no more. Pure.

Every look at dev that is told in full teaches something of the held-out text itself, and the best
of many looks is mostly luck. Answers in steps of a fraction of the noise keep what is worth knowing
and let far more looks pass before their best means nothing (Blum & Hardt 2015, "The Ladder", ICML,
section 3: answers rounded to a step; Dwork et al. 2015, Science 349, 636-638).
"""

from __future__ import annotations

STEP = 0.25
"""Of sigma: far below what one run can show."""


def told(value: float, sigma: float) -> float:
    """Return the multiple of ``sigma / 4`` that is nearest to `value`.

    Args:
        value: A score or a gain on dev, in the task's unit.
        sigma: Standard deviation between seeds of one tree, the same unit; without one, 0, the
            value is told as it is.
    """
    step = STEP * sigma
    return step * round(value / step) if step > 0 else value
