"""What a person wants to see of a list: words that lines must have, and one agent to follow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter; an empty one lets everything through."""

    words: tuple[str, ...] = ()
    """All of them must occur, in any case of letters; ``-word`` must not."""
    agent: str = ""
    """Only what this one wrote or takes part in; empty for everybody."""

    @classmethod
    def of(cls, text: str, agent: str = "") -> Wanted:
        """Return what somebody typed as a filter."""
        return cls(tuple(text.casefold().split()), agent)

    @property
    def is_any(self) -> bool:
        """Whether everything is wanted."""
        return not self.words and not self.agent

    def lets(self, text: str, names: Iterable[str] = ()) -> bool:
        """Whether something with these words, by or about these names, is wanted."""
        if self.agent and self.agent not in names:
            return False
        folded = text.casefold() if self.words else ""
        return all(
            word[1:] not in folded if len(word) > 1 and word[0] == "-" else word in folded
            for word in self.words
        )

    def said(self) -> str:
        """Return the filter for a title; nothing where everything is wanted."""
        parts = [f"only {self.agent}"] if self.agent else []
        parts += [f"/{' '.join(self.words)}"] if self.words else []
        return " ".join(parts)
