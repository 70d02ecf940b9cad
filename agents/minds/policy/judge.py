"""The ``judge`` mind: reviews the hypotheses it is asked to, with a forecast from visible results.

It measures nothing. It reads the tree it is asked about, tells an idea that was tried already by
its closeness to what was measured (`agents.closeness`), and goes by what came of earlier claims of
this kind and of this author (`agents.minds.policy.record`). Where it knows nothing of a change (a
free-form patch before any was measured, a thinned post, an unknown parent) it keeps silent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from agents.actions import Action, PostReview
from agents.errors import LabError
from agents.knobs import unfit
from agents.lab import LabReader
from agents.minds.policy.leads import lead_of
from agents.minds.policy.record import Record
from agents.minds.policy.reserve import waiting
from agents.minds.policy.surrogate import Surrogate, chance_positive
from agents.minds.policy.verify import looks_allowed
from agents.minds.policy.view import Point, Setting, View, view_of
from agents.observation import Observation, OpenHypothesis
from forum.messages import Forecast, Hypothesis

REVIEWS_PER_TURN = 3
SUPPORT_ABOVE = 0.6
REJECT_BELOW = 0.1
"""Probability of a gain; in between is doubt."""
LEVELS = (0.1, 0.5, 0.9)
SCREEN_SIGMAS = math.sqrt(1.5)
"""What noise adds to a screen's gain: of one run, and of the mean of two of its parent."""
LOSS_SIGMAS = 4.0
"""What a claim loses that loses clearly, in noise deviations, give or take two."""
TWIN_SIGMAS = 0.25
"""How surely the same idea on the same parent gives nothing more."""
CODE_CHANCE = 0.1
"""How likely a change of code that runs helps: nothing is known of what it does."""


@dataclass(frozen=True, slots=True)
class _Case:
    """One claim that is to be judged."""

    post: str
    author: str
    expects: float
    """The author's expected gain."""
    parent: Point
    setting: Setting | None
    """What its knobs stand at; None where it changes more than knobs, or unknown ones."""
    tree: Mapping[str, str] | None


class Judge:
    """Predicts what others' experiments will show."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with the reviews that were asked of it, a lead it cannot try itself, or wait."""
        view = view_of(observation)
        asked = [
            each
            for each in observation.open_hypotheses
            if each.is_mine_to_review and not each.is_reviewed_by_me
        ]
        surrogate, record = Surrogate(view), Record(view)
        reviews: list[Action] = []
        for each in asked:
            case = await _case(view, record, each, lab)
            review = None if case is None else _review(view, surrogate, record, case)
            if review is not None:
                reviews.append(review)
            if len(reviews) == REVIEWS_PER_TURN:
                break
        if not reviews:
            rng = Random(observation.seed)  # noqa: S311  # not cryptography
            lead = lead_of(view, surrogate, rng)
            reviews = [lead] if lead is not None else []
        return reviews or [waiting(view)]


async def _case(view: View, record: Record, each: OpenHypothesis, lab: LabReader) -> _Case | None:
    body = each.post.body
    if not isinstance(body, Hypothesis) or not body.parents:
        return None
    parent = view.by_commit.get(body.parents[0])
    if parent is None:
        return None
    try:
        tree = await lab.read_tree(body.commit) if body.commit else None
    except LabError:
        tree = None
    by_name = {knob.name: knob for knob in view.knobs}
    are_known = bool(body.knobs) and all(
        name in by_name and not unfit(by_name[name], value) for name, value in body.knobs.items()
    )
    before = view.observation.trees.get(parent.known.commit)
    if tree is not None and before is not None:
        are_known &= record.is_plain(tree, before)
    setting = {**parent.setting, **body.knobs} if are_known else None
    return _Case(each.post.post_id, each.post.author, body.prediction.gain, parent, setting, tree)


def _review(view: View, surrogate: Surrogate, record: Record, case: _Case) -> PostReview | None:
    if case.setting is None:
        return _of_code(view, record, case)
    invalid = record.chance_invalid(case.author, is_plain=True)
    twin = record.twin(case.setting, case.tree)
    if twin is None:
        gain, deviation = surrogate.gain(case.parent.setting, case.setting)
        loss = record.chance_of_loss(case.author)
        why = _from_results(view, case)
    else:
        gain, deviation, invalid = _like(view, twin[0], case.parent, invalid)
        loss = 0.0
        why = (
            f"This is {twin[0].known.commit[:7]} again, but for {100 * twin[1]:.1f} % of a range: "
            "what came of that is known."
        )
    chance = (1 - invalid) * (1 - loss) * chance_positive(gain, deviation)
    text = (
        f"{why} I expect a gain of {gain:+.4f} ± {deviation:.4f} "
        f"{view.observation.briefing.unit} over the parent, a run that fails with {invalid:.0%}, "
        f"and of this author a clear loss with {loss:.0%}; the author expects {case.expects:+.4f}."
    )
    forecast = _forecast(view, gain, deviation, loss, invalid)
    if twin is not None:
        chance = forecast.reproduced  # a gain of a hair's breadth is none
    return PostReview(case.post, _opinion(chance), forecast, text)


def _of_code(view: View, record: Record, case: _Case) -> PostReview | None:
    """Judge what changes more than knobs, once it was seen what comes of that."""
    if case.tree is None or not record.has_seen(is_plain=False):
        return None
    invalid = record.chance_invalid(case.author, is_plain=False)
    loss = record.chance_of_loss(case.author)
    chance = (1 - invalid) * (1 - loss) * CODE_CHANCE
    text = (
        f"A change of code: of those I have seen, and of this author's, {invalid:.0%} fail. What "
        f"one that runs may gain I cannot tell; the author expects {case.expects:+.4f}."
    )
    middle = -view.sigma / 2
    forecast = _forecast(view, middle, 2 * view.sigma, loss, invalid)
    return PostReview(case.post, _opinion(chance), forecast, text)


def _from_results(view: View, case: _Case) -> str:
    setting = case.setting or {}
    near = sum(
        any(
            point.setting.get(name) != case.parent.setting.get(name)
            for name, value in setting.items()
            if case.parent.setting.get(name) != value
        )
        for point in view.points
    )
    return f"From {len(view.points)} visible results, {near} of which moved one of these knobs:"


def _like(view: View, twin: Point, parent: Point, invalid: float) -> tuple[float, float, float]:
    """Return (gain, deviation, chance of failing) of what was measured as `twin` already."""
    if twin is parent:
        return 0.0, TWIN_SIGMAS * view.sigma, invalid
    if twin.cost is None or parent.cost is None:
        return 0.0, view.sigma, max(invalid, 0.8) if twin.cost is None else invalid
    return parent.cost - twin.cost, math.sqrt(2) * view.sigma, invalid


def _opinion(chance: float) -> str:
    if chance < REJECT_BELOW:
        return "reject"
    return "support" if chance > SUPPORT_ABOVE else "doubt"


def _forecast(view: View, gain: float, deviation: float, loss: float, invalid: float) -> Forecast:
    """Return what a confirmation would show of a true gain that is known to `deviation`.

    It measures a mean over pairs, which adds its own noise, and that mean has to clear its bar; the
    bar of the last look is the lowest. With the chance `loss` it is a clear loss instead. A screen
    is noisier.
    """
    pairs, need = looks_allowed(view)[-1]
    seen = math.hypot(deviation, view.sigma * math.sqrt(2 / pairs))
    bad, wide = -LOSS_SIGMAS * view.sigma, 2 * view.sigma

    def quantiles(spread: float) -> tuple[float, float, float]:
        """Find them by halving: of a mixture of two normals there is no formula."""
        low, middle, high = (
            _quantile(level, loss, (bad, wide), (gain, spread)) for level in LEVELS
        )
        return low, middle, high

    holds = (1 - invalid) * (1 - loss) * chance_positive(gain - need * view.sigma, seen)
    return Forecast(
        reproduced=holds,
        gain=quantiles(seen),
        invalid=invalid,
        screened=quantiles(math.hypot(deviation, SCREEN_SIGMAS * view.sigma)),
    )


def _quantile(
    level: float, loss: float, bad: tuple[float, float], good: tuple[float, float]
) -> float:
    """Return a quantile of the mixture of two normals (mean, deviation), `loss` of the first."""
    wide = bad[1] + good[1]
    low, high = min(bad[0], good[0]) - 5 * wide, max(bad[0], good[0]) + 5 * wide
    for _ in range(60):
        middle = (low + high) / 2
        below = (1 - loss) * _normal(middle, *good) + loss * _normal(middle, *bad)
        low, high = (middle, high) if below < level else (low, middle)
    return (low + high) / 2


def _normal(x: float, mean: float, deviation: float) -> float:
    return 0.5 * math.erfc((mean - x) / (math.sqrt(2.0) * deviation))
