"""Naming: commits of a run that goes by a record's answers are called as they were called there.

A commit's name holds when it was made, so the same change would bear another name in every run, and
whoever is shown it would be shown something else than then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from community.events import Proposed
from community.mind_faults import REPLAY, is_replay
from community.recorded.places import find_record
from community.recorded.record import Record
from community.run_folder import RunFolder
from community.scenario import Scenario
from trainer.repository import Repository

EARLIER_S: Final = 3
"""At most so many seconds before its row a commit was made."""


class NamedRepository(Repository):
    """A repository in which a commit gets the name that a record has for it, if it is the same."""

    records: Sequence[Record] = ()

    def commit(
        self,
        files: Mapping[str, bytes],
        parents: Sequence[str],
        author: str,
        message: str,
        at_s: int,
    ) -> str:
        """Store `files` as a commit; see `trainer.repository.Repository.commit`."""
        for commit, then_s in self._recorded(author.partition(" ")[0], tuple(parents)):
            if super().commit(files, parents, author, message, then_s) == commit:
                return commit
        return super().commit(files, parents, author, message, at_s)

    def _recorded(self, author: str, parents: tuple[str, ...]) -> Iterator[tuple[str, int]]:
        """Yield the names of an author's commits on these parents, and when they may be made."""
        for record in self.records:
            epoch_s = int(record.opened.host.get("epoch_s", "0"))
            for row in record.rows:
                event = row.event
                if isinstance(event, Proposed) and (event.author, event.parents) == (
                    author,
                    parents,
                ):
                    last_s = epoch_s + row.at_us // 1_000_000
                    yield from ((event.commit, last_s - n) for n in range(EARLIER_S + 1))


def named_as_recorded(repository: Repository, scenario: Scenario, folder: RunFolder) -> Repository:
    """Return a run's repository, which names commits by the records whose answers are given in it.

    Raises:
        RecordError: there is no such record.
    """
    names = dict.fromkeys(member.mind for member in scenario.members() if is_replay(member.mind))
    if not names:
        return repository
    named = NamedRepository.open(folder.repository)
    named.records = [find_record(name.removeprefix(REPLAY)) for name in names]
    return named
