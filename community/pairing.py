"""The pairs of a confirmation: which runs of child and parent stand side by side.

A pair is one run of each on vault, on one slot, in one device class, within half an hour and with
no alarm about drift between them. Most pairs have a parent's run of their own, just before the
child's or just after it. A parent's run that another child was confirmed by, on the same slot and
not long ago, may serve here as well; the child's run then names it (`ExperimentQueued.beside`), so
that the ledger alone says what a decision rests on. Functions of the fold.
"""

from __future__ import annotations

from dataclasses import dataclass

from community.archive.state import ExperimentState, HypothesisState, RunState
from community.events import Purpose, VerdictGiven
from community.evidence_events import AlarmRaised
from community.references import true_age_us, usual_wall_s
from community.screening import parent_tree
from scoring.evidence.gains import Measured
from scoring.evidence.sequential import REFERENCE_AGE_S

_CONFIRMING: frozenset[Purpose] = frozenset({"confirm_child", "confirm_parent"})
_APART_RUNS = 4.0
"""Where runs are very long, the two sides of a pair may lie so many of them apart."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A child's run and the parent's beside it, both valid."""

    number: int
    child: VerdictGiven
    parent: VerdictGiven

    @property
    def verdicts(self) -> tuple[str, str]:
        """Their ids, the parent's first."""
        return self.parent.verdict_id, self.child.verdict_id


def confirmations(state: RunState, claim: HypothesisState) -> list[ExperimentState]:
    """Return the experiments that confirm `claim`, in order of admission.

    Not those whose verdicts were taken back: in their place others are run.
    """
    served = [state.experiments[name] for name in claim.experiments]
    return [e for e in served if e.queued.purpose in _CONFIRMING and not e.is_retracted]


def pairs_of(state: RunState, claim: HypothesisState) -> list[Pair]:
    """Return the whole pairs of a claim, of all its confirmations, in their order."""
    runs = confirmations(state, claim)
    parents = {e.queued.pair: e for e in runs if e.queued.purpose == "confirm_parent"}
    found = []
    for child in (e for e in runs if e.queued.purpose == "confirm_child"):
        if child.queued.beside:
            told = state.verdicts[child.queued.beside]
            parent = state.experiments[told.experiment_id]
        elif child.queued.pair in parents:
            parent = parents[child.queued.pair]
        else:
            continue
        if (pair := _pair(state, child, parent)) is not None:
            found.append(pair)
    return sorted(found, key=lambda pair: pair.number)


def pooled(state: RunState, claim: HypothesisState) -> tuple[list[Measured], list[Measured]]:
    """Return all runs of child and parent that tell whether a reproduced claim stands.

    Those of its pairs; where scores are facts, all that both trees have on record.
    """
    if state.noise_model.is_lasting:
        trees = claim.tree_key, parent_tree(state, claim.commit)
        child, parent = ([Measured(s, "", "") for s in state.on_record(t, "vault")] for t in trees)
        return child, parent
    pairs = pairs_of(state, claim)
    sides = [pair.child for pair in pairs], [pair.parent for pair in pairs]
    child, parent = (
        [Measured(v.score, v.device_class, v.slot) for v in side if v.score is not None]
        for side in sides
    )
    return child, parent


def runs_to_share(
    state: RunState, claim: HypothesisState, device_class: str, now_us: int
) -> dict[str, list[VerdictGiven]]:
    """Return recent runs of the claim's parent, by slot, that its tree was not paired with yet.

    Only runs that were made as a parent's: what a tree was confirmed by itself flatters it.

    Args:
        state: The run.
        claim: Whose child is to be confirmed.
        device_class: Of this life of the run.
        now_us: Run time in microseconds.
    """
    tree, used = parent_tree(state, claim.commit), _used(state, claim.tree_key)
    found: dict[str, list[VerdictGiven]] = {}
    for experiment in state.index.repeats.get((tree, "vault", device_class), ()):
        if (
            experiment.queued.purpose == "confirm_parent"
            and (verdict := experiment.standing_verdict) is not None
            and (verdict.tree_key, verdict.device_class) == (tree, device_class)
            and verdict.score is not None
            and verdict.verdict_id not in used
            and experiment.attempts[-1].started_us >= state.evidence.refers_since_us(verdict.slot)
            and true_age_us(state, experiment.verdict_us or 0, now_us) <= _longest_us(state)
        ):
            found.setdefault(verdict.slot, []).append(verdict)
    return found


def _used(state: RunState, tree_key: str) -> set[str]:
    """Return the parents' runs that children of this tree were paired with."""
    runs = [
        experiment
        for claim in state.index.hypotheses_by_tree.get(tree_key, ())
        for experiment in confirmations(state, claim)
    ]
    own = {e.verdict.verdict_id for e in runs if e.verdict is not None}
    return own | {e.queued.beside for e in runs}


def _pair(state: RunState, child: ExperimentState, parent: ExperimentState) -> Pair | None:
    ours, theirs = child.standing_verdict, parent.standing_verdict
    if ours is None or theirs is None or ours.score is None or theirs.score is None:
        return None
    if (ours.slot, ours.device_class) != (theirs.slot, theirs.device_class):
        return None
    first_us, last_us = sorted((child.verdict_us or 0, parent.verdict_us or 0))
    if _apart_us(state, first_us, last_us) > _longest_us(state):
        return None
    has_drifted = any(
        first_us < at_us <= last_us and isinstance(event, AlarmRaised) and event.what == "drift"
        for at_us, event in state.evidence.alarm_log
    )
    placed_us, _ = state.evidence.placed.get(ours.slot, (0, ""))
    is_apart = has_drifted or first_us < placed_us <= last_us  # on two machines, in a cluster
    return None if is_apart else Pair(child.queued.pair, ours, theirs)


def _apart_us(state: RunState, first_us: int, last_us: int) -> int:
    """Return the time between two moments, that between a stop and its resume included."""
    return true_age_us(state, first_us, last_us) - true_age_us(state, last_us, last_us)


def _longest_us(state: RunState) -> int:
    return round(1e6 * max(REFERENCE_AGE_S, _APART_RUNS * usual_wall_s(state)))
