"""The compiled loop of agents that copy or flip a bit; its face is `community.classics.copying`.

In all of it ``graph`` is a network's (offsets, contacts, is_complete), ``how`` a conduct's (rule,
sample, is_strict, searches, velocity, copy_error, bits), ``states`` everybody's solution and
``worth`` what it is worth.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from community.classics.draws import FLIPS, LOOKS, MISTAKES, SAMPLES, TIES, TURNS, below, unit
from community.classics.orders import EXPONENTIAL, SYNCHRONOUS

BEST: Final = 0
COMMON: Final = 1
RANDOM: Final = 2
NONE: Final = 3


@njit(cache=True, nogil=True)
def flips(keys: Any, rounds: Any, agents: Any, bits: Any) -> Any:
    """Return the bit that each agent flips in each turn: (rounds, agents)."""
    drawn = np.empty((rounds, agents), np.uint8)
    for turn in range(rounds):
        for agent in range(agents):
            drawn[turn, agent] = below(keys[FLIPS], turn, agent, 0, bits)
    return drawn


@njit(cache=True, nogil=True)
def _contact(graph: Any, agent: Any, i: Any) -> Any:
    """Return the agent's i-th contact."""
    offsets, contacts, is_complete = graph
    if is_complete:
        return i if i < agent else i + 1
    return np.int64(contacts[offsets[agent] + i])


@njit(cache=True, nogil=True)
def _degree(graph: Any, agent: Any) -> Any:
    offsets, _contacts, is_complete = graph
    if is_complete:
        return offsets.size - 2
    return offsets[agent + 1] - offsets[agent]


@njit(cache=True, nogil=True)
def _look(graph: Any, agent: Any, name: Any, turn: Any, sample: Any, key: Any, seen: Any) -> Any:
    """Put those whom the agent looks at into `seen` and return how many; Floyd's sampling."""
    degree = _degree(graph, agent)
    if sample == 0:
        for i in range(degree):
            seen[i] = _contact(graph, agent, i)
        return degree
    for taken in range(sample):
        last = degree - sample + taken
        place = below(key, turn, name, taken, last + 1)
        for i in range(taken):
            if seen[i] == place:
                place = last
                break
        seen[taken] = place
    for i in range(sample):
        seen[i] = _contact(graph, agent, seen[i])
    return sample


@njit(cache=True, nogil=True)
def _best_of(seen: Any, count: Any, states: Any, worth: Any, name: Any, turn: Any, key: Any) -> Any:
    """Return the best of those seen, or -1 of nobody; ties between solutions are drawn."""
    best, ties = np.int64(-1), 0
    for i in range(count):
        other = seen[i]
        if best < 0 or worth[other] > worth[best]:
            best, ties = other, 1
        elif worth[other] == worth[best]:
            ties += 1
            if states[other] != states[best] and below(key, turn, name, ties, ties) == 0:
                best = other
    return best


@njit(cache=True, nogil=True)
def _most_common(seen: Any, count: Any, states: Any, name: Any, turn: Any, key: Any) -> Any:
    """Return one with the most common solution, or -1 if all differ; ties are drawn."""
    best, most, ties = np.int64(-1), 1, 0
    for i in range(count):
        state, times, is_first = states[seen[i]], 1, True
        for j in range(count):
            if j != i and states[seen[j]] == state:
                times += 1
                is_first = is_first and j > i
        if not is_first or times == 1:
            continue
        if times > most:
            best, most, ties = seen[i], times, 1
        elif times == most:
            ties += 1
            if below(key, turn, name, ties, ties) == 0:
                best = seen[i]
    return best


@njit(cache=True, nogil=True)
def _candidate(
    graph: Any, how: Any, agent: Any, name: Any, turn: Any, states: Any, worth: Any, keys: Any,
    seen: Any,
) -> Any:  # fmt: skip
    """Return the agent whose solution is the candidate, or -1."""
    rule, sample = how[0], how[1]
    if rule == NONE:
        return np.int64(-1)
    if rule == RANDOM:
        sample = np.int64(1)
    if _degree(graph, agent) == 0:
        return np.int64(-1)
    count = _look(graph, agent, name, turn, sample, keys[SAMPLES], seen)
    if rule == BEST:
        return _best_of(seen, count, states, worth, name, turn, keys[TIES])
    if rule == COMMON:
        return _most_common(seen, count, states, name, turn, keys[TIES])
    return np.int64(seen[0])


@njit(cache=True, nogil=True)
def _acted(
    values: Any, how: Any, own: Any, own_worth: Any, theirs: Any, their_worth: Any, name: Any,
    turn: Any, bit: Any, keys: Any,
) -> Any:  # fmt: skip
    """Return the agent's next solution; `theirs` is the candidate's, -1 of none."""
    is_strict, searches, error, bits = how[2], how[3], how[5], how[6]
    if theirs >= 0 and (their_worth > own_worth or (not is_strict and their_worth == own_worth)):
        if error == 0.0:
            return np.int64(theirs)
        taken = np.int64(theirs)
        for j in range(bits):
            differs = ((own ^ theirs) >> j) & 1
            if differs and unit(keys[MISTAKES], turn, name, j) < error:
                taken ^= np.int64(1) << j
        return np.int64(own) if values[taken] < own_worth else taken
    if not searches:
        return np.int64(own)
    flipped = np.int64(own) ^ (np.int64(1) << bit)
    return flipped if values[flipped] > own_worth else np.int64(own)


@njit(cache=True, nogil=True)
def _leader(states: Any, worth: Any) -> Any:
    """Return the first of the best agents and how many are as good; 0 if their solutions differ."""
    top, count = 0, 1
    for agent in range(1, states.size):
        if worth[agent] > worth[top]:
            top, count = agent, 1
        elif worth[agent] == worth[top]:
            if states[agent] != states[top]:
                count = -states.size
            count += 1
    return top, max(count, 0)


@njit(cache=True, nogil=True)
def _turn(
    values: Any, graph: Any, how: Any, agent: Any, name: Any, turn: Any, states: Any, worth: Any,
    leader: Any, leaders: Any, flips: Any, keys: Any, seen: Any,
) -> Any:  # fmt: skip
    """Return the agent's next solution, of what `states` shows; see `_leader` for the short cut."""
    velocity, bits = how[4], how[6]
    if velocity >= 1.0 or unit(keys[LOOKS], turn, name, 0) < velocity:
        if leaders > 0:
            other = leader if leaders > 1 or agent != leader else np.int64(-1)
        else:
            other = _candidate(graph, how, agent, name, turn, states, worth, keys, seen)
    else:
        other = np.int64(-1)
    bit = np.int64(flips[turn, agent]) if flips.size else below(keys[FLIPS], turn, name, 0, bits)
    own, own_worth = np.int64(states[agent]), worth[agent]
    theirs = np.int64(states[other]) if other >= 0 else np.int64(-1)
    their_worth = worth[other] if other >= 0 else 0.0
    return _acted(values, how, own, own_worth, theirs, their_worth, name, turn, bit, keys)


@njit(cache=True, nogil=True)
def _plain_round(
    values: Any, graph: Any, how: Any, names: Any, turn: Any, before: Any, before_worth: Any,
    leader: Any, leaders: Any, flips: Any, keys: Any, seen: Any, states: Any, worth: Any,
) -> Any:  # fmt: skip
    """Do for all agents what `_turn` does for one, where all is as in the plainest model.

    They look at everybody, take the best if it is strictly better, and always look and search.
    """
    offsets, contacts, _is_complete = graph
    for agent in range(names.size):
        own_worth, best = before_worth[agent], before_worth[agent]
        other, is_tied = np.int64(-1), False
        if leaders > 0:
            if before_worth[leader] > own_worth:
                best, other = before_worth[leader], leader
        elif graph[2]:
            is_tied = True
        else:
            for i in range(offsets[agent], offsets[agent + 1]):
                their_worth = before_worth[contacts[i]]
                if their_worth > best:
                    best, other, is_tied = their_worth, np.int64(contacts[i]), False
                elif other >= 0 and their_worth == best:
                    is_tied = is_tied or before[contacts[i]] != before[other]
        if is_tied:
            other = _candidate(
                graph, how, agent, names[agent], turn, before, before_worth, keys, seen
            )
            other = other if before_worth[other] > own_worth else np.int64(-1)
            best = before_worth[other] if other >= 0 else own_worth
        if other >= 0:
            states[agent], worth[agent] = before[other], best
            continue
        if flips.size:
            bit = np.int64(flips[turn, agent])
        else:
            bit = below(keys[FLIPS], turn, names[agent], 0, how[6])
        flipped = np.int64(before[agent]) ^ (np.int64(1) << bit)
        if values[flipped] > own_worth:
            states[agent], worth[agent] = flipped, values[flipped]


@njit(cache=True, nogil=True)
def _due(order: Any, now: Any, names: Any, clocks: Any, ticks: Any, key: Any) -> Any:
    """Return who acts in round `now`, first to last; `clocks` say when each agent is next due."""
    n = names.size
    if order != EXPONENTIAL:
        lots = np.empty(n)
        for agent in range(n):
            lots[agent] = unit(key, now, names[agent], 0)
        return np.argsort(lots)
    who, when, count = np.empty(2 * n, np.int64), np.empty(2 * n), 0
    for agent in range(n):
        while clocks[agent] <= now:
            if count == who.size:
                who = np.append(who, np.empty(count, np.int64))
                when = np.append(when, np.empty(count))
            who[count], when[count] = agent, clocks[agent]
            count += 1
            ticks[agent] += 1
            clocks[agent] -= np.log(1.0 - unit(key, ticks[agent], names[agent], 0))
    return who[:count][np.argsort(when[:count])]


@njit(cache=True, nogil=True)
def _is_settled(values: Any, graph: Any, how: Any, states: Any, worth: Any) -> Any:
    """Whether nobody can change any more, whatever is drawn; where in doubt, not."""
    rule, sample, is_strict, searches, velocity, _error, bits = how
    for agent in range(states.size):
        is_among_equals = False
        for i in range(0 if rule == NONE else _degree(graph, agent)):
            other = _contact(graph, agent, i)
            if worth[other] > worth[agent]:
                return False
            if not is_strict and worth[other] == worth[agent]:
                if states[other] != states[agent]:
                    return False
                is_among_equals = True
        if is_among_equals and rule == BEST and sample == 0 and velocity >= 1.0:
            continue  # it copies its equals for ever
        for bit in range(bits if searches else 0):
            if values[states[agent] ^ (np.int64(1) << bit)] > worth[agent]:
                return False
    return True


@njit(cache=True, nogil=True)
def run(
    values: Any, starts: Any, names: Any, graph: Any, how: Any, order: Any, horizon: Any,
    until_settled: Any, flips: Any, keys: Any,
) -> Any:  # fmt: skip
    """Return everybody's solutions, (rounds + 1, agents); see `community.classics.copying`."""
    n = starts.size
    history = np.empty((horizon + 1, n), np.int32)
    history[0] = starts
    states, worth, seen_worth = starts.copy(), values[starts], values[starts]
    seen = np.empty(max(n, 1), np.int64)
    turns, clocks, ticks = np.zeros(n, np.int64), np.zeros(n), np.zeros(n, np.int64)
    for agent in range(n):
        clocks[agent] = -np.log(1.0 - unit(keys[TURNS], 0, names[agent], 0))
    is_synchronous = order == SYNCHRONOUS
    looks_at_all = how[0] == BEST and how[1] == 0 and is_synchronous
    is_plain = looks_at_all and how[2] and how[3] and how[4] >= 1.0 and how[5] == 0.0
    has_leader = looks_at_all and graph[2] and n > 1
    for now in range(1, horizon + 1):
        leader, leaders = _leader(states, worth) if has_leader else (0, 0)
        seen_worth[:] = worth
        before, before_worth = (history[now - 1], seen_worth) if is_synchronous else (states, worth)
        if is_plain:
            _plain_round(
                values, graph, how, names, now - 1, before, before_worth, leader, leaders, flips,
                keys, seen, states, worth,
            )  # fmt: skip
        else:
            acting = names if is_synchronous else _due(
                order, now, names, clocks, ticks, keys[TURNS])  # fmt: skip
            for i in range(acting.size):
                agent = i if is_synchronous else acting[i]
                state = _turn(
                    values, graph, how, agent, names[agent], turns[agent], before, before_worth,
                    leader, leaders, flips, keys, seen,
                )  # fmt: skip
                turns[agent] += 1
                states[agent], worth[agent] = state, values[state]
        history[now] = states
        is_same = until_settled and np.array_equal(history[now], history[now - 1])
        if is_same and _is_settled(values, graph, how, states, worth):
            return history[: now + 1]
    return history
