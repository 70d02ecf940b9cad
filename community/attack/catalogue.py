"""Every attack of the suite, in the order of the table: on models of text, and on classifiers."""

from __future__ import annotations

from typing import Final

from community.attack.attack import Attack
from community.attack.cases import (
    answering,
    artefacts,
    channels,
    drawn,
    images,
    limits,
    lookahead,
    processes,
    reading,
    reporting,
    texts,
    time,
)
from trainer.task import Task

ATTACKS: Final[tuple[Attack, ...]] = (
    *reading.ATTACKS,
    *processes.ATTACKS,
    *channels.ATTACKS,
    *limits.ATTACKS,
    *time.ATTACKS,
    *texts.ATTACKS,
    *artefacts.ATTACKS,
    *reporting.ATTACKS,
    *drawn.ATTACKS,
    *answering.ATTACKS,
    *lookahead.ATTACKS,
)
"""On models of text."""

_OF_TEXT: Final = frozenset(
    {"brings held-out text along", "spells held-out text in names", "knows what will be drawn"}
)
"""They carry text, or foretell it; what looks ahead in it, or draws it, is left out as a whole."""

ON_ROWS: Final[tuple[Attack, ...]] = (
    *(
        one
        for one in ATTACKS
        if one not in (*drawn.ATTACKS, *lookahead.ATTACKS) and one.name not in _OF_TEXT
    ),
    *images.ATTACKS,
)
"""On models that answer a row as a whole."""


def attacks_on(task: Task) -> tuple[Attack, ...]:
    """Return the attacks that there are on models of `task`."""
    return ON_ROWS if task.answers == "rows" else ATTACKS


def known_attacks() -> tuple[Attack, ...]:
    """Return all of them, each once."""
    return (*ATTACKS, *images.ATTACKS)
