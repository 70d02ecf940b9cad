"""Sections: what is new to an agent, told in so many tokens, the most relevant and newest first.

Each section has a share of the tokens; what one leaves, the next may use. Numbers and statuses are
from the record; what somebody wrote stands in quotations. Next: `agents.minds.prompting`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from agents.minds.prompt_files import phrase
from agents.minds.quoting import quoted, seen, shortened, tokens_of
from agents.observation import Known, KnownFailure, Observation, OpenClaim
from forum.messages import Comment, Failure, Finding, Hypothesis, Lead, Post, Review

PATCH_TOKENS = 1_500
"""Of one post's diff at most; beyond, its middle is left out."""
TEXT_TOKENS = 500
"""Of one post's words at most."""
MOST_ROWS = 60
"""Rows of a list at most, whatever room there is."""

Section = Callable[[Observation, int], str]


def live_sections(observation: Observation, tokens: int) -> list[str]:
    """Return the sections that have something to say, within `tokens` together."""
    order: Sequence[tuple[float, Section]] = (
        (0.05, _faults),
        (0.20, _notebook),
        (0.25, to_review),
        (0.30, results),
        (0.20, claims),
        (0.40, _failures),
        (0.30, _leads),
        (1.00, _posts),
    )
    told: list[str] = []
    for share, section in order:
        text = section(observation, round(share * tokens))
        if text:
            told.append(text)
            tokens = max(0, tokens - tokens_of(text))
    return told


def _faults(observation: Observation, tokens: int) -> str:
    if not observation.faults:
        return ""
    words = shortened("\n".join(observation.faults), tokens)
    return f"{phrase('faults')}\n" + quoted("refusals", words)


def _notebook(observation: Observation, tokens: int) -> str:
    if not observation.notebook.strip():
        return phrase("no_notebook")
    text = shortened(observation.notebook, max(tokens, 200))
    return f"{phrase('notebook')}\n" + quoted("notebook", text, author=observation.agent)


def to_review(observation: Observation, tokens: int) -> str:
    """Return the hypotheses that the agent is asked to review and has not."""
    asked = [
        each.post
        for each in observation.open_hypotheses
        if each.is_mine_to_review and not each.is_reviewed_by_me
    ]
    shown = fitting((quoted_post(post) for post in asked), tokens)
    return _headed(phrase("to_review"), shown)


def results(observation: Observation, tokens: int) -> str:
    """A table of what was measured: what was found good first, each part newest first."""
    lower = observation.briefing.direction == "lower"
    ranks = {"reproduced": 0, "improved": 1, "undecided": 2}

    def rank(item: tuple[int, Known]) -> tuple[int, float, int]:
        index, each = item
        group = ranks.get(each.status, 3) if each.hypothesis else 0
        score = each.score or 0.0
        return (group, (score if lower else -score) if group < 3 else 0.0, -index)

    ordered = [each for _, each in sorted(enumerate(observation.known), key=rank)]
    rows = fitting((result_row(each, observation) for each in ordered[:MOST_ROWS]), tokens)
    if not rows:
        return ""
    number, name = len(observation.known), "results"
    if len(rows) == number:
        name = "all_results"
    head = phrase(name, number=number, shown=len(rows))
    return f"{head}\n" + quoted("results", "\n".join(rows))


def result_row(each: Known, observation: Observation) -> str:
    """Return what is known of one measured commit as a line; belongs into a quotation."""
    score = "did not run" if each.score is None else f"score {each.score:.5g}"
    if each.score is not None and math.isnan(each.score):
        score = phrase("not_measured_yet").strip("()")
    gain = "" if each.gain is None else f", gain {each.gain:+.5g}"
    parent = f" over {each.parents[0][:10]}" if each.gain is not None and each.parents else ""
    mine = "you" if each.author == observation.agent else each.author
    what = f", {each.hypothesis}" if each.hypothesis else ", the unmodified start"
    readable = "" if each.commit in observation.trees else ", diff not seen"
    return (
        f"{each.commit[:10]} by {mine}{what}: {each.status}, {score}{gain}{parent}"
        f"{_changes(each.changes)}{readable}"
    )


def claims(observation: Observation, tokens: int) -> str:
    """Return what the agent may confirm, for one that may."""
    if "reproduce" not in observation.rights:
        return ""
    claims = sorted(observation.open_claims, key=lambda each: (each.is_claimed, -each.gain))
    told = _headed(phrase("claims"), fitting(map(_claim, claims[:MOST_ROWS]), tokens))
    standing = sorted(observation.challenges, key=lambda each: -each.gain)[:MOST_ROWS]
    rows = fitting(map(_claim, standing), tokens - tokens_of(told))
    return "\n\n".join(text for text in (told, _headed(phrase("challenges"), rows)) if text)


def _claim(each: OpenClaim) -> str:
    taken = ", somebody has claimed it" if each.is_claimed else ""
    return (
        f"{each.hypothesis} by {each.author}: commit {each.commit[:10]}, {each.status}, "
        f"gain {each.gain:+.5g}{taken}"
    )


def _failures(observation: Observation, tokens: int) -> str:
    """What did not help, newest first; what may be tried again after the rest."""
    newest = [*reversed(observation.failures)]
    ordered = sorted(newest, key=lambda each: each.is_expired)
    rows = fitting((_failure(each) for each in ordered[:MOST_ROWS]), tokens)
    if not rows:
        return ""
    return f"{phrase('failures')}\n" + quoted("failures", "\n".join(rows))


def _failure(each: KnownFailure) -> str:
    came = "did not run" if each.gain is None else f"gain {each.gain:+.5g}"
    where = each.conditions
    under = (
        ""
        if where is None
        else f"; on tree {where.parent_tree[:10]}, {where.budget}, {where.device_class}"
    )
    if where is not None and where.around:
        under += f", around {_spelt(where.around)}"
    again = "; conditions have changed, it may be tried again" if each.is_expired else ""
    return f"{each.hypothesis} by {each.author}: {came}{_changes(each.changes)}{under}{again}"


def _leads(observation: Observation, tokens: int) -> str:
    if not {"propose", "lead"} & observation.rights:
        return ""
    mine_first = sorted(observation.open_leads, key=lambda each: each.held_s <= 0.0)
    shown = fitting(
        (
            quoted_post(each.post, held=f"by you for {each.held_s:.0f} s" if each.held_s else "no")
            for each in mine_first
        ),
        tokens,
    )
    return _headed(phrase("leads"), shown)


def _posts(observation: Observation, tokens: int) -> str:
    """What was said: first what concerns the agent's own threads, then the rest, newest first."""
    me = observation.agent
    own = {post.post_id for post in observation.posts if post.author == me}
    told = {each.post.post_id for each in observation.open_hypotheses if each.is_mine_to_review}
    told |= {each.post.post_id for each in observation.open_leads}
    others = [post for post in observation.posts if post.author != me and post.post_id not in told]
    newest = others[::-1]
    ordered = sorted(newest, key=lambda post: (thread_of(post) not in own, _weight(post)))
    heard = {post.post_id for post in observation.posts}
    shown = fitting((quoted_post(post, thread_of(post) not in heard) for post in ordered), tokens)
    return _headed(phrase("posts"), shown)


def thread_of(post: Post) -> str:
    """Return the first post of the thread that `post` is said in; empty for a first post."""
    return post.thread or getattr(post.body, "hypothesis", "") or ""


def _weight(post: Post) -> int:
    """Rank kinds of posts: what was shown tells more than what is meant or said."""
    return 0 if isinstance(post.body, (Finding, Failure, Hypothesis)) else 1


def quoted_post(post: Post, is_alone: bool = True, /, **facts: str) -> str:
    """Return one post as a quotation; what is on record about it stands in its first line.

    A result carries its diff again; it is shown where its hypothesis `is_alone` in not being there.
    """
    body = post.body
    words: list[str] = []
    if isinstance(body, (Hypothesis, Lead)):
        words.append(body.title)
    if isinstance(body, Hypothesis):
        sure = body.prediction.confidence
        facts["expects"] = f"{body.prediction.gain:+.5g} with probability {sure:.2g}"
        words.append(shortened(body.rationale, TEXT_TOKENS))
    if isinstance(body, (Finding, Failure)):
        facts |= {"hypothesis": body.hypothesis, "verdict": body.evidence.verdict_id}
        facts["status"] = body.evidence.status
        if body.evidence.gain is not None:
            facts["gain"] = f"{body.evidence.gain:+.5g}"
    if isinstance(body, Review):
        facts |= {"hypothesis": body.hypothesis, "opinion": body.opinion}
        facts["reproduced"] = f"{body.forecast.reproduced:.2g}"
    if isinstance(body, (Finding, Failure, Review, Lead, Comment)):
        words.append(shortened(body.text, TEXT_TOKENS))
    if isinstance(body, (Hypothesis, Finding, Failure, Lead)) and body.knobs:
        words.append(f"knobs: {_spelt(body.knobs)}")
    if isinstance(body, (Hypothesis, Finding, Failure)):
        facts["commit"] = (body.commit or "not shown")[:10]
    if isinstance(body, Hypothesis) or (isinstance(body, (Finding, Failure)) and is_alone):
        words.append(shortened(body.patch, PATCH_TOKENS))
    if isinstance(body, Failure) and body.log_tail and body.evidence.outcome == "invalid":
        words.append("end of its log:\n" + shortened(body.log_tail, TEXT_TOKENS))
    if post.thread:
        facts["thread"] = post.thread
    text = "\n".join(word for word in words if word)
    return quoted("post", text, id=post.post_id, kind=body.kind, author=post.author, **facts)


def _changes(changes: Mapping[str, object]) -> str:
    return f", {_spelt(changes)}" if changes else ""


def _spelt(values: Mapping[str, object]) -> str:
    """Return knob values as one line; names and values are whatever somebody wrote."""
    line = json.dumps(dict(values), ensure_ascii=False, sort_keys=True)
    return " ".join(seen(line).split())[:400]


def fitting(texts: Iterable[str], tokens: int) -> list[str]:
    """Return those of `texts`, in order, that fit into what `tokens` the ones before left."""
    fitting: list[str] = []
    for text in texts:
        size = tokens_of(text) + 1
        if size > tokens:
            continue  # a smaller one may still fit
        fitting.append(text)
        tokens -= size
    return fitting


def _headed(head: str, texts: Sequence[str]) -> str:
    return "\n".join([head, *texts]) if texts else ""
