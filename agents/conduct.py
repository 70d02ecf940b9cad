"""Conduct: how one action of an agent is carried out on the board and through the lab.

Knows the order of things (prepare, post, measure, report) and the names of drafts, which derive
from a key of the action so that a repeated draft is recognised. It decides nothing; rights and
turns are `agents.agent`'s. What comes back is folded into `Memory` at once, without waiting for
the board's echo.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import ValidationError

from agents.actions import Action, ClaimLead, PostComment, PostLead, PostReview, Reproduce, Run
from agents.errors import LabError
from agents.lab import Lab, Outcome, Proposal
from agents.memory import WITHDRAWAL, Memory
from agents.spend import Spend
from forum.board import Seat
from forum.errors import MessageRefusedError, PostRefusedError
from forum.messages import (
    Body,
    Claim,
    Comment,
    Draft,
    Evidence,
    Failure,
    Finding,
    Hypothesis,
    Lead,
    Post,
    Review,
)

Result = Literal["done", "fruitless", "stopped"]
"""fruitless: nothing new came of it (refused, or known before); stopped: the run is ending."""

TURNED_DOWN = (LabError, PostRefusedError, MessageRefusedError, ValidationError)
"""What ends an action but not the agent; the last is a mind's words that no post can hold."""

TITLE_CHARACTERS = 300
TEXT_CHARACTERS = 4_000
PATCH_CHARACTERS = 65_536
"""The bounds of `forum.messages`."""


class Conduct:
    """Carries out the actions of one agent."""

    def __init__(self, me: str, seat: Seat, lab: Lab, memory: Memory, spend: Spend) -> None:
        self._me = me
        self._seat = seat
        self._lab = lab
        self._memory = memory
        self._spend = spend
        self.last_fault = ""
        """Why the newest fruitless action came to nothing."""

    async def carry_out(self, action: Action, key: str) -> Result:
        """Do what `action` says; waiting and the notebook are not done here.

        Args:
            action: What is to be done.
            key: Names it, at most 63 characters; what was said under it before is not said twice.

        Raises:
            BoardClosedError: the board closed; the run is over for this agent.

        Cancellation: what was posted stays; an experiment that was asked for goes on, and is
        reported on after a restart.
        """
        if isinstance(action, (Run, Reproduce)):
            post = await self.begin(action, key)
            return "fruitless" if post is None else await self.finish(post)
        try:
            await self._say(action, key)
        except TURNED_DOWN as error:
            return self._fault(str(error))
        return "done"

    async def begin(self, action: Run | Reproduce, key: str) -> Post | None:
        """Post that something is to be measured; `finish` has it measured. Raises as `carry_out`.

        Returns:
            The post; None where nothing came of it, `last_fault` says why.
        """
        try:
            if isinstance(action, Run):
                return await self._propose(action, key)
            return await self._claim(action.hypothesis, key)
        except TURNED_DOWN as error:
            self._fault(str(error))
            return None

    async def finish(self, post: Post) -> Result:
        """Have what `post` says measured and reported on, also where an earlier life posted it.

        Raises:
            BoardClosedError: as `carry_out`.
        """
        body = post.body
        try:
            if isinstance(body, Hypothesis):
                return await self._measure(post, body)
            assert isinstance(body, Claim)
            return await self._reproduce(body.target, post.message_id.removesuffix("c"))
        except TURNED_DOWN as error:
            return self._fault(str(error))

    async def _propose(self, action: Run, key: str) -> Post | None:
        proposal = Proposal(
            parents=action.parents,
            files=action.files,
            title=_one_line(action.title),
            knobs=action.knobs,
            note=action.rationale[:TEXT_CHARACTERS],
        )
        prepared = await self._lab.prepare(proposal)
        if prepared.known is not None:
            commit = prepared.known.commit or prepared.commit
            self._memory.remember(proposal, commit, prepared.known)
            self._fault(f"this very tree was measured before, as {commit}")
            return None
        again = next((near for near in prepared.near if near.outcome is not None), None)
        if again is not None and not action.insists:
            self._fault(f"nearly this tree was measured before, as {again.hypothesis}")
            return None
        body = Hypothesis(
            title=proposal.title,
            rationale=proposal.note,
            parents=action.parents,
            knobs=dict(action.knobs),
            prediction=action.prediction,
            commit=prepared.commit,
            # Half a diff would misrepresent the change; the commit tells all of it.
            patch=prepared.patch if len(prepared.patch) <= PATCH_CHARACTERS else "",
        )
        return await self._post(body, f"{key}h", action.lead or None)

    async def _measure(self, post: Post, hypothesis: Hypothesis) -> Result:
        key = post.message_id.removesuffix("h")
        outcome = await self._lab.run(hypothesis.commit or "", post.post_id)
        if outcome.outcome == "stopped":
            return "stopped"
        if outcome.outcome == "refused" or not outcome.verdict_id:
            why = f"not measured: {outcome.reason or 'the lab gave no reason'}"
            await self._post(
                Comment(text=why[:TEXT_CHARACTERS]), f"{key}{WITHDRAWAL}", post.post_id
            )
            return self._fault(why)
        did_help = outcome.outcome == "ok" and outcome.status != "not_improved"
        kind = Finding if did_help else partial(Failure, conditions=outcome.conditions)
        report = kind(
            hypothesis=post.post_id,
            evidence=_evidence(outcome),
            text=_in_words(outcome),
            parents=hypothesis.parents,
            knobs=hypothesis.knobs,
            commit=hypothesis.commit,
            patch=hypothesis.patch,
            log_tail=outcome.log_tail[-TEXT_CHARACTERS:],
        )
        await self._post(report, f"{key}f", post.post_id)
        return "done"

    async def _claim(self, hypothesis: str, key: str) -> Post:
        text = "I measure this again on fresh seeds."
        try:
            return await self._post(Claim(target=hypothesis, text=text), f"{key}c", hypothesis)
        except (PostRefusedError, MessageRefusedError):
            self._memory.give_up(hypothesis)
            raise

    async def _reproduce(self, hypothesis: str, key: str) -> Result:
        try:
            outcome = await self._lab.reproduce(hypothesis)
        except LabError as error:
            await self._withdraw(hypothesis, key, str(error))
            raise
        if outcome.outcome == "stopped":
            return "stopped"
        if outcome.outcome == "refused" or not outcome.verdict_id:
            await self._withdraw(hypothesis, key, outcome.reason)
            return self._fault(f"not reproduced: {outcome.reason}")
        finding = Finding(
            hypothesis=hypothesis,
            evidence=_evidence(outcome),
            text="Reproduction: " + _in_words(outcome),
            commit=outcome.commit,
        )
        await self._post(finding, f"{key}f", hypothesis)
        return "done"

    async def _withdraw(self, hypothesis: str, key: str, reason: str) -> None:
        self._memory.give_up(hypothesis)
        text = f"I could not measure this again: {reason or 'the lab gave no reason'}"
        await self._post(Comment(text=text[:TEXT_CHARACTERS]), f"{key}{WITHDRAWAL}", hypothesis)

    async def _say(self, action: Action, key: str) -> None:
        if isinstance(action, PostReview):
            review = Review(
                hypothesis=action.hypothesis,
                opinion=action.opinion,  # pydantic refuses other words
                forecast=action.forecast,
                text=action.text[:TEXT_CHARACTERS],
            )
            await self._post(review, f"{key}r", action.hypothesis)
        elif isinstance(action, PostLead):
            lead = Lead(
                title=_one_line(action.title),
                text=action.text[:TEXT_CHARACTERS],
                knobs=dict(action.knobs),
            )
            await self._post(lead, f"{key}l", None)
        elif isinstance(action, ClaimLead):
            claim = Claim(target=action.lead, text="I follow this lead.")
            await self._post(claim, f"{key}k", action.lead)
        elif isinstance(action, PostComment):
            comment = Comment(text=action.text[:TEXT_CHARACTERS])
            await self._post(comment, f"{key}m", action.thread)

    async def _post(self, body: Body, message_id: str, thread: str | None) -> Post:
        """Submit and fold the post as the clerk named it; the echo from the board is ignored."""
        draft = Draft(message_id=message_id, thread=thread, body=body)
        receipt = await self._seat.submit(draft)
        post = Post(
            post_id=receipt.post_id or message_id,
            seq=receipt.seq or self._memory.last_seq + 1,
            at_us=0,  # run time is the ledger's; the board's echo tells it
            author=self._me,
            message_id=message_id,
            thread=thread,
            body=body,
        )
        self._memory.fold(post)
        return post

    def _fault(self, why: str) -> Result:
        self._spend.faults += 1
        self.last_fault = why
        return "fruitless"


def _evidence(outcome: Outcome) -> Evidence:
    return Evidence(
        verdict_id=outcome.verdict_id,
        outcome="invalid" if outcome.outcome == "invalid" else "ok",
        score=outcome.score,
        status=outcome.status or "measured",
        gain=outcome.gain,
    )


def _in_words(outcome: Outcome) -> str:
    if outcome.outcome == "invalid":
        return f"It did not run: {outcome.reason or 'no reason given'}."[:TEXT_CHARACTERS]
    score = "no score" if outcome.score is None else f"score {outcome.score:.4f}"
    gain = "" if outcome.gain is None else f", gain over the parent {outcome.gain:+.4f}"
    return f"{score}{gain}: {outcome.status or 'measured'}."


def _one_line(text: str) -> str:
    line = " ".join(text.split()) or "untitled"
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1] + "…"
