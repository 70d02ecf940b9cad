"""Taking part in a live run as a person: comment, point at leads, boost, veto, pause and resume.

The other end is `community.people` in the run's process; in between are the run's broker and the
person's own credential, so it works from any terminal that has both.

Example:
    >>> async with take_part("runs/latest") as person:
    ...     await person.act("boost", "p17", "it looks sound")
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from community.archive.ledger import LedgerReader
from community.errors import LedgerError, TakingPartError
from community.events import RunResumed, RunStopped
from community.people import Deed
from community.run_folder import LATEST, RunFolder
from forum.board import Seat
from forum.credentials import SUFFIX, Credential, load_credential
from forum.errors import BoardUnreachableError, LoginRefusedError
from forum.ids import AgentName
from forum.messages import Body, Comment, Draft, Lead
from forum.topics import PERSON_MARK, is_person

HELLO_S: Final = 10.0
"""How long the run may take to answer at first."""
ANSWER_S: Final = 30.0
"""How long anything else may take; the run may be restarting its broker."""


class Person:
    """A person's place in a live run."""

    def __init__(self, name: str, seat: Seat) -> None:
        self.name = name
        """As the ledger has it: with a ``~`` before it."""
        self._seat = seat

    async def comment(self, thread: str | None, text: str) -> str:
        """Say `text` in a thread (post id), or open one with None; returns the post's id.

        Raises:
            PostRefusedError: the clerk turned it down, and why.
            TakingPartError: the run does not answer.
        """
        return await self._post(Comment(text=text), thread)

    async def lead(self, title: str, text: str = "") -> str:
        """Point at a direction worth trying; returns the post's id. Raises as `comment`."""
        return await self._post(Lead(title=title, text=text), None)

    async def act(self, action: Deed, target: str, why: str = "") -> int:
        """Boost or veto a hypothesis (post id), pause or resume an agent.

        Returns:
            The ledger sequence number of the row that records it.

        Raises:
            RequestRefusedError: it makes no sense, and why.
            TakingPartError: the run does not answer.
        """
        args = {"action": action, "target": target, "why": why}
        async with _answering(ANSWER_S):
            result = await self._seat.request("act", args, secrets.token_hex(8))
        return int(result["seq"])

    async def hello(self) -> None:
        """Make sure that the run is there.

        Raises:
            TakingPartError: it does not answer.
        """
        async with _answering(HELLO_S):
            await self._seat.request("hello", {}, secrets.token_hex(8))

    async def _post(self, body: Body, thread: str | None) -> str:
        draft = Draft(message_id=secrets.token_hex(8), thread=thread, body=body)
        async with _answering(ANSWER_S):
            receipt = await self._seat.submit(draft)
        return receipt.post_id or ""


@asynccontextmanager
async def take_part(
    where: Path | str = LATEST, credential: Path | None = None
) -> AsyncIterator[Person]:
    """Take one's place in a live run.

    Args:
        where: A run's folder, or where its broker is: ``mqtt[s]://host:port[/run]``.
        credential: The person's; by default the one in the run's folder.

    Raises:
        TakingPartError: the run is not live, or offers people no place; says what to do.
        CredentialError: the credential is missing or open to others.
        TopicError: the URL is malformed.
        RunFolderError: there is no such run.
    """
    from forum.mqtt_board import MqttBoard  # the network's libraries only where it is used

    is_url = "://" in str(where)
    mine = _credential(None if is_url else RunFolder.open(where), credential)
    board = MqttBoard.joining(str(where) if is_url else None, mine)
    try:
        async with board.seat(AgentName(mine.user)) as seat:
            person = Person(mine.user, seat)
            await person.hello()
            yield person
    except (BoardUnreachableError, LoginRefusedError) as error:
        raise TakingPartError(f"cannot take part in run {mine.run}: {error}") from error


def must_be_live(folder: RunFolder) -> None:
    """Make sure that somebody hears who takes part in a run.

    Raises:
        TakingPartError: nobody runs it; it says what to do instead.
    """
    if folder.is_live():
        return
    look = (
        f"see what came of it with `community show {folder.path}`, or play it again with "
        f"`community replay {folder.path}`"
    )
    if (why := _ending(folder)) and why not in ("interrupted", "failed"):
        raise TakingPartError(
            f"run {folder.run_id} is over ({why}), it is not running any more; {look}"
        )
    raise TakingPartError(
        f"run {folder.run_id} is not running, so nobody hears you; go on with it by "
        f"`community run --resume --run-dir {folder.path}`, or {look}"
    )


def _ending(folder: RunFolder) -> str:
    """Return why a run ended in order; nothing of one that did not, or cannot be read."""
    why = ""
    with suppress(LedgerError), LedgerReader(folder.ledger) as ledger:
        for row in ledger.rows():
            if isinstance(row.event, RunStopped):
                why = row.event.why
            elif isinstance(row.event, RunResumed):
                why = ""
    return why


def _credential(folder: RunFolder | None, given: Path | None) -> Credential:
    if folder is not None:
        must_be_live(folder)
    if given is None:
        found = () if folder is None else folder.credentials.glob(f"{PERSON_MARK}*{SUFFIX}")
        given = next(iter(sorted(found)), None)
    if given is None:
        raise TakingPartError(
            "there is no credential for a person: give the file with --credential; a run on a "
            'board in memory (broker = "memory") has none'
        )
    credential = load_credential(given)
    if not is_person(credential.user):
        raise TakingPartError(
            f"{given} is {credential.user}'s, not a person's; take the one whose name begins with "
            f"{PERSON_MARK}"
        )
    return credential


@asynccontextmanager
async def _answering(within_s: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError:
        raise TakingPartError(
            f"the run did not answer within {within_s:.0f} s; see whether it still runs"
        ) from None
