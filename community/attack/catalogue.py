"""Every attack of the suite, in the order of the table."""

from __future__ import annotations

from typing import Final

from community.attack.attack import Attack
from community.attack.cases import lookahead, reading, reporting, time

ATTACKS: Final[tuple[Attack, ...]] = (
    *reading.ATTACKS,
    *time.ATTACKS,
    *reporting.ATTACKS,
    *lookahead.ATTACKS,
)
