"""Memory: the fold from posts to what an agent knows. Posts in, `Known`, open questions out.

It believes nothing but what posts and the agent's own outcomes said, keeps no trees (see
`agents.trees`), and can be rebuilt at any time from ``lab.catch_up(0)``. Posts may be thinned
(empty commit, no knobs), may arrive twice (own posts come back) and in any order. Next:
`agents.agent` builds an `Observation` from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import median

from agents.lab import Briefing, Outcome, Proposal
from agents.observation import Known, OpenClaim, OpenHypothesis, OpenLead
from agents.recent import RecentPosts
from agents.thread import Result, Thread
from forum.messages import (
    Claim,
    Comment,
    Evidence,
    Failure,
    Finding,
    Hypothesis,
    Lead,
    Post,
    Review,
)

CLAIMABLE = ("improved", "undecided")
"""Statuses of a result that a reproduction would settle."""
WITHDRAWAL = "x"
"""Last letter of the message id of a comment that takes a hypothesis or a claim back."""
RECENT_RUNS = 64
"""How many of the newest runs the usual duration is taken from."""


class Memory:
    """What one agent knows; only its own coroutine and feed reader touch it."""

    def __init__(self, me: str, briefing: Briefing) -> None:
        self._me = me
        self._briefing = briefing
        self._threads: dict[str, Thread] = {}
        self._order: list[Thread] | None = None
        """All threads, the oldest first; None while that has to be found anew."""
        self._seen: set[str] = set()
        self._remembered: dict[str, Known] = {}
        self._own_claims: dict[str, Post] = {}
        self._given_up: set[str] = set()
        self._leads: dict[str, Post] = {}
        self._failures: dict[str, Post] = {}
        self.last_seq = 0
        """The highest ledger number heard of."""
        self._proposed = 0
        """Own hypotheses so far."""
        self.said = 0
        """Own posts so far, but findings and failures."""
        self.recent = RecentPosts()
        self.posted: dict[str, str] = {}
        """Post ids of one's own posts, by the message ids under which they were submitted."""

    @property
    def experiments(self) -> int:
        """Own hypotheses and reproduction claims so far."""
        return self._proposed + sum(target not in self._leads for target in self._own_claims)

    def fold(self, post: Post) -> bool:
        """Take in one post; return whether it was new and somebody else's.

        One's own come twice: at once, without a time, and as the board's echo, which tells it.
        """
        if post.post_id in self._seen:
            self._stamp(post)
            return False
        self._seen.add(post.post_id)
        self.recent.add(post)
        if post.author == self._me:
            self.posted[post.message_id] = post.post_id
        self.last_seq = max(self.last_seq, post.seq)
        body = post.body
        self.said += post.author == self._me and not isinstance(body, (Finding, Failure))
        if isinstance(body, Hypothesis):
            self._fold_hypothesis(post, body)
        elif isinstance(body, (Finding, Failure)):
            self._fold_result(post, body)
            if isinstance(body, Failure):
                self._failures[body.hypothesis] = post
        elif isinstance(body, Review):
            if post.author == self._me:
                self._thread(body.hypothesis, post.seq).is_reviewed_by_me = True
        elif isinstance(body, Claim):
            self._thread(body.target, post.seq).claimed_by.add(post.author)
            if post.author == self._me:
                self._own_claims[body.target] = post
        elif isinstance(body, Lead):
            self._leads[post.post_id] = post
        elif isinstance(body, Comment) and post.thread and post.message_id.endswith(WITHDRAWAL):
            self._thread(post.thread, post.seq).withdrawn_by.add(post.author)
        return post.author != self._me

    def remember(self, proposal: Proposal, commit: str, outcome: Outcome) -> None:
        """Keep a recorded outcome that the lab knew of without a run; no post speaks of it."""
        self._remembered[commit] = Known(
            commit=commit,
            parents=proposal.parents,
            hypothesis="",
            author=self._me,
            outcome="invalid" if outcome.outcome == "invalid" else "ok",
            score=outcome.score,
            status=outcome.status,
            gain=outcome.gain,
            changes=dict(proposal.knobs),
            is_readable=True,
        )

    def give_up(self, hypothesis: str) -> None:
        """Stop offering a claim that the lab would not let this agent reproduce."""
        self._given_up.add(hypothesis)

    def update(self, hypothesis: str, outcome: Outcome) -> None:
        """Take in a newer status of one's own hypothesis that the lab told in private."""
        thread = self._threads.get(hypothesis)
        if thread is not None and thread.results:
            thread.told_status = outcome.status
            thread.change()

    def known(self) -> tuple[Known, ...]:
        """Return every measured commit heard of, in order of arrival; the baseline comes first."""
        results = sorted(
            (thread for thread in self._threads.values() if thread.results),
            key=lambda thread: (thread.screen or thread.results[-1]).seq,
        )
        baseline = Known(
            commit=self._briefing.baseline_commit,
            parents=(),
            hypothesis="",
            author="lab",
            outcome="ok",
            score=self._briefing.baseline_mean,
            status="measured",
            gain=None,
            changes={},
            is_readable=True,
        )
        heard: list[Known] = [baseline]
        scores = {baseline.commit: baseline.score}
        for thread in results:
            known = thread.known or self._known(thread, scores)
            if thread.screen is not None:  # else it hangs together with others' scores
                thread.known = known
            heard.append(known)
            scores.setdefault(known.commit, known.score)
        commits = {each.commit for each in heard}
        heard += [each for commit, each in self._remembered.items() if commit not in commits]
        return tuple(heard)

    def open_hypotheses(self, assigned: frozenset[str] = frozenset()) -> tuple[OpenHypothesis, ...]:
        """Return others' hypotheses whose result is still to be heard, oldest first.

        One that its proposer took back, because it was not measured, will never have a result.
        Those `assigned` are this agent's to review.
        """
        return tuple(
            OpenHypothesis(thread.post, thread.is_reviewed_by_me, thread.hypothesis in assigned)
            for thread in self._ordered()
            if thread.post is not None and thread.is_open and thread.author != self._me
        )

    def open_claims(self) -> tuple[OpenClaim, ...]:
        """Return others' results that are still to be confirmed, oldest first."""
        claims: list[OpenClaim] = []
        for thread in self._ordered():
            if thread.screen is None or thread.status not in CLAIMABLE:
                continue
            first = thread.screen.evidence
            is_mine = thread.author == self._me
            # The lab confirms a claim once; a second word on it means that this was done.
            is_done = bool(thread.reported_by - {thread.author})
            is_given_up = thread.hypothesis in self._given_up or self._me in thread.withdrawn_by
            if is_mine or is_done or not thread.commit or is_given_up:
                continue
            if first.score is None or first.gain is None:
                continue
            claims.append(
                OpenClaim(
                    hypothesis=thread.hypothesis,
                    commit=thread.commit,
                    author=thread.author,
                    status=thread.status,
                    score=first.score,
                    gain=first.gain,
                    is_claimed=bool(thread.claimed_by - thread.withdrawn_by - {self._me}),
                )
            )
        return tuple(claims)

    def challenges(self) -> tuple[OpenClaim, ...]:
        """Return others' reproduced results that this agent has not measured, oldest first."""
        return tuple(
            OpenClaim(
                hypothesis=thread.hypothesis,
                commit=thread.commit,
                author=thread.author,
                status=thread.status,
                score=first.score,
                gain=first.gain,
                is_claimed=False,
            )
            for thread in self._ordered()
            if thread.status == "reproduced" and thread.commit and thread.screen is not None
            for first in (thread.screen.evidence,)
            if first.score is not None and first.gain is not None
            if self._me not in {thread.author} | thread.reported_by | thread.withdrawn_by
            if thread.hypothesis not in self._given_up
        )

    def failures(self) -> tuple[Post, ...]:
        """Return the newest failure post of each hypothesis that has one, oldest first."""
        return tuple(sorted(self._failures.values(), key=lambda post: post.seq))

    def open_leads(self, workable: Mapping[str, float]) -> tuple[OpenLead, ...]:
        """Return the leads heard of that are `workable` (post id -> seconds held), oldest first."""
        return tuple(
            OpenLead(post, workable[post_id], post.author == self._me)
            for post_id, post in sorted(self._leads.items(), key=lambda each: each[1].seq)
            if post_id in workable
        )

    def unsettled_own(self) -> tuple[tuple[str, str], ...]:
        """Return (hypothesis, verdict id) of own results that somebody may yet confirm."""
        return tuple(
            (thread.hypothesis, thread.screen.evidence.verdict_id)
            for thread in self._ordered()
            if thread.author == self._me
            and thread.screen is not None
            and thread.status in CLAIMABLE
        )

    def unfinished_runs(self) -> tuple[Post, ...]:
        """Return own hypotheses that were posted but never reported on, oldest first."""
        return tuple(
            thread.post
            for thread in self._ordered()
            if thread.post is not None
            and thread.author == self._me
            and self._me not in thread.reported_by | thread.withdrawn_by
        )

    def unfinished_reproductions(self) -> tuple[Post, ...]:
        """Return own claims of reproductions that were never reported on, oldest first."""
        return tuple(
            post
            for target, post in self._own_claims.items()
            if target not in self._leads
            and self._me not in self._threads[target].reported_by
            and self._me not in self._threads[target].withdrawn_by
        )

    def confirmations(self) -> int:
        """Return how many ended reproductions were heard of: reports by others than the proposer's.

        Failed ones count, for they cost the same.
        """
        return sum(bool(t.reported_by - {t.author}) for t in self._threads.values())

    def usual_run_s(self) -> float | None:
        """Return the median seconds of run time from a visible hypothesis to its first result."""
        durations = [
            (thread.screen.at_us - thread.post.at_us) / 1e6
            for thread in self._ordered()
            if thread.post is not None and thread.screen is not None
            if thread.post.at_us and thread.screen.at_us
        ]
        durations = [each for each in durations if each >= 0]
        return median(durations[-RECENT_RUNS:]) if durations else None

    def _thread(self, hypothesis: str, seq: int) -> Thread:
        thread = self._threads.get(hypothesis)
        if thread is None:
            thread = self._threads[hypothesis] = Thread(hypothesis, seq)
            self._order = None
        if seq < thread.first_seq:
            thread.first_seq, self._order = seq, None
        return thread

    def _stamp(self, echo: Post) -> None:
        """Note when one's own post was recorded: local clocks know nothing of earlier lives."""
        body = echo.body
        if echo.author != self._me:
            return
        if isinstance(body, Hypothesis):
            self._threads[echo.post_id].post = echo
            self._threads[echo.post_id].change()
        elif isinstance(body, (Finding, Failure)):
            if isinstance(body, Failure):
                self._failures[body.hypothesis] = echo  # with what the clerk filled in
            self._threads[body.hypothesis].change()
            results = self._threads[body.hypothesis].results
            results[:] = [
                replace(each, at_us=echo.at_us) if each.seq == echo.seq else each
                for each in results
            ]

    def _ordered(self) -> list[Thread]:
        if self._order is None:
            self._order = sorted(self._threads.values(), key=lambda thread: thread.first_seq)
        return self._order

    def _fold_hypothesis(self, post: Post, body: Hypothesis) -> None:
        thread = self._thread(post.post_id, post.seq)
        thread.change()
        thread.post = post
        thread.commit = thread.commit or (body.commit or "")
        thread.parents = thread.parents or tuple(body.parents)
        thread.changes = thread.changes or dict(body.knobs)
        if post.author == self._me:
            self._proposed += 1

    def _fold_result(self, post: Post, body: Finding | Failure) -> None:
        thread = self._thread(body.hypothesis, post.seq)
        thread.commit = thread.commit or (body.commit or "")
        thread.parents = thread.parents or tuple(body.parents)
        thread.changes = thread.changes or dict(body.knobs)
        thread.change()
        thread.results.append(Result(post.seq, post.at_us, post.author, body.evidence))
        thread.results.sort(key=lambda result: result.seq)

    def _known(self, thread: Thread, scores: Mapping[str, float | None]) -> Known:
        latest = thread.results[-1].evidence
        first = thread.screen.evidence if thread.screen is not None else latest
        score = first.score
        if thread.screen is None:
            score = self._carried_over(thread, latest, scores)
        return Known(
            commit=thread.commit,
            parents=thread.parents,
            hypothesis=thread.hypothesis,
            author=thread.author,
            outcome="ok" if first.outcome == "ok" else "invalid",
            score=score,
            status=thread.status,
            gain=latest.gain if latest.gain is not None else first.gain,
            changes=thread.changes,
            is_readable=bool(thread.commit),
        )

    def _carried_over(
        self, thread: Thread, latest: Evidence, scores: Mapping[str, float | None]
    ) -> float | None:
        """Return a score comparable with the others for a commit known by its confirmation only.

        Confirmations are measured on another split, so the gain is put on the parent's score.
        """
        parent = scores.get(thread.parents[0]) if thread.parents else None
        if parent is None or latest.gain is None:
            return latest.score
        better = -1.0 if self._briefing.direction == "lower" else 1.0
        return parent + better * latest.gain
