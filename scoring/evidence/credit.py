"""Credit: who is owed how much of the gain that a community confirmed. Pure.

Credit follows hunks, not declared parents: a change belongs to whoever's recorded commit held it
first, so a copy earns nothing for being renamed, and one improvement cut into many claims is one
improvement. Two measures of it. *Path* credit is known at any time: each move of the frontier is
shared among the changes that are new in it. *Leave-one-out* credit is measured at the end: what the
last commit loses without each of its changes. Both leave over what nobody has shown to be his, and
both add up. `community.archive.credit` supplies the facts.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from scipy.special import stdtrit

from scoring.evidence.effects import Combined
from scoring.evidence.standing import Standing
from scoring.evidence.variance import Spread

SHOWN = 0.99
"""Confidence, two-sided, with which a gain is shown that was never confirmed as such."""
NOISE = 0.05
"""One-sided probability with which a change that is worth nothing seems to be worth something."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A recorded commit and the changes that it holds against the start."""

    commit: str
    author: str
    hunks: frozenset[str]


@dataclass(frozen=True, slots=True)
class Move:
    """The frontier reached a commit."""

    commit: str
    gain: float
    """Of that commit over the baseline, as known now; positive is better."""
    limits: Mapping[str, float]
    """Commit -> the most of this move that it may claim, where that is not all of it."""


@dataclass(frozen=True, slots=True)
class Credits:
    """A gain, shared out."""

    total: float
    by_commit: Mapping[str, float]
    """Commit -> its author's credit for what it held first, never negative."""
    unattributed: float
    """``total`` less all of that: what nobody may claim."""


def first_holders(hunks: Collection[str], holdings: Sequence[Holding]) -> dict[str, list[str]]:
    """Return which of `hunks` each commit was the first to hold, in the ledger's order.

    Args:
        hunks: ids.
        holdings: recorded commits, in the ledger's order.
    """
    left = set(hunks)
    found: dict[str, list[str]] = {}
    for holding in holdings:
        mine = left & holding.hunks
        if mine:
            found[holding.commit] = sorted(mine)
            left -= mine
    return found


def path_credit(
    moves: Sequence[Move],
    holdings: Sequence[Holding],
    caps: Mapping[str, float] | None = None,
) -> Credits:
    """Share the frontier's gain, move by move, among the first holders of what was new in each.

    ``sum_k (p_k - p_(k-1))`` telescopes to the gain of the last move, which leads; p_k is what move
    k counts for, ``max(0, min(gain_k, gain_(k+1), ...))``: what a former leader seems to be worth
    beyond those that took its place was chance. Each increment is shared equally over the hunks
    that its commit has and the one before has not, each hunk's share going to the first recorded
    commit that holds it. A commit takes no more than its limit; what it may not claim goes to the
    others on the same terms, then to the commit that moved the frontier, which showed it, up to its
    own limit, and what none of them may claim, to nobody. A commit that only takes changes back is
    credited to the first one recorded with exactly its hunks.

    That shares add up to the whole, and that who adds nothing has nothing, are the axioms of
    Shapley 1953 (Contributions to the Theory of Games II, 307-317): this is the marginal
    contribution in one order, the one in which it happened. Cutting one change into many moves
    changes no sum.

    Args:
        moves: the frontier's, in order, the one that leads last.
        holdings: recorded commits, in the ledger's order; those of the moves among them.
        caps: Commit -> the most that it may claim of moves of other commits, all together.
    """
    caps = caps or {}
    held = {holding.commit: holding.hunks for holding in holdings}
    authors = {holding.commit: holding.author for holding in holdings}
    known = [move for move in moves if move.commit in held]
    by_commit: dict[str, float] = {}
    best, before = 0.0, frozenset[str]()
    for at, move in enumerate(known):
        counts_for = max(0.0, min(later.gain for later in known[at:]))
        now = held[move.commit]
        shares = {
            commit: float(len(mine))
            for commit, mine in first_holders(now - before, holdings).items()
        }
        if not shares:
            first = next(h.commit for h in holdings if h.hunks == now)
            shares = {first: 1.0}
        limits = dict(move.limits)
        for commit in set(shares) - {move.commit}:
            left = max(0.0, caps.get(commit, math.inf) - by_commit.get(commit, 0.0))
            limits[commit] = min(limits.get(commit, math.inf), left)
        within = replace(move, limits=limits)
        for commit, amount in _shared_move(counts_for - best, shares, within, authors).items():
            by_commit[commit] = by_commit.get(commit, 0.0) + amount
        best, before = counts_for, now
    return Credits(best, by_commit, best - math.fsum(by_commit.values()))


def _shared_move(
    increment: float, shares: Mapping[str, float], move: Move, authors: Mapping[str, str]
) -> dict[str, float]:
    """Share one increment among commits: first between their authors, then within each.

    An author takes no more in all than his commits may together, nor than the most that one of them
    may, nor, of a move that is his own, than that may: they are all gains of the same commit.
    """
    mover = authors[move.commit]
    own = move.limits.get(move.commit, math.inf)
    weights: dict[str, float] = {}
    commits: dict[str, dict[str, float]] = {}
    for commit, share in shares.items():
        weights[authors[commit]] = weights.get(authors[commit], 0.0) + share
        commits.setdefault(authors[commit], {})[commit] = share
    limits = {}
    for author, mine in commits.items():
        each = [move.limits.get(commit, math.inf) for commit in mine]
        most = own if author == mover else max(each)
        limits[author] = min(most, math.fsum(each))
    given: dict[str, float] = {}
    for author, amount in shared_out(increment, weights, limits).items():
        given |= shared_out(amount, commits[author], move.limits)
    his = math.fsum(given[commit] for commit in commits.get(mover, {}))
    left = max(0.0, increment - math.fsum(given.values()))
    more = min(left, max(0.0, own - his))
    return {**given, move.commit: given.get(move.commit, 0.0) + more}


def shown(gain: Combined) -> float:
    """Return what is shown of a gain: the lower end of its two-sided 99 % t interval, at least 0.

    What a copy leads its original by is chance, and who submits many shows the luckiest.
    """
    half = -float(stdtrit(gain.df, (1 - SHOWN) / 2)) * math.sqrt(gain.variance)
    return max(0.0, gain.estimate - half)


def is_clear(gain: Combined | Standing) -> bool:
    """Whether a gain is above noise: beyond t(0.95, df), as in `is_loss`."""
    return gain.estimate > -float(stdtrit(gain.df, NOISE)) * math.sqrt(gain.variance)


def shared_out(
    amount: float, shares: Mapping[str, float], limits: Mapping[str, float]
) -> dict[str, float]:
    """Share `amount` in proportion to `shares`, nobody taking more than his limit.

    What somebody may not take is shared among the rest in the same proportion, until it is gone or
    everybody is at his limit ("water-filling"; Bertsekas and Gallager 1992, Data Networks, 6.5.2:
    max-min fair shares).
    """
    given = dict.fromkeys(shares, 0.0)
    open_to = {name for name in shares if limits.get(name, math.inf) > 0}
    left = amount
    while open_to and left > 0:
        total = math.fsum(shares[name] for name in open_to)
        wanted = {name: left * shares[name] / total for name in open_to}
        full = {n for n in open_to if wanted[n] >= limits.get(n, math.inf) - given[n]}
        if not full:
            for name, more in wanted.items():
                given[name] += more
            break
        for name in full:
            left -= limits[name] - given[name]
            given[name] = limits[name]
        open_to -= full
    return given


@dataclass(frozen=True, slots=True)
class Part:
    """A group of changes in the last commit, and what it lost without them."""

    losses: tuple[float, ...]
    """Per seed: the last commit's gain over itself without the group, run beside it. Empty where
    the group cannot be taken out alone, or nothing runs without it."""
    path: float
    """Its path credit, which stands where nothing was measured."""
    limit: float = math.inf
    """The most that its authors may claim."""


def leave_one_out(
    parts: Sequence[Part], joint: Sequence[float], gain: float, spread: Spread
) -> tuple[float, ...]:
    """Return the credit of each part; ``gain`` less their sum is unattributed.

    ``credit_i = G * max(0, LOO_i) / sum_j max(0, LOO_j)``, at most the part's limit. LOO_i is the
    mean of the part's losses where that is above noise: ``t = LOO_i / (s sqrt(2/n))`` beyond the
    one-sided 5 % point. What is not above noise alone may be so together, as of two changes of
    which either does what both do: then all such parts have equal shares of what taking all of them
    out costs; else they have none. Leaving out one at a time is the contribution to the whole
    alone; Shapley's value (1953) needs a run of every subset. Equal shares are his symmetry.

    Args:
        parts: groups that together are all changes of the last commit.
        joint: losses, per seed, without all parts that alone are not above noise; empty if that
            was not measured.
        gain: G, the lower bound of the last commit's gain over the baseline.
        spread: between seeds of one tree.
    """
    gain = max(0.0, gain)
    silent = quiet(parts, spread)
    together = _mean(joint) / len(silent) if silent and is_loss(joint, spread) else 0.0
    worth = [
        together if at in silent else max(0.0, _mean(part.losses) if part.losses else part.path)
        for at, part in enumerate(parts)
    ]
    total = math.fsum(worth)
    if total <= 0:
        return (0.0,) * len(parts)
    return tuple(
        min(gain * each / total, part.limit) for each, part in zip(worth, parts, strict=True)
    )


def quiet(parts: Sequence[Part], spread: Spread) -> list[int]:
    """Return the places of measured parts whose loss is not above noise."""
    return [at for at, part in enumerate(parts) if part.losses and not is_loss(part.losses, spread)]


def is_loss(losses: Sequence[float], spread: Spread) -> bool:
    """Whether paired losses are above noise: ``mean / (s sqrt(2/n))`` beyond t(0.95, df)."""
    if not losses:
        return False
    error = spread.s * math.sqrt(2 / len(losses))
    return _mean(losses) > -float(stdtrit(spread.df, NOISE)) * error


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
