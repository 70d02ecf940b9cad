"""Commands: what a mind asks of whoever can run a coding agent's program behind walls.

Minds know no sandbox, no folder and no key: an errand goes out with a prompt and commits to look
at, and what the program left comes back. `community.command_runs` carries errands out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

ACTIONS_FILE = "actions.json"
"""Where a program may write what it wants done, in its working folder."""
TAG_LETTERS = 10
"""Of a commit's name, by which it is tagged in the throw-away repository; as prompts show it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One commit that the agent may see, for the throw-away repository."""

    commit: str
    parents: tuple[str, ...]
    """Those that are shown as well, and come before."""
    title: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Errand:
    """One start of a program."""

    turn: int
    round: int
    """0; 1 for the second, in the tree that the first one left."""
    arguments: tuple[str, ...]
    """The program and its arguments."""
    stdin: str
    shown: Sequence[Shown]
    base: str
    """Which of them is checked out; empty for an empty tree."""
    wall_s: float
    """After which it is killed with all it has started."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a program left behind. Keys are gone from every text."""

    how: str
    """exited; deadline, memory, disk, processes or output, what it was killed for; spent: because
    what it said it had used passed what was set aside for it."""
    code: int | None
    stdout: str
    stderr: str
    files: Mapping[str, str]
    """What the files of the checked-out commit hold now, by path."""
    odd: Mapping[str, str]
    """Why those that are missing there cannot be taken, in words."""
    actions: str | None
    """What it wrote into `ACTIONS_FILE`."""
    turned_down: tuple[str, ...] = ()
    """Hosts that it wanted to reach and may not."""


class Commands(Protocol):
    """Runs programs for one agent, each in the same home folder."""

    @property
    def session(self) -> str:
        """The conversation that the agent's program may go on with; empty for none."""
        ...

    def keep_session(self, session: str) -> None:
        """Remember `session`, also beyond the process; empty forgets."""
        ...

    def scrubbed(self, text: str) -> str:
        """Return `text` without the values of keys that the program is given."""
        ...

    async def run(self, errand: Errand) -> Left:
        """Carry an errand out.

        Raises:
            MindError: it cannot be run here; the message says why.

        Cancellation: the program is killed with all it has started.
        """
        ...
