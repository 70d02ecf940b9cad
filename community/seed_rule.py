"""Which trees have to show that their seed matters, and of which it is known that it does not.

The showing is `trainer.seed_gate`, and after whole runs `trainer.sketch`; what is demanded of a
tree whose seed does not matter is `scoring.evidence.sequential.LOTTERY_Z`. Functions of the folded
ledger, nothing else.
"""

from __future__ import annotations

import statistics
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Final

from community.archive.state import RunState
from community.events import ExperimentQueued, VerdictGiven
from trainer.sketch import distance, likenesses

PINNED_SHARE: Final = 0.6
"""Of the distance that is usual between two runs of the start tree. On nanolm that is 0.85; honest
trees lie above 0.75, and such as pin what they begin with below 0.35
(`benchmarks/results/seed_distances.md`)."""
INHERITED: Final = 0.15
"""So much less than its own runs may a tensor be like one of a tree that led before."""
MOST_RUNS: Final = 12
"""Of one tree, that are compared: a claim's screen and its confirmation have no more."""
LEADER_RUNS: Final = 3


def needs_seed_gate(state: RunState, experiment: ExperimentQueued) -> bool:
    """Whether this is the first measurement of its tree: none has ended well, on any split.

    The start tree is the task's own and is never gated.
    """
    if experiment.purpose == "baseline" or state.opened is None:
        return False
    if not state.noise_model.is_gated:
        return False
    if experiment.tree_key == state.opened.baseline_tree_key:
        return False
    return not any(verdict.outcome == "ok" for verdict in _verdicts(state, experiment.tree_key))


def is_deterministic(state: RunState, tree_key: str) -> bool:
    """Whether the tree's runs count as one: they are one run told several times, or much like it.

    So it is where two short runs ended in the same bytes, and where two whole ones under different
    seeds ended, in any tensor, less than `PINNED_SHARE` as far apart as those of the start tree do:
    such a tree draws what it begins with from a seed of its own. A tensor that is as much like that
    of a tree which led before this one was first queued is passed over: whatever luck is in it, the
    leader has had to show, and has. The start tree itself is never judged, nor is a run whose
    ledger holds no sketches.
    """
    if any(verdict.is_deterministic for verdict in _verdicts(state, tree_key)):
        return True
    if state.opened is None or tree_key == state.opened.baseline_tree_key:
        return False
    close = _close_runs(state, tree_key)
    if not close:
        return False
    bar = PINNED_SHARE * _usual(state, state.opened.baseline_tree_key)
    led = _led_before(state, tree_key)
    return any(
        1 - likeness < bar and not _is_inherited(one, tag, likeness, led)
        for one, tag, likeness in close
    )


def _close_runs(state: RunState, tree_key: str) -> list[tuple[str, bytes, float]]:
    """Return a run's sketch, a tensor, and how alike another one ended in it, where that is much.

    Any two of the first runs are compared: who chooses among a few seeds by the lab's is seen too.
    """
    runs = [v for v in _verdicts(state, tree_key) if v.sketch][:MOST_RUNS]
    return [
        (one.sketch, tag, likeness)
        for one, other in combinations(runs, 2)
        if one.seed != other.seed
        for tag, likeness in _close(one.sketch, other.sketch)
    ]


@lru_cache(maxsize=1 << 14)
def _close(one: str, other: str) -> tuple[tuple[bytes, float], ...]:
    found = likenesses(one, other).items()
    return tuple((tag, likeness) for tag, likeness in found if 1 - likeness < PINNED_SHARE)


def _usual(state: RunState, tree_key: str) -> float:
    """Return how far apart the start tree's first runs ended; 0 where that is not known."""
    runs = [v.sketch for v in _verdicts(state, tree_key) if v.sketch][:MOST_RUNS]
    found = [distance(one, other) for one, other in pairwise(runs)]
    return statistics.median([each for each in found if each is not None] or [0.0])


def _led_before(state: RunState, tree_key: str) -> list[str]:
    """Return sketches of the trees that had led when the tree was first queued."""
    since_us = min(
        (e.queued_at_us for e in state.experiments.values() if e.queued.tree_key == tree_key),
        default=0,
    )
    trees = {
        state.proposals[move.commit].tree_key: None
        for at_us, move in state.frontier
        if at_us < since_us and move.commit in state.proposals
    }
    found: list[str] = []
    for tree in trees.keys() - {tree_key}:
        found += [v.sketch for v in _verdicts(state, tree) if v.sketch][:LEADER_RUNS]
    return found


def _is_inherited(one: str, tag: bytes, likeness: float, led: list[str]) -> bool:
    return any(likenesses(one, each).get(tag, 0.0) > likeness - INHERITED for each in led)


def _verdicts(state: RunState, tree_key: str) -> list[VerdictGiven]:
    found: list[VerdictGiven] = []
    for split in ("dev", "vault", "seal"):
        found += state.verdicts_by_tree.get((tree_key, split), ())
    return found
