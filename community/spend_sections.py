"""The parts of a scenario that are about thinking: what it may cost, and how models are asked.

Records only, like those of `community.scenario`, which holds them.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from agents.account import Cap, Caps
from agents.minds.exchange import ANSWER_TOKENS, Options
from agents.prices import FREE, MICRO_USD, Price


def _price(value: object) -> object:
    return FREE if value == "free" else value


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class CapSection(_Section):
    """Hard caps; a call that might pass one is not made. None means no limit."""

    usd: Annotated[float, Field(gt=0)] | None = None
    """US dollars."""
    tokens: Annotated[int, Field(ge=1)] | None = None
    """Read and written, cached ones included."""
    calls: Annotated[int, Field(ge=1)] | None = None
    """Of models, whatever came of them."""

    def as_cap(self) -> Cap:
        """Return it in whole millionths of a dollar."""
        money = None if self.usd is None else int(self.usd * MICRO_USD)
        return Cap(money, self.tokens, self.calls)


class SpendSection(CapSection):
    """What all thinking of a run may cost together, each agent's, and that of a role's agents."""

    agent: CapSection | None = None
    """Of each agent."""
    roles: dict[str, CapSection] | None = None
    """Of all agents of a role together."""
    prices: dict[str, Annotated[Price, BeforeValidator(_price)]] | None = None
    """Mind -> US dollars per million tokens, or ``"free"``, over those that are shipped."""

    def as_caps(self) -> Caps:
        """Return all caps."""
        agent = Cap() if self.agent is None else self.agent.as_cap()
        roles = {name: section.as_cap() for name, section in (self.roles or {}).items()}
        return Caps(self.as_cap(), agent, roles)


class ModelSection(_Section):
    """How an agent's model is asked."""

    answer_tokens: Annotated[int, Field(ge=256, le=64_000)] = ANSWER_TOKENS
    """Most tokens of one answer, thinking included."""
    prompt_tokens: Annotated[int, Field(ge=4_000, le=60_000)] = 24_000
    """How large prompts become, about."""
    thinking: Literal["off", "adaptive"] | Annotated[int, Field(ge=1_024)] = "off"
    """Whether it thinks before it answers; a number is how many tokens of it."""
    effort: Annotated[str, Field(max_length=16)] = ""
    """low, medium, high: as the provider knows it; empty for its default."""
    call_s: Annotated[float, Field(ge=1, le=280)] = 240.0
    """Longest that one call may take; a turn in all has a quarter of an hour."""

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if isinstance(self.thinking, int) and self.thinking >= self.answer_tokens:
            raise ValueError(
                f"thinking counts among the {self.answer_tokens} answer_tokens; leave some to "
                "answer with"
            )
        return self

    def as_options(self) -> Options:
        """Return them as minds take them."""
        return Options(
            answer_tokens=self.answer_tokens,
            prompt_tokens=self.prompt_tokens,
            thinking=self.thinking,
            effort=self.effort,
            call_s=self.call_s,
        )
