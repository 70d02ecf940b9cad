"""Steps: how far to turn a knob. Numbers live on a unit range, linear or logarithmic.

The unit range makes one step size fit all knobs: on a range from 1e-4 to 5e-2, a step of 0.18 is a
factor of three. Chooses sizes and values, not knobs.
"""

from __future__ import annotations

import math
from random import Random

from agents.closeness import bounds, to_unit
from agents.knobs import Knob, same_value
from forum.messages import KnobValue

BOLD = 0.25
"""Median step, bold because starts are known to be poorly tuned."""
SHORTEST, LONGEST = 0.03, 0.6
TAIL = 0.6
"""Spread of the logarithm of a step: one in twenty is 2.7 times the median."""


def from_unit(knob: Knob, unit: float) -> KnobValue:
    """Return the number at `unit` of its range: four significant digits, or a whole number."""
    low, high = bounds(knob)
    unit = min(max(unit, 0.0), 1.0)
    value = low * (high / low) ** unit if knob.scale == "log" else low + (high - low) * unit
    if knob.kind == "int":
        return min(max(round(value), math.ceil(low)), math.floor(high))
    return min(max(float(f"{value:.4g}"), low), high)


def moved(knob: Knob, value: KnobValue, step: float) -> KnobValue | None:
    """Return `value` moved by a signed `step` of the range; None where that changes nothing."""
    new = from_unit(knob, to_unit(knob, value) + step)
    if knob.kind == "int" and new == value:
        low, high = bounds(knob)
        new = int(value) + (1 if step > 0 else -1)
        if not low <= new <= high:
            return None
    return None if same_value(new, value) else new


def bold_size(rng: Random, scale: float = 1.0) -> float:
    """Return a step size with a heavy tail, `scale` times the usual."""
    size = BOLD * scale * math.exp(rng.gauss(0.0, TAIL))
    return min(max(size, SHORTEST), LONGEST)


def turned(knob: Knob, value: KnobValue, rng: Random, scale: float = 1.0) -> KnobValue | None:
    """Return another value of `knob` by chance: a bold step for numbers, any other option else."""
    if knob.is_number:
        size = bold_size(rng, scale)
        first = 1 if rng.random() < 0.5 else -1
        new = moved(knob, value, first * size)
        return moved(knob, value, -first * size) if new is None else new
    others = [option for option in knob.options if not same_value(option, value)]
    return rng.choice(others) if others else None


def anywhere(knob: Knob, value: KnobValue, rng: Random) -> KnobValue | None:
    """Return a value drawn evenly from the whole range; None if it happens to be `value`."""
    if knob.is_number:
        new = from_unit(knob, rng.random())
        return None if same_value(new, value) else new
    return turned(knob, value, rng)
