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
from community.archive.watched import WatchedState
from community.events import Row
from community.tui.colours import GREY
from community.tui.patches import NOT_HERE, Patch
from community.tui.threads import Threads
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
class Told:
    """A run as it is known by now."""

    state: WatchedState = field(default_factory=WatchedState)
    threads: Threads = field(init=False)
    recent: deque[Row] = field(default_factory=lambda: deque(maxlen=FEED_LINES))
    """Rows of which the feed has no line yet and should."""
    feed: deque[Line] = field(default_factory=lambda: deque(maxlen=FEED_LINES))
    """The feed's newest lines; keys are sequence numbers."""
    posts: deque[str] = field(default_factory=lambda: deque(maxlen=RECENT_POSTS))
    """The newest posts by id."""
    views: Views = field(default_factory=Views)

    def __post_init__(self) -> None:
        self.threads = Threads(self.state.shelved_posts)


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
