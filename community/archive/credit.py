"""Who is owed how much of what a run confirmed: `scoring.evidence.credit` over the fold.

A function of the ledger, so it can be asked at any time; once the leave-one-out runs of the last
stage are in (`community.crediting`), it rests on them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from community.archive.decided import decided
from community.archive.queries import standing_moves
from community.archive.spreads import prior_of
from community.archive.state import BASELINE, RunState, Split
from community.archive.steps import Trials
from community.archive.submissions import Made, Submissions
from community.events import FrontierMoved
from community.seed_rule import is_deterministic
from scoring.evidence.credit import (
    Credits,
    Holding,
    Move,
    Part,
    first_holders,
    is_clear,
    leave_one_out,
    path_credit,
    quiet,
    shown,
)
from scoring.evidence.gains import Measured
from scoring.evidence.sequential import gain_over
from scoring.evidence.standing import Standing, Step, standings
from scoring.evidence.variance import Prior, Spread
from scoring.verdict import Direction

Kind = Literal["path", "leave-one-out"]
_SPLITS: tuple[Split, ...] = ("vault", "dev")


@dataclass(frozen=True, slots=True)
class CreditTable:
    """A run's gain, shared out."""

    kind: Kind
    """path: along the frontier's moves. leave-one-out: measured, when the run had ended."""
    total: float
    """Of path: the leading commit's gain over the baseline, as the leaderboard has it. Of
    leave-one-out: its lower 95 % bound. All credit and `unattributed` add up to it."""
    unattributed: float
    by_author: Mapping[str, float] = field(default_factory=dict)
    by_commit: Mapping[str, float] = field(default_factory=dict)
    """Only commits with credit."""
    decided: Mapping[str, int] = field(default_factory=dict)
    """Agent -> confirmations of others' claims that decided something and still stand. Counted, not
    shared: a refutation decides as much as a reproduction, and there is no gain in it to share."""


@dataclass(frozen=True, slots=True)
class Omission:
    """A tree that the lab made of the leading commit by taking changes back."""

    commit: str
    hunks: frozenset[str]
    """What was taken back."""


def credit_table(state: RunState) -> CreditTable:
    """Return who is owed what as of now."""
    ledger = CreditLedger(state)
    measured = ledger.left_out()
    kind: Kind = "path" if measured is None else "leave-one-out"
    found = measured or ledger.path
    by_author: defaultdict[str, float] = defaultdict(float)
    for commit, credit in found.by_commit.items():
        by_author[state.proposals[commit].author] += credit
    paid = {commit: credit for commit, credit in found.by_commit.items() if credit > 0}
    return CreditTable(
        kind, found.total, found.unattributed, dict(sorted(by_author.items())), paid, decided(state)
    )


def omissions(state: RunState, leader: str) -> list[Omission]:
    """Return the trees that were made of `leader` for leave-one-out runs, in order."""
    return [
        Omission(commit, frozenset(proposal.knobs["without"]))
        for commit, proposal in state.proposals.items()
        if proposal.author == BASELINE
        and proposal.parents == (leader,)
        and "without" in proposal.knobs
    ]


class CreditLedger:
    """What the fold says about changes: who held them first, and what he may claim.

    Args:
        state: The folded ledger.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._direction: Direction = state.opened.direction if state.opened else "lower"
        self._chains: dict[str, list[str]] = {}

    @cached_property
    def _submitted(self) -> Submissions:
        return Submissions(self._state)

    @property
    def _made(self) -> Mapping[str, Made]:
        return self._submitted.made

    @cached_property
    def spread(self) -> Spread:
        """How much runs of one tree differ, as the run's replicated trees show it."""
        return Spread(self._prior.s0, self._prior.d0)

    @cached_property
    def _prior(self) -> Prior:
        return prior_of(self._state) or Prior(0.0, math.inf)

    @cached_property
    def _steps(self) -> dict[str, Step]:
        return Trials(self._state, self._state.hypotheses).steps()

    @cached_property
    def _standings(self) -> dict[str, Standing]:
        return standings(self._steps)

    @cached_property
    def _caps(self) -> dict[str, float]:
        """The most that each commit may claim of what others moved: what it may have gained itself.

        That is the upper bound of its gain over its parent, or over the baseline where that is
        less; nothing where either is not above noise. Else a tree that holds every idea where it
        does nothing would own them all. Left out are commits of which no gain is known.
        """
        caps: dict[str, float] = {}
        for commit, step in self._steps.items():
            if step.gain is not None:
                known = [step.gain, self._standings.get(commit, step.gain)]
                caps[commit] = min(gain.high if is_clear(gain) else 0.0 for gain in known)
        return caps

    @cached_property
    def holdings(self) -> list[Holding]:
        """The commits that count as holders: proposed by an agent, measured on his claim, of use.

        Not those that are known because somebody else had the same tree measured: to record a
        commit costs nothing. Nor those that were seen to gain nothing, unless they led.
        """
        led = {moved.commit for _, moved in self._led}
        return [
            Holding(commit, proposal.author, proposal.hunks)
            for commit, proposal in self._made.items()
            if proposal.author != BASELINE
            and self._was_measured(commit)
            and (commit in led or self._caps.get(commit, math.inf) > 0)
        ]

    @cached_property
    def path(self) -> Credits:
        """Path credit as of now."""
        return path_credit(list(self._moves()), self.holdings, self._caps)

    @property
    def leader(self) -> str | None:
        """The commit that holds the frontier, if anything is known of its gain."""
        moves = list(self._gains())
        return moves[-1][0] if moves else None

    def groups(self, commit: str) -> dict[str, list[str]]:
        """Return the hunks of `commit` by the commit that held them first."""
        return first_holders(self._made[commit].hunks, self.holdings)

    def limit(self, holder: str, move: str, *, is_last_word: bool = False) -> float:
        """Return the most that `holder` may claim of what `move` gained.

        What `move` gained over the best confirmed commit that the ledger had delivered to the
        holder's author when he submitted it, and over every delivered commit of somebody else's
        that it holds whole. That is the gain itself where `move` was confirmed against that (or
        against what was in turn, or against a commit that holds all of it), or `holder` was; else
        only what is shown. Of a move that the author made himself the same holds from when he
        submitted that: an old change of his does not open a gain to him that he had from others.

        Args:
            holder: a commit that held something of `move` first, or `move`.
            move: a commit that led.
            is_last_word: whether the whole gain of `move` is shared, and not only what was new.
        """
        proposals, limits = self._made, [math.inf]
        own, mine = proposals[holder].author, proposals[holder].hunks
        fair = [*self._chain(move), *self._chain(holder)]
        is_own_move = proposals[move].author == own and not is_last_word
        for commit in dict.fromkeys((holder, move) if is_own_move else (holder,)):
            if (best := self._best_delivered(commit)) is not None:
                is_fair = any(proposals[best].tree_key == proposals[c].tree_key for c in fair)
                limits.append(self._claimed(move, best, is_fair=is_fair))
        for one in self._submitted.delivered(holder):
            theirs = proposals[one].hunks
            if proposals[one].author == own or not theirs <= mine:
                continue
            if not any(theirs <= proposals[c].hunks for c in fair):
                limits.append(self._claimed(move, one, is_fair=False))
        return min(limits)

    def left_out(self) -> Credits | None:
        """Return leave-one-out credit, or None where it was not measured to the end."""
        leader, state = self.leader, self._state
        made = [] if leader is None else omissions(state, leader)
        runs = [e for e in state.experiments.values() if e.queued.purpose == "credit"]
        if leader is None or not made or not all(run.is_done for run in runs):
            return None
        owners, parts = self.parts(leader)
        silent = {owner for at in quiet(parts, self.spread) for owner in owners[at]}
        together = [one for one in made if silent and self._holders(leader, one.hunks) == silent]
        joint = self.losses(together[-1], leader) if together else ()
        gain = max(0.0, self._standings[leader].low)
        shares = leave_one_out(parts, joint, gain, self.spread)
        by_commit: defaultdict[str, float] = defaultdict(float)
        for who, share in zip(owners, shares, strict=True):
            for holder in who:
                by_commit[holder] += share / len(who)
        return Credits(gain, by_commit, gain - math.fsum(by_commit.values()))

    def parts(self, leader: str) -> tuple[list[list[str]], list[Part]]:
        """Return the groups of changes of `leader`, by their holders, and what they were measured.

        What could not be taken out stands beside them with nothing but its path credit.
        """
        owners: list[list[str]] = []
        parts: list[Part] = []
        for one in omissions(self._state, leader):
            holders = self._holders(leader, one.hunks)
            if holders.isdisjoint(holder for each in owners for holder in each):
                owners.append(sorted(holders))
                parts.append(self._part(leader, holders, self.losses(one, leader)))
        for holder in self.groups(leader):
            if not any(holder in each for each in owners):
                owners.append([holder])
                parts.append(self._part(leader, [holder], ()))
        return owners, parts

    def _holders(self, commit: str, hunks: frozenset[str]) -> set[str]:
        """Return who held first what `commit` has of `hunks`."""
        return {h for h, mine in self.groups(commit).items() if not hunks.isdisjoint(mine)}

    def losses(self, omission: Omission, leader: str) -> tuple[float, ...]:
        """Return what `leader` lost without some changes, per block of runs side by side."""
        scores: dict[tuple[str, tuple[str, str, int]], float] = {}
        for run in self._state.experiments.values():
            queued, verdict = run.queued, run.standing_verdict
            if queued.purpose == "credit" and verdict is not None and verdict.score is not None:
                block = verdict.device_class, queued.slot, queued.pair
                scores[queued.commit, block] = verdict.score
        return tuple(
            gain_over(scores[leader, block], score, self._direction)
            for (commit, block), score in scores.items()
            if commit == omission.commit and (leader, block) in scores
        )

    def _part(self, leader: str, holders: Collection[str], losses: tuple[float, ...]) -> Part:
        path = math.fsum(self.path.by_commit.get(holder, 0.0) for holder in holders)
        limits = [
            min(self.limit(holder, leader, is_last_word=True), self._caps.get(holder, math.inf))
            if holder != leader
            else self.limit(holder, leader, is_last_word=True)
            for holder in holders
        ]
        return Part(losses, path, math.fsum(limits))

    def _moves(self) -> Iterator[Move]:
        before = frozenset[str]()
        for commit, gain in self._gains():
            now = self._made[commit].hunks
            holders = set(first_holders(now - before, self.holdings))
            holders |= {one.commit for one in self.holdings if not holders and one.hunks == now}
            holders.add(commit)
            yield Move(commit, gain, {holder: self.limit(holder, commit) for holder in holders})
            before = now

    def _gains(self) -> Iterator[tuple[str, float]]:
        """Yield the commits that led and still stand, with their gains over the baseline."""
        for _, moved in self._led:
            gain = self._gain(moved.commit)
            if gain is not None and moved.commit in self._made:
                yield moved.commit, gain

    def _gain(self, commit: str) -> float | None:
        """Gain over the baseline, shrunk, along the declared parents."""
        standing = self._standings.get(commit)
        return None if standing is None else standing.estimate

    def _claimed(self, move: str, reference: str, *, is_fair: bool) -> float:
        """What the gain of `move` over `reference` comes to: as it is, or only as far as shown."""
        state = self._state
        one, other = (self._made[commit].tree_key for commit in (move, reference))
        gains = self._gain(move), self._gain(reference)
        if is_fair and gains[0] is not None and gains[1] is not None:
            return max(0.0, gains[0] - gains[1])
        for split in _SPLITS:
            gain = state.noise_model.gain(
                self._runs(one, split),
                self._runs(other, split),
                self._prior,
                self._direction,
                is_child_fixed=is_deterministic(state, one),
                is_parent_fixed=is_deterministic(state, other),
            )
            if gain is not None:
                return shown(gain)
        return math.inf

    def _runs(self, tree: str, split: Split) -> list[Measured]:
        """The valid runs of a tree that stand, in whichever slot they were."""
        verdicts = self._state.verdicts_by_tree.get((tree, split), ())
        return [Measured(v.score, v.device_class, "") for v in verdicts if v.score is not None]

    def _chain(self, commit: str) -> list[str]:
        """Commits that `commit` was confirmed against, directly or through confirmed parents."""
        if commit not in self._chains:
            chain, child = list[str](), commit
            while child in self._confirmed_us:
                child = self._made[child].parents[0]
                if child not in self._made:
                    break
                chain.append(child)  # parents are older, so this ends
            self._chains[commit] = chain
        return self._chains[commit]

    def _best_delivered(self, commit: str) -> str | None:
        """Return the best confirmed commit that had reached the author of `commit` by then.

        The last that had led; of commits that never led the one with the largest gain.
        """
        claims = self._state.hypotheses_by_commit.get(commit, ())
        posted = (self._state.hypotheses[claim].posted_us for claim in claims)
        until_us = min(posted, default=self._state.last_us)
        known = self._submitted.delivered(commit)
        confirmed = [c for c in known if self._confirmed_us.get(c, math.inf) <= until_us]
        led = [m.commit for at_us, m in self._led if at_us <= until_us and m.commit in confirmed]
        if led:
            return led[-1]
        return max(confirmed, key=lambda c: self._gain(c) or 0.0, default=None)

    @cached_property
    def _led(self) -> list[tuple[int, FrontierMoved]]:
        return standing_moves(self._state)

    @cached_property
    def _confirmed_us(self) -> dict[str, int]:
        """Since when each commit that is reproduced now has been so; by commit."""
        found: dict[str, int] = {}
        for claim in self._state.hypotheses.values():
            if claim.status == "reproduced" and claim.commit in self._made:
                since = (at_us for at_us, c in claim.changes if c.status == "reproduced")
                found.setdefault(claim.commit, min(since, default=claim.posted_us))
        return found

    def _was_measured(self, commit: str) -> bool:
        """Whether a valid run that stands was made for a claim of this commit."""
        served = (
            self._state.experiments[name]
            for claim in self._state.hypotheses_by_commit.get(commit, ())
            for name in self._state.hypotheses[claim].experiments
        )
        return any(
            run.queued.commit == commit
            and run.standing_verdict is not None
            and run.standing_verdict.outcome == "ok"
            for run in served
        )
