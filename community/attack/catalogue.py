"""Every attack of the suite, in the order of the table."""

from __future__ import annotations

from typing import Final

from community.attack.attack import Attack
from community.attack.cases import (
    answering,
    artefacts,
    channels,
    drawn,
    limits,
    lookahead,
    processes,
    reading,
    reporting,
    texts,
    time,
)

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
