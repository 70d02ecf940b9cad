"""Proposing: from a parent and changed knobs to a `Run` that says honestly what it is.

The title names every change, the rationale the evidence, and the prediction is what the surrogate
makes of visible results, not a sales pitch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agents.actions import Run
from agents.knobs import turn
from agents.minds.policy.surrogate import Surrogate, chance_positive
from agents.minds.policy.view import Point, View, differences
from forum.messages import KnobValue, Prediction


def proposal(
    view: View,
    surrogate: Surrogate,
    parent: Point,
    changes: Mapping[str, KnobValue],
    *,
    policy: str,
    because: str,
) -> Run | None:
    """Return a run of `changes` on `parent`, or None where its tree does not take any of them."""
    path = view.observation.briefing.knobs_path
    tree = view.observation.trees.get(parent.known.commit, {})
    if path not in tree:
        return None
    turned = turn(tree[path], changes, view.knobs)
    if not turned.applied:
        return None
    return run_of(
        view,
        surrogate,
        (parent,),
        {path: turned.text},
        turned.applied,
        title=f"{in_words(parent, turned.applied)} on {short(parent)} ({policy})",
        because=because,
    )


def run_of(
    view: View,
    surrogate: Surrogate,
    parents: Sequence[Point],
    files: Mapping[str, str],
    knobs: Mapping[str, KnobValue],
    *,
    title: str,
    because: str,
) -> Run:
    """Return a run of `files` and `knobs` on the first of `parents`.

    What is built on an unconfirmed commit declares its gain over `View.reference`, whose score is
    better known; the commits it builds on follow as further parents.
    """
    base, first = parents[0], _declared(view, parents[0])
    setting = {**base.setting, **knobs}
    gain, deviation = surrogate.gain(first.setting, setting)
    prediction = Prediction(gain=gain, confidence=chance_positive(gain, deviation))
    unit = view.observation.briefing.unit
    score = "unknown" if first.known.score is None else f"{first.known.score:.4f}"
    status = first.known.status if first.known.hypothesis else "baseline"
    rationale = (
        f"{because} Parent {short(first)} ({status}) scored {score}; from "
        f"{len(view.points)} visible results I expect a gain of {gain:+.4f} ± {deviation:.4f} "
        f"{unit}."
    )
    if first is not base:
        trees = view.observation.trees
        there = trees.get(first.known.commit, {})
        whole = {**trees.get(base.known.commit, {}), **files}
        files = {path: text for path, text in whole.items() if there.get(path) != text}
        knobs, parents = differences(first.setting, setting), (first, *parents)
    return Run(
        parents=tuple(dict.fromkeys(parent.known.commit for parent in parents)),
        files=files,
        title=title,
        rationale=rationale,
        prediction=prediction,
        knobs=dict(knobs),
    )


def _declared(view: View, base: Point) -> Point:
    """Return the commit that a gain of something built on `base` is declared against."""
    is_confirmed = base.known.status == "reproduced" or not base.known.hypothesis
    return base if is_confirmed else view.reference()


def in_words(parent: Point, changes: Mapping[str, KnobValue]) -> str:
    """Return changes as ``raise DEPTH 3 -> 4, set ACTIVATION relu2 -> gelu``."""
    words: list[str] = []
    for name, new in sorted(differences(parent.setting, {**parent.setting, **changes}).items()):
        old = parent.setting.get(name)
        verb = "set"
        if isinstance(old, (int, float)) and isinstance(new, (int, float)):
            is_flag = isinstance(old, bool) or isinstance(new, bool)
            verb = "set" if is_flag else "raise" if new > old else "lower"
        words.append(f"{verb} {name} {_shown(old)} -> {_shown(new)}")
    return ", ".join(words) or "change nothing"


def short(point: Point) -> str:
    """Return the first seven characters of a commit."""
    return point.known.commit[:7]


def _shown(value: KnobValue | None) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
