"""Each measured commit beside its declared parent: which runs tell its gain, and the gain.

A function of the fold. It picks the runs; `scoring.evidence.gains` turns them into a gain, and
`community.archive.standing` puts the steps together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from sys import intern

from community.archive.spreads import prior_of
from community.archive.state import ExperimentState, HypothesisState, RunState
from community.events import VerdictGiven
from community.evidence_events import AlarmRaised
from community.seed_rule import is_deterministic
from scoring.evidence.effects import Combined
from scoring.evidence.gains import Measured
from scoring.evidence.standing import Basis, Step
from scoring.evidence.variance import Prior
from scoring.verdict import Direction

ACCEPTED = frozenset({"reproduced", "contested"})
"""Statuses of a tree whose confirmation stands, if only for now."""
_PAIRED = frozenset({"confirm_child", "confirm_parent"})


@dataclass(frozen=True, slots=True)
class Trial:
    """What is asked of a valid run."""

    measured: Measured
    """In its block: a slot, as steady as it was between alarms."""
    is_screen: bool
    tree_key: str = ""
    """This and what follows is asked of runs on vault alone."""
    verdict_id: str = ""
    verdict_us: int = 0
    confirms: str | None = None
    """The tree whose confirmation it is part of."""


Runs = Sequence[Trial]


class Trials:
    """The valid runs of a run's trees, and which of them decided about their own tree.

    Args:
        state: The run.
        hypotheses: Its hypotheses by post id, as they stand or as a decision will leave them.
    """

    def __init__(self, state: RunState, hypotheses: Mapping[str, HypothesisState]) -> None:
        self._state = state
        self._direction: Direction = state.opened.direction if state.opened else "lower"
        self._claimed: dict[str, bool] = {}
        """Commit -> whether a claim of it was accepted, in the ledger's order."""
        self._prior = prior_of(state)
        self._drifts = [
            at_us
            for at_us, event in state.evidence.alarm_log
            if isinstance(event, AlarmRaised) and event.what == "drift"
        ]
        self._accepted_us: dict[str, int] = {}
        self._decided_by: dict[str, tuple[str, ...]] = {}
        self._runs: dict[str, dict[str, list[Trial]]] = {}
        """Split -> tree key -> runs."""
        self._suspects: set[str] = set()
        """Trees of which a verdict may say that they do not depend on their seed."""
        for experiment in state.by_verdict:
            if (verdict := experiment.standing_verdict) is not None:
                self._run(experiment, verdict, hypotheses)
        for hypothesis in hypotheses.values():
            self._take(hypothesis)

    def _run(
        self,
        run: ExperimentState,
        verdict: VerdictGiven,
        hypotheses: Mapping[str, HypothesisState],
    ) -> None:
        """Take in a run that stands."""
        if verdict.is_deterministic or verdict.sketch:
            self._suspects.add(verdict.tree_key)
        if verdict.outcome != "ok" or verdict.score is None:
            return
        slot = verdict.slot or (run.attempts[-1].slot if run.attempts else "")
        begun_us = run.attempts[-1].started_us if run.attempts else run.queued_at_us
        block = intern(f"{slot}/{bisect_right(self._drifts, begun_us)}")
        measured = Measured(verdict.score, intern(verdict.device_class), block)
        trial = Trial(measured, run.queued.purpose == "screen")
        if verdict.split == "vault":
            is_pair = run.queued.purpose in _PAIRED
            claim = hypotheses.get(run.queued.hypothesis) if is_pair else None
            trial = replace(
                trial,
                tree_key=verdict.tree_key,
                verdict_id=verdict.verdict_id,
                verdict_us=run.verdict_us or 0,
                confirms=None if claim is None else claim.tree_key,
            )
        self._runs.setdefault(verdict.split, {}).setdefault(verdict.tree_key, []).append(trial)

    def _of(self, tree: str, split: str) -> Runs:
        return self._runs.get(split, {}).get(tree, ())

    def _take(self, hypothesis: HypothesisState) -> None:
        """Note when its tree was accepted, and the verdicts that decided about it until then."""
        tree, is_accepted = hypothesis.tree_key, hypothesis.status in ACCEPTED
        self._claimed[hypothesis.commit] = is_accepted or self._claimed.get(
            hypothesis.commit, False
        )
        if not self._of(tree, "vault") and not is_accepted:
            return  # then nobody asks
        for at_us, change in hypothesis.changes:
            if hypothesis.taken_back.intersection(change.verdicts):
                continue
            self._decided_by[tree] = (*self._decided_by.get(tree, ()), *change.verdicts)
            if is_accepted and change.status == "reproduced":
                self._accepted_us[tree] = min(at_us, self._accepted_us.get(tree, at_us))
                return

    def after(self, tree: str) -> Runs:
        """Return the runs on vault since the tree was accepted; none while it is not."""
        return self._free(tree) if tree in self._accepted_us else []

    def steps(self) -> dict[str, Step]:
        """Return the step of every hypothesis' commit and of its ancestors, by commit.

        Empty while nothing is known of the spread between seeds.
        """
        steps: dict[str, Step] = {}
        if self._prior is None:
            return steps
        for commit in self._claimed:
            while commit not in steps and not self._is_baseline(commit):
                proposal = self._state.proposals.get(commit)
                if proposal is None or not proposal.parents:  # of which the ledger knows no more
                    steps[commit] = Step("", None, "screen", is_accepted=False)
                    break
                parent = proposal.parents[0]
                gain, basis = self._gain(proposal.tree_key, self._tree(parent), self._prior)
                steps[commit] = Step(parent, gain, basis, self._claimed.get(commit, False))
                commit = parent
        return steps

    def _gain(self, tree: str, parent: str, prior: Prior) -> tuple[Combined | None, Basis]:
        """Return the gain by the best runs there are; runs in common blocks before any runs."""
        state = self._state
        model = state.noise_model
        choices = self._facts(tree, parent) if model.is_lasting else self._choices(tree, parent)
        for basis, child_runs, parent_runs, is_blocked in choices:
            if not child_runs or not parent_runs:
                continue
            gain = model.gain(
                [_measured(run, is_blocked) for run in child_runs],
                [_measured(run, is_blocked) for run in parent_runs],
                prior,
                self._direction,
                is_child_fixed=self._is_fixed(tree),
                is_parent_fixed=self._is_fixed(parent),
            )
            if gain is not None:
                return gain, basis
        return None, "screen"

    def _is_fixed(self, tree: str) -> bool:
        return tree in self._suspects and is_deterministic(self._state, tree)

    def _facts(self, tree: str, parent: str) -> Iterator[tuple[Basis, Runs, Runs, bool]]:
        """Yield all runs there are: where scores are facts, being chosen by one flatters nobody."""
        sides = [
            [run for split in ("dev", "vault", "seal") for run in self._of(name, split)]
            for name in (tree, parent)
        ]
        yield "after", sides[0], sides[1], False

    def _choices(self, tree: str, parent: str) -> Iterator[tuple[Basis, Runs, Runs, bool]]:
        """Yield the runs that a gain may rest on, the best basis first, and whether in blocks."""
        if self._of(tree, "vault"):  # most trees never got there
            own = self._decided_by.get(tree, ())
            yield "after", self._free(tree), self._free(parent, judged=tree), True
            yield "mixed", self._free(tree), self._free(parent), True
            yield "confirmation", self._among(own, tree), self._among(own, parent), True
            yield "confirmation", self._settled(tree), self._of(parent, "vault"), False
        screens = self._fresh(tree), self._fresh(parent)
        yield "screen", *screens, True
        yield "screen", *screens, False

    def _free(self, tree: str, judged: str | None = None) -> Runs:
        """Return the runs on vault that had no part in a decision on the tree, nor on `judged`."""
        runs = [run for run in self._of(tree, "vault") if self._is_free(run, tree)]
        return runs if judged is None else [run for run in runs if self._is_free(run, judged)]

    def _is_free(self, run: Trial, judged: str) -> bool:
        if run.verdict_id in self._decided_by.get(judged, ()):
            return False
        accepted_us = self._accepted_us.get(judged)
        serves = run.confirms == judged
        if accepted_us is not None and (judged == run.tree_key or serves):
            return run.verdict_us > accepted_us
        return not serves

    def _settled(self, tree: str) -> Runs:
        """Return the runs on vault, those of a confirmation that is under way left out."""
        own = self._decided_by.get(tree, ())
        return [
            run
            for run in self._of(tree, "vault")
            if run.verdict_id in own or self._is_free(run, tree)
        ]

    def _among(self, verdicts: Sequence[str], tree: str) -> Runs:
        return [run for run in self._of(tree, "vault") if run.verdict_id in verdicts]

    def _fresh(self, tree: str) -> Runs:
        """Return the runs on dev; screens, which are lucky draws, only where there is no other."""
        runs = self._of(tree, "dev")
        return [run for run in runs if not run.is_screen] or runs

    def _is_baseline(self, commit: str) -> bool:
        opened = self._state.opened
        return opened is not None and (
            commit == opened.baseline_commit or self._tree(commit) == opened.baseline_tree_key
        )

    def _tree(self, commit: str) -> str:
        """Return a commit's tree key; empty of a commit that the ledger does not know."""
        opened, proposal = self._state.opened, self._state.proposals.get(commit)
        if opened is not None and commit == opened.baseline_commit:
            return opened.baseline_tree_key
        return proposal.tree_key if proposal else ""


def _measured(run: Trial, is_blocked: bool) -> Measured:
    """Return the run for `gain_of`; all of a device class are in one block if need be."""
    known = run.measured
    return known if is_blocked else Measured(known.score, known.device_class, "")
