"""What a call is answered with: words for whoever reads, facts on record for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ANSWER_TOKENS = 8_000
"""Most of one answer, as `agents.minds.quoting.tokens_of` guesses: clients cut longer ones."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one call."""

    text: str
    """What others wrote stands in it in quotations alone."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Ids, numbers and fixed words: nothing that anybody wrote. Models do not see it."""
    is_error: bool = False


class CallRefusedError(Exception):
    """A call cannot be answered as it is; says what, which and what to do next."""


def refused(why: str) -> Answer:
    """Return the answer to a call that came to nothing."""
    return Answer(why, is_error=True)
