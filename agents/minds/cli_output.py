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
    """``claude -p``, ``json`` or ``stream-json``: the last object is of type ``result``.

    One that was killed has told by then of its messages, and what each has taken.
    """
    data = _object(stdout)
    if data is not None and data.get("type") == "result":
        return _claude_result(data)
    meter, text, session = Meter("claude"), "", ""
    for event in _lines(stdout):
        if event.get("type") == "result":
            return _claude_result(event)  # something was printed after it
        session = _session(event.get("session_id")) or session
        if event.get("type") == "assistant":
            parts = _list(_inner(event, "message").get("content"))
            said = (part.get("text") for part in parts if isinstance(part, dict))
            text = "".join(map(_word, said)) or text
        meter.take(event)
    error = "its output is no result in JSON" if stdout.strip() else ""
    return Said(text, session, meter.usage, None, error)


def _claude_result(data: Mapping[str, Any]) -> Said:
    kind, usage = _word(data.get("subtype")), data.get("usage")
    is_cut = kind in ("error_max_turns", "error_max_budget_usd")
    text = _word(data.get("result"))
    error = ""
    if data.get("is_error") is True and not is_cut:
        error = text or "; ".join(map(_word, _list(data.get("errors")))) or kind or "it failed"
    return Said(
        text=text,
        session=_session(data.get("session_id")),
        usage=_claude_usage(usage) if isinstance(usage, dict) else None,
        micro_usd=_money(data.get("total_cost_usd")),
        error=error,
        is_cut=is_cut,
    )


def _codex(stdout: str) -> Said:
    """``codex exec --json``: events, one a line."""
    text = session = error = ""
    meter = Meter("codex")
    for event in _lines(stdout):
        meter.take(event)
        kind, item = event.get("type"), event.get("item")
        if kind == "thread.started":
            session = _session(event.get("thread_id"))
        elif kind == "item.completed" and isinstance(item, dict):
            if "agent_message" in (item.get("type"), item.get("item_type")):
                text = _word(item.get("text"))
        elif kind == "turn.completed":
            error = ""
        elif kind in ("turn.failed", "error"):
            inner = event.get("error")
            error = _word((inner if isinstance(inner, dict) else event).get("message")) or "failed"
    return Said(text, session, meter.usage, None, error)


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
    meter = Meter("opencode")
    for event in _lines(stdout):
        meter.take(event)
        session = _session(event.get("sessionID")) or session
        part, kind = _inner(event, "part"), event.get("type")
        if kind == "step_start":
            text = ""
        elif kind == "text":
            text += _word(part.get("text"))
        elif kind == "error":
            inner = _inner(event, "error")
            error = _word(_inner(inner, "data").get("message")) or _word(inner.get("name")) or "?"
    return Said(text, session, meter.usage, meter.micro_usd, error)


@dataclass(frozen=True, slots=True)
class Step:
    """What a program says that one step of its work has taken."""

    name: str
    """Of the step; what is said of it again takes the place of what was said before."""
    usage: Usage
    micro_usd: int | None = None


class Meter:
    """Adds up what a program says it has used, event by event, while it goes on.

    Args:
        output: the form in which it prints; of one that tells it in the end alone nothing is heard.
    """

    def __init__(self, output: Output) -> None:
        self._read = _STEPS.get(output)
        self._steps: dict[str, Step] = {}
        self._rest = b""

    def hear(self, chunk: bytes) -> None:
        """Take in a piece of its output."""
        if self._read is None:
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            for event in _lines(line.decode("utf-8", "replace")):
                self.take(event)

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in one event."""
        step = None if self._read is None else self._read(event)
        if step is None:
            return
        name = step.name or f"#{len(self._steps)}"
        known = self._steps.get(name)
        if known is None or known.usage.tokens <= step.usage.tokens:
            self._steps[name] = step

    @property
    def usage(self) -> Usage | None:
        """What all steps have taken; None while nothing was told."""
        total: Usage | None = None
        for step in self._steps.values():
            total = step.usage if total is None else total.plus(step.usage)
        return total

    @property
    def micro_usd(self) -> int | None:
        """What they have cost, where that is told."""
        told = [s.micro_usd for s in self._steps.values() if s.micro_usd is not None]
        return sum(told) if told else None


def _claude_step(event: Mapping[str, Any]) -> Step | None:
    message = _inner(event, "message")
    told = message.get("usage")
    if event.get("type") != "assistant" or not isinstance(told, dict):
        return None
    return Step(_word(message.get("id")), _claude_usage(told))


def _claude_usage(told: Mapping[str, Any]) -> Usage:
    return Usage(
        input=_count(told.get("input_tokens")),
        output=_count(told.get("output_tokens")),
        cache_read=_count(told.get("cache_read_input_tokens")),
        cache_write=_count(told.get("cache_creation_input_tokens")),
    )


def _codex_step(event: Mapping[str, Any]) -> Step | None:
    told = event.get("usage")
    if event.get("type") != "turn.completed" or not isinstance(told, dict):
        return None
    cached = _count(told.get("cached_input_tokens"))
    used = Usage(
        input=max(0, _count(told.get("input_tokens")) - cached),
        output=_count(told.get("output_tokens")),
        cache_read=cached,
        thinking=_count(told.get("reasoning_output_tokens")),
    )
    return Step("", used)


def _opencode_step(event: Mapping[str, Any]) -> Step | None:
    if event.get("type") != "step_finish":
        return None
    part = _inner(event, "part")
    tokens = _inner(part, "tokens")
    cache, thought = _inner(tokens, "cache"), _count(tokens.get("reasoning"))
    used = Usage(
        input=_count(tokens.get("input")),
        output=_count(tokens.get("output")) + thought,
        cache_read=_count(cache.get("read")),
        cache_write=_count(cache.get("write")),
        thinking=thought,
    )
    return Step("", used, _money(part.get("cost")))


_STEPS: Mapping[Output, Callable[[Mapping[str, Any]], Step | None]] = {
    "claude": _claude_step,
    "codex": _codex_step,
    "opencode": _opencode_step,
}
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
