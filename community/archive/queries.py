"""Questions about a folded run that several views ask: how busy the pool was, which commit is best.

Pure functions of `RunState`. What ranks whom is `leaderboard`; what is printed is `community.show`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from community.archive.standing import Placed, placed
from community.archive.state import HypothesisState, RunState, Split
from community.events import FrontierMoved, VerdictGiven
from community.plain_text import isolation_words
from scoring.evidence.ranking import weakest
from scoring.evidence.sequential import gain_over
from scoring.evidence.standing import Standing
from scoring.verdict import Direction, Isolation

Interval = tuple[int, int]
"""Run times in microseconds: from, until."""


def isolation_of(verdicts: Iterable[VerdictGiven]) -> Isolation:
    """Return the weakest isolation among `verdicts`; full where there are none."""
    return weakest(verdict.isolation for verdict in verdicts)


def isolation_note(state: RunState) -> str:
    """Return how a run's candidate code was isolated, for people; empty where it was full."""
    found = (state.opened.isolation if state.opened else "") or isolation_of(
        state.verdicts.values()
    )
    return isolation_words(found, state.measured_by)


def results_heard(state: RunState, agent: str) -> AbstractSet[str]:
    """Return the hypotheses (post ids) of which a finding or failure has reached `agent`."""
    return state.reach.heard.get(agent, frozenset())


def trees_told(state: RunState, agent: str) -> frozenset[str]:
    """Return the hypotheses of which both the result and the diff have reached `agent`.

    Of others he may have heard what came out, but not of what: to say that a tree of his is the
    same would tell it.
    """
    heard = results_heard(state, agent)
    return frozenset(n for n in heard if state.may_read(agent, state.hypotheses[n].commit))


def knows_score(state: RunState, agent: str, tree_key: str) -> bool:
    """Whether `agent` was told that a tree has a score: by a post, as its own, as the baseline's.

    Whatever else has been measured meanwhile: to go by that would tell him of it.
    """
    if state.opened is not None and tree_key == state.opened.baseline_tree_key:
        return True
    for claim in state.hypotheses.values():
        if claim.tree_key != tree_key:
            continue
        for _, change in claim.changes:
            is_his = agent in (claim.proposer, change.by)
            if is_his and any(state.verdicts[v].outcome == "ok" for v in change.verdicts):
                return True
    bodies = (state.posts[post_id].posted.body for post_id in state.delivered.get(agent, {}))
    return any(
        state.hypotheses[body["hypothesis"]].tree_key == tree_key
        for body in bodies
        if body["kind"] in ("finding", "failure") and body["evidence"]["outcome"] == "ok"
    )


def baseline_score_cpu_s(state: RunState) -> float | None:
    """Return what scoring the baseline on dev takes in CPU seconds, as far as the ledger knows."""
    costs = [
        experiment.verdict.score_cpu_s
        for experiment in state.index.calibration
        if experiment.verdict is not None and experiment.verdict.outcome == "ok"
    ]
    return sum(costs) / len(costs) if costs else None


@dataclass(frozen=True, slots=True)
class SlotUse:
    """What one slot did."""

    slot: str
    busy_share: float
    """Share of the window with a train or an answering process alive."""
    train_share: float
    train: tuple[Interval, ...]
    """When a train process was alive, over the whole run, merged and in order."""
    answer: tuple[Interval, ...]
    """When an answering process was alive."""


@dataclass(frozen=True, slots=True)
class PoolUse:
    """How well the pool was used, from attempts that ended; lost and running ones count as idle."""

    busy_share: float
    """Mean of the slots' busy shares; 0 when the window is empty."""
    train_share: float
    window_us: Interval
    slots: tuple[SlotUse, ...]


def pool_use(state: RunState, lo: float = 0.1, hi: float = 0.9) -> PoolUse:
    """Return how busy the slots were between two fractions of the run's time so far.

    The run's time is from its opening to its last row, stops left out; calibration counts as work.

    Args:
        state: The run.
        lo: Where the window begins, as a fraction of the run's time.
        hi: Where it ends.
    """
    length = state.last_us - state.opened_us
    window = (state.opened_us + round(lo * length), state.opened_us + round(hi * length))
    names = dict.fromkeys(state.opened.slots if state.opened else ())
    train: dict[str, list[Interval]] = {name: [] for name in names}
    answer: dict[str, list[Interval]] = {name: [] for name in names}
    for experiment in state.experiments.values():
        for attempt in experiment.attempts:
            if attempt.ended is not None:
                train.setdefault(attempt.slot, []).append(attempt.ended.train_us)
                answer.setdefault(attempt.slot, []).append(attempt.ended.answer_us)
    slots = tuple(_slot_use(slot, train[slot], answer[slot], window) for slot in train)
    count = max(1, len(slots))
    return PoolUse(
        busy_share=sum(slot.busy_share for slot in slots) / count,
        train_share=sum(slot.train_share for slot in slots) / count,
        window_us=window,
        slots=slots,
    )


def _slot_use(
    slot: str, train: list[Interval], answer: list[Interval], window: Interval
) -> SlotUse:
    trained, answered = _merged(train), _merged(answer)
    return SlotUse(
        slot=slot,
        busy_share=_share(_merged([*trained, *answered]), window),
        train_share=_share(trained, window),
        train=trained,
        answer=answered,
    )


def _merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Return the union as disjoint intervals in order; empty ones vanish."""
    union: list[Interval] = []
    for start, end in sorted(pair for pair in intervals if pair[0] < pair[1]):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(end, union[-1][1]))
        else:
            union.append((start, end))
    return tuple(union)


def _share(disjoint: Iterable[Interval], window: Interval) -> float:
    low, high = window
    if high <= low:
        return 0.0
    return sum(max(0, min(end, high) - max(start, low)) for start, end in disjoint) / (high - low)


@dataclass(frozen=True, slots=True)
class Best:
    """The commit a run would be judged by."""

    hypothesis: HypothesisState
    score: float
    """Mean on `split`."""
    split: Split
    """vault for a reproduced commit, else dev."""
    reference: float | None
    """The baseline's mean on `reference_split`."""
    reference_split: Split
    """The same split; dev where the baseline is not measured on vault."""
    gain: float | None
    """Gain of `score` over `reference`, positive is better; flattered by whatever chose it."""
    standing: Standing | None
    """Its gain by the runs that ought to be believed, with an interval; None where that is unknown.
    """

    @property
    def gain_percent(self) -> float | None:
        """`gain` in percent of the reference."""
        if self.gain is None or not self.reference:
            return None
        return 100 * self.gain / abs(self.reference)

    @property
    def comparison(self) -> str:
        """`gain_percent` in words, with what it is told against; empty where that is unknown."""
        return comparison(self.gain_percent, self.reference, self.reference_split)


def comparison(percent: float | None, reference: float | None, split: str | None) -> str:
    """Return ``18.2 % better than the baseline (3.3000 on vault)``, or nothing."""
    if percent is None or reference is None:
        return ""
    way = "better" if percent >= 0 else "worse"
    return f"{abs(percent):.1f} % {way} than the baseline ({reference:.4f} on {split})"


_STEPS = (frozenset({"improved"}), frozenset({"measured", "undecided", "not_improved"}))


def standing_moves(state: RunState) -> list[tuple[int, FrontierMoved]]:
    """Return (run time, move) of the frontier, oldest first, of claims that are reproduced now.

    A move whose claim lost its status since (contested, retracted, open again) counts as if it had
    not been.
    """
    claims = state.hypotheses
    return [
        (at_us, moved)
        for at_us, moved in state.frontier
        if moved.hypothesis in claims and claims[moved.hypothesis].status == "reproduced"
    ]


def leader(state: RunState) -> FrontierMoved | None:
    """Return the move by which a commit leads now; None where none was reproduced and stands."""
    moves = standing_moves(state)
    return moves[-1][1] if moves else None


def leading_commit(state: RunState) -> str | None:
    """Return the commit that ``best`` names: the leader's, the baseline's after it fell.

    None where nothing has led yet.
    """
    if (leading := leader(state)) is not None:
        return leading.commit
    return state.opened.baseline_commit if state.opened and state.frontier else None


def best_commit(state: RunState) -> Best | None:
    """Return the frontier, else the best improved hypothesis, else the best measured one.

    The best by the order of the leaderboard. None until a hypothesis has a valid score.
    """
    places = placed(state)
    if (leading := leader(state)) is not None:
        first = next(place for place in places if place.post_id == leading.hypothesis)
        score = state.mean_score(first.hypothesis.tree_key, "vault")
        return _best(state, first, leading.score if score is None else score, "vault")
    for statuses in _STEPS:
        for place in places:
            claim = place.hypothesis
            score = state.mean_score(claim.tree_key, "dev") if claim.status in statuses else None
            if score is not None:
                return _best(state, place, score, "dev")
    return None


def _best(state: RunState, place: Placed, score: float, split: Split) -> Best:
    reference, reference_split = baseline_mean(state, split), split
    if reference is None:
        reference, reference_split = baseline_mean(state, "dev"), "dev"
    direction: Direction = state.opened.direction if state.opened else "lower"
    gain = None if reference is None else gain_over(score, reference, direction)
    return Best(place.hypothesis, score, split, reference, reference_split, gain, place.standing)


def experiment_limit(state: RunState) -> int | None:
    """Return how many experiments the run may make: as last resumed, else as its scenario says."""
    for _, resumed in reversed(state.resumed):
        if resumed.experiments is not None:
            return resumed.experiments
    if state.opened is None:
        return None
    try:
        limit = tomllib.loads(state.opened.scenario).get("stop", {}).get("experiments")
    except (tomllib.TOMLDecodeError, AttributeError):
        return None
    return limit if isinstance(limit, int) else None


def baseline_mean(state: RunState, split: Split) -> float | None:
    """Return the unmodified start tree's mean score on a split, or None before it is known.

    On dev that is the calibrated mean once the noise band is recorded; where scores are facts, the
    best of all its runs.
    """
    if split == "dev" and state.noise is not None and not state.noise_model.is_lasting:
        return state.noise.mean
    return state.mean_score(state.opened.baseline_tree_key, split) if state.opened else None
