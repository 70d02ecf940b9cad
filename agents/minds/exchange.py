"""An exchange with a language model, whoever makes it: question, reply, and how a call ends.

Plain records; `agents.minds.anthropic_mind` and `agents.minds.openai_mind` translate them to and
from what providers speak, and `agents.minds.language_mind` asks and judges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal, Protocol

from agents.errors import MindError
from agents.minds.prompting import Prompt
from agents.observation import Observation
from agents.prices import Usage

Thinking = Literal["off", "adaptive"] | int
"""Whether a model thinks before it answers; a number is how many tokens it may think."""
Ending = Literal["complete", "truncated", "refused"]
Failed = Literal[
    "rate_limited", "overloaded", "server_error", "network", "cut", "too_long", "malformed",
    "bad_request", "no_key", "unknown_model",
]  # fmt: skip
"""rate_limited: 429; overloaded: 503 and 529; cut: an answer broke off; too_long: more came than is
read; malformed: not what the provider's protocol is; no_key: the key was not accepted."""
PASSING: frozenset[Failed] = frozenset(
    {"rate_limited", "overloaded", "server_error", "network", "cut", "malformed"}
)
"""Failures after which the same call may succeed."""

ANSWER_TOKENS = 8_000
ANSWER_BYTES = 16 * 1024 * 1024
"""Of one streamed answer at most, with all that a protocol wraps around it."""
EVENT_BYTES = 1024 * 1024
EVENT_LINES = 4_096
"""Of one event in a stream at most: the SDKs' decoders take quadratic time over its lines."""
TEXT_CHARACTERS = 8_000
"""Of what a model says beside its calls, as kept."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a model is asked."""

    answer_tokens: int = ANSWER_TOKENS
    """Most tokens of one answer, thinking included."""
    prompt_tokens: int = 24_000
    """How large prompts become, as guessed by `agents.minds.quoting`."""
    thinking: Thinking = "off"
    effort: str = ""
    """low, medium, high, ...: what the provider knows; empty for its default."""
    call_s: float = 300.0
    """Longest that one call may take."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One action that a model asked for, as it wrote it."""

    call_id: str
    name: str
    arguments: str
    """JSON text, not checked."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    calls: tuple[ToolCall, ...]
    text: str
    ending: Ending
    usage: Usage
    raw: Any = field(default=None, compare=False)
    """The answer in the provider's own form, to be sent back in a second round."""
    is_counted: bool = True
    """Whether the provider said what it cost; otherwise `usage` says nothing."""
    micro_usd: int | None = None
    """What was billed, where that is told in money; else `usage` at its price."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    prompt: Prompt
    options: Options
    earlier: Reply | None = None
    """The first round's reply, in the second."""
    results: Mapping[str, str] = field(default_factory=dict)
    """In the second round, what is said to each of its calls, by call id."""
    again: str = ""
    """And to the model, beside that."""
    observation: Observation | None = None
    """What the prompt was made of, for who works on code rather than on its quotation."""


class Model(Protocol):
    """A language model behind some API; keeps nothing between two questions."""

    async def ask(self, question: Question) -> Reply:
        """Ask once, without trying again.

        Raises:
            CallFailedError: with the kind of failure, and what is known of its cost.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class CallFailedError(MindError):
    """One call of a model came to nothing."""

    def __init__(
        self,
        kind: Failed,
        message: str,
        *,
        retry_after_s: float | None = None,
        usage: Usage | None = None,
        is_free: bool = False,
        micro_usd: int | None = None,
        is_counted: bool = True,
    ) -> None:
        self.kind = kind
        self.retry_after_s = retry_after_s
        self.usage = usage
        """What the provider said it cost, as far as that was heard."""
        self.is_free = is_free
        """Whether it is known to have cost nothing: turned down before any work."""
        self.micro_usd = micro_usd
        """What it cost, where that is told in money."""
        self.is_counted = is_counted
        """Whether that is all of it."""
        super().__init__(f"{kind}: {message}" if message else kind)


def kind_of_status(status: int) -> Failed:
    """Return the failure that an HTTP status stands for."""
    match status:
        case 401 | 402 | 403:
            return "no_key"
        case 404:
            return "unknown_model"
        case 429:
            return "rate_limited"
        case 503 | 529:
            return "overloaded"
        case 408 | 409:
            return "server_error"
        case _:
            return "server_error" if status >= 500 else "bad_request"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a provider asks to wait, by the headers of its answer."""
    for name, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / divisor
        except ValueError:  # absent, or a date: our own pace then
            continue
        if 0.0 <= seconds < 1e6:
            return seconds
    return None


def bounded_calls(calls: Sequence[ToolCall], most: int) -> tuple[ToolCall, ...]:
    """Return the first `most` calls, their ids and names cut to what a record holds.

    Ids tell calls apart, whatever a server gave: some give none, or all the same.
    """
    kept: dict[str, ToolCall] = {}
    for number, call in enumerate(calls[:most]):
        name = whole(call.call_id[:128])
        if not name or name in kept:
            others = (f"{name[:100] or 'call'}-{n}" for n in count(number))
            name = next(other for other in others if other not in kept)
        kept[name] = ToolCall(name, whole(call.name[:64]), whole(call.arguments))
    return tuple(kept.values())


def whole(text: str) -> str:
    """Return `text` without halves of surrogate pairs, which no file and no wire can hold."""
    return text.encode("utf-8", "replace").decode()
