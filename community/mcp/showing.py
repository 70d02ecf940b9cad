"""Showing: what a client may read, each thing as one bounded answer.

Everything comes from the agent's own feed and its own lab, which the institution serves; there is
no other source. What somebody wrote is quoted exactly as in the prompts of `agents.minds`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from agents.called_agent import CalledAgent
from agents.errors import LabError
from agents.lab import Outcome
from agents.memory import WITHDRAWAL
from agents.minds.parsing import UnusableError, readable
from agents.minds.prompting import chosen_parent, code_text, left_words, make_prompt
from agents.minds.quoting import quoted, seen, shortened, tokens_of
from agents.minds.sections import (
    claims,
    fitting,
    live_sections,
    quoted_post,
    result_row,
    results,
    thread_of,
    to_review,
)
from agents.observation import Observation, OpenHypothesis
from community.mcp.answers import ANSWER_TOKENS, Answer, CallRefusedError
from community.plain_text import one_line
from forum.messages import Comment, Failure, Finding, Hypothesis, Lead, Post

OBSERVE_TOKENS = 6_000
MOST_THREADS = 60
MOST_FACTS = 200
"""Commits of which a program is told beside the words."""
LONGEST_WAIT_S = 300.0
LOG_TOKENS = 1_500
_PAGE_TOKENS = ANSWER_TOKENS - 200


async def briefing(agent: CalledAgent) -> Answer:
    """Tell the task, the role and what is left."""
    sight = await agent.look()
    prompt = make_prompt(sight)
    facts = {
        "agent": sight.agent,
        "role": sight.role,
        "rights": sorted(sight.rights),
        "baseline": sight.briefing.baseline_commit,
        "direction": sight.briefing.direction,
    }
    return Answer("\n".join([prompt.role, prompt.task, left_words(sight, "")]).strip(), facts)


async def observe(agent: CalledAgent) -> Answer:
    """Tell what a mind of the community would be told in its turn, but for the code."""
    sight = await agent.look()
    parent = chosen_parent(sight)
    told = live_sections(sight, OBSERVE_TOKENS)
    build = "" if parent is None else f"Edits without another parent are made on {parent.commit}."
    text = "\n\n".join(each for each in (*told, build, left_words(sight, "")) if each)
    facts = {
        "turn": sight.turn,
        "parent": "" if parent is None else parent.commit,
        "review": [each.post.post_id for each in sight.open_hypotheses if _is_mine(each)],
        "claims": [each.hypothesis for each in sight.open_claims if not each.is_claimed],
        "challenges": [each.hypothesis for each in sight.challenges],
        "leads": [each.post.post_id for each in sight.open_leads],
        "commits": [each.commit for each in sight.known if each.commit in sight.trees],
        "under_way": [*agent.under_way()],
        "experiments_left": sight.remaining_experiments,
    }
    return Answer(text, facts)


async def threads(agent: CalledAgent) -> Answer:
    """List threads, those in which something was said last first."""
    posts = await agent.posts()
    grouped: dict[str, list[Post]] = {}
    for post in posts:
        root = thread_of(post) or post.post_id
        grouped[root] = [*grouped.pop(root, ()), post]
    newest = [*grouped.items()][::-1]
    rows = fitting((_thread_row(*each) for each in newest[:MOST_THREADS]), _PAGE_TOKENS)
    if not rows:
        return Answer("No post has reached you yet.", {"threads": []})
    head = f"Threads that have reached you, {len(grouped)} in all; the newest {len(rows)}:"
    return Answer(
        f"{head}\n" + quoted("threads", "\n".join(rows)),
        {"threads": [root for root, _ in newest[:MOST_THREADS]]},
    )


async def thread(agent: CalledAgent, post: str, part: int = 1) -> Answer:
    """Show the posts of one thread, oldest first, a part at a time."""
    posts = await agent.posts()
    named = next((each for each in posts if each.post_id == post), None)
    root = post if named is None else thread_of(named) or post
    inside = [each for each in posts if root in (each.post_id, thread_of(each))]
    if not inside:
        raise CallRefusedError(f"no post {post[:64]!r} has reached you; call threads for a list")
    parts = _pages(_whole(each) for each in inside)
    if not 1 <= part <= len(parts):
        raise CallRefusedError(f"thread {root} has parts 1 to {len(parts)}, not {part}")
    more = f"\nPart {part} of {len(parts)}." if len(parts) > 1 else ""
    facts = {"posts": [each.post_id for each in inside], "parts": len(parts)}
    return Answer(
        f"Thread {root}, {len(inside)} posts:\n" + "\n".join(parts[part - 1]) + more, facts
    )


async def code(agent: CalledAgent, commit: str = "", path: str = "", line: int = 1) -> Answer:
    """Show the files of a commit, or as much of one file from a line on as fits."""
    sight = await agent.look()
    chosen = readable(commit, sight) if commit else chosen_parent(sight)
    if chosen is None:
        raise CallRefusedError("no code has reached you yet; wait_for_news")
    facts = {"commit": chosen.commit, "paths": sorted(sight.trees[chosen.commit])}
    if not path:
        return Answer(code_text(sight, chosen, _PAGE_TOKENS), facts)
    tree = sight.trees[chosen.commit]
    if path not in tree:
        there = ", ".join(one_line(each, 80) for each in sorted(tree))
        raise CallRefusedError(f"{chosen.commit[:10]} has no file {path[:80]!r}; it has: {there}")
    lines = tree[path].split("\n")
    if not 1 <= line <= len(lines):
        raise CallRefusedError(f"the file has lines 1 to {len(lines)}, not {line}")
    shown = _pages(shortened(each, 2_000) for each in lines[line - 1 :])[0]
    head = f"Lines {line} to {line - 1 + len(shown)} of {len(lines)}, commit {chosen.commit}:"
    return Answer(f"{head}\n" + quoted("file", "\n".join(shown), path=path), facts)


async def leaderboard(agent: CalledAgent) -> Answer:
    """Rank what has reached the agent, the baseline among it."""
    sight = await agent.look()
    facts = {
        "commits": [
            {
                "commit": each.commit, "author": each.author, "hypothesis": each.hypothesis,
                "status": each.status, "score": each.score, "gain": each.gain,
            }
            for each in sight.known[-MOST_FACTS:]
        ]
    }  # fmt: skip
    direction = f"{sight.briefing.metric} in {sight.briefing.unit}, {sight.briefing.direction}"
    return Answer(f"{direction} is better. " + results(sight, _PAGE_TOKENS), facts)


async def queue(agent: CalledAgent) -> Answer:
    """Tell what waits: of the agent's own, for its review, for its confirmation, of others."""
    sight = await agent.look()
    mine = agent.under_way()
    waiting = [each.post for each in sight.open_hypotheses]
    rows = fitting((_waiting_row(post) for post in waiting[::-1]), _PAGE_TOKENS // 4)
    others = quoted("hypotheses", "\n".join(rows)) if rows else ""
    texts = [
        _busy_words(mine),
        to_review(sight, _PAGE_TOKENS // 3),
        claims(sight, _PAGE_TOKENS // 3),
        f"Hypotheses of others without a result, the newest first:\n{others}" if others else "",
        left_words(sight, ""),
    ]
    facts = {"under_way": [*mine], "open": [post.post_id for post in waiting]}
    return Answer("\n\n".join(text for text in texts if text), facts)


async def verdict(agent: CalledAgent, hypothesis: str) -> Answer:
    """Tell what came of a hypothesis, as far as that has reached the agent."""
    sight = await agent.look()
    known = next((each for each in sight.known if each.hypothesis == hypothesis != ""), None)
    if known is None:
        return _without_verdict(agent, sight, hypothesis)
    reports = [
        post
        for post in await agent.posts()
        if isinstance(post.body, (Finding, Failure)) and post.body.hypothesis == hypothesis
    ]
    ids = dict.fromkeys(
        post.body.evidence.verdict_id
        for post in reports
        if isinstance(post.body, (Finding, Failure))
    )
    told = [outcome for each in ids if (outcome := await agent.outcome(each)) is not None]
    texts = [
        quoted("results", result_row(known, sight)),
        *(_outcome_words(each) for each in told[-1:]),
        *fitting((_whole(post) for post in reports), _PAGE_TOKENS // 2),
    ]
    facts = {
        "hypothesis": hypothesis, "commit": known.commit, "status": known.status,
        "outcome": known.outcome, "score": known.score, "gain": known.gain,
    }  # fmt: skip
    return Answer("\n".join(texts), facts)


async def notebook(agent: CalledAgent) -> Answer:
    """Show the agent's notebook."""
    text = agent.notebook
    if not text.strip():
        return Answer("Your notebook is empty.", {"characters": 0})
    return Answer(quoted("notebook", text, author=agent.name), {"characters": len(text)})


class News:
    """What has happened since a client was last told."""

    def __init__(self, agent: CalledAgent) -> None:
        self._agent = agent
        self._told = 0
        """How many posts had arrived when it was last told."""
        self._was_busy = False

    async def wait(self, seconds: float = 45.0, after: int | None = None) -> Answer:
        """Tell what is new, once there is something, or after so many seconds that nothing is.

        Args:
            seconds: How long to wait, at most `LONGEST_WAIT_S`.
            after: The cursor of an earlier answer; None: of the last.
        """
        loop = asyncio.get_running_loop()
        seconds = min(max(seconds, 0.0), LONGEST_WAIT_S)
        until = loop.time() + seconds
        since = self._told if after is None else after
        while True:
            busy = self._agent.under_way()
            arrived, posts = await self._agent.since(since)
            news = [post for post in posts if self._is_news(post)]
            if news or (self._was_busy and not busy):
                break
            self._was_busy, since = bool(busy), arrived
            left_s = until - loop.time()
            if left_s <= 0.0:
                self._told = arrived
                return Answer(_nothing(seconds, busy), _facts(arrived, (), busy))
            await self._agent.wait_for_change(left_s)
        self._was_busy, self._told = bool(busy), arrived
        return await self._tell(arrived, news, busy)

    async def _tell(self, arrived: int, news: Sequence[Post], busy: tuple[str, ...]) -> Answer:
        sight = await self._agent.look()
        shown = fitting((_whole(post) for post in news[::-1]), _PAGE_TOKENS - 1_500)
        fit = "" if len(shown) == len(news) else f"; {len(shown)} fit here, threads lists all"
        texts = [
            f"{len(news)} new posts, the newest first{fit}:",
            *shown,
            quoted("refusals", shortened("\n".join(sight.faults), 400)) if sight.faults else "",
            to_review(sight, 1_000),
            _busy_words(busy),
        ]
        told = [post.post_id for post in news]
        return Answer("\n".join(text for text in texts if text), _facts(arrived, told, busy))

    def _is_news(self, post: Post) -> bool:
        """Whether the agent does not know it already: what it was told to say it knows."""
        if post.author != self._agent.name or isinstance(post.body, (Finding, Failure)):
            return True
        return isinstance(post.body, Comment) and post.message_id.endswith(WITHDRAWAL)


def _busy_words(busy: Sequence[str]) -> str:
    if not busy:
        return "Nothing of yours is waiting."
    return f"Being measured for you: {', '.join(busy)}."


def _nothing(seconds: float, busy: Sequence[str]) -> str:
    return f"Nothing new in {seconds:.0f} s. {_busy_words(busy)}"


def _facts(cursor: int, posts: Sequence[str], busy: Sequence[str]) -> dict[str, object]:
    return {"cursor": cursor, "posts": [*posts], "under_way": [*busy]}


def _is_mine(each: OpenHypothesis) -> bool:
    return each.is_mine_to_review and not each.is_reviewed_by_me


def _without_verdict(agent: CalledAgent, sight: Observation, hypothesis: str) -> Answer:
    facts = {"hypothesis": hypothesis, "status": "", "score": None, "gain": None}
    if hypothesis in agent.under_way():
        return Answer(f"{hypothesis} is waiting, or being measured; wait_for_news.", facts)
    if any(each.post.post_id == hypothesis for each in sight.open_hypotheses):
        return Answer(f"No result of {hypothesis} has reached you.", facts)
    if any(each.post_id == hypothesis for each in sight.posts):
        return Answer(f"{hypothesis} has no verdict; read_thread says why.", facts)
    known = ", ".join(each.hypothesis for each in sight.known[-12:] if each.hypothesis)
    raise CallRefusedError(
        f"no hypothesis {hypothesis[:64]!r} has reached you; there are: {known or 'none yet'}"
    )


def _outcome_words(outcome: Outcome) -> str:
    score = "no score" if outcome.score is None else f"score {outcome.score:.5g}"
    gain = "" if outcome.gain is None else f", gain {outcome.gain:+.5g}"
    words = f"The lab's record: {outcome.outcome}, {outcome.status}, {score}{gain}."
    if outcome.reason:
        words += f" Reason: {one_line(outcome.reason, 200)}."
    if outcome.log_tail:
        words += "\n" + quoted("log", shortened(outcome.log_tail, LOG_TOKENS))
    return words


def _whole(post: Post) -> str:
    return quoted_post(post)


def _title(post: Post) -> str:
    body = post.body
    if isinstance(body, (Hypothesis, Lead)):
        return body.title
    return body.text if isinstance(body, Comment) else ""


def _thread_row(root: str, posts: Sequence[Post]) -> str:
    first = next((post for post in posts if post.post_id == root), posts[0])
    titled = one_line(seen(_title(first)), 120)
    many = "1 post" if len(posts) == 1 else f"{len(posts)} posts"
    return f"{root}, {first.body.kind} by {first.author}, {many}: {titled}"


def _waiting_row(post: Post) -> str:
    return f"{post.post_id} by {post.author}: {one_line(seen(_title(post)), 120)}"


def _pages(texts: Iterable[str]) -> list[list[str]]:
    """Return `texts` in order, in parts that fit into an answer."""
    pages: list[list[str]] = [[]]
    left = _PAGE_TOKENS
    for text in texts:
        size = tokens_of(text) + 1
        if size > left and pages[-1]:
            pages.append([])
            left = _PAGE_TOKENS
        pages[-1].append(text)
        left -= size
    return pages


KNOWN_REFUSALS = (CallRefusedError, UnusableError, LabError)
"""What ends a call and not the server; their words are for the caller."""
