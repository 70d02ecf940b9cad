"""Chance that is looked up instead of drawn in turn: by whose turn it is and what it decides.

A generator that is asked in turn gives other numbers as soon as anybody asks once more or once
less, so two networks could not be compared on the same luck. Here a number is a function of a key,
the agent, the number of its turn and an index: the third turn of agent 17 flips the same bit in
every network, whatever the others did, in whichever order and process.

Source:
    Steele, G. L., Lea, D. & Flood, C. H. (2014). Fast splittable pseudorandom number generators.
    OOPSLA 2014, 453-472. https://doi.org/10.1145/2660193.2660195. The numbers are those of their
    SplitMix64, started at the key and taken at the place ``turn * 2^40 + agent * 2^16 + index``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit, uint64

FLIPS: Final = 0
LOOKS: Final = 1
MISTAKES: Final = 2
SAMPLES: Final = 3
TIES: Final = 4
TURNS: Final = 5
PURPOSES: Final = 6
"""Keys that a run needs: one for each kind of decision."""
MOST_AGENTS: Final = 2**24
MOST_TURNS: Final = 2**24

_GAMMA: Final = uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = uint64(0x94D049BB133111EB)


@njit(cache=True, nogil=True)
def looked_up(key: Any, turn: Any, agent: Any, index: Any) -> Any:
    """Return 64 bits for `index` of the `agent`'s `turn`, as an unsigned integer."""
    place = (uint64(turn) << uint64(40)) | (uint64(agent) << uint64(16)) | uint64(index & 0xFFFF)
    word = uint64(key) + place * _GAMMA
    word = (word ^ (word >> uint64(30))) * _MIX_1
    word = (word ^ (word >> uint64(27))) * _MIX_2
    return word ^ (word >> uint64(31))


@njit(cache=True, nogil=True)
def below(key: Any, turn: Any, agent: Any, index: Any, n: Any) -> Any:
    """Return a whole number from 0 to `n` - 1; n up to 2^31."""
    high = looked_up(key, turn, agent, index) >> uint64(32)
    return np.int64((high * uint64(n)) >> uint64(32))


@njit(cache=True, nogil=True)
def unit(key: Any, turn: Any, agent: Any, index: Any) -> Any:
    """Return a number from 0 up to, not including, 1."""
    return np.float64(looked_up(key, turn, agent, index) >> uint64(11)) * (1.0 / 9007199254740992.0)


def keys_from(rng: np.random.Generator) -> np.ndarray:
    """Return the keys of one run, (PURPOSES,) unsigned."""
    return rng.integers(2**64, size=PURPOSES, dtype=np.uint64)
