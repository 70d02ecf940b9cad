"""The notebook: a bounded text that only its agent sees, kept across turns and restarts.

It is recorded with the turn that rewrote it (see `agents.agent`), so the ledger can restore it.
"""

from __future__ import annotations

from dataclasses import dataclass

NOTEBOOK_CHARACTERS = 8_000
"""About two thousand tokens: enough for a plan, small enough to be sent with every turn."""

_CUT = "[older text was cut]\n"


@dataclass(frozen=True, slots=True)
class Notebook:
    """The text of one agent's notebook."""

    text: str = ""

    def rewritten(self, text: str) -> Notebook:
        """Return a notebook holding `text`: no control characters, the newest part if too long."""
        clean = "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")
        if len(clean) > NOTEBOOK_CHARACTERS:
            clean = _CUT + clean[len(clean) - NOTEBOOK_CHARACTERS + len(_CUT) :]
        return Notebook(clean)
