"""Makes rows small before they are kept: a watcher holds a whole run for as long as he looks at it.

Most of a row says again what rows shortly before it said: the readers of an author's posts, the
knobs of a hypothesis in its findings, hashes of lock and corpus, the machine. Equal parts become
one object. What no screen shows is left out: the sketches that verdicts hold, the words of models.
Nothing else changes; the ledger has everything. Next: `community.tui.fold` folds what comes out of
here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from community.events import AttemptEnded, ExperimentQueued, Posted, Proposed, Row, VerdictGiven
from community.mind_events import Answered

GENERATION: Final = 4_096
"""So many parts are remembered at least, twice as many at most: what was not repeated meanwhile is
forgotten, so that remembering does not grow with the run."""
_REPEATED: Final[dict[type, tuple[str, ...]]] = {
    Posted: ("author", "thread", "body", "readers", "due_us", "lost"),
    Proposed: ("commit", "parents", "tree_key", "title", "knobs", "hunks"),
    ExperimentQueued: ("commit", "tree_key", "hypothesis", "purpose", "split"),
    VerdictGiven: (
        *("experiment_id", "commit", "tree_key", "outcome", "reason", "lock_hash", "corpus_hash"),
        *("device_class", "isolation", "measured_by", "slot"),
    ),
    AttemptEnded: ("experiment_id", "slot", "outcome", "reason", "answer_us"),
}
"""By kind of row: fields whose values come again, in this row or another."""


class Lean:
    """Remembers the parts of the newest rows and uses them again."""

    def __init__(self) -> None:
        self._young: dict[object, Any] = {}
        self._old: dict[object, Any] = {}

    def row(self, row: Row) -> Row:
        """Return a row that says the same in less memory; its parts may be shared with others."""
        event = row.event
        changes: dict[str, Any] = {}
        for name in _REPEATED.get(type(event), ()):
            value = getattr(event, name)
            if (known := self._shared(value)) is not value:
                changes[name] = known
        if isinstance(event, VerdictGiven) and event.sketch:
            changes["sketch"] = ""
        if isinstance(event, Answered):
            changes |= {"calls": (), "text": "", "seen": {}}
        return Row(row.seq, row.at_us, replace(event, **changes)) if changes else row

    def _shared(self, value: Any) -> Any:
        """Return an equal object that was met before, or `value`, whose parts are shared then."""
        kind = type(value)
        if kind is str:
            return self._known(value, value)
        if kind is dict:
            for name, part in value.items():
                if (known := self._shared(part)) is not part:
                    value[name] = known
            key: object = (kind, *((name, *_look(part)) for name, part in value.items()))
        elif kind is list or kind is tuple:
            key = (kind, *map(_look, value))
        else:
            return value
        try:
            return self._known(key, value)
        except TypeError:  # it holds something that is no key: it is no small, flat part
            return value

    def _known(self, key: object, value: Any) -> Any:
        found = self._young.get(key)
        if found is None:
            found = self._young[key] = self._old.get(key, value)
            if len(self._young) >= GENERATION:
                self._old, self._young = self._young, {}
        return found


def _look(part: Any) -> tuple[type, Any]:
    """Return what two parts have in common that look alike; 1, 1.0 and True are equal."""
    return type(part), repr(part) if isinstance(part, float) else part
