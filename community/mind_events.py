"""Events about minds: turns; and of those that ask models what they were shown, said and cost.

Records like those of `community.events`, which lists them all; kept apart for their subject. A
reservation is recorded before its call is made, an answer before anything is made of it: so a
killed run pays for nothing twice, and a run can be played again without any model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class TurnTaken:
    """A mind decided; a restarted agent goes on with the next turn."""

    kind: ClassVar[str] = "turn_taken"
    agent: str
    turn: int
    actions: tuple[str, ...]
    """Kinds of the actions chosen, in order."""
    notebook: str | None = None
    """New text of the notebook when the turn rewrote it."""
    cost_usd: float = 0.0
    """What thinking it cost, as far as the mind can tell."""
    saw_seq: int = 0
    """The ledger's last row when it looked around; 0 in older ledgers, and of who is elsewhere."""
    looked_us: int = 0
    """Run time at which it looked."""
    heard_posts: int = 0
    """Posts that its feed had brought by then."""
    heard_seq: int = 0
    """Of the posts it knew by then, its own included, the newest."""
    fault: str = ""
    """Why its mind came to nothing, as it was told in the next turn."""


@dataclass(frozen=True, slots=True)
class MindsPrepared:
    """What minds that read are shown and what asking costs; again where prompts have changed."""

    kind: ClassVar[str] = "minds_prepared"
    prompts: dict[str, str]
    """File in ``agents/minds/prompts`` -> SHA-256."""
    prices: dict[str, dict[str, float]]
    """Mind -> US dollars per million tokens: input, output, cache_read, cache_write. Those of the
    first such row hold for the whole run."""


@dataclass(frozen=True, slots=True)
class SpendReserved:
    """Money and tokens were set aside for one call of a model, which begins now."""

    kind: ClassVar[str] = "spend_reserved"
    call_id: str
    """``c000001`` and so on."""
    agent: str
    role: str
    model: str
    """The mind's name, which prices go by."""
    turn: int
    micro_usd: int
    """The most that it can cost, in millionths of a dollar."""
    tokens: int


@dataclass(frozen=True, slots=True)
class SpendSettled:
    """A call ended; what is left of its reservation is free again."""

    kind: ClassVar[str] = "spend_settled"
    call_id: str
    agent: str
    outcome: str
    """ok, truncated or refused; rate_limited, overloaded, server_error, network, cut, too_long,
    malformed, bad_request, no_key, unknown_model: why there is no answer; lost: its process was
    killed meanwhile."""
    input: int
    """Tokens read afresh, as the provider counted, like all that follow."""
    output: int
    """Written, thinking included."""
    cache_read: int
    cache_write: int
    thinking: int
    micro_usd: int
    """What these cost."""
    doubt_micro_usd: int = 0
    """What the call may have cost beyond; counts as spent until shown otherwise."""
    doubt_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """A mind's answer as it was given; the same calls on the same observation act the same."""

    kind: ClassVar[str] = "answered"
    agent: str
    turn: int
    round: int
    """0, and 1 for the second, after faults."""
    mind: str
    outcome: str
    """acted, faulty, empty, truncated, refused."""
    calls: tuple[dict[str, str], ...]
    """call_id, name and arguments (JSON text, as written) of each, in order."""
    text: str
    """What was said beside them; bounded, data."""
    seen: dict[str, str] = field(default_factory=dict)
    """Part of what was shown -> the beginning of its SHA-256; empty in a second round."""
    faults: tuple[str, ...] = ()


MindEvent = MindsPrepared | SpendReserved | SpendSettled | Answered
