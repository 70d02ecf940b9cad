"""Additivity: whether what a merge brings together adds up, by leaving out one part at a time.

A *part* of a tree is what one of its ancestors first changed of the start and the tree still holds.
The tree is run without each of its largest parts; the loss is what the part gives in company, to be
held against what it gave where it was found. Pure arithmetic on a `View`, but for the proposals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from agents.actions import Run
from agents.minds.policy.proposing import proposal, short
from agents.minds.policy.surrogate import Surrogate
from agents.minds.policy.view import Point, View, differences
from forum.messages import KnobValue

FEWEST_PARTS, MOST_PARTS = 2, 4
"""Below, nothing was brought together; above, the smallest parts are left alone: each costs a run.
"""
MOST_ANCESTORS = 500


@dataclass(frozen=True, slots=True)
class Part:
    """What one ancestor brought into a tree."""

    source: Point
    """Who first had it."""
    changes: dict[str, KnobValue]
    """Knobs that the tree has from there."""
    back: dict[str, KnobValue]
    """What they stand at in the start."""


def parts_of(view: View, whole: Point) -> list[Part]:
    """Return the parts of a tree, the one that gained most where it was found first."""
    start = view.baseline.setting
    wanted = differences(start, whole.setting)
    found: dict[str, list[str]] = {}
    for source in _ancestors(view, whole):
        brought = differences(start, source.setting)
        mine = [n for n in wanted if n in brought and source.setting[n] == whole.setting[n]]
        if mine:
            found[source.known.commit] = mine
            wanted = {name: value for name, value in wanted.items() if name not in mine}
    parts = [
        Part(
            view.by_commit[commit],
            {name: whole.setting[name] for name in names},
            {name: start[name] for name in names},
        )
        for commit, names in found.items()
    ]
    return sorted(parts, key=lambda part: -(part.source.known.gain or 0.0))[:MOST_PARTS]


def is_merged(view: View, parts: Sequence[Part]) -> bool:
    """Whether two of these parts come from branches that did not know one another."""
    lines = {part.source.known.commit: _names(view, part.source) for part in parts}
    return any(
        first not in lines[second] and second not in lines[first]
        for first, second in combinations(lines, 2)
    )


def without(view: View, whole: Point, part: Part) -> Point | None:
    """Return the measured tree that is `whole` without `part`; None where there is none."""
    setting = {**whole.setting, **part.back}
    same = (p for p in view.points if not differences(p.setting, setting) and p.cost is not None)
    return next(same, None)


def leaving_one_out(view: View, surrogate: Surrogate, whole: Point, policy: str) -> Run | None:
    """Return the run of `whole` without the first part that is still to be measured so."""
    parts = parts_of(view, whole)
    if len(parts) < FEWEST_PARTS:
        return None
    for part in parts:
        if view.is_tried({**whole.setting, **part.back}):
            continue
        because = (
            f"Leave one out: is what came from {short(part.source)} needed in {short(whole)}? If "
            "gains add up, this loses what it gained there."
        )
        run = proposal(view, surrogate, whole, part.back, policy=policy, because=because)
        if run is not None:
            return run
    return None


def additivity_in_words(view: View, whole: Point) -> str:
    """Say what each part of a tree gives alone and in company; empty while a run is missing."""
    parts = parts_of(view, whole)
    rows, alone, together = [], 0.0, 0.0
    for part in parts:
        left = without(view, whole, part)
        if left is None or left.cost is None or whole.cost is None:
            return ""
        gives, gave = left.cost - whole.cost, part.source.known.gain
        rows.append(
            f"- {', '.join(sorted(part.changes))} (from {short(part.source)}): "
            f"{gives:+.4f} in company, {'unknown' if gave is None else f'{gave:+.4f}'} where found"
        )
        alone, together = alone + (gave or 0.0), together + gives
    if len(parts) < FEWEST_PARTS:
        return ""
    noise = view.sigma * (2.0 * len(parts)) ** 0.5
    apart = together - alone
    word = "add up within the noise" if abs(apart) < 2 * noise else "do not add up"
    head = f"Leave-one-out of {short(whole)}: its parts {word} ({apart:+.4f} ± {noise:.4f})."
    return "\n".join([head, *rows])


def _ancestors(view: View, whole: Point) -> list[Point]:
    """Return a tree and its visible ancestors, the start left out, as they arrived."""
    names = _names(view, whole)
    return [p for p in view.points if p.known.commit in names and p.known.hypothesis]


def _names(view: View, whole: Point) -> set[str]:
    names, edge = {whole.known.commit}, [*whole.known.parents]
    while edge and len(names) < MOST_ANCESTORS:
        commit = edge.pop()
        if commit not in names and commit in view.by_commit:
            names.add(commit)
            edge += view.by_commit[commit].known.parents
    return names
