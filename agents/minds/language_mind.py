"""The language mind: a turn of an agent whose decisions a language model makes.

Observation in, prompt, one answer, actions out. What cannot be used goes back once with the reason;
what is then still wrong is dropped, and the turn counts. Every answer is recorded before anything
is made of it, so that a killed turn is not paid for twice and a run can be played again without
any model. It keeps nothing between turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from agents.actions import Action, Reproduce, Run, Wait
from agents.errors import MindError, OutOfFundsError
from agents.lab import LabReader
from agents.minds.calling import Caller, Ceiling
from agents.minds.exchange import (
    TEXT_CHARACTERS,
    CallFailedError,
    Model,
    Question,
    Reply,
    ToolCall,
    bounded_calls,
    whole,
)
from agents.minds.means import Answer, Means
from agents.minds.parsing import MOST_CALLS, Parsed, parse_calls
from agents.minds.prompting import Prompt, again_text, make_prompt
from agents.observation import Observation

RECORDED_BYTES = 90_000
"""Of one answer's arguments together: twice what any task takes, and little enough for the row to
reach observers, however its letters are escaped on the way."""
FAULT_CHARACTERS = 2_000
"""Of all its faults, as recorded."""
UNHEARD_WAIT_S = 30.0
"""How long an agent waits after a turn in which its provider was not to be reached."""


class LanguageMind:
    """Decides by asking a model.

    Args:
        mind: its name in the scenario.
        provider: which provider's limits hold.
        model: makes the connection to the model, when it is first needed.
        means: what it may use.
        ceiling: the most that one call takes, where that does not follow from its prompt.
    """

    def __init__(
        self,
        mind: str,
        provider: str,
        model: Callable[[], Model],
        means: Means,
        ceiling: Ceiling | None = None,
    ) -> None:
        self._mind = mind
        self._provider = provider
        self._open = model
        self._model: Model | None = None
        self._means = means
        self._ceiling = ceiling
        self._until = 0.0
        """Loop time after which nothing more is asked in this turn."""

    async def aclose(self) -> None:
        """Close connections, if any were made."""
        if self._model is not None:
            await self._model.aclose()

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer one turn.

        Raises:
            MindError: nothing of the answer can be used, or the provider will not answer at all.
            OutOfFundsError: it may not be asked any more.
        """
        recorded = self._means.answered(observation.turn)
        if recorded:
            return await actions_again(recorded, observation, lab)
        try:
            return await self._decide(observation, lab)
        finally:
            self._means.account.close_turn(self._means.agent)

    async def _decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        means = self._means
        money = means.account.in_words(means.agent, means.role)
        prompt = make_prompt(observation, tokens=means.options.prompt_tokens, money=money)
        question = Question(prompt, means.options, observation=observation)
        patience_s = means.providers.get(self._provider).pace.patience_s
        self._until = asyncio.get_running_loop().time() + patience_s
        try:
            first = await self._asked(question, observation)
        except CallFailedError as error:
            if error.kind in ("rate_limited", "overloaded", "server_error", "network", "no_key"):
                return (Wait(UNHEARD_WAIT_S),)  # the provider's fault; its agents pause
            raise
        parsed = await parse_calls(first.calls, observation, lab)
        self._record(0, first, parsed, prompt, observation)
        if first.ending == "refused":
            raise MindError(f"the model refused: {first.text[:200] or 'it gave no reason'}")
        if not parsed.faults and first.calls and first.ending == "complete":
            return parsed.actions
        return await self._second(question, first, parsed, observation, lab)

    async def _second(
        self,
        question: Question,
        first: Reply,
        parsed: Parsed,
        observation: Observation,
        lab: LabReader,
    ) -> Sequence[Action]:
        """Ask once more for what could not be used; what could is kept."""
        again = self._again(question, first, parsed)
        try:
            second = await self._asked(again, observation)
        except (CallFailedError, OutOfFundsError) as error:
            if not parsed.actions:
                why = f"{_why(first, parsed)}; it was not asked again: {error}"
                raise MindError(why) from error
            return parsed.actions
        has_run = any(isinstance(each, (Run, Reproduce)) for each in parsed.actions)
        rest = await parse_calls(second.calls, observation, lab, has_run=has_run)
        self._record(1, second, rest, question.prompt, observation)
        actions = (*parsed.actions, *rest.actions)[:MOST_CALLS]
        if not actions:
            raise MindError(f"nothing in two answers could be used: {_why(second, rest)}")
        return actions

    def _again(self, question: Question, first: Reply, parsed: Parsed) -> Question:
        results = {
            call.call_id: parsed.faults.get(call.call_id, "accepted") for call in first.calls
        }
        words = "Some of your calls cannot be carried out:\n" + "\n".join(parsed.faults.values())
        if first.ending == "truncated":
            words = (
                f"Your answer broke off after {question.options.answer_tokens} tokens; be shorter. "
                + (words if parsed.faults else "")
            )
        elif not first.calls:
            words = "You called no tool, and nothing but tool calls is read."
        return replace(question, earlier=first, results=results, again=again_text(words))

    async def _asked(self, question: Question, observation: Observation) -> Reply:
        means = self._means
        if self._model is None:
            self._model = self._open()
        caller = Caller(
            means.agent,
            means.role,
            self._mind,
            means.account,
            means.providers.get(self._provider),
            self._model,
            self._ceiling,
        )
        reply = await caller.ask(
            question, turn=observation.turn, seed=observation.seed, until=self._until
        )
        calls = bounded_calls(reply.calls, MOST_CALLS + 1)
        if sum(len(call.arguments.encode()) for call in calls) > RECORDED_BYTES:
            note = f'"more than {RECORDED_BYTES} bytes were asked for; change less at once"'
            calls = tuple(ToolCall(call.call_id, call.name, note) for call in calls)
        return replace(reply, calls=calls, text=whole(reply.text[:TEXT_CHARACTERS]))

    def _record(
        self, number: int, reply: Reply, parsed: Parsed, prompt: Prompt, observation: Observation
    ) -> None:
        outcome = "acted" if reply.calls else "empty"
        if parsed.faults:
            outcome = "faulty"
        if reply.ending != "complete":
            outcome = reply.ending
        most = FAULT_CHARACTERS // max(1, len(parsed.faults))
        faults = tuple(fault[:most] for fault in parsed.faults.values())
        self._means.record(
            Answer(
                agent=self._means.agent,
                turn=observation.turn,
                round=number,
                mind=self._mind,
                outcome=outcome,
                calls=reply.calls,
                text=reply.text,
                seen=prompt.fingerprint() if number == 0 else {},
                faults=faults,
            )
        )


async def actions_again(
    answers: Sequence[Answer], observation: Observation, lab: LabReader
) -> Sequence[Action]:
    """Return the actions that recorded answers of one turn stand for, asking nobody.

    Raises:
        MindError: none of them can be used on this observation.
    """
    actions: list[Action] = []
    faults: list[str] = []
    for answer in sorted(answers, key=lambda each: each.round):
        if answer.outcome == "refused":
            break
        has_run = any(isinstance(each, (Run, Reproduce)) for each in actions)
        parsed = await parse_calls(answer.calls, observation, lab, has_run=has_run)
        actions += parsed.actions
        faults += parsed.faults.values()
    if not actions:
        raise MindError(f"nothing of the recorded answer can be used: {'; '.join(faults)[:300]}")
    return tuple(actions[:MOST_CALLS])


def _why(reply: Reply, parsed: Parsed) -> str:
    if parsed.faults:
        return "; ".join(parsed.faults.values())[:500]
    return "the answer broke off" if reply.ending == "truncated" else "it called no tool"
