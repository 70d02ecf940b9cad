"""Where the Zollman effect lives: it needs a hard problem, and is nil when the problem is easy.

The effect is success on a cycle less success on a complete graph, of the same ten agents with the
same priors (`community.classics.zollman`), at growing differences between the two methods.

Sources:
    Rosenstock, S., Bruner, J. & O'Connor, C. (2017). In epistemic networks, is less really more?
    Philosophy of Science 84, 234-252. https://doi.org/10.1086/690717
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from community.classics.case import Case, beyond_errors, number
from community.classics.zollman import Parameters, Result, simulate

__all__ = ["Parameters", "Result", "cases", "effect", "simulate"]

RUNS: Final = 20_000
PRINTED: Final = {0.001: 0.077, 0.004: 0.055, 0.01: 0.0185, 0.02: 0.0019, 0.025: 0.0002}
"""Effect by epsilon, an independent implementation, 20,000 runs of either network."""
ERRORS: Final = {0.001: 0.0025, 0.004: 0.0025, 0.01: 0.0015, 0.02: 0.0005, 0.025: 0.0003}
EASY: Final = (0.03, 0.05, 0.1)
NIL: Final = 0.002
"""An effect below this is none."""


def effect(
    parameters: Parameters, runs: int = RUNS, seed: int = 0, jobs: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return success (runs,) on the cycle and on the complete graph of otherwise equal runs."""
    arms = (replace(parameters, network=network) for network in ("cycle", "complete"))
    cycle, complete = (simulate(arm, runs, seed, jobs).success for arm in arms)
    return cycle, complete


def cases(size: float = 1.0, seed: int = 0, jobs: int = 1) -> list[Case]:
    """Compare with M4: the effect by epsilon, shown where it is and nil where it is not."""
    runs, found = max(2, round(RUNS * size)), []
    for epsilon in (*PRINTED, *EASY):
        cycle, complete = effect(Parameters(epsilon=epsilon), runs, seed, jobs)
        ours, error = _difference(cycle, complete)
        name = f"cycle - complete, eps={epsilon:g}"
        if epsilon in PRINTED:
            behind = ERRORS[epsilon]
            target = PRINTED[epsilon]
            found.append(
                number("M4", name, target, ours, error, source="own run", target_se=behind)
            )
        else:
            found.append(number("M4", name, 0.0, ours, error, source="print", delta=NIL))
        if epsilon <= 0.01:
            shown = f"{name}, above 0 at z > 5"
            found.append(beyond_errors("M4", shown, ours, error, 5.0, source="print"))
    return found


def _difference(cycle: np.ndarray, complete: np.ndarray) -> tuple[float, float]:
    """Return the mean paired difference and its standard error, above 0 also where all agree.

    Two pairs of either sign are added for the error, as in `share_and_error`.
    """
    difference = cycle.astype(float) - complete.astype(float)
    n = len(difference) + 4
    spread = math.sqrt(((difference**2).sum() + 4) / n - (difference.sum() / n) ** 2)
    return float(difference.mean()), spread / math.sqrt(n)
