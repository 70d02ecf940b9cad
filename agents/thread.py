"""Thread: everything that one agent has heard of one hypothesis, and what that makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.observation import Known
from forum.messages import Evidence, KnobValue, Post

CONFIRMED = ("reproduced", "contested", "retracted")
"""Statuses that only a confirmation, measured on another split, can give."""
OPEN_AGAIN = "measured"
"""Status that the lab tells of a result whose run was taken back; results before it are void."""


@dataclass(frozen=True, slots=True)
class Result:
    """One finding or failure heard of a hypothesis."""

    seq: int
    at_us: int
    author: str
    evidence: Evidence


@dataclass(slots=True)
class Thread:
    """Everything heard of one hypothesis."""

    hypothesis: str
    first_seq: int
    post: Post | None = None
    commit: str = ""
    parents: tuple[str, ...] = ()
    changes: Mapping[str, KnobValue] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    """Findings and failures, the oldest first."""
    told_status: str = ""
    """A status the lab told in private, newer than all results."""
    claimed_by: set[str] = field(default_factory=set)
    withdrawn_by: set[str] = field(default_factory=set)
    """Who took back in it what it had announced: its proposer, or who meant to confirm it."""
    is_reviewed_by_me: bool = False
    known: Known | None = None
    """What is made of it, until it changes."""
    _screen: Result | None = None
    _is_screen_known: bool = False

    def change(self) -> None:
        """Take note that something of it is new: what was made of it holds no more."""
        self.known, self._is_screen_known = None, False

    @property
    def author(self) -> str:
        """The proposer; where its hypothesis was not heard, who first reported on it."""
        if self.post is not None:
            return self.post.author
        return self.results[0].author if self.results else ""

    @property
    def is_open(self) -> bool:
        """Whether a result is still to come: there is none, and its proposer did not withdraw."""
        return not self.results and self.author not in self.withdrawn_by

    @property
    def screen(self) -> Result | None:
        """What its proposer's own run showed; once that was taken back, what is told of another."""
        if not self._is_screen_known:
            self._screen, self._is_screen_known = self._screened(), True
        return self._screen

    def _screened(self) -> Result | None:
        statuses = [result.evidence.status for result in self.results]
        opened = len(statuses) - statuses[::-1].index(OPEN_AGAIN) if OPEN_AGAIN in statuses else 0
        for result in self.results[opened:]:
            is_told = opened > 0 or result.author == self.author
            if is_told and result.evidence.status not in CONFIRMED:
                return result
        return None

    @property
    def status(self) -> str:
        """The newest word on its status, whoever spoke; empty before the first result."""
        return self.told_status or (self.results[-1].evidence.status if self.results else "")

    @property
    def reported_by(self) -> set[str]:
        """Who posted a finding or a failure in it."""
        return {result.author for result in self.results}
