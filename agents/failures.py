"""Failures: what did not help, under which conditions, and whether these still hold.

A failure is about the tree it was tried on, the budget and the machine. It expires when the budget
or the device class is another one, when its parent was taken back, and when what is built on now
stands a bold step away from what was around it: the change that failed may help there. Until then
trying it again is a waste; afterwards it may be tried again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agents.closeness import distance
from agents.knobs import Knob, read_values
from agents.lab import Briefing
from agents.observation import Known, KnownFailure
from forum.messages import Conditions, Failure, KnobValue, Post

EXPIRES_AT = 0.25
"""Distance in knob space, of the knobs that the failure left alone: the usual bold step of the
built-in minds, half of what another option counts."""
FALLEN = ("contested", "retracted")


class Failures:
    """What failures an agent has heard of; whether one has expired is asked once for each place."""

    def __init__(self) -> None:
        self._place: tuple[Mapping[str, KnobValue], Briefing, Sequence[Knob]] | None = None
        self._told: dict[str, tuple[Failure, Known, bool, KnownFailure]] = {}
        """By hypothesis: what is told of it, and from what."""

    def known(
        self,
        posts: Sequence[Post],
        known: Sequence[Known],
        trees: Mapping[str, Mapping[str, str]],
        briefing: Briefing,
        knobs: Sequence[Knob],
    ) -> tuple[KnownFailure, ...]:
        """Return what failures were heard of, the oldest first, and which have expired.

        Args:
            posts: Failures, as they arrived.
            known: Measured commits; a claim that has another status now is no failure any more.
            trees: Of readable commits.
            briefing: The budget and the machine now.
            knobs: The task's.
        """
        now = {each.hypothesis: each for each in known if each.hypothesis}
        by_commit = {each.commit: each for each in known}
        place = (_reference(known, trees, briefing, knobs), briefing, knobs)
        if place != self._place:
            self._place, self._told = place, {}
        found: list[KnownFailure] = []
        for post in posts:
            body = post.body
            claim = now.get(body.hypothesis) if isinstance(body, Failure) else None
            if not isinstance(body, Failure) or claim is None or claim.status != "not_improved":
                continue
            parent = by_commit.get(claim.parents[0]) if claim.parents else None
            has_fallen = parent is not None and parent.status in FALLEN
            found.append(self._of(body, claim, has_fallen=has_fallen))
        return tuple(found)

    def _of(self, body: Failure, claim: Known, *, has_fallen: bool) -> KnownFailure:
        told = self._told.get(body.hypothesis)
        if told and told[0] is body and told[1] is claim and told[2] == has_fallen:
            return told[3]
        assert self._place is not None
        made = KnownFailure(
            hypothesis=body.hypothesis,
            commit=claim.commit,
            author=claim.author,
            outcome=claim.outcome,
            gain=claim.gain,
            changes=dict(body.knobs),
            conditions=body.conditions,
            is_expired=has_fallen or has_expired(body.conditions, body.knobs, *self._place),
        )
        self._told[body.hypothesis] = (body, claim, has_fallen, made)
        return made


def has_expired(
    conditions: Conditions | None,
    changes: Mapping[str, KnobValue],
    here: Mapping[str, KnobValue],
    briefing: Briefing,
    knobs: Sequence[Knob],
) -> bool:
    """Return whether a failure says nothing about `here` any more.

    Args:
        conditions: It was tried under these; None, where nothing is known of them, has expired.
        changes: The knobs that it turned.
        here: What is built on now.
        briefing: The budget and the machine now.
        knobs: The task's.
    """
    if conditions is None or conditions.budget != briefing.budget:
        return True
    if conditions.device_class != briefing.device_class:
        return True
    others = (knob for knob in knobs if knob.name not in changes)
    return distance(others, conditions.around, here, EXPIRES_AT) >= EXPIRES_AT


def _reference(
    known: Sequence[Known],
    trees: Mapping[str, Mapping[str, str]],
    briefing: Briefing,
    knobs: Sequence[Knob],
) -> dict[str, KnobValue]:
    """Return the setting of the best reproduced commit that can be read, else of the baseline."""
    sign = 1.0 if briefing.direction == "lower" else -1.0
    readable = [each for each in known if briefing.knobs_path in trees.get(each.commit, {})]
    confirmed = [
        (sign * each.score, index)
        for index, each in enumerate(readable)
        if each.status == "reproduced" and each.score is not None
    ]
    commit = readable[min(confirmed)[1]].commit if confirmed else briefing.baseline_commit
    return read_values(trees.get(commit, {}).get(briefing.knobs_path, ""), knobs)
