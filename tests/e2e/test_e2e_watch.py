"""`community watch` in a terminal (tmux), beside a live run: screens, keys, a person's word."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e_life import ROOT, Life, command, recorded
from e2e_scenarios import scenario_text

from community.archive.file_lock import FileLock
from community.events import Posted, Row, RunStopped
from community.forum_events import PersonActed
from community.run_folder import RunFolder

AGENTS = ("ada explorer social", "grace exploiter greedy", "marie reproducer verify")
SIZE = (100, 30)
WORDS = "what if the embedding were tied?"

MORE = "it would save a third"

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """A tmux server of the test's own, with one terminal.

    Args:
        folder: Where its socket lies.
        cwd: Where programs start.
    """

    def __init__(self, folder: Path, cwd: Path) -> None:
        self._socket = folder / "tmux"
        self._cwd = cwd

    def tmux(self, *arguments: str) -> str:
        """Give tmux a command; returns what it prints."""
        return subprocess.run(
            ["tmux", "-f", "/dev/null", "-S", str(self._socket), *arguments],
            cwd=self._cwd, check=True, capture_output=True, text=True, timeout=20,
        ).stdout  # fmt: skip

    def start(self, *arguments: str, is_kept: bool = False) -> None:
        """Run ``community ARGUMENTS`` in a new terminal, which may stay open when that is over."""
        words = shlex.join(command(*arguments))
        environment = f"env -u COLUMNS -u LINES PYTHONPATH={shlex.quote(str(ROOT))}"
        after = "; sleep 600" if is_kept else ""
        width, height = map(str, SIZE)
        self.tmux("new-session", "-d", "-x", width, "-y", height, f"{environment} {words}{after}")

    def keys(self, *keys: str) -> None:
        """Press keys, named as tmux names them."""
        self.tmux("send-keys", *keys)

    def type(self, words: str) -> None:
        """Type words as they are."""
        self.tmux("send-keys", "-l", words)

    def screen(self) -> str:
        """Return what is on the terminal."""
        return self.tmux("capture-pane", "-p")

    def is_open(self) -> bool:
        """Whether the program is still there."""
        try:
            return bool(self.tmux("list-sessions"))
        except subprocess.CalledProcessError:
            return False

    def await_screen(self, *words: str, within_s: float = 60) -> str:
        """Wait until all of the words are on the screen, and return it."""
        return self.await_that(lambda seen: all(word in seen for word in words), within_s)

    def await_that(self, holds: Callable[[str], bool], within_s: float = 60) -> str:
        """Wait until the screen is so."""
        deadline = time.monotonic() + within_s
        while not holds(seen := self.screen()):
            assert time.monotonic() < deadline, f"not on the screen:\n{seen}"
            time.sleep(0.1)
        return seen


@pytest.fixture
def live(tmp_path: Path, small: Path) -> Iterator[Life]:
    """Give a run that goes on until the test is over, with a first hypothesis."""
    text = scenario_text(small, AGENTS, stop={"experiments": 400}, board={"broker": "embedded"})
    (tmp_path / "mine.toml").write_text(text)
    life = Life.begin("mine.toml", cwd=tmp_path)
    try:
        assert life.await_row(_is_hypothesis, 90) is not None
        yield life
    finally:
        life.kill()


@pytest.fixture
def terminal(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Iterator[Terminal]:
    """Give a terminal."""
    terminal = Terminal(tmp_path_factory.mktemp("s"), tmp_path)
    yield terminal
    if terminal.is_open():
        terminal.tmux("kill-server")


def _is_hypothesis(row: Row) -> bool:
    return isinstance(row.event, Posted) and row.event.body["kind"] == "hypothesis"


def _is_comment(row: Row) -> bool:
    return isinstance(row.event, Posted) and row.event.body["kind"] == "comment"


def test_somebody_at_another_terminal_watches_and_takes_part(
    live: Life, terminal: Terminal
) -> None:
    """All screens by their keys; a comment and a pause are in the ledger under his name."""
    terminal.start("watch", str(live.folder))
    seen = terminal.await_screen("● live", "Threads (", "hypothesis")
    assert "Said last" in seen
    for key, words in (
        ("2", "Queue ("),
        ("3", "Best so far"),
        ("4", "Researchers"),
        ("5", "Agents"),
        ("6", "◎ start"),
        ("7", "baseline: "),
        ("1", "Threads ("),
    ):
        terminal.keys(key)
        terminal.await_screen(words)
    terminal.keys("c")
    terminal.await_screen("Comment on p")
    terminal.type(WORDS)
    terminal.await_screen(WORDS, "Ctrl+S sends")
    terminal.keys("Enter")
    terminal.type(MORE)
    terminal.await_screen(MORE)
    terminal.keys("C-s")
    row = live.await_row(_is_comment, 60)
    assert row is not None
    assert isinstance(row.event, Posted)
    assert row.event.body["text"] == f"{WORDS}\n{MORE}"
    assert row.event.author.startswith("~")
    assert row.event.thread in {r.event.post_id for r in recorded(live.folder) if _is_hypothesis(r)}
    terminal.await_screen(f"{row.event.author} ", WORDS[:10])
    terminal.keys("P")
    terminal.await_screen("Pause an agent", "grace")
    terminal.type("grace")
    terminal.keys("Enter")
    terminal.await_screen("Pause grace: why?")
    terminal.keys("Enter")
    act = live.await_row(lambda r: isinstance(r.event, PersonActed), 60)
    assert act is not None
    assert isinstance(act.event, PersonActed)
    assert (act.event.action, act.event.target) == ("pause", "grace")
    assert act.event.person == row.event.author
    terminal.await_screen("‖ grace")
    terminal.keys("q")
    _until(lambda: not terminal.is_open())
    assert live.process.poll() is None  # the run goes on


def test_a_run_is_watched_over_its_broker_alone(live: Life, terminal: Terminal) -> None:
    """With the observer's credential and the address, nothing of the run's folder else."""
    credential = live.folder / "credentials" / "observer.json"
    elsewhere = live.folder.parent / "observer.json"
    shutil.copy2(credential, elsewhere)
    url = json.loads(elsewhere.read_text())["url"]
    terminal.start("watch", url, "--credential", str(elsewhere))
    terminal.await_screen("● live", "Threads (", "hypothesis")
    terminal.keys("6")
    terminal.await_screen("◎ start")
    before = terminal.screen()
    terminal.await_that(lambda seen: seen != before)
    live.kill()
    terminal.await_that(lambda seen: "● live" not in seen, 60)
    terminal.keys("q")


def test_a_run_with_screens_goes_on_without_them_and_ends_when_asked(
    terminal: Terminal, tmp_path: Path, small: Path
) -> None:
    """`community run --tui`: leaving leaves the run alone; in a second life it is told to end."""
    text = scenario_text(small, AGENTS, stop={"experiments": 400}, board={"broker": "embedded"})
    (tmp_path / "mine.toml").write_text(text)
    folder = tmp_path / "runs" / "mine-1"
    terminal.start("run", "mine.toml", "--tui")
    terminal.await_screen("● live", "Threads (", within_s=120)
    terminal.keys("q")
    terminal.await_screen("Leave; the run goes on")
    terminal.keys("Enter")
    _until(lambda: not terminal.is_open())
    holder = int(FileLock.note(folder / "ledger.lock").split()[-1])
    before = len(recorded(folder))
    _until(lambda: len(recorded(folder)) > before)
    os.kill(holder, signal.SIGINT)
    _until(lambda: not RunFolder(folder).is_live())
    assert "interrupted" in (folder / "run.log").read_text()

    terminal.start("run", "--resume", "--tui")
    terminal.await_screen("● live", "Threads (", within_s=120)
    terminal.keys("q")
    terminal.await_screen("End the run")
    terminal.type("End the run")
    terminal.keys("Enter")
    _until(lambda: not terminal.is_open())
    assert not RunFolder(folder).is_live()
    assert isinstance(recorded(folder)[-1].event, RunStopped)


def test_a_scenario_that_cannot_be_used_is_told_before_any_screen(
    terminal: Terminal, tmp_path: Path
) -> None:
    """The words of `community run`, in the terminal, and nothing left behind."""
    (tmp_path / "mine.toml").write_text("run = { task = 'no such task' }\n")
    terminal.start("run", "mine.toml", "--tui", is_kept=True)
    terminal.await_screen("no such task")
    assert not list(tmp_path.glob("runs/*"))


def _until(holds: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
