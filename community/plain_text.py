"""Text from agents made safe to show: one line, bounded, nothing a terminal would act on.

Not a check of what the text says; it stays data. Next: tables, TSV, reports.
"""

from __future__ import annotations

import unicodedata

SELF_REPORTED = "self-reported"
"""Of scores that candidates printed of themselves; also in such verdicts' device class, so that no
rule ever sees one beside a measured one."""

_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories: controls, invisible formatting (bidi overrides), surrogates, unassigned."""


def one_line(text: str, limit: int = 300) -> str:
    """Return `text` as one printable line of at most `limit` characters."""
    text = text[: 4 * limit]
    if not text.isprintable():  # most is, and this is asked of every post many times
        text = "".join(" " if unicodedata.category(c) in _HARMFUL else c for c in text)
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def isolation_words(degree: str, measured_by: str = "scorer") -> str:
    """Return how candidate code was isolated, for people; empty where that was full.

    Of numbers that a model gave it says so: nothing ran that could have been isolated. Of those
    that a script printed of itself it says that nobody has measured them.
    """
    if measured_by == "model":
        return "modelled"
    words = {"full": "", "partial": "partial isolation", "none": "no isolation"}[degree]
    if measured_by == "candidate":
        return f"{SELF_REPORTED}{words and f', {words}'}"
    return words


def note_words(note: str) -> str:
    """Return what `isolation_words` of a whole run means for its numbers, as a sentence."""
    if note == "modelled":
        return "modelled: nothing was trained; a model said what each experiment came to"
    if note.startswith(SELF_REPORTED):
        return (
            f"{note}: every score is what the candidate's own script printed; nobody has measured "
            "it, and it ranks beside no measured one"
        )
    return (
        f"{note}: candidate code could reach more than it should, so these numbers do not stand "
        "beside fully isolated ones"
    )


def several_lines(text: str, limit: int = 20_000) -> list[str]:
    """Return `text` as printable lines, tabs as four spaces, at most `limit` characters in all."""
    lines = text[:limit].replace("\r\n", "\n").split("\n")
    return [_printable(line.expandtabs(4)) for line in lines]


def _printable(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(" " if unicodedata.category(c) in _HARMFUL else c for c in line)
