"""The lineage: every commit below the one it builds on, each with what came of it.

A commit hangs below the youngest of its parents, which is what its author had in hand; the parent
that its gain is measured against is often an older one. The branch that leads to the leader runs
straight down; side branches are indented.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from rich.text import Text

from community.archive.queries import leader
from community.archive.state import HypothesisState, RunState
from community.plain_text import one_line
from community.tui.colours import GREEN, GREY, status_look
from community.tui.pictures.forum import status_of
from community.tui.pictures.thread import ThreadPicture, thread_picture
from community.tui.scene import Line, Scene
from community.tui.wanted import Wanted

COMMITS = 1_000
"""Commits drawn; a filter finds others."""


@dataclass(frozen=True, slots=True)
class LineagePicture:
    """The tree, and the thread of the commit under the cursor."""

    tree: tuple[Line, ...]
    count: int
    best: str
    """The leader; empty where there is none."""
    thread: ThreadPicture | None


@dataclass(frozen=True, slots=True)
class Branch:
    """A hypothesis in its place in the tree."""

    post_id: str
    """Empty for the start."""
    lead: str
    """What is drawn before it: the lines of the branches that go on."""


def lineage_picture(scene: Scene, wanted: Wanted, chosen: str) -> LineagePicture:
    """Return the tree as far as it is wanted; without a filter, as it grew."""
    branches = scene.view(tree_of)
    leading = scene.view(_leading_line)
    best = set(leading)
    lines: list[Line] = []
    for branch in branches:
        line = _line(scene, branch, best) if branch.post_id else _start(scene)
        if len(lines) < COMMITS and wanted.lets(line.text.plain, line.about):
            lines.append(line)
    thread = thread_picture(scene, chosen) if chosen else None
    first = leading[0] if leading else ""
    return LineagePicture(tuple(lines), len(branches) - 1, first, thread)


def bases(state: RunState) -> dict[str, str]:
    """Return the hypothesis that each hypothesis builds on; empty for the start, or the unknown."""
    order = {post_id: place for place, post_id in enumerate(state.hypotheses)}
    found: dict[str, str] = {}
    for post_id, claim in state.hypotheses.items():
        parents = (_hypothesis(state, commit) for commit in claim.parents)
        older = [parent for parent in parents if parent and order[parent] < order[post_id]]
        found[post_id] = max(older, key=order.__getitem__, default="")
    return found


def lineages(state: RunState) -> dict[str, str]:
    """Return the idea that each hypothesis goes back to: the first one of its line."""
    parents = bases(state)
    roots: dict[str, str] = {}
    for post_id in parents:
        line = [post_id]
        while line[-1] not in roots and (parent := parents[line[-1]]):
            line.append(parent)
        root = roots.get(line[-1], line[-1])
        roots.update(dict.fromkeys(line, root))
    return roots


def tree_of(state: RunState) -> tuple[Branch, ...]:
    """Return all hypotheses below the start, each after the one it builds on."""
    children: defaultdict[str, list[str]] = defaultdict(list)
    for post_id, parent in bases(state).items():
        children[parent].append(post_id)
    straight = set(_leading_line(state))
    found: list[Branch] = [Branch("", "")]
    todo = _below("", children, straight, "")
    while todo:
        post_id, lead, below = todo.pop()
        found.append(Branch(post_id, lead))
        todo += _below(post_id, children, straight, below)
    return tuple(found)


def _below(
    post_id: str, children: dict[str, list[str]], straight: set[str], lead: str
) -> list[tuple[str, str, str]]:
    """Return (hypothesis, what is drawn before it, before what is below it), the last one first.

    Side branches come first and are indented; the leader's line, or the youngest, goes straight on.
    """
    own = children.get(post_id, [])
    if not own:
        return []
    main = next((child for child in own if child in straight), own[-1])
    sides = [child for child in own if child != main]
    ordered = [(side, f"{lead}├─", f"{lead}│ ") for side in sides]
    return [(main, lead, lead), *reversed(ordered)]


def _leading_line(state: RunState) -> tuple[str, ...]:
    """Return the leader and what it builds on, back to the start."""
    leading = leader(state)
    if leading is None:
        return ()
    parents, line = bases(state), [leading.hypothesis]
    while parent := parents.get(line[-1], ""):
        line.append(parent)
    return tuple(line)


def _hypothesis(state: RunState, commit: str) -> str:
    known = state.hypotheses_by_commit.get(commit)
    return known[0] if known else ""


def _start(scene: Scene) -> Line:
    opened, noise = scene.state.opened, scene.state.noise
    line = Text(no_wrap=True, end="")
    line.append("◎ ", style="bold")
    line.append("start", style="bold")
    commit = opened.baseline_commit[:7] if opened else ""
    score = f"  {noise.mean:.4f} ± {noise.sigma:.4f} on dev" if noise else ""
    line.append(f" {commit}{score}", style=GREY)
    return Line("start", line)


def _line(scene: Scene, branch: Branch, best: set[str]) -> Line:
    state, below = scene.state, scene.view(bases)
    claim = state.hypotheses[branch.post_id]
    status = status_of(scene, claim.post_id)
    sign, style = status_look(status)
    is_best = claim.post_id in best
    line = Text(no_wrap=True, end="")
    line.append(branch.lead, style=GREY)
    line.append(f"{sign} ", style=style)
    line.append(f"{one_line(claim.post_id, 8):<5}", style=f"bold {GREEN}" if is_best else GREY)
    line.append(f"{claim.commit[:7]} ", style=GREY)
    line.append(f"{status} ", style=style)
    line.append(_numbers(state, claim))
    line.append(one_line(claim.author, 20), style=f"bold {scene.colour(claim.author)}")
    parents = (_hypothesis(state, commit) for commit in claim.parents)
    others = [p for p in parents if p and p != below.get(claim.post_id)]
    if others:
        line.append(f" ⋎ {', '.join(others)}", style="#b56bd1")
    line.append(f" {one_line(claim.title, 120)}")
    return Line(claim.post_id, line, (claim.post_id, claim.author, claim.proposer))


def _numbers(state: RunState, claim: HypothesisState) -> str:
    """Return the verdict in numbers: mean score, and the gain over the parent."""
    split = "vault" if claim.status == "reproduced" else "dev"
    score = state.mean_score(claim.tree_key, "vault" if split == "vault" else "dev")
    gain = "" if claim.gain is None else f" ({claim.gain:+.4f})"
    return "" if score is None else f"{score:.4f}{gain} "
