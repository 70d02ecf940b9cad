"""The ``judge`` mind: reviews the hypotheses it is asked to, with a forecast from visible results.

It measures nothing. Where it knows nothing of a change (a free-form patch, a thinned post, an
unknown parent) it keeps silent rather than guess.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from agents.actions import Action, PostReview
from agents.knobs import unfit
from agents.lab import LabReader
from agents.minds.policy.reserve import waiting
from agents.minds.policy.surrogate import Surrogate, chance_positive
from agents.minds.policy.verify import looks_allowed
from agents.minds.policy.view import View, view_of
from agents.observation import Observation, OpenHypothesis
from forum.messages import Forecast, Hypothesis

REVIEWS_PER_TURN = 3
SUPPORT_ABOVE = 0.6
REJECT_BELOW = 0.1
"""Probability of a gain; in between is doubt."""
NINE_TENTHS = 1.2816
"""The 90 % quantile of a standard normal."""


class Judge:
    """Predicts what others' experiments will show."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with the reviews that were asked of it, or wait."""
        view = view_of(observation)
        surrogate: Surrogate | None = None
        reviews: list[Action] = []
        for each in observation.open_hypotheses:
            if not each.is_mine_to_review or each.is_reviewed_by_me:
                continue
            if len(reviews) == REVIEWS_PER_TURN:
                break
            surrogate = surrogate or Surrogate(view)
            review = _review(view, surrogate, each)
            if review is not None:
                reviews.append(review)
        return reviews or [waiting(view)]


def _review(view: View, surrogate: Surrogate, each: OpenHypothesis) -> PostReview | None:
    body = each.post.body
    if not isinstance(body, Hypothesis) or not body.parents:
        return None
    parent = view.by_commit.get(body.parents[0])
    if parent is None:
        return None
    by_name = {knob.name: knob for knob in view.knobs}
    changes = {
        name: value
        for name, value in body.knobs.items()
        if name in by_name and not unfit(by_name[name], value)
    }
    if not changes or len(changes) < len(body.knobs):
        return None
    gain, deviation = surrogate.gain(parent.setting, {**parent.setting, **changes})
    chance = chance_positive(gain, deviation)
    opinion = "support" if chance > SUPPORT_ABOVE else "doubt"
    if chance < REJECT_BELOW:
        opinion = "reject"
    near = sum(
        any(point.setting.get(name) != parent.setting.get(name) for name in changes)
        for point in view.points
    )
    text = (
        f"From {len(view.points)} visible results, {near} of which moved one of these knobs, I "
        f"expect a gain of {gain:+.4f} ± {deviation:.4f} {view.observation.briefing.unit} over the "
        f"parent; the author expects {body.prediction.gain:+.4f}."
    )
    return PostReview(
        hypothesis=each.post.post_id,
        opinion=opinion,
        forecast=_forecast(view, gain, deviation),
        text=text,
    )


def _forecast(view: View, gain: float, deviation: float) -> Forecast:
    """Return what a confirmation would show of a true gain that is known to `deviation`.

    It measures a mean over pairs, which adds its own noise, and that mean has to clear its bar; the
    bar of the last look is the lowest.
    """
    pairs, need = looks_allowed(view)[-1]
    seen = math.hypot(deviation, view.sigma * math.sqrt(2 / pairs))
    return Forecast(
        reproduced=chance_positive(gain - need * view.sigma, seen),
        gain=(gain - NINE_TENTHS * seen, gain, gain + NINE_TENTHS * seen),
    )
