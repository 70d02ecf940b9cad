"""Scrubbing: whatever a server says back, no key of ours is in it, in any of its usual forms.

A server knows the key that it was sent; what it puts into an error, a text or a call would go into
the ledger and to other agents. Taken out are the key itself, url-encoded, in base64 (wherever it
begins within it) and hex, and any beginning of it that is long enough to tell it. No help against a
server that spells it otherwise.
"""

from __future__ import annotations

import base64
import json
import re
from functools import lru_cache
from urllib.parse import quote

from agents.minds.exchange import ToolCall

GONE = "[key]"
SHORTEST = 4
"""Characters; what is shorter is no key."""
TOLD_BY = 12
"""Characters of a key's beginning that nobody is to see; providers show as many in their errors."""


def scrubbed(text: str, key: str) -> str:
    """Return `text` without the key, whatever a server put into it."""
    if len(key) < SHORTEST or not text:
        return text
    text = _forms(key).sub(GONE, text)
    return _without_beginning(text, key) if len(key) > TOLD_BY else text


def scrubbed_call(call_id: str, name: str, arguments: str, key: str) -> ToolCall:
    """Return a call without the key in any part of it, escaped letters of its JSON included."""
    if "\\u" in arguments or "\\/" in arguments:
        try:
            arguments = json.dumps(json.loads(arguments), ensure_ascii=False)
        except (ValueError, RecursionError):
            arguments = re.sub(r"\\u00([2-7][0-9a-fA-F])", lambda m: chr(int(m[1], 16)), arguments)
    return ToolCall(scrubbed(call_id, key), scrubbed(name, key), scrubbed(arguments, key))


@lru_cache(maxsize=16)
def _forms(key: str) -> re.Pattern[str]:
    raw = key.encode()
    forms = {key, quote(key, safe=""), raw.hex(), raw.hex().upper()}
    for offset in range(3):
        first = (0, 2, 3)[offset]  # earlier letters hold bits of what comes before
        last = (offset + len(raw)) * 8 // 6  # later ones of what comes after
        encoded = base64.b64encode(b"\0" * offset + raw).decode()[first:last]
        if len(encoded) >= TOLD_BY:
            forms |= {encoded, encoded.replace("+", "-").replace("/", "_")}
    return re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))


def _without_beginning(text: str, key: str) -> str:
    at = text.find(key[:TOLD_BY])
    while at >= 0:
        end = at + TOLD_BY
        while end < len(text) and end - at < len(key) and text[end] == key[end - at]:
            end += 1
        text = text[:at] + GONE + text[end:]
        at = text.find(key[:TOLD_BY])
    return text
