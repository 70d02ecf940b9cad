"""The application: a run's screens, each one key away, live, finished or replayed.

A source (`community.tui.feed`) reads rows in a thread, `community.tui.fold` folds them and paints
in another; what is left here is to hand pictures to the screen in front and keys to whom they are
for. Nothing a run does depends on it; what a person does to a run goes through
`community.tui.person`, as a participant's word like any other.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from rich.text import Text
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen

from community.run_folder import RunFolder
from community.tui.feed import LedgerFeed, RowSource
from community.tui.fold import Fold, Look, Notice, Painted
from community.tui.person import Taking
from community.tui.pictures.header import Header, header
from community.tui.replay import Replay
from community.tui.scene import Line
from community.tui.screens.evidence import EvidenceScreen
from community.tui.screens.forum import ForumScreen
from community.tui.screens.help import HelpScreen, help_text
from community.tui.screens.lab import LabScreen
from community.tui.screens.leaderboard import LeaderboardScreen
from community.tui.screens.lineage import LineageScreen
from community.tui.screens.page import PageScreen
from community.tui.screens.progress import ProgressScreen
from community.tui.screens.run_screen import TABS, RunScreen
from community.tui.screens.search import ChooseScreen, SearchScreen
from community.tui.screens.topology import TopologyScreen
from community.tui.wanted import Wanted

EVERYBODY = "everybody"


@runtime_checkable
class Pictured(Protocol):
    """A screen that shows pictures of the run."""

    @property
    def is_mounted(self) -> bool:
        """Whether its panes are there."""
        ...

    def look(self) -> Look:
        """Return what paints it as it is set now."""
        ...

    def take(self, header: Header, picture: Any, seq: int) -> None:
        """Show what was painted."""
        ...


def rest_assured() -> None:
    """Take what was imported out of the garbage collector's sight: it is walked through no more."""
    gc.freeze()


class News(Message):
    """Something for the screens, from one of the threads."""

    def __init__(self, what: Painted | Notice) -> None:
        super().__init__()
        self.what = what


class WatchApp(App[str]):
    """Shows a run while it goes on, or after.

    Args:
        source: Where its rows come from: a ledger file, which need not exist yet, the run's folder,
            or any other source.
        patches: Folder that copied patches are written to; by default ``patches`` in the run's.
        repository: The run's, for diffs that no post holds; by default that in the run's folder.
        where: The run that a person may take part in: its folder or its broker's URL; by default
            that of the ledger that is watched.
        credential: The person's credential; None for the one in the run's folder.
        is_over: Of a run that was started with this application: whether it has ended. Who leaves
            before is asked whether it shall.
    """

    CSS_PATH = "community.tcss"
    TITLE = "research community"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - Textual's type
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall")]  # noqa: RUF012
    MODES: ClassVar[dict[str, Callable[[], Screen[Any]]]] = {
        "forum": ForumScreen,
        "lab": LabScreen,
        "progress": ProgressScreen,
        "leaderboard": LeaderboardScreen,
        "topology": TopologyScreen,
        "lineage": LineageScreen,
        "evidence": EvidenceScreen,
    }  # type: ignore[assignment]
    DEFAULT_MODE = "forum"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(key, f"go('{mode}')", title, show=False) for key, mode, title in TABS),
        Binding("space", "hold", "Hold"),
        Binding("space", "play", "Play"),
        Binding("left_square_bracket", "speed(-1)", "Slower", show=False),
        Binding("right_square_bracket", "speed(1)", "Faster", show=False),
        Binding("comma", "scrub(-0.02)", "Back", show=False),
        Binding("full_stop", "scrub(0.02)", "Forward", show=False),
        Binding("less_than_sign", "scrub(-0.1)", "Far back", show=False),
        Binding("greater_than_sign", "scrub(0.1)", "Far forward", show=False),
        Binding("n", "next_improvement", "Next gain"),
        Binding("o", "open", "Open"),
        Binding("f", "follow", "Follow"),
        Binding("c", "comment", "Comment"),
        Binding("plus", "boost", "Boost", show=False),
        Binding("minus", "veto", "Veto", show=False),
        Binding("P", "pause_agent", "Pause an agent", show=False),
        Binding("R", "resume_agent", "Resume an agent", show=False),
        Binding("d", "light_or_dark", "Dark/light", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "leave", "Quit"),
    ]

    def __init__(
        self,
        source: Path | RunFolder | RowSource,
        *,
        patches: Path | None = None,
        repository: Path | None = None,
        where: Path | str | None = None,
        credential: Path | None = None,
        is_over: Callable[[], bool] | None = None,
    ) -> None:
        super().__init__()
        if isinstance(source, RunFolder):
            source = source.ledger
        if isinstance(source, Path):
            patches, where = patches or source.parent / "patches", where or source.parent
            repository = repository or source.parent / "repo.git"
            source = LedgerFeed(source)
        self._source = source
        self._is_over = is_over
        self.replay = source if isinstance(source, Replay) else None
        """The clock of a finished run; None of a run that is watched."""
        self._patches = patches or Path("patches")
        self.taking = Taking(self, where, credential)
        """What the person at the keyboard does to the run."""
        self.fold = Fold(
            lambda what: self.post_message(News(what)),
            *(header, lambda: len(self._stack()) < 2, repository),
        )
        self.wanted = Wanted()
        """The filter that holds on every screen."""
        self.notice = Notice("Opening the ledger.", is_error=False)
        self.is_held = False

    def run_alone(self) -> str | None:
        """Run it as the one thing that its process does; returns what it was left with."""
        rest_assured()
        return self.run()

    def on_mount(self) -> None:
        """Begin to read and to paint."""
        self.run_worker(
            lambda: self._source.follow(self.fold.take), thread=True, name="source", group="rows"
        )
        self.run_worker(self.fold.paint, thread=True, name="painter", group="pictures")

    def on_unmount(self) -> None:
        """End both threads."""
        self._source.close()
        self.fold.close()

    # -- what the threads say ------------------------------------------------------------------

    def on_news(self, message: News) -> None:
        """Hand a picture to the screen that asked for it; show a notice."""
        what = message.what
        if isinstance(what, Notice):
            self.notice = what
            for screen in self._run_screens():
                screen.show_notice(what)
            return
        assert isinstance(what.header, Header)
        front = self.front
        if front is not None and id(front) == what.screen:
            front.take(what.header, what.picture, what.seq)
        for screen in self._run_screens():
            if screen is not front:
                screen.show_header(what.header)
        self._show_replay()

    @property
    def front(self) -> Pictured | None:
        """The topmost screen that shows pictures: help lies over it, and it goes on below."""
        found = (s for s in reversed(self._stack()) if isinstance(s, Pictured) and s.is_mounted)
        return next(found, None)

    def _stack(self) -> list[Screen[Any]]:
        """Return the screens of this mode; none while the application begins or ends."""
        return list(self.screen_stack) if self.is_running and self._screen_stacks else []

    def _run_screens(self) -> list[RunScreen]:
        found = [s for s in self._stack() if isinstance(s, RunScreen) and s.is_mounted]
        return [s for s in found if s.query("#notice")]

    def ask(self, screen: Pictured) -> None:
        """Have a screen painted from now on, the first time at once."""
        if screen is self.front:
            self.fold.look(id(screen), screen.look())

    def want(self, wanted: Wanted) -> None:
        """Set the filter of every screen."""
        self.wanted = wanted
        if (front := self.front) is not None:
            self.ask(front)

    def _show_replay(self) -> None:
        if self.replay is not None:
            for screen in self._run_screens():
                screen.show_replay(self.replay.playing.bar(self.size.width - 2))

    # -- keys ----------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Leave; of a run that was started with this application ask whether it shall go on."""
        if self._is_over is None or self._is_over():
            self.exit()
            return
        lines = [
            Line("leave", Text("Leave; the run goes on")),
            Line("end", Text("End the run; it can be resumed")),
            Line("stay", Text("Stay")),
        ]

        def chosen(answer: str | None) -> None:
            if answer in ("leave", "end"):
                self.exit(answer)

        self.push_screen(ChooseScreen("Leave?", lines), chosen)

    async def action_go(self, mode: str) -> None:
        """Show a screen; whatever was opened on it is closed."""
        while len(self.screen_stack) > 1:
            await self.pop_screen()
        await self.switch_mode(mode)

    def action_hold(self) -> None:
        """Hold the picture still, or go on; reading goes on all the while."""
        self.is_held = not self.is_held
        self.fold.hold(self.is_held)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer a replay's keys in a replay, a live run's elsewhere."""
        if action in ("play", "speed", "scrub", "next_improvement"):
            return self.replay is not None
        if action in ("comment", "boost", "veto", "pause_agent", "resume_agent"):
            return self.taking.is_offered
        return self.replay is None if action == "hold" else True

    def action_play(self) -> None:
        """Play, or pause."""
        if self.replay is not None:
            self.replay.toggle()
            self._show_replay()

    def action_speed(self, steps: int) -> None:
        """Replay faster, or slower."""
        if self.replay is not None:
            self.replay.change_speed(steps)
            self._show_replay()

    def action_scrub(self, share: float) -> None:
        """Go forward, or back."""
        if self.replay is not None:
            self.replay.scrub(share)
            self._show_replay()

    def action_next_improvement(self) -> None:
        """Go to the next improvement."""
        if self.replay is not None:
            self.replay.next_improvement()
            self._show_replay()

    def action_light_or_dark(self) -> None:
        """Change between the dark and the light theme."""
        self.theme = "textual-light" if self.current_theme.dark else "textual-dark"
        self.screen.refresh(layout=True)

    def action_help(self) -> None:
        """Show keys and signs of the screen in front."""
        screens = self._run_screens()
        if screens and not isinstance(self.screen, HelpScreen):
            title = next((t for _, m, t in TABS if m == screens[-1].MODE), "")
            words = help_text(
                screens[-1].ABOUT, screens[-1].KEYS, is_replay=self.replay is not None
            )
            self.push_screen(HelpScreen(title, words))

    def action_open(self) -> None:
        """Search, and open what is chosen."""

        def chosen(name: str | None) -> None:
            if name:
                self.open_page(name)

        self.push_screen(SearchScreen(), chosen)

    def open_page(self, name: str) -> None:
        """Open what an id stands for."""
        self.push_screen(PageScreen(name, self.current_mode))

    def action_follow(self) -> None:
        """Choose an agent to follow."""
        names = [EVERYBODY, *self.fold.names]
        lines = [Line(name, Text(name, style=self.fold.colour(name))) for name in names]

        def chosen(name: str | None) -> None:
            if name is not None:
                agent = "" if name == EVERYBODY else name
                self.want(Wanted(self.wanted.words, agent))

        self.push_screen(ChooseScreen("Follow", lines), chosen)

    @property
    def subject(self) -> str:
        """The thread that keys are about; empty where there is none."""
        screens = self._run_screens()
        return screens[-1].subject if screens else ""

    def action_comment(self) -> None:
        """Comment on the thread in front."""
        self.taking.comment(self.subject)

    def action_boost(self) -> None:
        """Let the hypothesis in front be tried sooner."""
        if subject := self.subject:
            self.taking.act("boost", subject)

    def action_veto(self) -> None:
        """Let the hypothesis in front wait."""
        if subject := self.subject:
            self.taking.act("veto", subject)

    def action_pause_agent(self) -> None:
        """Choose an agent to pause."""
        self.taking.choose("pause")

    def action_resume_agent(self) -> None:
        """Choose an agent to resume."""
        self.taking.choose("resume")

    def copy_patch(self, name: str, patch: str) -> None:
        """Copy a patch into the clipboard and into a file."""
        if not patch:
            self.notify("There is no patch here.", severity="warning", markup=False)
            return
        self.copy_to_clipboard(patch)
        path = self._patches / f"{name}.patch"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(patch, encoding="utf-8")
        except OSError as error:
            words = f"In the clipboard; {path} cannot be written: {error.strerror}"
            self.notify(words, severity="warning", markup=False)
            return
        self.notify(f"In the clipboard, and in {path}", markup=False)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """List what the command palette offers."""
        for key, mode, title in TABS:
            show = partial(self.action_go, mode)
            yield SystemCommand(title, f"Show this screen ({key})", show)
        if self.replay is None:
            words = "Hold the picture still, or go on (space)"
            yield SystemCommand("Hold", words, self.action_hold)
        else:
            yield SystemCommand("Play", "Play, or pause (space)", self.action_play)
            words = "Go to what was improved next (n)"
            yield SystemCommand("Next improvement", words, self.action_next_improvement)
        yield SystemCommand("Open", "Search, and open anything by its id (o)", self.action_open)
        yield SystemCommand("Follow", "Follow one agent (f)", self.action_follow)
        yield from self.taking.commands(self.subject)
        yield SystemCommand("Dark or light", "Change the theme (d)", self.action_light_or_dark)
        yield SystemCommand("Help", "Keys and signs of this screen (?)", self.action_help)
        yield SystemCommand("Quit", "Leave (q)", self.action_leave)
