"""The ``merge`` mind: joins two branches that each hold something of value.

Confirmed branches come first; where there are no two of them, what was found improved will do.
The lab merges the texts three ways. Where both sides changed the same lines, the better side is
kept and those knobs of the other side that the better one had left alone are turned by hand. With
nothing to merge it does as `social` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from random import Random

from agents.actions import Action, Run
from agents.errors import LabError
from agents.knobs import read_values, turn
from agents.lab import LabReader
from agents.minds.policy.leads import following
from agents.minds.policy.proposing import in_words, run_of, short
from agents.minds.policy.reserve import must_hold, waiting
from agents.minds.policy.social import exploit
from agents.minds.policy.surrogate import Surrogate
from agents.minds.policy.view import Point, View, differences, view_of
from agents.observation import Observation

BRANCHES = 10
"""How many of the best commits are considered for pairs."""
LEAST_PROMISE_SIGMAS = 1.0
"""What a merge must promise over the best commit, hope included."""
HOPE = 0.7
"""Deviations counted as hope: what two sides hold together is hard to foresee from either."""
WORST_GAIN_SIGMAS = -1.0
"""A merge that is expected to lose more than this is not worth its run, whatever the hope."""
TRIES = 4
"""How many pairs are merged in earnest before giving up."""
MOST_ANCESTORS = 500


class Merge:
    """Brings separate lines of work together."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with the most promising merge, else with what `social` would do, or wait."""
        view = view_of(observation)
        if not view.knobs or must_hold(view):
            return [waiting(view)]
        surrogate = Surrogate(view)
        for better, other, ancestor in _pairs(view, surrogate)[:TRIES]:
            run = await _merged(view, surrogate, lab, better, other, ancestor)
            if run is not None:
                return [run]
        led = following(view, surrogate, "merge")
        if led is not None:
            return [led]
        rng = Random(observation.seed)  # noqa: S311  # not cryptography
        run = exploit(view, rng, policy="merge")
        return [waiting(view) if run is None else run]


def _pairs(view: View, surrogate: Surrogate) -> list[tuple[Point, Point, Point]]:
    """Return (better, other, common ancestor) of pairs worth merging.

    Pairs of confirmed branches come first, then the most promising.
    """
    branches = [point for _, point in view.ranked() if point is not view.baseline][:BRANCHES]
    found: list[tuple[bool, float, tuple[Point, Point, Point]]] = []
    for better, other in combinations(branches, 2):
        above, beyond = _ancestry(view, better), _ancestry(view, other)
        if better.known.commit in beyond or other.known.commit in above:
            continue
        ancestor = _common(view, above, beyond)
        joined = {**better.setting, **_brought(better, other, ancestor)}
        if not differences(better.setting, joined) or view.is_tried(joined):
            continue
        gain, doubt = surrogate.gain(view.best().setting, joined)
        promise = gain + HOPE * doubt
        if gain > WORST_GAIN_SIGMAS * view.sigma and promise > LEAST_PROMISE_SIGMAS * view.sigma:
            is_sure = better.known.status == other.known.status == "reproduced"
            found.append((is_sure, promise, (better, other, ancestor)))
    found.sort(key=lambda each: (not each[0], -each[1]))
    return [pair for _, _, pair in found]


async def _merged(
    view: View, surrogate: Surrogate, lab: LabReader, better: Point, other: Point, ancestor: Point
) -> Run | None:
    try:
        merged = await lab.merge(better.known.commit, other.known.commit)
    except LabError:
        return None
    path = view.observation.briefing.knobs_path
    tree = view.observation.trees.get(better.known.commit, {})
    files = dict(merged.files)
    how = "git joined both sides without a conflict"
    if path in merged.conflicts:
        text = files.get(path, tree.get(path, ""))
        brought = turn(text, _brought(better, other, ancestor), view.knobs)
        files[path] = brought.text
        how = "both changed the same lines, so I kept the better side and turned the other's knobs"
    changed = {name: text for name, text in files.items() if tree.get(name) != text}
    if not changed:
        return None
    setting = {**better.setting, **read_values(files.get(path, ""), view.knobs)}
    knobs = differences(better.setting, setting)
    if view.is_tried(setting) and set(changed) <= {path}:
        return None
    what = in_words(better, knobs) if knobs else "edits of code"
    return run_of(
        view,
        surrogate,
        (better, other),
        changed,
        knobs,
        title=f"merge {short(other)} into {short(better)}: {what} (merge)",
        because=f"Each side improved on {short(ancestor)} in its own way; {how}.",
    )


def _brought(better: Point, other: Point, ancestor: Point) -> dict[str, bool | int | float | str]:
    """Return the other side's changes to knobs that the better side left as the ancestor had."""
    theirs = differences(ancestor.setting, other.setting)
    ours = differences(ancestor.setting, better.setting)
    return {name: value for name, value in theirs.items() if name not in ours}


def _ancestry(view: View, point: Point) -> dict[str, int]:
    """Return the visible ancestors of a commit, itself left out, with their distance."""
    found: dict[str, int] = {}
    edge = [(parent, 1) for parent in point.known.parents]
    while edge and len(found) < MOST_ANCESTORS:
        commit, distance = edge.pop(0)
        if commit in found:
            continue
        found[commit] = distance
        parent = view.by_commit.get(commit)
        if parent is not None:
            edge += [(each, distance + 1) for each in parent.known.parents]
    return found


def _common(view: View, above: dict[str, int], beyond: dict[str, int]) -> Point:
    """Return the nearest visible common ancestor; the baseline where none is known."""
    shared = [commit for commit in above if commit in beyond and commit in view.by_commit]
    if not shared:
        return view.baseline
    return view.by_commit[min(shared, key=lambda commit: above[commit] + beyond[commit])]
