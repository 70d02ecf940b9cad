"""Judges `nanolm`: what is held out of training, and how answers become bits per byte.

Runs in the scorer's worker process alone; it is never mounted where candidate code runs.
"""

from __future__ import annotations

from pathlib import Path

from scoring.corpus import split_source
from scoring.grader import Division
from scoring.language_model import ByteLanguageModel

HELD_OUT = (
    "xml",
    "html",
    "xmlrpc",
    "wsgiref",
    "mailbox",
    "configparser",
    "imaplib",
    "smtplib",
    "ftplib",
    "poplib",
    "nntplib",
    "telnetlib",
    "cgi",
    "cgitb",
    "plistlib",
    "zoneinfo",
    "optparse",
    "webbrowser",
)
"""Packages that neither torch nor training imports, as far as this Python has them. Not tomllib:
pip carries a copy, which a sandbox would show."""

UNSCORED = ("html/entities.py",)
"""Hidden with its package but not asked: a table of 75 kB, not source that a model could learn."""

GRADER = ByteLanguageModel()


def prepare(source: Path, heldout: Path | None = None) -> Division:
    """Split the standard library at `source`, and ask `heldout` instead of it where it is given.

    See `scoring.corpus.split_source`.
    """
    return split_source(source, HELD_OUT, UNSCORED, heldout)
