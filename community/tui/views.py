"""Costly functions of a run's state, asked many times a second and computed as often as they may.

A run of a hundred thousand rows takes a second to rank. Each function is computed again when there
are new rows, and no sooner than its own cost allows; in between the answer is the last one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from community.archive.state import RunState

T = TypeVar("T")
REST = 4.0
"""After each computation of a function so many times its cost pass before the next one: all that
is costly takes at most a fifth of a thread for each."""


class Views:
    """Answers of functions of one state."""

    def __init__(self) -> None:
        self._known: dict[Callable[[RunState], Any], tuple[int, float, Any]] = {}
        """Function -> (last row it saw, when it may be computed again, answer)."""
        self.is_behind = False
        """Whether an answer was given that newer rows may change."""

    def of(self, function: Callable[[RunState], T], state: RunState) -> T:
        """Return what `function` says of `state`, or of how it was a moment ago."""
        known = self._known.get(function)
        began_s = time.perf_counter()
        if known is not None:
            seq, due_s, answer = known
            if seq == state.last_seq:
                return answer  # type: ignore[no-any-return]
            if began_s < due_s:
                self.is_behind = True
                return answer  # type: ignore[no-any-return]
        answer = function(state)
        ended_s = time.perf_counter()
        self._known[function] = (state.last_seq, ended_s + REST * (ended_s - began_s), answer)
        return answer

    def forget(self) -> None:
        """Forget all answers: another state begins."""
        self._known.clear()
        self.is_behind = False
