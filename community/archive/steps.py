"""Each measured commit beside its declared parent: which runs tell its gain, and the gain.

A function of the fold. It picks the runs; `scoring.evidence.gains` turns them into a gain, and
`community.archive.standing` puts the steps together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping

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

Runs = list[ExperimentState]
ACCEPTED = frozenset({"reproduced", "contested"})
"""Statuses of a tree whose confirmation stands, if only for now."""


class Trials:
    """The valid runs of a run's trees, and which of them decided about their own tree.

    Args:
        state: The run.
        hypotheses: Its hypotheses by post id, as they stand or as a decision will leave them.
    """

    def __init__(self, state: RunState, hypotheses: Mapping[str, HypothesisState]) -> None:
        self._state = state
        self._direction: Direction = state.opened.direction if state.opened else "lower"
        self._hypotheses = hypotheses
        self._prior = prior_of(state)
        self._drifts = [
            at_us
            for at_us, event in state.evidence.alarm_log
            if isinstance(event, AlarmRaised) and event.what == "drift"
        ]
        self._accepted_us: dict[str, int] = {}
        self._decided_by: defaultdict[str, set[str]] = defaultdict(set)
        self._runs: defaultdict[tuple[str, str], Runs] = defaultdict(list)
        self._known: dict[tuple[str, bool], Measured] = {}
        """By (experiment, whether in its block): a parent's runs are asked for by every child."""
        for hypothesis in hypotheses.values():
            self._take(hypothesis)
        for experiment in state.by_verdict:
            verdict = experiment.standing_verdict
            if verdict is not None and verdict.outcome == "ok" and verdict.score is not None:
                self._runs[verdict.tree_key, verdict.split].append(experiment)

    def _take(self, hypothesis: HypothesisState) -> None:
        """Note when its tree was accepted, and the verdicts that decided about it until then."""
        tree = hypothesis.tree_key
        for at_us, change in hypothesis.changes:
            if hypothesis.taken_back.intersection(change.verdicts):
                continue
            self._decided_by[tree].update(change.verdicts)
            if hypothesis.status in ACCEPTED and change.status == "reproduced":
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
        accepted = {h.commit for h in self._hypotheses.values() if h.status in ACCEPTED}
        for hypothesis in self._hypotheses.values():
            commit = hypothesis.commit
            while commit not in steps and not self._is_baseline(commit):
                proposal = self._state.proposals.get(commit)
                if proposal is None or not proposal.parents:  # of which the ledger knows no more
                    steps[commit] = Step("", None, "screen", is_accepted=False)
                    break
                parent = proposal.parents[0]
                gain, basis = self._gain(proposal.tree_key, self._tree(parent), self._prior)
                steps[commit] = Step(parent, gain, basis, commit in accepted)
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
                [self._measured(run, is_blocked) for run in child_runs],
                [self._measured(run, is_blocked) for run in parent_runs],
                prior,
                self._direction,
                is_child_fixed=is_deterministic(state, tree),
                is_parent_fixed=is_deterministic(state, parent),
            )
            if gain is not None:
                return gain, basis
        return None, "screen"

    def _facts(self, tree: str, parent: str) -> Iterator[tuple[Basis, Runs, Runs, bool]]:
        """Yield all runs there are: where scores are facts, being chosen by one flatters nobody."""
        sides = [
            [run for split in ("dev", "vault", "seal") for run in self._runs[name, split]]
            for name in (tree, parent)
        ]
        yield "after", sides[0], sides[1], False

    def _choices(self, tree: str, parent: str) -> Iterator[tuple[Basis, Runs, Runs, bool]]:
        """Yield the runs that a gain may rest on, the best basis first, and whether in blocks."""
        if self._runs[tree, "vault"]:  # most trees never got there
            own = self._decided_by[tree]
            yield "after", self._free(tree), self._free(parent, judged=tree), True
            yield "mixed", self._free(tree), self._free(parent), True
            yield "confirmation", self._among(own, tree), self._among(own, parent), True
            yield "confirmation", self._settled(tree), self._runs[parent, "vault"], False
        screens = self._fresh(tree), self._fresh(parent)
        yield "screen", *screens, True
        yield "screen", *screens, False

    def _free(self, tree: str, judged: str | None = None) -> Runs:
        """Return the runs on vault that had no part in a decision on the tree, nor on `judged`."""
        runs = [run for run in self._runs[tree, "vault"] if self._is_free(run, tree)]
        return runs if judged is None else [run for run in runs if self._is_free(run, judged)]

    def _is_free(self, run: ExperimentState, judged: str) -> bool:
        verdict = _verdict(run)
        if verdict.verdict_id in self._decided_by.get(judged, ()):
            return False
        accepted_us = self._accepted_us.get(judged)
        if accepted_us is not None and (judged == verdict.tree_key or self._serves(run, judged)):
            return (run.verdict_us or 0) > accepted_us
        return not self._serves(run, judged)

    def _serves(self, run: ExperimentState, tree: str) -> bool:
        """Whether it is part of a confirmation of the tree."""
        claim = self._hypotheses.get(run.queued.hypothesis)
        is_pair = run.queued.purpose in ("confirm_child", "confirm_parent")
        return is_pair and claim is not None and claim.tree_key == tree

    def _settled(self, tree: str) -> Runs:
        """Return the runs on vault, those of a confirmation that is under way left out."""
        own = self._decided_by[tree]
        return [
            run
            for run in self._runs[tree, "vault"]
            if _verdict(run).verdict_id in own or self._is_free(run, tree)
        ]

    def _among(self, verdicts: set[str], tree: str) -> Runs:
        return [run for run in self._runs[tree, "vault"] if _verdict(run).verdict_id in verdicts]

    def _fresh(self, tree: str) -> Runs:
        """Return the runs on dev; screens, which are lucky draws, only where there is no other."""
        runs = self._runs[tree, "dev"]
        return [run for run in runs if run.queued.purpose != "screen"] or runs

    def _measured(self, run: ExperimentState, is_blocked: bool) -> Measured:
        """Return the run for `gain_of`, in its block: a slot, as steady as it was between alarms.

        All runs of a device class are in one block where they need not be blocked.
        """
        key = run.queued.experiment_id, is_blocked
        if (known := self._known.get(key)) is not None:
            return known
        verdict = _verdict(run)
        assert verdict.score is not None
        slot = verdict.slot or (run.attempts[-1].slot if run.attempts else "")
        begun_us = run.attempts[-1].started_us if run.attempts else run.queued_at_us
        block = f"{slot}/{bisect_right(self._drifts, begun_us)}" if is_blocked else ""
        measured = self._known[key] = Measured(verdict.score, verdict.device_class, block)
        return measured

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


def _verdict(run: ExperimentState) -> VerdictGiven:
    assert run.verdict is not None
    return run.verdict
