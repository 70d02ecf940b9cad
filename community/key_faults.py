"""Keys where they do not belong: a scenario goes into the ledger, exports and reports as it is.

Whatever looks like a key, or is the value of one in the environment, is refused before anything is
written. No message repeats it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from community.scenario import Scenario
from community.toml_lines import KeyPath
from community.topology.faults import Found

_LOOKS = re.compile(
    r"(?<![A-Za-z0-9])(sk-[\w-]{16,}|AIza[\w-]{30,}|gh[opsur]_\w{30,}|xai-\w{20,}|hf_\w{20,})", re.A
)
"""How keys of providers begin."""
_NAMES = ("_API_KEY", "_TOKEN", "_SECRET")
_FEWEST = 16
"""Characters of a value that is taken for a key."""


def key_faults(data: dict[str, Any]) -> Found:
    """Return where a scenario's data hold what is, or looks like, a key."""
    held = {
        name: value
        for name, value in os.environ.items()
        if name.endswith(_NAMES) and len(value) >= _FEWEST
    }
    found = Found()
    for place, text in _texts(data, ()):
        name = next((name for name, value in held.items() if value in text), "")
        if not name and not _LOOKS.search(text):
            continue
        what = f"holds the value of ${name}" if name else "holds what looks like a key"
        found.append(
            (place, f"{what}; a scenario goes into the ledger: keys are read from the environment")
        )
    return found


def address_warnings(scenario: Scenario) -> Found:
    """Warn of servers elsewhere to which prompts, and a key, would travel in plain text."""
    found = Found()
    for index, agent in enumerate(scenario.agents):
        url = urlsplit(agent.mind.partition("@")[2])
        if url.scheme == "http" and not _is_here(url.hostname or ""):
            text = (
                f"{agent.mind} is asked over plain http on another machine: whoever is on the way "
                "reads the prompts, and $OPENAI_COMPATIBLE_API_KEY if it is set; use https"
            )
            found.append((("agents", index, "mind"), text))
    return found


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _texts(value: object, place: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield place, str(key)
            yield from _texts(inner, (*place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, (*place, number))
    elif isinstance(value, str):
        yield place, value
