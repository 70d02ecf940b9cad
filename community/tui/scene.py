"""What pictures are painted from: the folded run, what is kept beside it for the eye, the time.

`community.tui.fold` owns and fills it; `community.tui.pictures` only reads it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from rich.text import Text

from community.archive.state import RunState
from community.events import Posted, Row
from community.tui.colours import GREY
from community.tui.patches import NOT_HERE, Patch
from community.tui.views import Views

T = TypeVar("T")
FEED_LINES = 2_000
"""Lines of the forum's feed that are kept; the ledger has all rows."""
RECENT_POSTS = 400
"""Posts of which the topology shows the way."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a list."""

    key: str
    """What it is about, or anything that stays the same while the line means the same."""
    text: Text
    about: tuple[str, ...] = ()
    """Ids and names that it is about: what opens on Enter, and whom it is by."""


@dataclass(slots=True)
class Threads:
    """Which post belongs to which thread, kept up row by row."""

    root: dict[str, str] = field(default_factory=dict)
    """Post -> the post that its thread began with."""
    posts: dict[str, list[str]] = field(default_factory=dict)
    """Root -> its posts, itself first, in the ledger's order."""
    newest: dict[str, int] = field(default_factory=dict)
    """Root -> sequence number of the newest row about it, the latest last."""

    def take(self, row: Row, event: Posted) -> None:
        """Take in a post."""
        body = event.body
        about = event.thread or body.get("hypothesis") or body.get("target")
        root = self.root.get(str(about), event.post_id)
        self.root[event.post_id] = root
        self.posts.setdefault(root, []).append(event.post_id)
        self.touch(root, row.seq)

    def touch(self, post_id: str, seq: int) -> None:
        """Note that something happened to a post."""
        if (root := self.root.get(post_id)) is not None:
            self.newest.pop(root, None)
            self.newest[root] = seq


@dataclass(slots=True)
class Told:
    """A run as it is known by now."""

    state: RunState = field(default_factory=RunState)
    threads: Threads = field(default_factory=Threads)
    recent: deque[Row] = field(default_factory=lambda: deque(maxlen=FEED_LINES))
    """Rows of which the feed has no line yet and should."""
    feed: deque[Line] = field(default_factory=lambda: deque(maxlen=FEED_LINES))
    """The feed's newest lines; keys are sequence numbers."""
    posts: deque[str] = field(default_factory=lambda: deque(maxlen=RECENT_POSTS))
    """The newest posts by id."""
    views: Views = field(default_factory=Views)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a picture is painted from, for as long as that takes."""

    told: Told
    at_us: int
    """Run time now."""
    is_live: bool
    """Whether a process writes the ledger."""
    waiting: int
    """Rows that wait because the picture is held still."""
    is_held: bool
    is_replay: bool
    colours: dict[str, str]
    """Name of an agent or a person -> its colour."""
    patch_of: Callable[[str, str], Patch] = lambda parent, commit: NOT_HERE
    """(parent, commit) -> the diff between them, where a post is too short for it."""

    @property
    def state(self) -> RunState:
        """The folded run."""
        return self.told.state

    def view(self, function: Callable[[RunState], T]) -> T:
        """Return what a costly function says of the run, or said a moment ago."""
        return self.told.views.of(function, self.told.state)

    def colour(self, name: str) -> str:
        """Return the colour of a participant."""
        return self.colours.get(name, GREY)
