"""When agents act: all at once, one after the other, or each by a clock of its own.

Update order is part of a model: it moves levels and the times at which curves cross. Time is
counted in rounds, one turn per agent: in a *synchronous* round all act on what was there at its
beginning; in a *sequential* one they act one after the other, in an order drawn for each round, on
what is there by then; with *exponential* clocks each agent acts at the moments of a Poisson process
of rate one, so in one round some act twice and some not at all (Huberman, B. A. & Glance, N. S.
(1993). Evolutionary games and computer simulations. PNAS 90, 7716-7718).
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numba import njit

Order = Literal["synchronous", "sequential", "exponential"]
SYNCHRONOUS: Final = 0
SEQUENTIAL: Final = 1
EXPONENTIAL: Final = 2
CODES: Final[dict[Order, int]] = {
    "synchronous": SYNCHRONOUS,
    "sequential": SEQUENTIAL,
    "exponential": EXPONENTIAL,
}
"""How the compiled models know the orders."""


@njit(cache=True)
def turns(rng: np.random.Generator, order: int, agents: int) -> np.ndarray:
    """Return who acts in one round, first to last; `order` is SEQUENTIAL or EXPONENTIAL.

    The events of independent unit clocks within one round are a Poisson number of agents drawn
    evenly.
    """
    if order == EXPONENTIAL:
        count = rng.poisson(agents)
        drawn = np.empty(count, np.int64)
        for i in range(count):
            drawn[i] = int(rng.random() * agents)
        return drawn
    drawn = np.arange(agents)
    for i in range(agents - 1, 0, -1):
        j = int(rng.random() * (i + 1))
        drawn[i], drawn[j] = drawn[j], drawn[i]
    return drawn
