"""Means: what a mind that asks models is given by whoever seats its agent.

An account to pay from, providers that all agents share, and a record of answers. Built-in policies
need none of it. `community.minds_opening` makes one for each agent of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agents.account import Account
from agents.minds.cli_presets import Cli
from agents.minds.commands import Commands
from agents.minds.exchange import Options, ToolCall
from agents.minds.providers import Providers


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a mind, as it is recorded: enough to give the same actions again."""

    agent: str
    turn: int
    round: int
    """0, and 1 for what it was asked again because of faults."""
    mind: str
    outcome: str
    """acted: every call became an action; faulty: some did not; empty: no call at all; truncated,
    refused: as the provider said."""
    calls: tuple[ToolCall, ...]
    """As written; an experiment by other means (a worktree's diff, say) is written as such a call.
    """
    text: str
    """What was said beside them, bounded."""
    seen: dict[str, str] = field(default_factory=dict)
    """Hash of each part of what the mind was shown, by which observations are told apart."""
    faults: tuple[str, ...] = ()
    """Why calls did not become actions."""


@dataclass(frozen=True, slots=True)
class Means:
    """What one agent's mind may use."""

    agent: str
    role: str
    account: Account
    providers: Providers
    options: Options = field(default_factory=Options)
    record: Callable[[Answer], None] = lambda answer: None
    """Keeps an answer, before anything is made of it."""
    answered: Callable[[int], Sequence[Answer]] = lambda turn: ()
    """Answers that were recorded for a turn: after a kill, what need not be asked again."""
    cli: Cli | None = None
    """How a coding agent is started, for a mind that is one."""
    commands: Commands | None = None
    """Who runs it."""
