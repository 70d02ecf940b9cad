"""Duplicates: which earlier claims are the same tree as this one, or the same idea.

The same tree by its key (`trainer.tree_key`); the same idea where two trees differ in knobs alone
and by less than `agents.closeness.CLOSE`. Whoever proposes one is told when it is prepared, and
whoever knows both hears it from the lab in the claim's thread. Closeness tells of both trees: so
only he is told whom posts gave both of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.closeness import CLOSE, distance, skeletons
from agents.knobs import Knob, load_knobs, read_values
from community.archive.state import RunState
from community.chronicle import Chronicle
from community.clerk import Clerk
from forum.messages import Comment, KnobValue
from trainer.repository import Repository
from trainer.task import Task

NEAREST = 3
"""How many earlier claims are named."""


@dataclass(frozen=True, slots=True)
class _Tree:
    """A tree as a setting of the knobs, and what else there is to it."""

    rest: int
    """Hash of the editable files without the knobs' literals."""
    setting: dict[str, KnobValue]


class Twins:
    """Finds earlier claims that are the same tree or the same idea.

    Args:
        repository: Where the trees are.
        task: Whose knobs say what is close; without knobs only the same tree is a duplicate.
    """

    def __init__(self, repository: Repository, task: Task) -> None:
        self._repository = repository
        self._editable = task.editable
        self._path = task.knobs_path or ""
        self._knobs: tuple[Knob, ...] = ()
        if task.knobs_toml is not None and task.knobs_path is not None:
            start = task.start[task.knobs_path].decode()
            self._knobs = load_knobs(task.knobs_toml, start)
        self._trees: dict[str, _Tree] = {}

    def of(self, state: RunState, commit: str) -> list[tuple[str, float]]:
        """Return (post id, distance) of claims on other commits, the nearest first.

        Distance 0 is the very same tree, or one that differs in nothing that is compared here.
        """
        key, tree = state.proposals[commit].tree_key, self._tree(commit)
        found: list[tuple[float, int, str]] = []
        for index, other in enumerate(state.hypotheses.values()):
            if other.commit == commit:
                continue
            if other.tree_key == key:
                found.append((0.0, index, other.post_id))
            elif self._knobs and (near := self._tree(other.commit)).rest == tree.rest:
                apart = distance(self._knobs, tree.setting, near.setting)
                if apart < CLOSE:
                    found.append((apart, index, other.post_id))
        return [(post_id, apart) for apart, _, post_id in sorted(found)]

    def _tree(self, commit: str) -> _Tree:
        if commit not in self._trees:
            files = self._repository.read(commit)
            texts = {p: files[p].decode(errors="replace") for p in self._editable if p in files}
            self._trees[commit] = _Tree(
                hash(skeletons(texts, self._path, self._knobs)),
                read_values(texts.get(self._path, ""), self._knobs),
            )
        return self._trees[commit]


def may_compare(state: RunState, agent: str, commit: str, post_id: str) -> bool:
    """Whether `agent` may read the tree of `commit`, and a claim reached him with its tree."""
    readable = state.readable(agent)
    is_told = post_id in state.delivered.get(agent, {})
    return is_told and {commit, state.hypotheses[post_id].commit} <= readable


async def point_out_duplicates(chronicle: Chronicle, clerk: Clerk, twins: Twins) -> None:
    """Say in the thread of every new claim which earlier one it repeats; until cancelled.

    Along its author's edges, to whom both are known. Claims of an earlier life were seen to then.
    """
    seen = set(chronicle.state.hypotheses)
    while True:
        await chronicle.wait_until(lambda state: len(state.hypotheses) > len(seen))
        for post_id in [each for each in chronicle.state.hypotheses if each not in seen]:
            seen.add(post_id)
            await _point_out(chronicle.state, clerk, twins, post_id)


async def _point_out(state: RunState, clerk: Clerk, twins: Twins, post_id: str) -> None:
    claim, before = state.hypotheses[post_id], state.posts[post_id].seq
    earlier = [
        (other, apart)
        for other, apart in twins.of(state, claim.commit)
        if state.posts[other].seq < before
    ]
    unsaid = set(state.delivered)
    for other, apart in earlier[:NEAREST]:
        among = {name for name in unsaid if may_compare(state, name, claim.commit, other)}
        unsaid -= among
        if among:  # each is told of the nearest that he knows
            await clerk.post_for_lab(
                Comment(text=f"This is {other} again{_but_for(apart)}."),
                thread=post_id,
                along=claim.author,
                message_id=f"lab-near-{post_id}-{other}",
                among=frozenset(among),
            )


def _but_for(apart: float) -> str:
    return f", but for {100 * apart:.1f} % of a knob's range" if apart else ": the same tree"
