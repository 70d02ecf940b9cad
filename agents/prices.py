"""Prices: what tokens cost, as a table that a run pins; money is whole millionths of a dollar.

A model's name is its mind's name in the scenario (``anthropic:claude-sonnet-5-5``). What is in no
table has no price, and is not asked, unless it was declared free.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.errors import PriceError

MICRO_USD = 1_000_000
"""Millionths of a dollar in a dollar."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, each counted once."""

    input: int = 0
    """Read afresh."""
    output: int = 0
    """Written, thinking included."""
    cache_read: int = 0
    cache_write: int = 0
    thinking: int = 0
    """How many of `output` were thinking, where the provider says so."""

    @property
    def tokens(self) -> int:
        """All that count."""
        return self.input + self.output + self.cache_read + self.cache_write

    def plus(self, other: Usage) -> Usage:
        """Return the sum of both."""
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.thinking + other.thinking,
        )


class Price(BaseModel):
    """US dollars per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]
    cache_read: Annotated[float, Field(ge=0)] | None = None
    """None: as input."""
    cache_write: Annotated[float, Field(ge=0)] | None = None
    """None: as input."""

    def micro_usd(self, usage: Usage) -> int:
        """Return what `usage` costs, rounded up to a millionth of a dollar.

        Dollars per million tokens are millionths of a dollar per token.
        """
        reads = self.input if self.cache_read is None else self.cache_read
        writes = self.input if self.cache_write is None else self.cache_write
        parts = (
            (usage.input, self.input),
            (usage.output, self.output),
            (usage.cache_read, reads),
            (usage.cache_write, writes),
        )
        exact = sum((count * Fraction(str(price)) for count, price in parts), Fraction(0))
        return -(-exact.numerator // exact.denominator)

    def most_micro_usd(self, prompt_tokens: int, answer_tokens: int) -> int:
        """Return the most that a call with so many tokens can cost, however it is cached."""
        dearest = Price(input=max(self.input, self.cache_write or 0.0), output=self.output)
        return dearest.micro_usd(Usage(input=prompt_tokens, output=answer_tokens))


FREE = Price(input=0, output=0)
PriceTable = Mapping[str, Price]
"""Mind -> price."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")

    prices: dict[str, Price | Literal["free"]]


def price_table(data: Mapping[str, object]) -> dict[str, Price]:
    """Return the prices in `data`, mind -> table of dollars per million tokens, or ``"free"``.

    Raises:
        PriceError: it holds something else; the message names every fault.
    """
    try:
        read = _Table.model_validate({"prices": dict(data)}).prices
    except ValidationError as error:
        faults = {".".join(str(part) for part in each["loc"][1:]): each["msg"] for each in
                  error.errors()}  # fmt: skip
        raise PriceError("; ".join(f"{key}: {what}" for key, what in faults.items())) from error
    return {name: FREE if price == "free" else price for name, price in read.items()}


def shipped_prices() -> dict[str, Price]:
    """Return the prices in ``scenarios/models/prices.toml``."""
    text = (files("scenarios") / "models" / "prices.toml").read_text(encoding="utf-8")
    return price_table(tomllib.loads(text))


def price_of(mind: str, prices: PriceTable) -> Price:
    """Return the price of a mind's model.

    A key may end in ``*`` and then stands for all names that begin like it; the longest holds.

    Raises:
        PriceError: it is in no table.
    """
    if mind in prices:
        return prices[mind]
    fitting = [key for key in prices if key.endswith("*") and mind.startswith(key[:-1])]
    if fitting:
        return prices[max(fitting, key=len)]
    raise PriceError(
        f"{mind} has no price; give it one in the scenario, as in [spend.prices] "
        f'"{mind}" = {{ input = 2.0, output = 10.0 }}, or declare it free: "{mind}" = "free"'
    )


def price_or_none(mind: str, prices: PriceTable) -> Price | None:
    """Return the price of a mind's tokens if it is in a table."""
    try:
        return price_of(mind, prices)
    except PriceError:
        return None


def in_usd(micro_usd: int) -> str:
    """Return money for people: ``$1.2345``."""
    return f"${micro_usd / MICRO_USD:.4f}"
