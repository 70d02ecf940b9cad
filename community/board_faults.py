"""What can be wrong about a scenario's board, and where its files lie.

Part of `community.scenario_faults` and `community.loading`, apart for its subject.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

Found = list[tuple[tuple[str | int, ...], str]]

_EMBEDDED_ONLY: Final = ("port", "listen", "tls_cert", "tls_key")
_OUTSIDE_ONLY: Final = ("credentials", "log")
_PATHS: Final = ("tls_cert", "tls_key", "credentials", "log")


def board_faults(board: object) -> Found:
    """Return keys of the board's section that do not go together."""
    if not isinstance(board, dict):
        return []
    broker = board.get("broker", "embedded")
    found: Found = []
    is_ours = broker == "embedded"
    is_url = isinstance(broker, str) and broker.startswith("mqtt")
    for key in _EMBEDDED_ONLY:
        if key in board and not is_ours:
            text = f'{key} belongs to broker = "embedded"; with {broker!r} remove it'
            found.append((("board", key), text))
    for key in _OUTSIDE_ONLY:
        if key in board and not is_url:
            text = (
                f'{key} belongs to a broker of yours, "mqtt://host:port"; with {broker!r} remove it'
            )
            found.append((("board", key), text))
    if "log" in board and "credentials" not in board:
        found.append((("board", "log"), "needs credentials: without them a log names nobody"))
    if "port" in board and "listen" in board:
        found.append((("board", "port"), "listen names a port already; remove one of the two"))
    if ("tls_cert" in board) != ("tls_key" in board):
        missing = "tls_key" if "tls_cert" in board else "tls_cert"
        found.append((("board",), f"a certificate and its key go together; add {missing}"))
    if "tls_cert" in board and "listen" not in board:
        text = 'a certificate serves who comes from elsewhere; add listen = "0.0.0.0:8883"'
        found.append((("board", "tls_cert"), text))
    if "credentials" in board and is_url and urlsplit(str(broker)).username is not None:
        text = "each participant has a login of its own; leave the user out of the URL"
        found.append((("board", "broker"), text))
    return found


def resolve_board_paths(data: dict[str, Any], path: Path) -> bool:
    """Make paths of the board's section absolute, from `path`; answer whether any was not yet."""
    board = data.get("board")
    if not isinstance(board, dict):
        return False
    is_moved = False
    for key in _PATHS:
        given = board.get(key)
        if isinstance(given, str) and given:
            board[key] = os.path.abspath(path.parent / Path(given).expanduser())
            is_moved |= board[key] != given
    return is_moved
