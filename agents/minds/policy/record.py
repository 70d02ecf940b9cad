"""Record: what came of earlier claims like this one, and whether this very idea was tried.

A claim is *plain* when its tree differs from its parent's in knobs alone, each within its range;
anything else is a change of code. How often runs fail is learnt for both kinds, and for an author
within a kind; how often an author's claims lose clearly is learnt over all of his.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from agents.closeness import CLOSE, distance, skeletons
from agents.constants import find_constants
from agents.knobs import Knob, unfit
from agents.minds.policy.view import Point, Setting, View

PRIOR_FAILS = {True: 0.03, False: 0.3}
"""Share of runs that fail before any was seen: of plain claims, and of others."""
PRIOR_CLAIMS = 4.0
"""How many claims that counts for."""
PRIOR_LOSES = 0.1
"""Share of claims that lose clearly, before any of an author's was seen."""
CLEAR_LOSS_SIGMAS = 3.0


@dataclass(frozen=True, slots=True)
class _Came:
    """What came of one visible claim."""

    author: str
    is_plain: bool
    is_invalid: bool
    is_loss: bool


class Record:
    """What is visible of earlier claims."""

    def __init__(self, view: View) -> None:
        self._view = view

    @property
    def _came(self) -> list[_Came]:
        return self._view.once("came", self._what_came)

    def _what_came(self) -> list[_Came]:
        return [came for point in self._view.points if (came := self._of(point)) is not None]

    def is_plain(self, tree: Mapping[str, str], parent: Mapping[str, str]) -> bool:
        """Whether two trees differ in knobs alone, all of them within their ranges."""
        path, knobs = self._view.observation.briefing.knobs_path, self._view.knobs
        return _is_plain(tuple(tree.items()), tuple(parent.items()), path, knobs)

    def has_seen(self, *, is_plain: bool) -> bool:
        """Whether any claim of this kind has a visible result."""
        return any(came.is_plain == is_plain for came in self._came)

    def chance_invalid(self, author: str, *, is_plain: bool) -> float:
        """Return the probability that the run of a claim fails."""
        kind = [came for came in self._came if came.is_plain == is_plain]
        known = _share(PRIOR_FAILS[is_plain], [came.is_invalid for came in kind])
        return _share(known, [came.is_invalid for came in kind if came.author == author])

    def chance_of_loss(self, author: str) -> float:
        """Return the probability that a valid claim of `author` is clearly worse than its parent.

        From plain claims and others alike: who does not look does not look.
        """
        return _share(
            PRIOR_LOSES,
            [c.is_loss for c in self._came if c.author == author and not c.is_invalid],
        )

    def twin(self, setting: Setting, tree: Mapping[str, str] | None) -> tuple[Point, float] | None:
        """Return the nearest measured point that is close enough to be the same idea.

        Args:
            setting: Of the claim.
            tree: Its files, where they can be read; what differs in more than knobs is no twin.

        Returns:
            The point and its distance, or None.
        """
        path, knobs = self._view.observation.briefing.knobs_path, self._view.knobs
        near: list[tuple[float, int, Point]] = []
        for index, point in enumerate(self._view.points):
            apart = distance(knobs, setting, point.setting, CLOSE)
            if apart >= CLOSE:
                continue
            known = self._view.observation.trees.get(point.known.commit)
            is_other = (
                tree is not None
                and known is not None
                and skeletons(tree, path, knobs) != skeletons(known, path, knobs)
            )
            if not is_other:
                near.append((apart, index, point))
        if not near:
            return None
        apart, _, point = min(near, key=lambda each: each[:2])
        return point, apart

    def _of(self, point: Point) -> _Came | None:
        known, trees = point.known, self._view.observation.trees
        if not known.hypothesis or not known.parents:
            return None
        tree, parent = trees.get(known.commit), trees.get(known.parents[0])
        if tree is None or parent is None:
            return None
        is_loss = known.gain is not None and known.gain < -CLEAR_LOSS_SIGMAS * self._view.sigma
        return _Came(known.author, self.is_plain(tree, parent), known.outcome == "invalid", is_loss)


@lru_cache(maxsize=2048)
def _is_plain(
    tree: tuple[tuple[str, str], ...],
    parent: tuple[tuple[str, str], ...],
    path: str,
    knobs: tuple[Knob, ...],
) -> bool:
    """Whether two trees differ in knobs alone, and every knob is within its range."""
    if skeletons(dict(tree), path, knobs) != skeletons(dict(parent), path, knobs):
        return False
    places, _ = find_constants(dict(tree).get(path, ""))
    return not any(knob.name in places and unfit(knob, places[knob.name].value) for knob in knobs)


def _share(prior: float, seen: list[bool]) -> float:
    return (PRIOR_CLAIMS * prior + sum(seen)) / (PRIOR_CLAIMS + len(seen))
