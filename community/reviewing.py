"""Reviews held against what came of the claims: skill, what it makes of the queue, what is drawn.

A function of the fold; the formulas are `scoring.evidence.reviewing`'s. A claim is settled by its
first confirmation that stands, whoever asked for that, or at once by a run that was invalid. Only
claims that somebody was asked about take part: of these alone some are drawn, and without draws
nothing could be said of the claims that nobody cares to confirm.

What a forecast is about is the outcome of the rules as they are: where fewer pairs are spent on a
claim that was only drawn, what those show is what counts, for him and for the base rate alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


def skills(state: RunState) -> dict[str, Skill]:
    """Return the skill of everybody of whose reviews one is settled.

    Nobody scores on what he was not asked about, wrote himself, or could have known: of a tree that
    had a verdict before the review.
    """
    settled = settlements(state)
    rates = History(settled.values())
    known_us: dict[str, int] = {}
    for experiment in state.by_verdict:
        known_us.setdefault(experiment.queued.tree_key, experiment.verdict_us or 0)
    found: dict[str, Skill] = {}
    for hypothesis, one in settled.items():
        claim = state.hypotheses[hypothesis]
        for author, post_id in state.reach.reviews.get(hypothesis, {}).items():
            said = _forecast(state, post_id)
            is_his = author in state.evidence.assigned[hypothesis]
            is_his &= author not in (claim.author, claim.proposer)
            if said is None or not is_his or known_us.get(claim.tree_key, math.inf) <= said.at:
                continue
            before = found.get(author, Skill(0.0, 0))
            more = points(said, one, rates.before(said.at))
            found[author] = Skill(before.points + more, before.settled + 1)
    return found


class Regards:
    """What a hypothesis is expected to be worth, given what reviewers with skill say of it.

    Sealed reviews count: the institution reads them, and what it makes of them shows in nothing but
    whose turn it is. Nobody's word is a veto.
    """

    def __init__(self) -> None:
        self._seen = -1
        self._settled: Mapping[str, Settlement] = {}
        self._skills: Mapping[str, Skill] = {}
        self._usual = _usual(())

    def worth(self, state: RunState, hypothesis: str) -> float:
        """Return it in terms of what is usual, which is 1 where nobody with skill has spoken.

        Reviewers weigh as much as their skill, none below 0; the base rate weighs 1.
        """
        reviews = state.reach.reviews.get(hypothesis)
        if not reviews or state.noise is None:
            return 1.0
        self._follow(state)
        total, weight = self._usual, 1.0
        for author, post_id in reviews.items():
            said = _forecast(state, post_id)
            known = self._skills.get(author)
            if said is not None and known is not None and known.points > 0.0:
                total += known.points * expected_worth(said.reproduced, said.gain)
                weight += known.points
        return total / weight / self._usual

    def _follow(self, state: RunState) -> None:
        """Take in new rows; skill changes with what is settled and with nothing else."""
        if self._seen == state.last_seq:
            return
        self._seen, settled = state.last_seq, settlements(state)
        if settled != self._settled:
            self._settled, self._skills = settled, skills(state)
            self._usual = _usual(tuple(settled.values()))


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
