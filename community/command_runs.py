"""Command runs: where an agent's coding program works, what it sees there, and what is kept of it.

Implements `agents.minds.commands.Commands` over the walls of `trainer.commands`. Each agent has a
folder of its own in the run's: the home that its program keeps, the tree of the turn, transcripts.
Keys are read from the environment where a program is started, go into its environment alone, and
are taken out of everything that comes back.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.errors import MindError
from agents.minds.cli_output import Meter
from agents.minds.cli_presets import Cli, variables_of
from agents.minds.commands import ACTIONS_FILE, TAG_LETTERS, Commands, Errand, Left
from agents.minds.scrubbing import scrubbed
from agents.prices import MICRO_USD
from community.scheduler import Bench
from scoring import private_text
from trainer.commands.command import run_command
from trainer.commands.folders import forget_files, read_file, remove
from trainer.commands.records import Command, CommandLimits, Ended
from trainer.commands.view import find_program, interpreter_of, program_files
from trainer.errors import TrainerError
from trainer.repository import Snapshot, write_checkout

FILE_BYTES = 256 * 1024
"""Of one file of the tree, and of `ACTIONS_FILE`; a task's own caps are far below."""
STDERR_BYTES = 64 * 1024
"""Kept of what it said beside its output."""
OUTPUT_BYTES = 8 << 20
"""Of its output: some tell of every step, with all that they have read."""
KEY_CHARACTERS = 8
"""A variable's value that is shorter is no secret and is not looked for."""
KEPT_CHARACTERS = 400_000
"""Of each part of a transcript."""
HOME_FILE_BYTES = 64 << 20
"""Of a file in the home; a larger one is not kept."""
Programs = Callable[[str, Cli], Commands]
"""(agent, its program) -> who runs it."""


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one agent's program, all below one."""

    path: Path

    @property
    def home(self) -> Path:
        """Its home, kept from turn to turn."""
        return self.path / "home"

    @property
    def tree(self) -> Path:
        """Its working folder, made anew for each turn."""
        return self.path / "tree"

    @property
    def transcripts(self) -> Path:
        """What it was told and what it printed, a file for each start."""
        return self.path / "transcripts"

    @property
    def session(self) -> Path:
        """The name of the conversation that it can go on with."""
        return self.path / "session"


class CommandRuns:
    """Runs one agent's program.

    Args:
        cli: the program.
        places: its folders; made where they are missing.
        hidden: what must not be in anything that it is shown.
    """

    def __init__(self, cli: Cli, places: Places, hidden: Sequence[Path]) -> None:
        self._cli = cli
        self._places = places
        self._hidden = tuple(hidden)

    @property
    def session(self) -> str:
        """The conversation that the program may go on with; empty for none."""
        try:
            return self._places.session.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def keep_session(self, session: str) -> None:
        """Remember `session` beyond this process."""
        part = self._places.session.with_suffix(".part")
        self._places.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.write_text(session, encoding="utf-8")
        part.replace(self._places.session)

    def scrubbed(self, text: str) -> str:
        """Return `text` without the values of keys that the program is given."""
        return _Secrets(self._cli).scrubbed(text)

    async def run(self, errand: Errand) -> Left:
        """Carry an errand out.

        Raises:
            MindError: the program is not there, or cannot be run behind walls.
        """
        secrets = _Secrets(self._cli)
        try:
            command = await asyncio.to_thread(self._command, errand)
            ended = await run_command(command, _Watch(self._cli).hear)
        except (TrainerError, OSError) as error:
            raise MindError(secrets.scrubbed(str(error))) from error
        return await asyncio.to_thread(self._left, errand, ended, secrets)

    def _command(self, errand: Errand) -> Command:
        places = self._places
        places.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (places.home, places.transcripts):
            folder.mkdir(exist_ok=True, mode=0o700)
        if errand.round == 0:
            self._lay_out(errand)
        (places.tree / ACTIONS_FILE).unlink(missing_ok=True)
        program = find_program(errand.arguments[0])
        interpreter = interpreter_of(program)
        head = (program,) if not interpreter else (interpreter, program)
        environment = {**self._cli.environment}
        for name in variables_of(self._cli):
            if os.environ.get(name):
                environment[name] = os.environ[name]
        return Command(
            argv=(*head, *errand.arguments[1:]),
            stdin=errand.stdin.encode("utf-8", "replace"),
            environment=environment,
            work=places.tree,
            home=places.home,
            reads=(*program_files(program), *map(os.path.expanduser, self._cli.reads)),
            hosts=self._cli.hosts,
            hidden=self._hidden,
            limits=CommandLimits(wall_s=errand.wall_s, output_bytes=OUTPUT_BYTES),
        )

    def _lay_out(self, errand: Errand) -> None:
        """Make the tree of a turn, with a repository of what may be seen."""
        remove(self._places.tree)
        commits = [
            Snapshot(
                name=each.commit,
                parents=each.parents,
                title=each.title,
                files={path: text.encode() for path, text in each.files.items()},
            )
            for each in errand.shown
        ]
        write_checkout(self._places.tree, commits, errand.base, tag_letters=TAG_LETTERS)

    def _left(self, errand: Errand, ended: Ended, secrets: _Secrets) -> Left:
        """Read what is left, without the keys, and keep the transcript."""
        places = self._places
        base = next((each for each in errand.shown if each.commit == errand.base), None)
        files: dict[str, str] = {}
        odd: dict[str, str] = {}
        for path in base.files if base is not None else ():
            text = _text(read_file(places.tree, path, FILE_BYTES))
            if isinstance(text, _Why):
                odd[path] = text.why
            else:
                files[path] = secrets.scrubbed(text)
        actions = _text(read_file(places.tree, ACTIONS_FILE, FILE_BYTES))
        left = Left(
            how="spent" if ended.how == "stopped" else ended.how,
            code=ended.code,
            stdout=secrets.scrubbed(ended.stdout.decode("utf-8", "replace")),
            stderr=secrets.scrubbed(ended.stderr[-STDERR_BYTES:].decode("utf-8", "replace")),
            files=files,
            odd=odd,
            actions=None if isinstance(actions, _Why) else secrets.scrubbed(actions),
            turned_down=tuple(map(secrets.scrubbed, ended.turned_down)),
        )
        self._keep(errand, left, secrets)
        if secrets.values:
            for folder in (places.home, places.tree):
                forget_files(folder, secrets.are_in, HOME_FILE_BYTES)
        return left

    def _keep(self, errand: Errand, left: Left, secrets: _Secrets) -> None:
        """Write down one start: what was told, what was printed, how it ended."""
        stem = f"turn-{errand.turn:06d}-{errand.round}"
        tries = len([*self._places.transcripts.glob(f"{stem}*")])
        parts = {
            "started": " ".join(errand.arguments),
            "ended": f"{left.how} {'' if left.code is None else left.code}".strip(),
            "turned down": ", ".join(left.turned_down),
            "prompt": errand.stdin,
            "output": left.stdout,
            "errors": left.stderr,
            "actions": left.actions or "",
        }
        text = "\n".join(f"===== {name} =====\n{_shorter(said)}" for name, said in parts.items())
        place = self._places.transcripts / (f"{stem}.txt" if not tries else f"{stem}.{tries}.txt")
        place.write_text(secrets.scrubbed(text), encoding="utf-8", errors="replace")


def programs_in(bench: Bench) -> Programs:
    """Return how a run's agents have their programs run; each has a folder below the run's."""

    def commands(agent: str, cli: Cli) -> Commands:
        private = private_text.recorded(bench.task.locked)
        hidden = [bench.folder.path, *([] if private is None else [private.folder])]
        return CommandRuns(cli, Places(bench.folder.minds / agent), hidden)

    return commands


class _Watch:
    """Follows what a program says it uses, while it goes on.

    Args:
        cli: the program, with what is set aside for one start.
    """

    def __init__(self, cli: Cli) -> None:
        self._cli = cli
        self._meter = Meter(cli.output)

    def hear(self, chunk: bytes) -> bool:
        """Take in a piece of its output; whether it has used more than was set aside for it."""
        self._meter.hear(chunk)
        used, told = self._meter.usage, self._meter.micro_usd
        if used is None:
            return False
        if told is None:
            told = 0 if self._cli.price is None else self._cli.price.micro_usd(used)
        most = round((self._cli.usd_per_turn or 0.0) * MICRO_USD)
        return used.tokens > self._cli.tokens_per_turn or bool(most and told > most)


class _Secrets:
    """The values that a program is given and nobody else may see."""

    def __init__(self, cli: Cli) -> None:
        given = {os.environ.get(name, "").strip() for name in variables_of(cli)}
        addresses = ("http://", "https://")
        self.values = sorted(
            (
                each
                for each in given
                if len(each) >= KEY_CHARACTERS and not each.startswith(addresses)
            ),
            key=len,
            reverse=True,
        )

    def scrubbed(self, text: str) -> str:
        """Return `text` without them, in any usual form."""
        for value in self.values:
            text = scrubbed(text, value)
        return text

    def are_in(self, content: bytes) -> bool:
        """Whether a file's content holds one of them, in any usual form."""
        text = content.decode("latin-1")  # in which every byte is a letter
        return self.scrubbed(text) != text


def _shorter(text: str) -> str:
    """Return a part of a transcript, without its middle where it is long."""
    if len(text) <= KEPT_CHARACTERS:
        return text
    half = KEPT_CHARACTERS // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"


@dataclass(frozen=True, slots=True)
class _Why:
    why: str


def _text(content: bytes | str) -> str | _Why:
    """Return a file's content as text, or why it is none."""
    if isinstance(content, str):
        return _Why(content)
    if b"\0" in content:
        return _Why("it is no text")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return _Why("it is no text in UTF-8")
