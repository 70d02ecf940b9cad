"""Who is heard at all: strangers, roles, refusals, and a board that hands in no more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from archive_script import asking
from test_clerk import HUNCH, ROLES, draft, hypothesis, proposal

from agents.roles import Role
from community.chronicle import Chronicle
from community.clerk import REFUSALS_IN_A_ROW, Clerk
from community.pace import DROPPED_ABOVE
from forum.board import Submission
from forum.codec import encode
from forum.errors import BoardClosedError
from forum.ids import AgentName
from forum.messages import Claim, Comment, Lead, Post, Receipt, Review
from trainer.repository import Repository
from trainer.texts import TrustedTexts


def noise(name: str) -> bytes:
    """Return bytes that are a draft up to its body, which is of no kind."""
    message = {"message_id": name, "body": {"kind": "verdict"}}
    return json.dumps({"v": 1, "type": "draft", "message": message}).encode()


class ScriptedDesk:
    """Hands in what it was given, whoever is said to have written it, and keeps the receipts."""

    def __init__(self, *submissions: tuple[str, bytes]) -> None:
        self.given = [Submission(AgentName(author), payload) for author, payload in submissions]
        self.receipts: list[tuple[str, Receipt]] = []

    async def submissions(self) -> AsyncIterator[Submission]:
        """Give one after the other, then end."""
        for submission in self.given:
            yield submission

    async def acknowledge(self, author: AgentName, receipt: Receipt) -> None:
        """Keep it."""
        self.receipts.append((author, receipt))

    async def deliver(self, reader: AgentName, post: Post) -> None:
        """Drop it."""

    async def serve(self, chronicle: Chronicle, repository: Repository) -> None:
        """Have a clerk take everything in."""
        with pytest.raises(BoardClosedError):
            await Clerk(chronicle, self, repository, TrustedTexts(), asking(ROLES)).serve()  # type: ignore[arg-type]


async def test_a_stranger_is_not_heard(chronicle: Chronicle, repository: Repository) -> None:
    """Who takes no part gets no row and no answer, whatever he hands in; the next author does."""
    hello = encode(draft(Comment(text="hello")))
    before = chronicle.state.last_seq
    desk = ScriptedDesk(
        ("mallory", hello), ("mallory", noise("m2")), ("mallory", b"\xff"), ("ada", hello)
    )
    await desk.serve(chronicle, repository)
    rows = list(chronicle.ledger.rows(before))
    assert [row.event.kind for row in rows] == ["posted", "noticed"]
    assert {author for author, _ in desk.receipts} == {"ada"}


async def test_refusals_in_a_row_are_answered_and_no_longer_recorded(
    chronicle: Chronicle, repository: Repository
) -> None:
    """One name cannot fill the ledger with nonsense; a post of its own starts the count anew."""
    bad = [("ada", noise(f"x{number}")) for number in range(REFUSALS_IN_A_ROW + 10)]
    hello = encode(draft(Comment(text="hello")))
    desk = ScriptedDesk(*bad, ("bob", noise("b1")), ("ada", hello), ("ada", noise("again")))
    await desk.serve(chronicle, repository)
    whose = [(refused.who, refused.message_id) for _, refused in chronicle.state.refusals]
    assert whose == [
        *(("ada", f"x{number}") for number in range(REFUSALS_IN_A_ROW)), ("bob", "b1"),
        ("ada", "again"),
    ]  # fmt: skip
    assert "not noted" in chronicle.state.refusals[REFUSALS_IN_A_ROW - 1][1].reason
    assert len(desk.receipts) == len(desk.given)


async def test_the_ledger_says_why_the_board_hands_in_no_more(
    chronicle: Chronicle, repository: Repository
) -> None:
    """The end of the desk is an error, and its reason outlives the terminal."""
    await ScriptedDesk().serve(chronicle, repository)
    _, notice = chronicle.state.notices[-1]
    assert (notice.notice, "no more posts" in notice.text) == ("stop", True)


async def test_a_role_says_what_may_be_posted(chronicle: Chronicle, repository: Repository) -> None:
    """Who holds no right but to comment is refused everything else, with the right named."""
    commit = await proposal(chronicle, repository)
    bodies = {
        "propose": hypothesis(commit),
        "review": Review(hypothesis="p1", opinion="support", forecast=HUNCH),
        "reproduce": Claim(target="p1"),
        "lead": Lead(title="look there"),
    }
    given = [encode(draft(body, name=right)) for right, body in bodies.items()]
    given.append(encode(draft(Comment(text="hello"), name="comment")))
    desk = ScriptedDesk(*(("ada", payload) for payload in given))
    roles = {"ada": Role("guest", "listens", frozenset({"comment"}))}
    with pytest.raises(BoardClosedError):
        await Clerk(chronicle, desk, repository, TrustedTexts(), asking(roles)).serve()  # type: ignore[arg-type]
    refused = {receipt.message_id: receipt.reason for _, receipt in desk.receipts if receipt.reason}
    assert refused == {right: f"the role of ada has no right to {right}" for right in bodies}
    assert [post.posted.body["kind"] for post in chronicle.state.posts.values()] == ["comment"]


async def test_a_flood_is_refused_then_dropped_and_others_are_heard(
    chronicle: Chronicle, repository: Repository
) -> None:
    """Of one author so many posts a minute are taken, also after a restart; a repeat is no post."""

    def said(author: str, first: int, count: int) -> list[tuple[str, bytes]]:
        numbers = range(first, first + count)
        return [(author, encode(draft(Comment(text="hi"), name=f"m{n}"))) for n in numbers]

    async def serve(*given: tuple[str, bytes]) -> dict[str, str]:
        desk = ScriptedDesk(*given)
        with pytest.raises(BoardClosedError):
            await Clerk(
                chronicle, desk, repository, TrustedTexts(), asking(ROLES), posts_per_minute=3
            ).serve()  # type: ignore[arg-type]
        return {f"{name} {receipt.message_id}": receipt.reason for name, receipt in desk.receipts}

    flood = [*said("ada", 1, 2), *said("ada", 1, 2), *said("ada", 3, 40)]
    answers = await serve(*flood, ("bob", b"x"), *said("bob", 1, 1))
    taken = [record.posted.message_id for record in chronicle.state.posts.values()]
    assert taken == ["m1", "m2", "m3", "m1"]
    assert [answers[f"ada m{n}"] for n in (1, 2, 3)] == ["", "", ""]
    assert "wait 60 s" in answers["ada m4"] or "wait 59 s" in answers["ada m4"]
    assert sum(name.startswith("ada") for name in answers) == DROPPED_ABOVE * 3
    assert answers["bob m1"] == ""
    again = await serve(*said("ada", 3, 2))
    assert again["ada m3"] == ""
    assert "within a minute" in again["ada m4"]
