"""From exceptions to exit codes: 2 with one clear message for whatever the user can mend.

Every package has one root error class whose messages say what, which and what to do; those are
shown without a traceback. Anything else is a bug of ours: the traceback is shown and the code is 1.
An interrupted command ends with 130 (128 + SIGINT), a terminated one with 143, a run in which no
model answers any more with 75.
"""

from __future__ import annotations

import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from agents.errors import AgentError
from community.errors import CommunityError, ModelsSilentError
from forum.errors import ForumError
from scoring.errors import ScoringError
from trainer.errors import TrainerError

FAULT_OF_OURS = 1
USER_ERROR = 2
INTERRUPTED = 130
TERMINATED = 143
SILENT = 75
"""No model answers; the same may succeed later (EX_TEMPFAIL of sysexits.h)."""

_KNOWN = (AgentError, CommunityError, ForumError, ScoringError, TrainerError)
_FRAMEWORK: tuple[type[Exception], ...] = (typer.Exit, typer.Abort, *typer.BadParameter.__mro__[:3])
"""Typer's own ways to end a command. The last is ClickException, the root of usage errors, which is
click's own class in older versions of Typer and a copy of it in newer ones."""


class ReportingGroup(TyperGroup):
    """The command tree, with errors turned into messages and exit codes."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # whoever read our output has gone: the framework ends quietly
        except _FRAMEWORK:
            raise
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            raise typer.Exit(report(error)) from error


def report(error: Exception) -> int:
    """Tell the user about `error` on standard error and return the exit code that fits."""
    if messages := known_messages(error):
        for message in messages:
            typer.echo(f"community: {message}", err=True)
        is_silent = all(isinstance(leaf, ModelsSilentError) for leaf in _leaves(error))
        return SILENT if is_silent else USER_ERROR
    typer.echo("".join(traceback.format_exception(error)), err=True)
    typer.echo(
        "community: this is a fault of the program, not of yours. What a run's ledger.db holds is "
        "safe; please report the lines above.",
        err=True,
    )
    return FAULT_OF_OURS


def known_messages(error: BaseException) -> list[str]:
    """Return what to tell the user, each message once; empty when any part of it is unexpected."""
    leaves = _leaves(error)
    if not all(isinstance(leaf, _KNOWN) for leaf in leaves):
        return []
    return list(dict.fromkeys(str(leaf) for leaf in leaves))


def _leaves(error: BaseException) -> list[BaseException]:
    """Return the single errors that a task group bundled."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]
