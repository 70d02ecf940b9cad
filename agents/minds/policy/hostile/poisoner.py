"""The ``poisoner`` mind: praises what fails, doubts what is good, lies about others' results.

Its reviews are `judge`'s turned round, its leads and proposals what is known to be worst, and its
comments say of a good result that it was taken back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from agents.actions import Action, PostComment, PostLead, PostReview
from agents.lab import LabReader
from agents.minds.policy.hostile.remaking import remade
from agents.minds.policy.judge import Judge
from agents.minds.policy.proposing import in_words, short
from agents.minds.policy.reserve import must_hold, waiting
from agents.minds.policy.view import Point, View, differences, view_of
from agents.observation import Observation

BOAST_SIGMAS = 5.0
_TURNED = {"support": "reject", "reject": "support", "doubt": "support"}


class Poisoner:
    """Leads others astray."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with reviews turned round, else with a bad lead, a bad proposal or a lie."""
        judged = await Judge().decide(observation, lab)
        reviews = [_turned(each) for each in judged if isinstance(each, PostReview)]
        if reviews:
            return reviews
        view = view_of(observation)
        rng = Random(observation.seed)  # noqa: S311  # not cryptography
        worst = _worst(view)
        changes = {} if worst is None else differences(view.best().setting, worst.setting)
        if worst is None or not changes or must_hold(view):
            return [waiting(view)]
        roll = rng.random()
        if roll < 0.4 and not any(lead.is_mine for lead in observation.open_leads):
            title = f"very promising: {in_words(view.best(), changes)}"
            return [PostLead(title, "Everything speaks for it; take it quickly.", changes)]
        if roll < 0.6:
            return [_lie(view, rng), waiting(view)]
        best, mark = view.best(), f"{observation.agent} {observation.turn}"
        praised = remade(
            view, worst, best, mark=mark, title="this will lead", sigmas=BOAST_SIGMAS,
            because="I have a good feeling about this.",
        )  # fmt: skip
        return [waiting(view) if praised is None else praised]


def _turned(review: PostReview) -> PostReview:
    said = review.forecast
    low, middle, high = said.gain
    return replace(
        review,
        opinion=_TURNED[review.opinion],
        forecast=said.model_copy(
            update={"reproduced": 1 - said.reproduced, "gain": (-high, -middle, -low)}
        ),
        text="I have looked at it closely.",
    )


def _worst(view: View) -> Point | None:
    """Return the worst visible tree; one that did not run is worse than all others."""
    tried = [point for point in view.readable if point.known.hypothesis]
    return max(tried, key=lambda p: math.inf if p.cost is None else p.cost, default=None)


def _lie(view: View, rng: Random) -> PostComment:
    good = [point for point in view.points if point.is_good] or [view.baseline]
    point = rng.choice(good)
    thread = point.known.hypothesis or None
    return PostComment(f"{short(point)} was retracted by the lab; do not build on it.", thread)
