"""Judges `circle_packing`: exactly, in rational numbers, on the decimals that were left.

Runs in the scorer's worker process alone. Circles may touch each other and the sides; an overlap of
any size is refused, also one that a double could not tell from nothing.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import combinations

COUNT = 26


def check(artifact) -> None:
    """Refuse what is no packing of 26 circles in the unit square.

    Args:
        artifact: ``{"circles": [[x, y, r], ...]}``, every number a `Decimal` as it was written.

    Raises:
        ValueError: why.
    """
    if not isinstance(artifact, dict) or set(artifact) != {"circles"}:
        raise ValueError('leave {"circles": [[x, y, r], ...]} and nothing else')
    circles = artifact["circles"]
    if not isinstance(circles, list) or len(circles) != COUNT:
        raise ValueError(f"leave a list of {COUNT} circles")
    for number, circle in enumerate(circles):
        is_triple = isinstance(circle, list) and len(circle) == 3
        if not is_triple or not all(isinstance(value, Decimal) for value in circle):
            raise ValueError(f"circle {number} is no list of three numbers x, y, r")
    packing = [[Fraction(value) for value in circle] for circle in circles]
    for number, (x, y, r) in enumerate(packing):
        if r <= 0:
            raise ValueError(f"circle {number} has no radius above 0")
        beyond = r - min(x, y, 1 - x, 1 - y)
        if beyond > 0:
            raise ValueError(f"circle {number} is beyond the square by {float(beyond):.3g}")
    for (one, (x, y, r)), (other, (u, v, s)) in combinations(enumerate(packing), 2):
        apart = (x - u) ** 2 + (y - v) ** 2
        if apart < (r + s) ** 2:
            over = float(r + s) - float(apart) ** 0.5
            raise ValueError(f"circles {one} and {other} overlap by about {over:.3g}")


def score(artifact, held_out) -> dict:
    """Return the sum of the radii, rounded once to the nearest double, and the smallest radius."""
    radii = [Fraction(circle[2]) for circle in artifact["circles"]]
    return {"sum_of_radii": float(sum(radii)), "smallest_radius": float(min(radii))}
