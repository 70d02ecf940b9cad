"""Attacks on the budget."""

from __future__ import annotations

from community.attack.attack import Attack
from community.attack.trials.overrun import Overrun

ATTACKS = (
    Attack(
        name="slows the clock",
        source="catalogue 48, 51 (autoresearch #599)",
        tries="replaces the time module's functions, so that the budget lasts four times as long",
        block="clock",
        reasons=("limit",),
        trial=Overrun(
            """
            import time
            true, begin = time.process_time, time.process_time()
            time.process_time = lambda: begin + (true() - begin) / 4
            run._clock = time.process_time
            """
        ),
    ),
)
