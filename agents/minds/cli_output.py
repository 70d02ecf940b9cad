"""What coding agents print: the last message, the conversation's name, and what it cost.

One reader for each form. What is printed is somebody else's text: whatever is not as expected
counts as not said, and nothing here raises.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agents.minds.cli_presets import Output
from agents.prices import MICRO_USD, Usage

_MOST_TOKENS = 10**12
SESSION_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Said:
    """What a program said."""

    text: str = ""
    """Its last message."""
    session: str = ""
    """By which its conversation can be gone on with."""
    usage: Usage | None = None
    """None where it told none."""
    micro_usd: int | None = None
    error: str = ""
    """What it says went wrong."""
    is_cut: bool = False
    """Whether it stopped at a limit of its own."""
    actions: Any = None
    """What it wants done, where its form has a place for that."""


def read_output(output: Output, stdout: str) -> Said:
    """Return what a program said, by the form in which it prints."""
    return _READERS[output](stdout)


def _text(stdout: str) -> Said:
    return Said(text=stdout)


def _json(stdout: str) -> Said:
    """Our own form: ``text``, ``session``, ``usage``, ``usd``, ``error``, ``actions``."""
    data = _object(stdout)
    if data is None:
        return Said(text=stdout)
    usage = data.get("usage")
    return Said(
        text=_word(data.get("text")),
        session=_session(data.get("session")),
        usage=None if not isinstance(usage, dict) else Usage(*(
            _count(usage.get(name))
            for name in ("input", "output", "cache_read", "cache_write", "thinking")
        )),
        micro_usd=_money(data.get("usd")),
        error=_word(data.get("error")),
        actions=data.get("actions"),
    )  # fmt: skip


def _claude(stdout: str) -> Said:
    """``claude -p --output-format json``: one object of type ``result``."""
    data = _object(stdout)
    if data is None or data.get("type") != "result":
        return Said(error="" if not stdout.strip() else "its output is no result in JSON")
    kind, usage = _word(data.get("subtype")), data.get("usage")
    is_cut = kind in ("error_max_turns", "error_max_budget_usd")
    text = _word(data.get("result"))
    error = ""
    if data.get("is_error") is True and not is_cut:
        error = text or "; ".join(map(_word, _list(data.get("errors")))) or kind or "it failed"
    return Said(
        text=text,
        session=_session(data.get("session_id")),
        usage=None if not isinstance(usage, dict) else Usage(
            input=_count(usage.get("input_tokens")),
            output=_count(usage.get("output_tokens")),
            cache_read=_count(usage.get("cache_read_input_tokens")),
            cache_write=_count(usage.get("cache_creation_input_tokens")),
        ),
        micro_usd=_money(data.get("total_cost_usd")),
        error=error,
        is_cut=is_cut,
    )  # fmt: skip


def _codex(stdout: str) -> Said:
    """``codex exec --json``: events, one a line."""
    text = session = error = ""
    usage: Usage | None = None
    for event in _lines(stdout):
        kind, item = event.get("type"), event.get("item")
        if kind == "thread.started":
            session = _session(event.get("thread_id"))
        elif kind == "item.completed" and isinstance(item, dict):
            if "agent_message" in (item.get("type"), item.get("item_type")):
                text = _word(item.get("text"))
        elif kind == "turn.completed" and isinstance(event.get("usage"), dict):
            told = event["usage"]
            cached = _count(told.get("cached_input_tokens"))
            used = Usage(
                input=max(0, _count(told.get("input_tokens")) - cached),
                output=_count(told.get("output_tokens")),
                cache_read=cached,
                thinking=_count(told.get("reasoning_output_tokens")),
            )
            usage, error = used if usage is None else usage.plus(used), ""
        elif kind in ("turn.failed", "error"):
            inner = event.get("error")
            error = _word((inner if isinstance(inner, dict) else event).get("message")) or "failed"
    return Said(text, session, usage, None, error)


def _gemini(stdout: str) -> Said:
    """``gemini --output-format json``: one object with ``response`` and ``stats``."""
    data = _object(stdout)
    if data is None:
        return Said(error="" if not stdout.strip() else "its output is no JSON")
    usage: Usage | None = None
    models = _inner(_inner(data, "stats"), "models")
    for model in models.values():
        tokens = _inner(model, "tokens")
        cached, thought = _count(tokens.get("cached")), _count(tokens.get("thoughts"))
        used = Usage(
            input=max(0, _count(tokens.get("prompt")) + _count(tokens.get("tool")) - cached),
            output=_count(tokens.get("candidates")) + thought,
            cache_read=cached,
            thinking=thought,
        )
        usage = used if usage is None else usage.plus(used)
    error = data.get("error")
    return Said(
        text=_word(data.get("response")),
        session=_session(data.get("session_id")),
        usage=usage,
        error=(_word(_inner(data, "error").get("message")) or "failed") if error else "",
    )


def _opencode(stdout: str) -> Said:
    """``opencode run --format json``: events, one a line."""
    text = session = error = ""
    usage: Usage | None = None
    micro_usd: int | None = None
    for event in _lines(stdout):
        session = _session(event.get("sessionID")) or session
        part, kind = _inner(event, "part"), event.get("type")
        if kind == "step_start":
            text = ""
        elif kind == "text":
            text += _word(part.get("text"))
        elif kind == "step_finish":
            tokens, cost = _inner(part, "tokens"), _money(part.get("cost"))
            cache, thought = _inner(tokens, "cache"), _count(tokens.get("reasoning"))
            used = Usage(
                input=_count(tokens.get("input")),
                output=_count(tokens.get("output")) + thought,
                cache_read=_count(cache.get("read")),
                cache_write=_count(cache.get("write")),
                thinking=thought,
            )
            usage = used if usage is None else usage.plus(used)
            micro_usd = cost if micro_usd is None else micro_usd + (cost or 0)
        elif kind == "error":
            inner = _inner(event, "error")
            error = _word(_inner(inner, "data").get("message")) or _word(inner.get("name")) or "?"
    return Said(text, session, usage, micro_usd, error)


_READERS: Mapping[Output, Callable[[str], Said]] = {
    "claude": _claude,
    "codex": _codex,
    "gemini": _gemini,
    "opencode": _opencode,
    "json": _json,
    "text": _text,
}


def _object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that `text` is, or that its last line is."""
    for candidate in (text, text.strip().rpartition("\n")[2]):
        try:
            data = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(data, dict):
            return data
    return None


def _lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.split("\n"):
        try:
            data = json.loads(line) if line.startswith("{") else None
        except (ValueError, RecursionError):
            continue
        if isinstance(data, dict):
            yield data


def _inner(data: object, name: str) -> dict[str, Any]:
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _session(value: object) -> str:
    """Return a conversation's name, if it can be one: it becomes an argument."""
    name = _word(value)
    is_plain = name.replace("-", "").replace("_", "").replace(".", "").isalnum() and name.isascii()
    return name if is_plain and name[0] != "-" and len(name) <= SESSION_CHARACTERS else ""


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return min(max(0, value), _MOST_TOKENS)


def _money(value: object) -> int | None:
    """Return dollars as millionths, rounded up; None for what is no sum of money."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        usd = float(value)
    except OverflowError:
        return None
    return math.ceil(usd * MICRO_USD) if 0.0 <= usd < 1e6 else None
