"""Agents that copy others or flip a bit, on one landscape and one network.

Each turn an agent looks at others and names a candidate by its rule. If the candidate is better it
takes its solution; else it flips one random bit and keeps that if it is strictly better. All the
models of that kind are this one with other settings; `community.classics.lazer_friedman` and
`community.classics.barkoczi_galesic` say which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from community.classics import copying_loop as loop
from community.classics.draws import MOST_AGENTS, MOST_TURNS
from community.classics.networks import Network
from community.classics.orders import CODES, Order

Rule = Literal["best", "common", "random", "none"]
_RULES: Final[dict[Rule, int]] = {
    "best": loop.BEST,
    "common": loop.COMMON,
    "random": loop.RANDOM,
    "none": loop.NONE,
}
Copies = Literal["better", "better_or_equal"]


@dataclass(frozen=True, slots=True)
class Conduct:
    """How agents act.

    Attributes:
        rule: Whose solution is the candidate: the ``best`` of those looked at; the most ``common``
            solution among them, none if all differ; a ``random`` one; or ``none``. Ties are drawn.
        sample: How many contacts are looked at, drawn anew each turn; None: all.
        copies: Whether a candidate that is as good is taken too; then an agent among its equals
            never searches by itself.
        searches: Whether an agent without a better candidate flips a bit.
        velocity: Probability of looking at others at all in a turn; else it flips a bit.
        copy_error: Probability that a bit that differs is not taken over; the result is given up
            if it is worse than what the agent had.
        order: When agents act, see `community.classics.orders`.
    """

    rule: Rule = "best"
    sample: int | None = None
    copies: Copies = "better"
    searches: bool = True
    velocity: float = 1.0
    copy_error: float = 0.0
    order: Order = "synchronous"


def trajectory(
    values: NDArray[np.float64],
    network: Network,
    starts: NDArray[np.int64],
    conduct: Conduct,
    keys: NDArray[np.uint64],
    horizon: int,
    *,
    until_settled: bool = True,
    flips: NDArray[np.uint8] | None = None,
    names: NDArray[np.int64] | None = None,
) -> NDArray[np.int32]:
    """Let agents search one landscape.

    Args:
        values: (2^n,), the worth of every solution.
        network: Of the agents.
        starts: (agents,), the solutions they begin with.
        conduct: How they act.
        keys: (`draws.PURPOSES`,), what their chances are looked up by.
        horizon: Most rounds; with exponential clocks units of time, one turn each on average.
        until_settled: End when nobody can change any more.
        flips: (turns, agents), the bit each agent flips in each of its turns, if it flips one; by
            default they are looked up, see `flips_drawn`. Turns are rounds then, so exponential
            clocks are refused.
        names: (agents,), what each agent's chances are looked up by; by default 0, 1, 2...

    Returns:
        (rounds + 1, agents): everybody's solution at the beginning and after each round. Fewer than
        `horizon` rounds are returned if nobody can change any more; what follows is the last row.

    Raises:
        ValueError: numbers that do not fit together.
    """
    agents = len(starts)
    bits = int(values.size).bit_length() - 1
    own_names = np.arange(agents, dtype=np.int64) if names is None else names.astype(np.int64)
    told = np.zeros((0, 0), dtype=np.uint8) if flips is None else flips.astype(np.uint8)
    _must_fit(values, network, agents, conduct, horizon)
    if flips is not None and (conduct.order == "exponential" or flips.shape != (horizon, agents)):
        raise ValueError(f"flips {flips.shape} are not one for each of {horizon} rounds and agents")
    graph = (network.offsets, network.contacts, network.is_complete)
    how = (
        _RULES[conduct.rule],
        conduct.sample or 0,
        conduct.copies == "better",
        conduct.searches,
        conduct.velocity,
        conduct.copy_error,
        bits,
    )
    first = np.asarray(starts, dtype=np.int32)
    history: NDArray[np.int32] = loop.run(
        values, first, own_names, graph, how, CODES[conduct.order], horizon, until_settled, told,
        keys,
    )  # fmt: skip
    return history


def flips_drawn(keys: NDArray[np.uint64], rounds: int, agents: int, bits: int) -> NDArray[np.uint8]:
    """Return the bit that each agent flips in each turn if it flips one: (rounds, agents)."""
    drawn: NDArray[np.uint8] = loop.flips(keys, rounds, agents, bits)
    return drawn


def _must_fit(
    values: NDArray[np.float64], network: Network, agents: int, conduct: Conduct, horizon: int
) -> None:
    if values.size != 1 << (int(values.size).bit_length() - 1):
        raise ValueError(f"{values.size} values are not those of all strings of some length")
    if network.n != agents or not 1 <= agents < MOST_AGENTS:
        raise ValueError(f"{agents} starts for a network of {network.n}")
    if not 0 <= horizon < MOST_TURNS // 8:
        raise ValueError(f"a horizon of {horizon} rounds")
    if not (0 <= conduct.velocity <= 1 and 0 <= conduct.copy_error <= 1):
        raise ValueError("velocity and copy_error are probabilities")
    if conduct.rule == "none":
        return
    sample, least = conduct.sample, network.least_contacts()
    if sample is not None and not 1 <= sample <= least:
        raise ValueError(f"a sample of {sample} where somebody has {least} contacts")
