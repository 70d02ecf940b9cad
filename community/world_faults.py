"""What a scenario may not ask for in its world: faults that `community.scenario_faults` gathers."""

from __future__ import annotations

from typing import Any

from community.scenario import REMOTE
from community.topology.faults import Found

_OUTSIDE = ("port", "listen", "tls_cert", "tls_key", "credentials", "log")
"""Keys of a board that others reach."""


def world_faults(data: dict[str, Any]) -> Found:
    """Return what does not go with the scenario's time."""
    run, board, agents = (data.get(key) for key in ("run", "board", "agents"))
    is_virtual = isinstance(run, dict) and run.get("time") == "virtual"
    if not is_virtual:
        text = 'model is for runs in virtual time: set run.time = "virtual", or drop it'
        return [(("model",), text)] if "model" in data else []
    found: Found = []
    pool = data.get("pool")
    if isinstance(pool, dict) and pool.get("backend") == "ray":
        text = "nothing is run on devices in virtual time; drop it, and give a number of slots"
        found.append((("pool", "backend"), text))
    for index, item in enumerate(agents if isinstance(agents, list) else []):
        if isinstance(item, dict) and item.get("mind") == REMOTE:
            text = "nobody comes from outside in virtual time; give it a mind that runs here"
            found.append((("agents", index, "mind"), text))
    for key in _OUTSIDE:
        if isinstance(board, dict) and key in board:
            text = "a virtual run's board is in memory, and nobody reaches it; drop this key"
            found.append((("board", key), text))
    return found
