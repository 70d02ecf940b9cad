"""What a person does from the screen: comment, boost, veto, pause, resume, under his own name.

Each goes to the run through `community.taking_part`, on a connection of its own, and is a row of
the ledger before anything is said here. Nothing of it works on a run that is not live.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.app import SystemCommand

from community.errors import CommunityError
from community.taking_part import take_part
from community.tui.scene import Line
from community.tui.screens.search import ChooseScreen
from community.tui.screens.write import WriteScreen
from forum.errors import ForumError

if TYPE_CHECKING:
    from community.people import Deed
    from community.tui.app import WatchApp

COMMENT_CHARACTERS = 2_000
WHY_CHARACTERS = 200
_DONE = {"boost": "boosted", "veto": "vetoed", "pause": "paused", "resume": "resumed"}


class Taking:
    """A person's part in the run that an application shows.

    Args:
        app: The application.
        where: The run's folder or its broker's URL; None where nobody can take part.
        credential: The person's; None for the one in the run's folder.
    """

    def __init__(self, app: WatchApp, where: Path | str | None, credential: Path | None) -> None:
        self._app = app
        self._where = where
        self._credential = credential

    @property
    def is_offered(self) -> bool:
        """Whether there is a run that one could take part in."""
        return self._where is not None

    def comment(self, thread: str) -> None:
        """Write a comment in a thread; without one, open a thread."""
        title = f"Comment on {thread}" if thread else "Open a thread"

        def written(text: str | None) -> None:
            if text:
                self._run(self._comment(thread or None, text))

        hint = "Everybody in the run reads it, under your name."
        screen = WriteScreen(title, hint, COMMENT_CHARACTERS, has_lines=True)
        self._app.push_screen(screen, written)

    def act(self, deed: Deed, target: str) -> None:
        """Boost or veto a hypothesis, pause or resume an agent; ask why first."""

        def written(why: str | None) -> None:
            if why is not None:
                self._run(self._act(deed, target, why))

        title = f"{deed.capitalize()} {target}: why?"
        hint = "It goes into the ledger under your name; may be left blank."
        self._app.push_screen(WriteScreen(title, hint, WHY_CHARACTERS), written)

    def choose(self, deed: Deed) -> None:
        """Choose an agent to pause or to resume."""
        paused = self._app.fold.told.state.forum.paused
        agents = self._app.fold.told.state.agents
        names = [
            n for n in self._app.fold.names if n in agents and (n in paused) != (deed == "pause")
        ]
        lines = [Line(name, Text(name, style=self._app.fold.colour(name))) for name in names]

        def chosen(name: str | None) -> None:
            if name is not None:
                self.act(deed, name)

        self._app.push_screen(ChooseScreen(f"{deed.capitalize()} an agent", lines), chosen)

    def commands(self, thread: str) -> Iterable[SystemCommand]:
        """List what the command palette offers."""
        if not self.is_offered:
            return
        about = thread or "a new thread"
        yield SystemCommand("Comment", f"Write in {about} (c)", partial(self.comment, thread))
        if thread:
            boost, veto = partial(self.act, "boost", thread), partial(self.act, "veto", thread)
            yield SystemCommand("Boost", f"Let {thread} be tried sooner (+)", boost)
            yield SystemCommand("Veto", f"Let {thread} wait (-)", veto)
        pause, resume = partial(self.choose, "pause"), partial(self.choose, "resume")
        yield SystemCommand("Pause an agent", "It takes no turn until it is resumed (P)", pause)
        yield SystemCommand("Resume an agent", "It goes on (R)", resume)

    def _run(self, doing: Coroutine[Any, Any, None]) -> None:
        self._app.run_worker(doing, group="person", name="person")

    async def _comment(self, thread: str | None, text: str) -> None:
        try:
            async with take_part(self._where or "", self._credential) as person:
                post_id = await person.comment(thread, text)
                self._app.notify(f"{post_id} is posted, by {person.name}.", markup=False)
        except (CommunityError, ForumError) as error:
            self._app.notify(str(error), severity="error", markup=False)

    async def _act(self, deed: Deed, target: str, why: str) -> None:
        try:
            async with take_part(self._where or "", self._credential) as person:
                await person.act(deed, target, why)
                words = f"{target} is {_DONE[deed]}, by {person.name}."
                self._app.notify(words, markup=False)
        except (CommunityError, ForumError) as error:
            self._app.notify(str(error), severity="error", markup=False)
