"""Calling the command line inside the test's own process."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from community.cli.application import application

MINE = """\
run = { task = "nanolm", seed = 7 }
stop = { experiments = 5 }
[[agents]]
name = "ada"
role = "exploiter"
mind = "policy:greedy"
"""
"""A scenario of one agent, for tests to spoil."""


def community(*arguments: str) -> Result:
    """Call the command line in this process."""
    return CliRunner().invoke(application(), list(arguments))


def told(result: Result) -> str:
    """Return the message of a user's error, checking that it is one and has no traceback."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.output
