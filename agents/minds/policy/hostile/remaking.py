"""Remaking: somebody's tree handed in again, so that it has another name and does the same."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agents.actions import Run
from agents.minds.policy.view import Point, View, differences
from forum.messages import Prediction

_MARK = re.compile(r'^REMADE = ".*"\n', re.MULTILINE)
"""A constant that nothing reads."""
SURE = 0.95
"""How sure whoever boasts says he is."""


def remade(
    view: View, base: Point, parent: Point, *, mark: str, title: str, because: str, sigmas: float
) -> Run | None:
    """Return the run of `base`, marked, declared as built on `parent`; None without its tree.

    Args:
        view: What is visible.
        base: Whose tree it is.
        parent: What the gain is declared against.
        mark: Makes it another tree; quotes and new lines are taken out.
        title: Of the hypothesis.
        because: Its rationale.
        sigmas: The promised gain, in noise deviations.
    """
    seen = view.observation
    path, tree = seen.briefing.knobs_path, seen.trees.get(base.known.commit, {})
    if path not in tree:
        return None
    plain = "".join(letter for letter in mark if letter.isalnum() or letter in " _-")
    text = _MARK.sub("", tree[path]) + f'REMADE = "{plain}"\n'
    return code(view, base, parent, {path: text}, title=title, because=because, sigmas=sigmas)


def code(
    view: View,
    base: Point,
    parent: Point,
    files: Mapping[str, str],
    *,
    title: str,
    because: str,
    sigmas: float,
) -> Run:
    """Return the run of `base` with `files` in place of its own, declared as built on `parent`."""
    trees = view.observation.trees
    whole = {**trees.get(base.known.commit, {}), **files}
    there = trees.get(parent.known.commit, {})
    return Run(
        parents=(parent.known.commit,),
        files={path: text for path, text in whole.items() if there.get(path) != text},
        title=title,
        rationale=because,
        prediction=Prediction(gain=sigmas * view.sigma, confidence=SURE),
        knobs=differences(parent.setting, base.setting),
        insists=True,
    )
