"""Reviews: asked of somebody, sealed until the experiment begins, the same later as at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from archive_script import asking, ended, queued, verdict
from archive_script import hypothesis as posted
from bench_script import calibrated, house, scenario_of
from test_clerk import COMPLETE, HUNCH, draft, hypothesis, proposal

from agents.roles import Role
from community.archive.state import RunState
from community.assigning import assignments, coauthors, is_drawn
from community.board_opening import open_board
from community.chronicle import Chronicle
from community.clerk import Clerk
from community.events import AttemptStarted, Proposed, StatusChanged
from community.scenario import BoardSection, Scenario
from community.sealed_reviews import SealedReviews
from community.topology import build_topology
from forum.board import Seat
from forum.codec import decode_draft, encode
from forum.errors import MessageRefusedError, PostRefusedError
from forum.ids import AgentName
from forum.messages import Comment, Forecast, Post, Review
from trainer.repository import Repository
from trainer.texts import TrustedTexts

PROPOSER = Role("explorer", "proposes", frozenset({"propose", "comment"}))
REVIEWER = Role("reviewer", "judges", frozenset({"review", "comment"}))
ROLES = {"ada": PROPOSER, "bob": PROPOSER, "karl": REVIEWER, "lena": REVIEWER}


def review(of: str = "p1", forecast: Forecast = HUNCH) -> Review:
    """Return a review of a post."""
    return Review(hypothesis=of, opinion="support", forecast=forecast, text="I think so")


class Table:
    """Everybody at one board: seats, and what has reached each of them."""

    def __init__(self, chronicle: Chronicle, seats: dict[str, Seat]) -> None:
        self.chronicle = chronicle
        self.seats = seats
        self.heard: dict[str, list[Post]] = {name: [] for name in seats}
        self.news = asyncio.Event()
        self.marks = 0

    async def listen(self, name: str) -> None:
        """Keep what the feed of `name` brings."""
        async for post in self.seats[name].posts():
            self.heard[name].append(post)
            self.news.set()

    async def reviews_of(self, name: str) -> list[str]:
        """Return the reviews that reached `name`, once everything said so far has."""
        self.marks += 1
        mark = await self.seats["ada"].submit(draft(Comment(text="?"), name=f"?{self.marks}"))
        await self.until(name, mark.post_id)
        return [post.post_id for post in self.heard[name] if isinstance(post.body, Review)]

    async def until(self, name: str, post_id: str | None) -> None:
        """Wait until a post has reached `name`."""
        while post_id not in [post.post_id for post in self.heard[name]]:
            self.news.clear()
            await self.news.wait()


@asynccontextmanager
async def table(
    chronicle: Chronicle, repository: Repository, broker: str = "memory", **reviews: float
) -> AsyncIterator[Table]:
    """Seat everybody of `ROLES` at a board that a clerk serves; everybody hears everybody."""
    if chronicle.state.forum.topology is None:  # it knows of an earlier life
        chronicle.record(build_topology(tuple(ROLES), COMPLETE, seed=3).as_event())
    async with (
        open_board(BoardSection(broker=broker), "r1", tuple(ROLES)) as board,
        board.desk() as desk,
        board.seat(AgentName("ada")) as ada,
        board.seat(AgentName("bob")) as bob,
        board.seat(AgentName("karl")) as karl,
        board.seat(AgentName("lena")) as lena,
        asyncio.TaskGroup() as group,
    ):
        rules = asking(ROLES, **reviews)
        clerk = Clerk(chronicle, desk, repository, TrustedTexts(), rules)
        sealed = SealedReviews(chronicle, desk)
        seated = Table(chronicle, {"ada": ada, "bob": bob, "karl": karl, "lena": lena})
        tasks = [group.create_task(clerk.serve()), group.create_task(sealed.serve())]
        tasks += [group.create_task(seated.listen(name)) for name in ROLES]
        yield seated
        for task in tasks:
            task.cancel()


async def asked(at: Table, repository: Repository) -> tuple[str, str]:
    """Have ada post a hypothesis as p1; return who was asked to review it, and who was not."""
    commit = await proposal(at.chronicle, repository)
    await at.seats["ada"].submit(draft(hypothesis(commit), name="h"))
    (reviewer,) = at.chronicle.state.evidence.assigned["p1"]
    return reviewer, "lena" if reviewer == "karl" else "karl"


def begin(chronicle: Chronicle, number: int = 1) -> None:
    """Begin an attempt of the screen of p1."""
    claim = chronicle.state.hypotheses["p1"]
    if number == 1:
        chronicle.record(queued("e0001", "screen", claim.commit, claim.tree_key))
    chronicle.record(AttemptStarted("e0001", number, "cpu0"))


def later(chronicle: Chronicle, reader: str) -> list[str]:
    """Return the reviews that a reader is given who catches up from the ledger, read anew."""
    state = RunState.from_rows(chronicle.ledger.rows())
    assert state.delivered == chronicle.state.delivered
    given = state.delivered.get(reader, {})
    return [name for name in given if state.posts[name].posted.body["kind"] == "review"]


@pytest.mark.parametrize("broker", ["memory", "embedded"])
async def test_a_review_is_sealed_until_the_experiment_begins(
    broker: str, chronicle: Chronicle, repository: Repository
) -> None:
    """Before: its author alone, by feed and by ledger. After: every reader, once, by both."""
    async with table(chronicle, repository, broker) as at:
        reviewer, other = await asked(at, repository)
        receipt = await at.seats[reviewer].submit(draft(review(), name="r"))
        assert receipt.post_id == "p2"
        assert await at.reviews_of(reviewer) == ["p2"]
        for name in ("ada", "bob", other):
            assert await at.reviews_of(name) == later(chronicle, name) == []
        begin(chronicle)
        for name in ROLES:
            await at.until(name, "p2")
        chronicle.record(ended("e0001", "cpu0", (0, 1), (0, 0), outcome="interrupted"))
        begin(chronicle, 2)  # a second attempt opens nothing again
        for name in ROLES:
            assert await at.reviews_of(name) == later(chronicle, name) == ["p2"]


async def test_nobody_answers_a_sealed_review(chronicle: Chronicle, repository: Repository) -> None:
    """Its post id is worth nothing to who guesses it: it never reached him."""
    async with table(chronicle, repository) as at:
        reviewer, _ = await asked(at, repository)
        await at.seats[reviewer].submit(draft(review(), name="r"))
        with pytest.raises(PostRefusedError, match="never reached ada"):
            await at.seats["ada"].submit(draft(Comment(text="thanks"), "p2", "c"))


async def test_who_was_away_catches_up_on_what_was_opened_meanwhile(
    chronicle: Chronicle, repository: Repository
) -> None:
    """A review older than what a reader has seen still counts as new to him; it was sealed."""
    async with table(chronicle, repository) as at:
        reviewer, _ = await asked(at, repository)
        await at.seats[reviewer].submit(draft(review(), name="r"))
        await at.seats["ada"].submit(draft(Comment(text="later"), name="c"))
        seen = chronicle.state.last_seq
        begin(chronicle)
    reach, record = chronicle.state.reach, chronicle.state.posts["p2"]
    assert record.seq < seen < reach.arrival("ada", record)
    assert reach.arrival(reviewer, record) == record.seq
    async with table(chronicle, repository) as at:  # a second life sends nothing twice
        at.marks = 100
        assert not any([await at.reviews_of(name) for name in ROLES])


async def test_only_who_was_asked_reviews_and_once_and_in_time(
    chronicle: Chronicle, repository: Repository
) -> None:
    """Self-chosen, repeated and late reviews are refused, with the reason; nothing is recorded."""
    async with table(chronicle, repository) as at:
        reviewer, other = await asked(at, repository)
        assert assignments(chronicle.state, reviewer) == {"p1"}
        assert not assignments(chronicle.state, other)
        with pytest.raises(PostRefusedError, match="not asked"):
            await at.seats[other].submit(draft(review(), name="r"))
        await at.seats[reviewer].submit(draft(review(), name="r1"))
        assert not assignments(chronicle.state, reviewer)
        with pytest.raises(PostRefusedError, match="not taken back"):
            await at.seats[reviewer].submit(draft(review(), name="r2"))
    kinds = [post.posted.body["kind"] for post in chronicle.state.posts.values()]
    assert kinds == ["hypothesis", "review"]


async def test_an_unanswered_assignment_expires_when_the_experiment_begins(
    chronicle: Chronicle, repository: Repository
) -> None:
    """A late review is refused, and nobody is asked for it any more."""
    async with table(chronicle, repository) as at:
        reviewer, _ = await asked(at, repository)
        begin(chronicle)
        assert not assignments(chronicle.state, reviewer)
        with pytest.raises(PostRefusedError, match="has begun"):
            await at.seats[reviewer].submit(draft(review(), name="r"))


async def test_work_that_the_reviewer_may_know_the_result_of_is_not_his_to_review(
    chronicle: Chronicle, repository: Repository
) -> None:
    """A twin of a measured tree goes to nobody whom its result has reached."""
    async with table(chronicle, repository) as at:
        reviewer, other = await asked(at, repository)
        first = chronicle.state.hypotheses["p1"]
        screen = queued("e0001", "screen", first.commit, first.tree_key)
        chronicle.record(screen, verdict(screen, 2.5))
        twin = await proposal(chronicle, repository, "bob", comment="other words")
        await at.seats["bob"].submit(draft(hypothesis(twin), name="h2"))
        assert chronicle.state.evidence.assigned["p2"] == (other,)  # nobody was told a result
        report = {"kind": "finding", "hypothesis": "p1", "evidence": {"verdict_id": "v-e0001"}}
        heard = replace(chronicle.state.posts["p1"].posted, post_id="p3", message_id="f")
        chronicle.record(replace(heard, body=report, readers={other: "score"}))
        with pytest.raises(PostRefusedError, match="measured before"):
            await at.seats[other].submit(draft(review("p2"), name="r"))
        again = await proposal(chronicle, repository, "bob", comment="third words")
        await at.seats["bob"].submit(draft(hypothesis(again), name="h3"))
        assert chronicle.state.evidence.assigned["p4"] == (reviewer,)


async def test_work_is_shared_out_evenly(chronicle: Chronicle, repository: Repository) -> None:
    """The next hypothesis goes to who has fewer open assignments, whoever was drawn first."""
    async with table(chronicle, repository) as at:
        for number in range(6):
            commit = await proposal(chronicle, repository, comment=f"number {number}")
            await at.seats["ada"].submit(draft(hypothesis(commit), name=f"h{number}"))
    asked_of = [name for names in chronicle.state.evidence.assigned.values() for name in names]
    assert (asked_of.count("karl"), asked_of.count("lena")) == (3, 3)


async def test_draws_follow_the_secret_and_are_recorded_with_the_post(
    chronicle: Chronicle, repository: Repository
) -> None:
    """All are drawn under a share of 1, none under 0; where nobody is asked, nothing is drawn."""
    async with table(chronicle, repository, settle_share=1.0) as at:
        await asked(at, repository)
        assert chronicle.state.evidence.drawn == {"p1": 1.0}
        assert not any(post.body.kind != "hypothesis" for post in at.heard["karl"])
    for changes in ({"settle_share": 0.0}, {"settle_share": 1.0, "reviewers": 0}):
        async with table(chronicle, repository, **changes) as at:
            commit = await proposal(chronicle, repository, comment=str(changes))
            await at.seats["ada"].submit(draft(hypothesis(commit), name=str(changes)))
    assert chronicle.state.evidence.drawn == {"p1": 1.0}
    kinds = [row.event.kind for row in chronicle.ledger.rows()]
    assert kinds[-6:-3] == [
        "proposed",
        "posted",
        "reviewer_assigned",
    ]  # nothing was drawn here, yet
    assert kinds[-3] == "confirmation_drawn"  # as many rows: post numbers must not tell draws
    secrets = [number.to_bytes(32, "big") for number in range(4_000)]
    assert 300 < sum(is_drawn(secret, "p1", 0.1) for secret in secrets) < 500
    assert len({is_drawn(bytes(32), f"p{n}", 0.5) for n in range(20)}) == 2


def test_who_wrote_what_is_unconfirmed_is_an_author_of_it(chronicle: Chronicle) -> None:
    """By declared parent or by what the tree holds; what is reproduced is common ground."""
    state = chronicle.state
    base = state.opened.baseline_commit if state.opened else ""
    chronicle.record(
        Proposed("a1", (base,), "ta1", "ada", "first", {}, ("h1",)),
        Proposed("b1", (base, "a1"), "tb1", "bob", "declared", {}, ("h1", "h2")),
        Proposed("c1", (base,), "tc1", "lena", "undeclared", {}, ("h2", "h3")),
    )
    assert coauthors(state, "a1") == {"ada"}
    assert coauthors(state, "b1") == {"ada", "bob"}
    assert coauthors(state, "c1") == {"bob", "lena"}
    confirm(chronicle, "b1")
    assert coauthors(state, "c1") == {"lena"}


def confirm(chronicle: Chronicle, commit: str) -> None:
    """Record that the tree of `commit` was posted and reproduced."""
    chronicle.record(
        posted("p9", "bob", commit, 0.1),
        StatusChanged("p9", commit, "reproduced", 0.5, 0.1, "lab", ()),
    )


@pytest.mark.parametrize(
    ("gain", "words"),
    [((0.1, 0.0, 0.2), "quantiles in this order"), ((0.0, 0.1), "gain"), ((0, 1, 2, 3), "gain")],
)
def test_quantiles_out_of_order_are_refused(gain: tuple[float, ...], words: str) -> None:
    """A forecast is three numbers, none below the one before."""
    good = encode(draft(review(forecast=Forecast(reproduced=0.5, gain=(7.25, 7.25, 7.25)))))
    listed = ",".join(str(number) for number in gain).encode()
    with pytest.raises(MessageRefusedError, match=words):
        decode_draft(good.replace(b"7.25,7.25,7.25", listed))
    assert decode_draft(good).message_id == "m1"


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e999", b'"x"'])
def test_a_forecast_is_of_finite_numbers(number: bytes) -> None:
    """Neither a probability nor a gain may be anything else, with a reason that can be sent."""
    good = encode(draft(review(forecast=Forecast(reproduced=0.75, gain=(7.25, 8.25, 9.25)))))
    for place in (b"0.75", b"9.25"):
        with pytest.raises(MessageRefusedError) as caught:
            decode_draft(good.replace(place, number))
        assert 0 < len(caught.value.reason) <= 300


async def test_a_lab_tells_of_assignments_and_of_reviews_that_are_open(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Asked through the lab: the reviewer alone, until the lease; then the review, even late."""
    plain = scenario_of().model_dump()
    plain["agents"] += ({"name": "karl", "role": "reviewer", "mind": "policy:judge", "count": 1},)
    scenario = Scenario.model_validate(plain)
    async with house(calibrated(chronicle), repository, tmp_path, scenario, slots=1) as home:
        home.executor.gate.clear()
        first, second = await home.propose("ada", 1.5), await home.propose("ada", 1.6)
        for post_id in (first, second):
            assert home.institution.screen(chronicle.state.hypotheses[post_id]) == ""
        await chronicle.wait_until(lambda state: first in state.reach.begun)
        assert await home.lab("karl").assignments() == {second}
        assert not any([await home.lab(name).assignments() for name in ("ada", "bob", "cleo")])
        async with home.board.seat(AgentName("karl")) as seat:
            receipt = await seat.submit(draft(review(second), second, "r"))
        seen = chronicle.state.last_seq
        told = {name: await home.lab(name).catch_up(0) for name in ("ada", "bob", "karl")}
        assert [receipt.post_id in {post.post_id for post in told[name]} for name in told] == [
            False, False, True,
        ]  # fmt: skip
        home.executor.gate.set()
        await chronicle.wait_until(lambda state: second in state.reach.begun)
        for name in ("ada", "bob"):
            assert [post.post_id for post in await home.lab(name).catch_up(seen)] == [
                receipt.post_id
            ]
        assert not await home.lab("karl").catch_up(seen)
        assert not await home.lab("karl").assignments()
