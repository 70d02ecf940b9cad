"""The part of a scenario about coding agents: ``[minds.cli.NAME]``, for the mind ``cli:NAME``.

A name that is a preset changes it; any other describes a program of one's own by its command.
Records only, like those of `community.scenario`, which holds them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from agents.minds.cli_presets import PRESETS, TOKENS_PER_TURN, TURNS, WALL_S, Cli, Output
from agents.prices import PriceTable, price_or_none

RESERVED = frozenset({"PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "HTTPS_PROXY", "HTTP_PROXY"})
"""Not the scenario's to pass on: what is inside has its own."""
NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,31}$"


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("give an environment variable's name; its value is read from your own")
    if value in RESERVED:
        raise ValueError("it is not passed on: inside there is another")
    return value


def _host(value: str) -> str:
    if not re.fullmatch(r"\*|(\*\.)?[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?", value):
        raise ValueError('give "name", "name:port", "*.name" or "*", in small letters')
    return value


_VARIABLE = Annotated[str, AfterValidator(_variable)]
_HOST = Annotated[str, AfterValidator(_host)]
_WORD = Annotated[str, Field(min_length=1, max_length=4_000)]


class CliSection(BaseModel):
    """One program; what is left out is as the preset has it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    command: Annotated[tuple[_WORD, ...], Field(strict=False, min_length=1)] | None = None
    """Program and arguments; the prompt comes on its standard input."""
    resume: Annotated[tuple[_WORD, ...], Field(strict=False)] | None = None
    """Program and arguments to go on with the conversation ``{session}``; ``[]`` never does."""
    output: Output | None = None
    """How what it prints is read: text, json (ours), or as one of the presets prints."""
    options: Annotated[tuple[_WORD, ...], Field(strict=False)] = ()
    """Further arguments, in place of the word ``{options}``: ``["--model", "opus"]``."""
    env: Annotated[tuple[_VARIABLE, ...], Field(strict=False)] = ()
    """Environment variables of yours that it is given: its key, and nothing it does not need."""
    hosts: Annotated[tuple[_HOST, ...], Field(strict=False)] | None = None
    """Where it may connect to: ``name``, ``name:port``, ``*.name``; ``*`` is all of the public
    internet."""
    reads: Annotated[tuple[_WORD, ...], Field(strict=False)] = ()
    """Files and folders it is shown, read-only: where it is installed, if not below /usr."""
    turns: Annotated[int, Field(ge=1, le=1000)] = TURNS
    """Most steps of its own in one turn, where its command has ``{turns}``."""
    wall_s: Annotated[float, Field(gt=0, le=780)] = WALL_S
    """Longest that a turn may take; then it is killed with all it has started."""
    usd_per_turn: Annotated[float, Field(ge=0, le=1000)] | None = None
    """The most that a turn may cost; 0 for what is billed elsewhere, or not at all."""
    tokens_per_turn: Annotated[int, Field(ge=1)] = TOKENS_PER_TURN
    """The most tokens that a turn is taken to need, against caps on tokens."""


class MindsSection(BaseModel):
    """Minds that need more than a name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    cli: dict[Annotated[str, Field(pattern=NAME_PATTERN)], CliSection] = {}
    """NAME -> the program behind the mind ``cli:NAME``."""


def cli_of(mind: str, minds: MindsSection | None, prices: PriceTable) -> Cli | None:
    """Return the program behind a mind's name; None where nothing describes one.

    Args:
        mind: ``cli:NAME``.
        minds: the scenario's section.
        prices: of tokens, by mind.
    """
    name = mind.partition(":")[2]
    section = (minds or MindsSection()).cli.get(name)
    preset = PRESETS.get(name)
    if section is None:
        return None if preset is None else replace(preset, price=price_or_none(mind, prices))
    if preset is None and section.command is None:
        return None
    changed: dict[str, Any] = {
        "options": section.options,
        "reads": section.reads,
        "turns": section.turns,
        "wall_s": section.wall_s,
        "usd_per_turn": section.usd_per_turn,
        "tokens_per_turn": section.tokens_per_turn,
        "price": price_or_none(mind, prices),
    }
    if section.command is not None:
        changed |= {"start": section.command, "resume": section.resume or ()}
    elif section.resume is not None:
        changed["resume"] = section.resume
    if section.output is not None:
        changed["output"] = section.output
    if section.hosts is not None:
        changed["hosts"] = section.hosts
    begin = preset or Cli(start=section.command or ())
    if section.env:  # who names variables means these and no others
        changed |= {"keys": (), "passes": section.env}
    return replace(begin, **changed)
