"""Calling: one answer from a model, whatever happens on the way, paid for exactly once.

For each try money is reserved, the provider's turn awaited, the model asked, and the reservation
settled by what is known of the cost. What may pass is tried again after a pause with jitter; what
will not pass is raised. Decides nothing about what was answered.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from agents.account import Account, Reserved
from agents.minds.exchange import PASSING, CallFailedError, Model, Question, Reply
from agents.minds.providers import Provider
from agents.prices import Usage

OVERHEAD_TOKENS = 4_000
"""What a provider may add to a prompt: its own words about tools, marks around messages."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that one call takes, where that does not follow from its prompt."""

    micro_usd: int
    tokens: int
    tries: int = 2
    """Calls for one answer, at most: each is dear."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and on whose account."""

    agent: str
    role: str
    mind: str
    """The name that prices go by."""
    account: Account
    provider: Provider
    model: Model
    ceiling: Ceiling | None = None

    async def ask(self, question: Question, *, turn: int, seed: int, until: float) -> Reply:
        """Return the model's answer.

        Args:
            question: what is asked.
            turn: of the agent, for the record.
            seed: for the jitter of pauses.
            until: loop time after which no further try begins.

        Raises:
            CallFailedError: it came to nothing, after all tries.
            OutOfFundsError: a try would pass a cap.

        Cancellation: a call under way is broken off, and all that it may cost stays taken.
        """
        pace = self.provider.pace
        chance = random.Random(seed)  # noqa: S311 - jitter, not a secret
        loop = asyncio.get_running_loop()
        tries = pace.tries if self.ceiling is None else min(pace.tries, self.ceiling.tries)
        for number in range(1, tries + 1):
            try:
                return await self._once(question, turn, until)
            except CallFailedError as error:
                longest = min(pace.first_pause_s * 2.0 ** (number - 1), pace.longest_pause_s)
                pause = max(chance.uniform(0.0, longest), error.retry_after_s or 0.0)
                is_last = number == tries or loop.time() + pause >= until
                if error.kind not in PASSING or is_last:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _once(self, question: Question, turn: int, until: float) -> Reply:
        options = question.options
        async with self.provider.turn(until):
            entry = await self._reserve(question, turn)
            try:
                async with asyncio.timeout(options.call_s):
                    reply = await self.model.ask(question)
            except TimeoutError as error:
                self.account.settle(entry, "network")
                why = f"no whole answer in {options.call_s:g} s"
                raise CallFailedError("network", why) from error
            except CallFailedError as error:
                usage = Usage() if error.is_free else error.usage
                is_whole = error.is_free or (error.micro_usd is not None and error.is_counted)
                self.account.settle(
                    entry, error.kind, usage, is_whole=is_whole, micro_usd=error.micro_usd
                )
                raise
            except BaseException:
                self.account.settle(entry, "cut")
                raise
            outcome = "ok" if reply.ending == "complete" else reply.ending
            self.account.settle(
                entry,
                outcome,
                reply.usage,
                is_whole=reply.is_counted,
                micro_usd=reply.micro_usd,
                is_answer=True,
            )
            return reply

    async def _reserve(self, question: Question, turn: int) -> Reserved:
        who = (self.agent, self.role, self.mind, turn)
        if self.ceiling is not None:
            return await self.account.reserve_sum(*who, self.ceiling.micro_usd, self.ceiling.tokens)
        sent = size_of(question) + OVERHEAD_TOKENS
        return await self.account.reserve(*who, sent, question.options.answer_tokens)


def size_of(question: Question) -> int:
    """Return the most tokens that a question comes to: a byte is a token at worst."""
    size = question.prompt.size_bytes
    if question.earlier is not None:
        earlier = question.earlier
        size += sum(len(call.arguments.encode("utf-8", "replace")) for call in earlier.calls)
        size += sum(len(text.encode("utf-8", "replace")) for text in question.results.values())
        size += len(question.again.encode("utf-8", "replace")) + 4 * len(earlier.text)
        size += earlier.usage.output  # thinking goes back as it came
    return size
