"""Recent: the newest posts that reached an agent, whole, within bounds; minds that read see them.

`agents.memory` folds every post and keeps what it says of results; this keeps what was said.
"""

from __future__ import annotations

from collections import deque

from forum.messages import Post

MOST_POSTS = 200
MOST_CHARACTERS = 600_000
"""Together; a patch alone may have 65,536, so that these are some 0.6 MB an agent at worst."""


class RecentPosts:
    """The newest posts, one's own among them, each once, in the order in which they arrived."""

    def __init__(self) -> None:
        self._posts: deque[tuple[Post, int]] = deque()
        self._characters = 0
        self.arrived = 0
        """How many have arrived in all; the newest kept one has this number."""

    def add(self, post: Post) -> None:
        """Take in a post that is new to the agent."""
        size = sum(len(value) for value in vars(post.body).values() if isinstance(value, str))
        self._posts.append((post, size))
        self.arrived += 1
        self._characters += size
        while len(self._posts) > MOST_POSTS or self._characters > MOST_CHARACTERS:
            self._characters -= self._posts.popleft()[1]

    def newest_last(self) -> tuple[Post, ...]:
        """Return them, the newest last."""
        return tuple(post for post, _ in self._posts)
