"""Which post belongs to which thread, kept up row by row in a few bytes for each post.

Posts are numbered as they come; everything here is arrays by that number. Threads are a chain, the
one that something happened to last at its end, so that a list of them needs no sorting.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from community.archive.shelf import Shelved
from community.archive.state_records import PostRecord
from community.events import Posted

POST_BYTES = 24
"""What is kept of a post."""


class Threads:
    """The threads of a run.

    Args:
        posts: Its posts, which number themselves.
    """

    def __init__(self, posts: Shelved[str, PostRecord]) -> None:
        self._posts = posts
        self._root = array("I")
        """By post: the post that its thread began with."""
        self._after = array("I")
        """By post: one more than the next post of its thread; 0 for the last."""
        # by the number of a thread's first post; of other posts 0
        self._last = array("I")
        self._count = array("I")
        self._newer = array("I")
        """One more than the thread that comes next in the chain; 0 at its end."""
        self._older = array("I")
        self._newest = 0
        """One more than the last of the chain."""
        self.total = 0
        """How many threads there are."""

    def take(self, event: Posted) -> None:
        """Take in a post that the run holds already, each once and in order."""
        body = event.body
        about = self._number(str(event.thread or body.get("hypothesis") or body.get("target")))
        number = len(self._root)
        root = number if about is None else self._root[about]
        self._root.append(root)
        for column in (self._after, self._last, self._count, self._newer, self._older):
            column.append(0)
        if root == number:
            self.total += 1
        else:
            self._after[self._last[root]] = number + 1
        self._last[root] = number
        self._count[root] += 1
        self._to_end(root)

    def touch(self, post_id: str) -> None:
        """Note that something happened to a post."""
        if (number := self._number(post_id)) is not None:
            self._to_end(self._root[number])

    def root(self, post_id: str) -> str:
        """Return the post that the thread of a post began with; nothing for a stranger."""
        number = self._number(post_id)
        return "" if number is None else self._posts.at(self._root[number])[0]

    def count(self, root: str) -> int:
        """Return how many posts a thread has, the first one included."""
        number = self._number(root)
        return 0 if number is None else self._count[number]

    def posts(self, root: str) -> Iterator[str]:
        """Yield the posts of a thread, the first one included, in the ledger's order."""
        number = self._number(root)
        while number is not None:
            yield self._posts.at(number)[0]
            number = self._after[number] - 1 if self._after[number] else None

    def newest(self) -> Iterator[str]:
        """Yield the threads' first posts, the thread that was touched last first."""
        place = self._newest
        while place:
            yield self._posts.at(place - 1)[0]
            place = self._older[place - 1]

    def _number(self, post_id: str) -> int | None:
        """Return the number of a post that was taken in."""
        number = self._posts.number(post_id)
        return None if number is None or number >= len(self._root) else number

    def _to_end(self, root: int) -> None:
        """Move a thread to the end of the chain."""
        if self._newest == root + 1:
            return
        newer, older = self._newer[root], self._older[root]
        if newer:  # it is somewhere in the chain, and not its end
            self._older[newer - 1] = older
        if older:
            self._newer[older - 1] = newer
        if self._newest:
            self._newer[self._newest - 1] = root + 1
        self._older[root], self._newer[root] = self._newest, 0
        self._newest = root + 1
