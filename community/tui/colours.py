"""The screen's colours and signs: one per author and one per status. Nothing else.

Middle tones, legible on the dark and on the light theme; every status has a sign of its own, so
that nothing depends on telling colours apart.
"""

from __future__ import annotations

GREEN = "#3fa45b"
PALE_GREEN = "#7fb86a"
AMBER = "#c9962b"
RED = "#d0605e"
GREY = "#747c89"

_AUTHORS = (
    "#4a9bd9", "#d98b3a", "#b56bd1", "#2aa198", "#d0609a",
    "#9a8c3c", "#7f86e0", "#c77757", "#5fa3a8", "#a5824f",
)  # fmt: skip

_STATUSES = {
    "reproduced": ("●", f"bold {GREEN}"),
    "improved": ("◆", PALE_GREEN),
    "undecided": ("○", AMBER),
    "contested": ("?", RED),
    "retracted": ("✗", RED),
    "open again": ("○", GREY),
    "invalid": ("×", RED),
    "running": ("▶", AMBER),
    "queued": ("…", GREY),
    "open lead": ("→", AMBER),
}


def author_colour(place: int) -> str:
    """Return the colour of the agent that joined as number `place`; colours repeat after ten."""
    return _AUTHORS[place % len(_AUTHORS)]


def status_look(status: str) -> tuple[str, str]:
    """Return (sign, style) of a hypothesis's status."""
    return _STATUSES.get(status, ("•", GREY))
