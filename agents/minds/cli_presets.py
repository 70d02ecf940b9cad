"""Coding agents by name: how each is started without a terminal, and what of it is read.

The flags are those that the programs' own documentation gives for use in scripts; approvals are
switched off there, because the walls around the program are ours. A scenario may change each, or
describe a program of its own (`community.cli_sections`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agents.prices import Price

Output = Literal["claude", "codex", "gemini", "opencode", "json", "text"]
"""How what it prints is read (`agents.minds.cli_output`)."""
WALL_S = 600.0
TOKENS_PER_TURN = 2_000_000
TURNS = 50


@dataclass(frozen=True, slots=True)
class Cli:
    """One program that thinks for an agent."""

    start: tuple[str, ...]
    """Its command line; ``{turns}``, ``{usd}`` and ``{session}`` within a word are filled in, the
    word ``{options}`` is replaced by `options`. Where nothing is billed the word ``{usd}`` goes,
    and the flag before it."""
    resume: tuple[str, ...] = ()
    """Likewise, to go on with a conversation; empty where it cannot."""
    output: Output = "text"
    keys: tuple[str, ...] = ()
    """Environment variables of which it needs at least one."""
    passes: tuple[str, ...] = ()
    """Environment variables that it is given where they are set; `keys` are, in any case."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What else its environment holds."""
    hosts: tuple[str, ...] = ("*",)
    """Where it may connect to."""
    reads: tuple[str, ...] = ()
    """Files and folders of this machine that it is shown."""
    options: tuple[str, ...] = ()
    turns: int = TURNS
    """Most steps of its own in one turn, where it knows such a limit."""
    wall_s: float = WALL_S
    """Longest that one turn may take, a second round included."""
    usd_per_turn: float | None = None
    """The most that a turn may cost, set aside before it; charged where the program tells neither
    money nor tokens that have a price. 0 for what is billed otherwise, or not at all."""
    tokens_per_turn: int = TOKENS_PER_TURN
    """Set aside before a turn, likewise."""
    price: Price | None = None
    """Of its tokens, where the program tells no money."""

    def command_line(self, session: str) -> tuple[str, ...]:
        """Return its arguments, to go on with `session` or to begin."""
        words: list[str] = []
        for word in self.resume if session and self.resume else self.start:
            if word == "{options}":
                words += self.options
            elif word == "{usd}" and not self.usd_per_turn:
                words.pop()  # nothing is billed here: no limit on it, and not its flag either
            else:
                filled = word.replace("{turns}", str(self.turns))
                filled = filled.replace("{usd}", f"{self.usd_per_turn or 0.0:g}")
                words.append(filled.replace("{session}", session))
        return tuple(words)


_CLAUDE = (
    *("claude", "-p", "--output-format", "stream-json", "--verbose", "--max-turns", "{turns}"),
    *("--max-budget-usd", "{usd}", "--dangerously-skip-permissions", "{options}"),
)
_CODEX = ("--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
_GEMINI = (
    *("gemini", "-p", "Do what is written above, and answer as it says."),
    *("--output-format", "json", "--approval-mode", "yolo", "{options}"),
)
_OPENCODE = ("opencode", "run", "--format", "json", "{options}")

PRESETS: Mapping[str, Cli] = {
    "claude": Cli(
        start=_CLAUDE,
        resume=(*_CLAUDE, "--resume", "{session}"),
        output="claude",
        keys=("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"),
        passes=("ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL"),
        environment={
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "IS_SANDBOX": "1",
        },
        hosts=("api.anthropic.com",),
    ),
    "codex": Cli(
        start=("codex", "exec", *_CODEX, "{options}", "-"),
        resume=("codex", "exec", "resume", *_CODEX, "{options}", "{session}", "-"),
        output="codex",
        keys=("CODEX_API_KEY", "OPENAI_API_KEY"),
        passes=("OPENAI_BASE_URL",),
        hosts=("api.openai.com",),
    ),
    "gemini": Cli(
        start=_GEMINI,
        resume=(*_GEMINI, "--resume", "{session}"),
        output="gemini",
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        passes=("GEMINI_MODEL",),
        environment={"GEMINI_SANDBOX": "false"},
        hosts=("generativelanguage.googleapis.com",),
    ),
    "opencode": Cli(
        start=_OPENCODE,
        resume=(*_OPENCODE, "--session", "{session}"),
        output="opencode",
        keys=("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY", "OPENCODE_API_KEY"),
        environment={"OPENCODE_DISABLE_AUTOUPDATE": "1"},
        hosts=("api.anthropic.com", "api.openai.com", "openrouter.ai", "opencode.ai", "models.dev"),
    ),
}


def variables_of(cli: Cli) -> Sequence[str]:
    """Return the environment variables that a program is given, if they are set."""
    return tuple(dict.fromkeys((*cli.keys, *cli.passes)))
