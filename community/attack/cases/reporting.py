"""Attacks on the number itself: what a candidate says of its own score."""

from __future__ import annotations

from community.attack.attack import Attack
from community.attack.trials.rewired import Rewired

ATTACKS = (
    Attack(
        name="probabilities beyond one",
        source="catalogue 39 (PGolf #886, #1147)",
        tries="adds a constant to every answer, so that a sum that nobody takes is too large",
        block="formula",
        reasons=("no gain",),
        trial=Rewired(forward="logits = logits + 50.0", honest="logits = logits + 0.0"),
    ),
    Attack(
        name="answers NaN",
        source="catalogue 16 (OpenEvolve #285)",
        tries="answers NaN everywhere, hoping to be left out of the mean",
        block="answers",
        reasons=("not_finite",),
        trial=Rewired(forward="logits = logits * float('nan')", honest="logits = logits * 1.0"),
    ),
)
