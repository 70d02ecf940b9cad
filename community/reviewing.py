"""Reviews held against what came of the claims: skill, what it makes of the queue, what is drawn.

A function of the fold; the formulas are `scoring.evidence.reviewing`'s. A claim is settled by its
first confirmation that stands, whoever asked for that, or at once by a run that was invalid. Only
claims that somebody was asked about take part: of these alone some are drawn, and without draws
nothing could be said of the claims that nobody cares to confirm.

What a forecast is about is the outcome of the rules as they are: where fewer pairs are spent on a
claim that was only drawn, what those show is what counts, for him and for the base rate alike.

What a forecast says of the first run (does it fail, what does it take) is held against that run,
which every claim has: so who sees crashes coming is soon listened to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from community.archive.state import HypothesisState, RunState
from scoring.evidence.reviewing import (
    Forecast,
    History,
    Quantiles,
    Settlement,
    expected_worth,
    points,
    usual_of,
    weight_of,
)
from scoring.evidence.run_forecasts import (
    Ran,
    RunForecast,
    expected_s,
    run_points,
    usual_run,
)

LEAST_WORTH = 0.02
"""What a claim is usually worth is taken for at least this, in noise deviations; where hardly
anything gains, nothing else tells claims apart."""


@dataclass(frozen=True, slots=True)
class Skill:
    """What a reviewer's forecasts were worth."""

    points: float
    """Against the base rate; 0 is what everybody knew."""
    settled: int
    """How many of his reviews that is about."""
    run_points: float = 0.0
    """What was said of first runs, against the base rate."""
    runs: int = 0
    """How many first runs that is about."""

    @property
    def on_gains(self) -> float:
        """How much his word on a gain weighs; the base rate weighs 1.

        Who knows what fails knows something of what helps, unless claims show otherwise.
        """
        return weight_of(self.points + self.run_points)

    @property
    def on_runs(self) -> float:
        """How much his word on what a run takes weighs."""
        return weight_of(self.run_points)


def must_confirm(state: RunState, hypothesis: str) -> bool:
    """Whether the lab owes a drawn hypothesis its confirmation, whatever its screen said.

    It does from the moment a valid screen is judged, once. Whoever opens one for no other reason
    says so (`ReproductionOpened.is_drawn`), and should give others their usual time first where the
    screen gives them the right to: a claim that somebody would have confirmed anyway weighs 1, one
    that the draw alone brought there one over the share drawn. The answer is for the lab: it goes
    into no post, notice or reply, and what a confirmation of a drawn claim leaves as it was is
    nobody's news.
    """
    claim = state.hypotheses[hypothesis]
    if hypothesis not in state.evidence.drawn or claim.reproductions_opened or not claim.changes:
        return False
    is_confirmed_twin = any(
        other.tree_key == claim.tree_key and other.reproductions_opened
        for other in state.hypotheses.values()
    )
    return bool(state.scores(claim.tree_key, "dev")) and not is_confirmed_twin


def settlements(state: RunState) -> dict[str, Settlement]:
    """Return how claims came out that somebody was asked about, by hypothesis."""
    if state.noise is None or not state.noise.sigma:
        return {}
    found = {
        hypothesis: _settlement(state, state.hypotheses[hypothesis], state.noise.sigma)
        for hypothesis in state.evidence.assigned
    }
    return {hypothesis: one for hypothesis, one in found.items() if one is not None}


def first_runs(state: RunState) -> dict[str, Ran]:
    """Return what came of the first run of each claim that somebody was asked about."""
    sigma = state.noise.sigma if state.noise is not None else 0.0
    found: dict[str, Ran] = {}
    for hypothesis in state.evidence.assigned:
        claim = state.hypotheses[hypothesis]
        for name in claim.experiments:
            run = state.experiments[name]
            if run.queued.purpose == "screen" and run.standing_verdict is not None and run.attempts:
                is_invalid = run.standing_verdict.outcome == "invalid"
                gain = claim.screened_gain
                at_us = run.verdict_us or 0
                if gain is not None:
                    at_us = claim.changes[0][0]
                found[hypothesis] = Ran(
                    at_us, is_invalid, run.attempts[-1].charge_s,
                    None if gain is None or not sigma else gain / sigma,
                )  # fmt: skip
                break
    return found


def skills(state: RunState) -> dict[str, Skill]:
    """Return the skill of everybody of whose reviews something is known.

    Nobody scores on what he was not asked about, wrote himself, or could have known: of a tree that
    had a verdict before the review.
    """
    settled, ran = settlements(state), first_runs(state)
    rates = History(settled.values())
    known_us: dict[str, int] = {}
    for experiment in state.by_verdict:
        known_us.setdefault(experiment.queued.tree_key, experiment.verdict_us or 0)
    found: dict[str, Skill] = {}
    for hypothesis in {**settled, **ran}:
        for author, said, of_run in _heard(state, hypothesis, known_us):
            known = found.get(author, Skill(0.0, 0))
            if (one := settled.get(hypothesis)) is not None:
                more = points(said, one, rates.before(said.at))
                known = replace(known, points=known.points + more, settled=known.settled + 1)
            run = ran.get(hypothesis)
            if run is not None and of_run != RunForecast():
                usual = usual_run([r for r in ran.values() if r.at < said.at], _budget_s(state))
                more = run_points(of_run, run, usual)
                known = replace(known, run_points=known.run_points + more, runs=known.runs + 1)
            if known.settled or known.runs:
                found[author] = known
    return found


def _heard(
    state: RunState, hypothesis: str, known_us: Mapping[str, int]
) -> Iterator[tuple[str, Forecast, RunForecast]]:
    """Yield (reviewer, forecast, forecast of the first run) of what counts about a claim."""
    claim = state.hypotheses[hypothesis]
    for author, post_id in state.reach.reviews.get(hypothesis, {}).items():
        said = _forecast(state, post_id)
        is_his = author in state.evidence.assigned[hypothesis]
        is_his &= author not in (claim.author, claim.proposer)
        if said is not None and is_his and known_us.get(claim.tree_key, math.inf) > said.at:
            yield author, said, _run_forecast(state, post_id)


class Regards:
    """What a hypothesis is expected to gain per device-second, given what reviewers say of it.

    Sealed reviews count: the institution reads them, and what it makes of them shows in nothing but
    whose turn it is. Nobody's word is a veto.
    """

    def __init__(self) -> None:
        self._seen = -1
        self._known: tuple[Mapping[str, Settlement], Mapping[str, Ran]] = ({}, {})
        self._skills: Mapping[str, Skill] = {}
        self._usual = _usual(())

    def worth(self, state: RunState, hypothesis: str) -> float:
        """Return it in terms of what is usual, which is 1 where nobody with skill has spoken.

        That is the probability that it runs, times the gain expected if it does, over the seconds
        expected. Reviewers weigh as much as their skill, none below 0; the base rate weighs 1.
        """
        reviews = state.reach.reviews.get(hypothesis)
        if not reviews or state.noise is None:
            return 1.0
        self._follow(state)
        run = usual_run(tuple(self._known[1].values()), _budget_s(state))
        usual = self._usual / (1 - run.invalid)
        gain = runs = seconds = on_gains = on_runs = 1.0
        for author, post_id in reviews.items():
            said, known = _forecast(state, post_id), self._skills.get(author)
            if said is None or known is None:
                continue
            of_run = _run_forecast(state, post_id)
            valid = 1 - (run.invalid if of_run.invalid is None else of_run.invalid)
            if_valid = min(1.0, said.reproduced / valid) if valid else 0.0
            gain += known.on_gains * expected_worth(if_valid, said.gain) / usual
            on_gains += known.on_gains
            runs += known.on_runs * valid / (1 - run.invalid)
            seconds += known.on_runs * expected_s(of_run, run) / run.mean_s
            on_runs += known.on_runs
        return (gain / on_gains) * (runs / on_runs) / (seconds / on_runs)

    def _follow(self, state: RunState) -> None:
        """Take in new rows; skill changes with what claims and runs came to, and nothing else."""
        if self._seen == state.last_seq:
            return
        self._seen, known = state.last_seq, (settlements(state), first_runs(state))
        if known != self._known:
            self._known, self._skills = known, skills(state)
            self._usual = _usual(tuple(known[0].values()))


def _usual(settled: Sequence[Settlement]) -> float:
    base = usual_of(settled)
    return max(LEAST_WORTH, expected_worth(base.share, base.gain))


def _settlement(state: RunState, claim: HypothesisState, sigma: float) -> Settlement | None:
    before = ""
    for at_us, change in claim.changes:
        if not any(change is confirmed for confirmed in claim.confirmations):
            before = change.status
            continue
        if change.gain is None and change.status != "not_improved":
            continue  # its parent failed: nothing was learnt of the claim
        share = state.evidence.drawn.get(claim.post_id, 1.0)
        # unasked, the lab confirms nothing but what a screen found improved
        is_chosen = not claim.was_drawn and (change.by != "lab" or before == "improved")
        return Settlement(
            at=at_us,
            is_reproduced=change.status == "reproduced" and claim.status != "retracted",
            gain=None if change.gain is None else change.gain / sigma,
            weight=1.0 if is_chosen else 1 / share,
        )
    for name in claim.experiments:
        experiment = state.experiments[name]
        verdict = experiment.verdict
        is_screen = experiment.queued.purpose == "screen" and not experiment.is_retracted
        if is_screen and verdict is not None and verdict.outcome == "invalid":
            return Settlement(experiment.verdict_us or 0, is_reproduced=False, gain=None)
    return None


def _forecast(state: RunState, post_id: str) -> Forecast | None:
    """Return what a review said; None for one of an older ledger."""
    record = state.posts[post_id]
    said: dict[str, Any] | None = record.posted.body.get("forecast")
    if said is None or state.noise is None or not state.noise.sigma:
        return None
    low, middle, high = (quantile / state.noise.sigma for quantile in said["gain"])
    gain: Quantiles = (low, middle, high)
    return Forecast(float(record.at_us), said["reproduced"], gain)


def _run_forecast(state: RunState, post_id: str) -> RunForecast:
    """Return what a review said of the first run."""
    said: dict[str, Any] = state.posts[post_id].posted.body.get("forecast") or {}
    gain: Quantiles | None = None
    if said.get("screened") is not None and state.noise is not None and state.noise.sigma:
        low, middle, high = (quantile / state.noise.sigma for quantile in said["screened"])
        gain = (low, middle, high)
    return RunForecast(said.get("invalid"), said.get("device_s"), gain)


def _budget_s(state: RunState) -> float:
    """Return what a run is charged while nothing better is known: the budget, or the baseline's."""
    if state.opened is not None and state.opened.budget_s is not None:
        return state.opened.budget_s
    charges = [
        run.attempts[-1].charge_s
        for run in state.experiments.values()
        if run.is_baseline and run.is_done and run.attempts
    ]
    return sum(charges) / len(charges) if charges else 1.0
