"""The lab for a researcher elsewhere: every question is a request over the board.

Implements `agents.lab.Lab` over a seat. Rights and visibility are enforced where requests are
served. What is asked is repeated until it is answered, also when the run was restarted meanwhile:
then the seat is taken again first, in the same session.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from agents import lab_requests as ops
from agents.errors import LabError
from agents.lab import Briefing, Merged, Outcome, Prepared, Proposal
from agents.packed_files import pack_files
from forum.board import Asking
from forum.errors import BoardClosedError, RequestRefusedError
from forum.messages import Post

HERE_S: Final = 20.0
"""How often a researcher says that he is there, seconds."""

_A = TypeVar("_A", bound=Any)
_R = TypeVar("_R")


class RemoteLab:
    """`agents.lab.Lab` over the board.

    Args:
        seat: The researcher's place.
        mind: What decides, in words, for the ledger.
        replaces: Whether a session that sits there has to go.
    """

    def __init__(self, seat: Asking, mind: str, *, replaces: bool = True) -> None:
        self._seat = seat
        self._mind = mind
        self._replaces = replaces
        self._session = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self.is_replaced = False
        """Whether another session has taken the seat."""
        self.is_over = False
        """Whether the run has ended in order."""

    async def take_seat(self) -> ops.Seated:
        """Take the seat; a session that sits there is replaced, unless it was said not to.

        Raises:
            LabError: there is no such seat.
            BoardClosedError: another session has it, or the run is over.
        """
        seat = ops.Seat(mind=self._mind, replaces=self._replaces)
        return await self._ask(ops.TAKE_SEAT, seat)

    async def stay(self) -> None:
        """Say again and again that one is there, until cancelled or the seat is lost."""
        while True:
            await asyncio.sleep(HERE_S)
            try:
                await self._ask(ops.HERE, ops.Nothing())
            except LabError:
                continue  # refused, and so answered
            except BoardClosedError:
                return

    async def record_turn(
        self,
        agent: str,
        turn: int,
        actions: tuple[str, ...],
        notebook: str | None,
        cost_usd: float = 0.0,
    ) -> None:
        """Have a turn recorded (`agents.agent.TurnRecorder`)."""
        told = ops.Turn(turn=turn, actions=actions, notebook=notebook, cost_usd=cost_usd)
        await self._ask(ops.TAKE_TURN, told)

    async def leave(self, why: str, *, is_final: bool) -> None:
        """Say farewell."""
        await self._ask(ops.LEAVE, ops.Leave(why=why[:300], is_final=is_final))

    async def briefing(self) -> Briefing:
        """Return the task and the baseline, once that is measured."""
        return await self._ask(ops.BRIEFING, ops.Nothing())

    async def wait_for_turn(self) -> None:
        """Return when nobody has paused the researcher."""
        await self._ask(ops.WAIT_FOR_TURN, ops.Nothing())

    async def read_tree(self, commit: str) -> Mapping[str, str]:
        """Return the editable files of a commit."""
        return await self._ask(ops.READ_TREE, ops.Commit(commit=commit))

    async def merge(self, first: str, second: str) -> Merged:
        """Merge two commits."""
        return await self._ask(ops.MERGE, ops.Pair(first=first, second=second))

    async def prepare(self, proposal: Proposal) -> Prepared:
        """Commit a proposal; nothing runs yet."""
        args = ops.Proposed.model_validate(
            {
                "parents": proposal.parents,
                "files": pack_files(proposal.files),
                "title": proposal.title,
                "knobs": dict(proposal.knobs),
                "note": proposal.note,
            }
        )
        return await self._ask(ops.PREPARE, args)

    async def run(self, commit: str, hypothesis: str) -> Outcome:
        """Measure a posted proposal."""
        try:
            return await self._ask(ops.RUN, ops.Measured(commit=commit, hypothesis=hypothesis))
        except BoardClosedError as error:
            return self._stopped(commit, error)

    async def reproduce(self, hypothesis: str) -> Outcome:
        """Confirm a claim."""
        try:
            return await self._ask(ops.REPRODUCE, ops.Hypothesis(hypothesis=hypothesis))
        except BoardClosedError as error:
            return self._stopped("", error)

    async def verdict(self, verdict_id: str) -> Outcome | None:
        """Return a verdict given to the researcher, else None."""
        return await self._ask(ops.VERDICT, ops.Verdict(verdict_id=verdict_id))

    async def catch_up(self, after_seq: int) -> Sequence[Post]:
        """Return what reached the researcher after row `after_seq`, page by page."""
        posts: list[Post] = []
        while True:
            args = ops.Missed(after_seq=after_seq, offset=len(posts))
            page = await self._ask(ops.CATCH_UP, args)
            posts += page.posts
            if page.is_last:
                return posts

    async def assignments(self) -> frozenset[str]:
        """Return the hypotheses that the researcher was asked to review and still may."""
        return await self._ask(ops.ASSIGNMENTS, ops.Nothing())

    async def open_leads(self) -> Mapping[str, float]:
        """Return the leads that nobody else holds."""
        return await self._ask(ops.OPEN_LEADS, ops.Nothing())

    async def remaining_experiments(self) -> int | None:
        """Return how many experiments the run may still start."""
        return await self._ask(ops.REMAINING, ops.Nothing())

    def _stopped(self, commit: str, error: BoardClosedError) -> Outcome:
        """Return the outcome of what the run's end cut off; any other end is told as it is."""
        if not self.is_over:
            raise error
        return Outcome("stopped", commit, "", None, "", None, str(error))

    async def _ask(self, operation: ops.Operation[_A, _R], args: _A) -> _R:
        """Ask, and take the seat first where the run has forgotten that it is taken.

        Raises:
            LabError: the lab turned it down; of the kind that a lab at hand would raise.
            BoardClosedError: the seat is another's now, the run is over, or the board closed.
        """
        request_id = f"{self._session}.{next(self._numbers)}"
        sent = args.model_dump(mode="json")
        while True:
            try:
                return operation.unpack(await self._seat.request(operation.name, sent, request_id))
            except RequestRefusedError as error:
                if error.kind != ops.NOT_SEATED or operation.name == ops.TAKE_SEAT.name:
                    raise self._told(error) from None
            await self.take_seat()

    def _told(self, refusal: RequestRefusedError) -> LabError | BoardClosedError:
        self.is_replaced |= refusal.kind in (ops.REPLACED, ops.TAKEN)
        self.is_over |= refusal.kind == ops.STOPPED
        if refusal.kind in (ops.REPLACED, ops.TAKEN, ops.STOPPED):
            return BoardClosedError(refusal.reason)
        return ops.as_error(refusal)
