"""Twins: earlier claims that are the same tree or the same idea, and what knobs stand at.

The same tree by its key (`trainer.tree_key`); the same idea where two trees differ in knobs alone
and by less than `agents.closeness.CLOSE`. It says what is so, not who may know.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.closeness import CLOSE, distance, skeletons
from agents.knobs import Knob, load_knobs, read_values
from community.archive.state import RunState
from forum.messages import KnobValue
from trainer.repository import Repository
from trainer.task import Task


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
                apart = distance(self._knobs, tree.setting, near.setting, CLOSE)
                if apart < CLOSE:
                    found.append((apart, index, other.post_id))
        return [(post_id, apart) for apart, _, post_id in sorted(found)]

    def setting(self, commit: str) -> dict[str, KnobValue]:
        """Return what a commit's knobs stand at; empty for a task without knobs."""
        return dict(self._tree(commit).setting)

    def _tree(self, commit: str) -> _Tree:
        if commit not in self._trees:
            files = self._repository.read(commit)
            texts = {p: files[p].decode(errors="replace") for p in self._editable if p in files}
            self._trees[commit] = _Tree(
                hash(skeletons(texts, self._path, self._knobs)),
                read_values(texts.get(self._path, ""), self._knobs),
            )
        return self._trees[commit]
