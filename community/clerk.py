"""The clerk: validates, records, acknowledges and routes every post. Topology is a fact here.

An author says what he likes; what is recorded about commits and verdicts is what the ledger and the
repository say. A copy goes to each reader whose edge carries it, thinned to what it carries, in the
ledger's order; what an edge delays or loses is settled with the post (`community.topology`). The
clerk knows no scores beyond what a post may cite and decides nothing about
jobs. On a broker that cannot tell its clients apart anybody may hand in anything: who takes no part
is not heard at all, and who does cannot fill the ledger with refusals.
"""

from __future__ import annotations

from collections import Counter

from agents.roles import Right
from community.archive.state import HypothesisState, RunState
from community.assigning import Assigning, refuses_review
from community.chronicle import Chronicle
from community.events import Noticed, Posted, Refused, VerdictGiven
from community.leads import is_lead, leased, refuses_claim, refuses_following
from community.pace import Pace
from community.quotas import refuses_post
from community.scenario import POSTS_PER_MINUTE
from community.screening import told_on_dev
from community.topology import Route, route
from community.twins import Twins, conditions_of
from forum.board import Desk, Submission
from forum.codec import decode_draft, settled
from forum.errors import BoardClosedError, BoardError, MessageRefusedError
from forum.ids import AgentName
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
    Receipt,
    Review,
)
from forum.visibility import thin
from trainer.repository import Repository
from trainer.texts import Texts

LAB = "lab"
"""Author of the institution's own posts."""
PATCH_CHARACTERS = 65_536
"""Longest patch a post carries; a longer one travels by its commit."""
REFUSALS_IN_A_ROW = 20
"""Refusals of one author that are recorded before his next post; further ones are answered only. A
mind that errs learns from its receipts long before; a loop, or a stranger in its name, does not."""

_RIGHTS: dict[type, Right] = {
    Hypothesis: "propose",
    Claim: "reproduce",
    Review: "review",
    Lead: "lead",
}
"""What it takes to post these. Findings rest on verdicts; a comment may take back what was said."""


class Clerk:
    """Stands between the board and the ledger.

    Args:
        chronicle: Where posts are recorded.
        desk: The clerk's place at the board.
        repository: Source of the trees whose patches posts show.
        texts: Makes the patches.
        assigning: What each participant may do, and who is asked to review what.
        posts_per_minute: Most posts of one author that are taken within a minute.
        twins: Tells what the knobs of a tree stand at; without it, failures do not say.
    """

    def __init__(
        self,
        chronicle: Chronicle,
        desk: Desk,
        repository: Repository,
        texts: Texts,
        assigning: Assigning,
        posts_per_minute: int = POSTS_PER_MINUTE,
        twins: Twins | None = None,
    ) -> None:
        self.twins = twins
        self._assigning = assigning
        self._chronicle = chronicle
        self._desk = desk
        self._repository = repository
        self._texts = texts
        self._pace = Pace(posts_per_minute, chronicle.state)
        self._refusals: Counter[str] = Counter()
        """By author, since his last post."""

    async def serve(self) -> None:
        """Take in submissions for as long as the run lives.

        Raises:
            BoardError: the board took in its last one, and why, which the ledger notes as well;
                nobody could be heard any more.

        Cancellation: a post is recorded whole or not at all; readers who missed it catch up.
        """
        try:
            await self._serve()
        except BoardError as error:
            self._chronicle.record(Noticed("stop", str(error)[:300]))
            raise

    async def _serve(self) -> None:
        async for submission in self._desk.submissions():
            await self._take(submission)
        raise BoardClosedError(
            "the board hands in no more posts although the run goes on; see whether its broker "
            "still runs, then go on with `community run --resume`"
        )

    async def post_for_lab(
        self,
        body: Body,
        thread: str,
        along: str,
        message_id: str,
        among: frozenset[str] | None = None,
    ) -> None:
        """Publish the institution's word in `thread`, to the agent `along` and along its edges.

        Where `among` names readers, nobody else gets it.
        """
        if (LAB, message_id) in self._chronicle.state.posts_by_message:
            return
        draft = Draft(message_id=message_id, thread=thread, body=body)
        await self._publish(LAB, draft, along, among)

    async def _take(self, submission: Submission) -> None:
        author = submission.author
        if author not in self._assigning.roles and author not in self._chronicle.state.forum.people:
            return  # without a word: a stranger must not be able to make the ledger grow
        now_us = self._chronicle.clock.now_us()
        pace = self._pace.of(author, now_us)
        if pace == "drop":
            return
        try:
            draft = decode_draft(submission.payload)
        except MessageRefusedError as error:
            self._pace.count(author, now_us)
            await self._refuse(author, error.message_id or "unreadable", error.reason)
            return
        known = self._chronicle.state.posts_by_message.get((author, draft.message_id))
        if known is not None:
            seq = self._chronicle.state.posts[known].seq
            receipt = Receipt(message_id=draft.message_id, post_id=known, seq=seq)
            await self._desk.acknowledge(author, receipt)
            return
        self._pace.count(author, now_us)
        if pace == "refuse":
            await self._refuse(author, draft.message_id, self._pace.refusal(author, now_us))
            return
        try:
            established = draft.model_copy(update={"body": await self._establish(author, draft)})
            # Patch and knobs are the candidate's text: bounded and cleaned before they are
            # recorded, so that the ledger gives out later what the wire gives out now.
            established = settled(established)
        except MessageRefusedError as error:
            await self._refuse(author, draft.message_id, error.reason)
            return
        await self._publish(author, established, author)

    async def _publish(
        self, author: str, draft: Draft, along: str, among: frozenset[str] | None = None
    ) -> None:
        """Record, acknowledge, deliver: in that order, so that nobody reads what may be lost.

        It goes along the edges of `along`. Those whom it does not reach now get it from
        `community.sealed_reviews`, a review being sealed, or from `community.late_posts`.
        """
        state = self._chronicle.state
        post_id = f"p{len(state.posts) + 1}"
        if author in state.forum.people:
            way = Route(dict.fromkeys([*self._assigning.roles, author], "everything"), {}, {})
        else:
            way = route(
                state.forum.topology,
                along,
                draft.body,
                post_id,
                seed=state.opened.seed if state.opened else 0,
                now_us=self._chronicle.clock.now_us(),
            )
        if among is not None:
            way = way.among(among)
            if not way.readers and not way.lost:
                return  # it would be said to nobody
        posted = Posted(
            post_id=post_id,
            message_id=draft.message_id,
            author=author,
            thread=draft.thread,
            body=draft.body.model_dump(mode="json"),
            readers=dict(way.readers),
            due_us=way.due_us,
            lost=way.lost,
        )
        now_us = self._chronicle.clock.now_us()
        self._chronicle.record(
            posted, *self._assigning.asked(state, posted), *leased(state, posted, now_us)
        )
        post = state.posts[post_id].as_post()  # as recorded, which is what catching up gives
        now = [reader for reader in way.readers if post_id in state.delivered.get(reader, {})]
        self._refusals[author] = 0
        if author != LAB:
            receipt = Receipt(message_id=post.message_id, post_id=post_id, seq=post.seq)
            await self._desk.acknowledge(AgentName(author), receipt)
        copies = {carries: thin(post, carries) for carries in {way.readers[name] for name in now}}
        for reader in now:
            copy = copies[way.readers[reader]]
            if copy is not None:
                await self._desk.deliver(AgentName(reader), copy)

    async def _refuse(self, author: AgentName, message_id: str, reason: str) -> None:
        self._refusals[author] += 1
        if self._refusals[author] <= REFUSALS_IN_A_ROW:
            is_last = self._refusals[author] == REFUSALS_IN_A_ROW
            noted = f"{reason} (more like it are not noted)" if is_last else reason
            self._chronicle.record(Refused(author, "post", noted, message_id))
        await self._desk.acknowledge(author, Receipt(message_id=message_id, reason=reason[:300]))

    async def _establish(self, author: str, draft: Draft) -> Body:
        """Return the draft's body with its facts replaced by those on record.

        Raises:
            MessageRefusedError: it speaks of what is not there or not the author's to speak of.
        """
        state = self._chronicle.state
        if author in state.forum.people:
            return _establish_person(state, draft)
        if draft.thread is not None and draft.thread not in state.delivered.get(author, {}):
            raise MessageRefusedError(
                f"thread {draft.thread!r} never reached {author}; answer only what you have read"
            )
        body = draft.body
        if author in state.forum.paused and not isinstance(body, Finding | Failure):
            raise MessageRefusedError(
                f"a person has paused {author}: until that is lifted, report what came of your "
                "experiments and nothing else"
            )
        right = _RIGHTS.get(type(body))
        if isinstance(body, Claim) and is_lead(state, body.target):
            right = "propose"  # who follows a lead asks for an experiment of his own
        if right is not None and right not in self._assigning.roles[author].rights:
            raise MessageRefusedError(f"the role of {author} has no right to {right}")
        now_us = self._chronicle.clock.now_us()
        quotas = self._assigning.roles[author].quotas
        if why := refuses_post(state, author, quotas, body.model_dump(), now_us):
            raise MessageRefusedError(why)
        if isinstance(body, Hypothesis):
            if why := refuses_following(state, author, draft.thread, now_us):
                raise MessageRefusedError(why)
            return await self._establish_hypothesis(state, author, body)
        if isinstance(body, Finding | Failure):
            return await self._establish_result(state, author, body)
        if isinstance(body, Review | Claim):
            target = body.hypothesis if isinstance(body, Review) else body.target
            if target not in state.delivered.get(author, {}):
                raise MessageRefusedError(f"post {target!r} never reached {author}")
            if isinstance(body, Review) and state.posts[target].posted.author == author:
                raise MessageRefusedError(f"{target!r} is {author}'s own; nobody reviews himself")
            if isinstance(body, Review) and (late := refuses_review(state, author, target)):
                raise MessageRefusedError(late)
            if is_lead(state, target) and (why := refuses_claim(state, author, target, now_us)):
                raise MessageRefusedError(why)
        return body

    async def _establish_hypothesis(
        self, state: RunState, author: str, body: Hypothesis
    ) -> Hypothesis:
        proposal = state.proposals.get(body.commit)
        if proposal is None or proposal.author != author:
            raise MessageRefusedError(
                f"commit {body.commit[:12]!r} is no proposal of {author}; prepare it first"
            )
        if body.commit in state.hypotheses_by_commit:
            known = state.hypotheses_by_commit[body.commit][0]
            raise MessageRefusedError(f"commit {body.commit[:12]!r} was posted as {known} already")
        patch = await self._patch(proposal.parents[0], body.commit)
        return body.model_copy(
            update={
                "parents": proposal.parents,
                "knobs": proposal.knobs,
                "patch": patch,
            }
        )

    async def _establish_result(
        self, state: RunState, author: str, body: Finding | Failure
    ) -> Finding | Failure:
        claim = state.hypotheses.get(body.hypothesis)
        verdict = state.verdicts.get(body.evidence.verdict_id)
        if claim is None or verdict is None or not _was_given(state, verdict, claim, author):
            raise MessageRefusedError(  # in the same words, or one could ask what others measure
                f"no verdict {body.evidence.verdict_id!r} on {body.hypothesis!r} was given to "
                f"{author}; cite the verdict id that the lab returned"
            )
        if verdict.verdict_id in state.evidence.retracted:
            raise MessageRefusedError(
                f"verdict {verdict.verdict_id!r} was taken back; it says nothing any more"
            )
        patch = await self._patch(claim.parents[0], claim.commit)
        if isinstance(body, Failure):
            conditions = conditions_of(state, claim, verdict, self.twins)
            body = body.model_copy(update={"conditions": conditions})
        return body.model_copy(
            update={
                "evidence": evidence_on(state, body.hypothesis, verdict.verdict_id),
                "commit": claim.commit,
                "parents": claim.parents,
                "knobs": claim.knobs,
                "patch": patch,
            }
        )

    async def _patch(self, parent: str, commit: str) -> str:
        older, newer = self._repository.read(parent), self._repository.read(commit)
        patch = await self._texts.diff(older, newer)
        return patch if len(patch) <= PATCH_CHARACTERS else ""


def _was_given(state: RunState, verdict: VerdictGiven, claim: HypothesisState, who: str) -> bool:
    """Whether a verdict is on the tree of `claim` and `who` asked for it."""
    asked = (claim.proposer, state.experiments[verdict.experiment_id].queued.requested_by)
    return verdict.tree_key == claim.tree_key and who in asked


def _establish_person(state: RunState, draft: Draft) -> Body:
    """Return what a person says: he may answer whatever is on record, with words alone."""
    if draft.thread is not None and draft.thread not in state.posts:
        raise MessageRefusedError(f"there is no post {draft.thread!r} to answer")
    if not isinstance(draft.body, Comment | Lead):
        raise MessageRefusedError(f"people post comments and leads, no {draft.body.kind}")
    return draft.body


def evidence_on(state: RunState, hypothesis: str, verdict_id: str) -> Evidence:
    """Return what the ledger lets be said of a hypothesis: its status, and its score on dev.

    That in steps of sigma/4. Numbers from vault never leave the lab; of a confirmation one learns
    the status alone.
    """
    claim = state.hypotheses[hypothesis]
    score, gain = told_on_dev(state, hypothesis)
    return Evidence(
        verdict_id=verdict_id,
        outcome=state.verdicts[verdict_id].outcome,
        score=score,
        status=claim.status,
        gain=gain,
    )
