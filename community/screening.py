"""Screening: one run on dev beside fresh runs of the declared parent, and what they say together.

A screen can only give the right to be confirmed; see `community.reproduction`. The rule itself is
`scoring.evidence.noise_models`'s; here its runs are brought together on one slot
(`community.references` has the parent's), further ones are taken where the rule asks, and its word
is recorded. What was judged in part before a stop or a kill is taken up from the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from community.admission import Admission
from community.alarms import FAILURES, decisions_paused, keeps_failing, raise_alarm
from community.archive.queries import trees_told
from community.archive.spreads import prior_of, told_sigma
from community.archive.state import ExperimentState, HypothesisState, RunState
from community.chronicle import Chronicle
from community.events import StatusChanged, VerdictGiven
from community.references import References
from community.scheduler import Request, Scheduler
from community.seed_rule import is_deterministic
from scoring.evidence.sequential import SEEDS, Judgement
from scoring.evidence.telling import told

MOST_RUNS = 2 * SEEDS
"""Of one claim on dev: what the rule may ask for, and the same once more after an alarm."""

FOUND = frozenset({"not_improved", "undecided", "improved", "reproduced"})
"""Statuses that a screen or a confirmation gives, and of which somebody reports; others follow."""


def screen_of(state: RunState, hypothesis: str) -> str | None:
    """Return the id of the experiment that screens `hypothesis` (post id), or None.

    One whose verdict was taken back is none: the claim may be screened again.
    """
    for experiment_id in state.hypotheses[hypothesis].experiments:
        experiment = state.experiments[experiment_id]
        if experiment.queued.purpose == "screen" and not experiment.is_retracted:
            return experiment_id
    return None


def known_screen(state: RunState, claim: HypothesisState) -> str | None:
    """Return another claim (post id) by which this tree was screened, if the proposer may know.

    That is his own, or one whose diff and result have reached him. He has had his answer: asking
    again would be another draw for the same right.
    """
    told = trees_told(state, claim.proposer)
    for verdict in state.verdicts_by_tree.get((claim.tree_key, "dev"), ()):
        queued = state.experiments[verdict.experiment_id].queued
        other = state.hypotheses.get(queued.hypothesis)
        if other is None or other is claim or queued.purpose != "screen":
            continue
        if other.proposer == claim.proposer or other.post_id in told:
            return other.post_id
    return None


def lost_screen(state: RunState, claim: HypothesisState) -> bool:
    """Whether the run that screened `claim` was taken back, and no other has been admitted."""
    served = (state.experiments[name] for name in claim.experiments)
    has_lost = any(e.queued.purpose == "screen" and e.is_retracted for e in served)
    return has_lost and claim.awaits_screen and screen_of(state, claim.post_id) is None


def awaits_status(state: RunState, claim: HypothesisState) -> bool:
    """Whether all verdicts on `claim` are in and what they say of it is about to be recorded."""
    if not claim.experiments or not all(state.experiments[e].is_done for e in claim.experiments):
        return False
    is_screened = screen_of(state, claim.post_id) is not None
    return claim.reproduction_by is not None or (claim.awaits_screen and is_screened)


def told_verdict(state: RunState, claim: HypothesisState, change: StatusChanged) -> VerdictGiven:
    """Return the verdict to cite for `change`: the last that it names on the claim's own tree.

    A confirmation that came to nothing names none; then it is the last run of the claim's tree.
    """
    named = [state.verdicts[name] for name in change.verdicts]
    own = [verdict for verdict in named if verdict.tree_key == claim.tree_key]
    if own:
        return own[-1]
    runs = (state.experiments[name].verdict for name in reversed(claim.experiments))
    return next(run for run in runs if run is not None and run.tree_key == claim.tree_key)


def screened_score(state: RunState, hypothesis: str) -> float | None:
    """Return the mean score of the runs by which `hypothesis` was screened; None without any.

    Not the mean of its tree's runs: whoever may know these runs may not have heard of others.
    """
    claim = state.hypotheses[hypothesis]
    judged = next((c for c in claim.standing_changes if c.by == claim.proposer), None)
    scores = [
        score
        for run in screens_of(state, claim)
        if (score := _score(run)) is not None
        and (judged is None or (run.verdict and run.verdict.verdict_id in judged.verdicts))
    ]
    direction = state.opened.direction if state.opened else "lower"
    return state.noise_model.level(scores, direction) if scores else None


def told_on_dev(state: RunState, hypothesis: str) -> tuple[float | None, float | None]:
    """Return (score, gain) of a screen as researchers are told them, in steps of sigma/4.

    The ledger and people have them in full; of numbers from vault nobody is told any.
    """
    claim = state.hypotheses[hypothesis]
    sigma = told_sigma(state)
    score, gain = screened_score(state, hypothesis), claim.screened_gain
    return (
        None if score is None else told(score, sigma),
        None if gain is None else told(gain, sigma),
    )


class Screens:
    """Follows each screen from its first run to the status that it gives.

    Args:
        chronicle: The ledger and its fold.
        scheduler: Runs experiments.
        admission: Counts them.
        references: The parents' runs, by which children are judged.
    """

    def __init__(
        self,
        chronicle: Chronicle,
        scheduler: Scheduler,
        admission: Admission,
        references: References,
    ) -> None:
        self._chronicle = chronicle
        self._scheduler = scheduler
        self._admission = admission
        self._references = references

    def admit(self, claim: HypothesisState, slot: str = "") -> str:
        """Admit a run of the claim's tree on dev; returns its id."""
        request = Request(
            commit=claim.commit,
            tree_key=claim.tree_key,
            hypothesis=claim.post_id,
            purpose="screen",
            split="dev",
            charged_to=claim.proposer,
            requested_by=claim.proposer,
            slot=slot,
        )
        return self._scheduler.admit(request)

    async def follow(self, hypothesis: str) -> None:
        """Wait for what the rule needs and record the status; goes on where a restart left it.

        Cancellation: admitted experiments go on, nothing more is admitted.
        """
        claim = self._chronicle.state.hypotheses[hypothesis]
        awaited = [e.queued.experiment_id for e in screens_of(self._chronicle.state, claim)]
        while claim.awaits_screen:
            for experiment_id in awaited:
                await self._scheduler.verdict(experiment_id)
            if not self._is_settled(claim):
                await self._chronicle.wait_until(lambda state: not decisions_paused(state))
                awaited = self._next(claim)

    def _is_settled(self, claim: HypothesisState) -> bool:
        """Record the status of a claim that failed, or whose parent did; False for any other."""
        state = self._chronicle.state
        runs = screens_of(state, claim)
        failed = [run for run in runs if run.is_done and _score(run) is None]
        if failed:
            self._record(claim, "not_improved", [failed[-1]])
            return True
        parent = state.proposals[claim.commit].parents[0]
        if not keeps_failing(state, tree_of(state, parent)):
            return False
        raise_alarm(
            self._chronicle,
            "parent",
            f"{FAILURES} runs in a row of {parent[:10]}, which {claim.post_id} builds on, failed",
            device_class=self._references.device_class,
            commit=parent,
        )
        self._record(claim, "undecided", runs)
        return True

    def _next(self, claim: HypothesisState) -> list[str]:
        """Judge the claim, or return the ids of the experiments to wait for before that.

        Where the run has no experiment left, it is judged by what there is: by fewer references,
        by one seed instead of two; without any reference it is ``undecided``.
        """
        state, runs = self._chronicle.state, screens_of(self._chronicle.state, claim)
        fresh = [run for run in runs if self._references.is_fresh(run)]
        if not fresh:  # an alarm came between, or a night, or another machine
            return self._again(claim, "") or self._record(claim, "undecided", runs)
        slot = _slot(fresh[-1])
        child = self._references.together(fresh)
        parent = state.proposals[claim.commit].parents[0]
        tree = tree_of(state, parent)
        if coming := self._references.ask(parent, tree, slot, claim.proposer, seeds=len(child)):
            return coming
        found = self._references.fresh(tree, slot)
        if not found:
            return self._record(claim, "undecided", child)
        judgement = self._judgement(claim, child, found, tree)
        if not judgement.is_final and (more := self._again(claim, slot)):
            seeds = len(child) + 1
            return more + self._references.ask(parent, tree, slot, claim.proposer, seeds=seeds)
        return self._record(claim, judgement.status, child, found, judgement)

    def _judgement(
        self,
        claim: HypothesisState,
        child: list[ExperimentState],
        parent: list[ExperimentState],
        tree: str,
    ) -> Judgement:
        state = self._chronicle.state
        prior = prior_of(state, self._references.device_class)
        assert state.opened is not None
        assert prior is not None  # calibration came first
        return state.noise_model.judge_screen(
            [score for run in child if (score := _score(run)) is not None],
            [score for run in parent if (score := _score(run)) is not None],
            prior,
            state.opened.direction,
            is_child_fixed=is_deterministic(state, claim.tree_key),
            is_parent_fixed=is_deterministic(state, tree),
        )

    def _again(self, claim: HypothesisState, slot: str) -> list[str]:
        """Run the claim's tree once more, as far as that is allowed."""
        runs = screens_of(self._chronicle.state, claim)
        if len(runs) >= MOST_RUNS or self._admission.refuses_screen(self._chronicle.state):
            return []
        return [self.admit(claim, slot)]

    def _record(
        self,
        claim: HypothesisState,
        status: str,
        child: list[ExperimentState],
        parent: Sequence[ExperimentState] = (),
        judgement: Judgement | None = None,
    ) -> list[str]:
        """Record what the runs say; nothing is left to wait for."""
        verdicts = [run.verdict.verdict_id for run in (*child, *parent) if run.verdict is not None]
        change = StatusChanged(
            claim.post_id, claim.commit, status, None, None, claim.proposer, tuple(verdicts)
        )
        if judgement is not None:
            change = replace(
                change,
                gain=judgement.gain,
                threshold=judgement.needed,
                t=judgement.t if math.isfinite(judgement.t) else None,
                low=judgement.low,
                high=judgement.high,
                p=judgement.p,
                may_confirm=judgement.may_confirm,
            )
        self._chronicle.record(change)
        return []


def screens_of(state: RunState, claim: HypothesisState) -> list[ExperimentState]:
    """Return the runs that screen a claim, in order of admission, but for those taken back."""
    served = (state.experiments[name] for name in claim.experiments)
    return [e for e in served if e.queued.purpose == "screen" and not e.is_retracted]


def _score(run: ExperimentState) -> float | None:
    return run.verdict.score if run.verdict is not None else None


def _slot(run: ExperimentState) -> str:
    return run.verdict.slot if run.verdict is not None else ""


def parent_tree(state: RunState, commit: str) -> str:
    """Return the tree key of the first parent of `commit`."""
    opened = state.opened
    assert opened is not None
    parents = state.proposals[commit].parents
    return tree_of(state, parents[0])


def tree_of(state: RunState, commit: str) -> str:
    """Return the tree key of a recorded commit."""
    opened = state.opened
    assert opened is not None
    if commit == opened.baseline_commit:
        return opened.baseline_tree_key
    return state.proposals[commit].tree_key
