"""Trees: the editable files of commits an agent may read, fetched once and kept within bounds.

Asks the lab, which decides what is visible; a commit that is not, is remembered as unreadable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agents.errors import LabError
from agents.lab import Lab
from agents.observation import Known

KEPT_BEST = 160
KEPT_NEWEST = 96
"""Together 256 trees of at most 40 KiB: 10 MiB for one agent, whatever the run's length."""


class Trees:
    """Cache of one agent's readable trees."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._kept: dict[str, Mapping[str, str]] = {}
        self._unreadable: set[str] = set()
        self._shut: dict[str, tuple[Known, Known]] = {}
        """By commit: what is known, and the same without its tree."""

    async def attach(
        self, known: Sequence[Known], direction: str
    ) -> tuple[tuple[Known, ...], dict[str, Mapping[str, str]]]:
        """Return `known` with honest `is_readable`, and the trees of what is readable.

        Beyond the bounds, the best and the newest commits keep their trees; the baseline always.
        """
        wanted = dict.fromkeys(_worth_keeping(known, direction))
        self._kept = {commit: tree for commit, tree in self._kept.items() if commit in wanted}
        for commit in wanted:
            if commit not in self._kept and commit not in self._unreadable:
                await self._fetch(commit)
        seen = tuple(
            each if each.commit in self._kept else self._without_tree(each) for each in known
        )
        return seen, dict(self._kept)

    def _without_tree(self, known: Known) -> Known:
        if not known.is_readable:
            return known
        before = self._shut.get(known.commit)
        if before is None or before[0] is not known:
            before = self._shut[known.commit] = (known, replace(known, is_readable=False))
        return before[1]

    async def _fetch(self, commit: str) -> None:
        try:
            self._kept[commit] = dict(await self._lab.read_tree(commit))
        except LabError:
            self._unreadable.add(commit)

    def forget_refusals(self) -> None:
        """Let refused commits be asked for again, because a new post may have carried them."""
        self._unreadable.clear()


def _worth_keeping(known: Sequence[Known], direction: str) -> list[str]:
    readable = [each for each in known if each.is_readable and each.commit]
    if len(readable) <= KEPT_BEST + KEPT_NEWEST:
        return [each.commit for each in readable]
    scored = [each for each in readable if each.score is not None]
    scored.sort(key=lambda each: each.score or 0.0, reverse=direction == "higher")
    chosen = [readable[0], *scored[:KEPT_BEST], *readable[-KEPT_NEWEST:]]
    return [each.commit for each in chosen]
