"""Quotas: what a role grants, held against what the ledger says was used of it.

Asked where actions are taken, by the clerk for posts and by the lab for experiments, so they hold
for every mind: in this process, elsewhere, or a client of somebody's own. A hypothesis is an
experiment asked for, and so is a claim to reproduce one; what came of experiments may always be
reported. Who has no quota costs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agents.roles import Quotas
from community.archive.state import RunState

HOUR_US: Final = 3_600_000_000
_REPORTS: Final = ("finding", "failure")


def has_used_up(state: RunState, agent: str, quotas: Quotas) -> bool:
    """Whether `agent` may never ask for another experiment."""
    if quotas.experiments is not None and _asked(state, agent) >= quotas.experiments:
        return True
    return quotas.posts is not None and len([*_said(state, agent)]) >= quotas.posts


def refuses_experiment(state: RunState, agent: str, quotas: Quotas, now_us: int) -> str:
    """Say why `agent` may not ask for another experiment now; empty when it may.

    What it may not post, the hypothesis, it may not have measured either.
    """
    if quotas.experiments is not None and _asked(state, agent) >= quotas.experiments:
        return f"the {quotas.experiments} experiments of {agent} are used up"
    if quotas.experiments_per_hour is not None:
        times = [at_us for at_us, body in _said(state, agent) if _is_experiment(state, body)]
        if why := _too_soon(times, quotas.experiments_per_hour, now_us):
            return f"{agent} has asked for {quotas.experiments_per_hour} experiments {why}"
    return _refuses_words(state, agent, quotas, now_us)


def refuses_post(
    state: RunState, agent: str, quotas: Quotas, body: Mapping[str, Any], now_us: int
) -> str:
    """Say why a post of `agent` is not taken; empty when it is.

    Args:
        state: The fold of the ledger.
        agent: Whose it is.
        quotas: Those of his role.
        body: The post's, as the ledger would hold it.
        now_us: Run time.
    """
    if quotas == Quotas() or body["kind"] in _REPORTS:
        return ""
    if _is_experiment(state, body):
        return refuses_experiment(state, agent, quotas, now_us)
    return _refuses_words(state, agent, quotas, now_us)


def refuses_reproduction(state: RunState, agent: str, quotas: Quotas, hypothesis: str) -> str:
    """Say why the lab begins no reproduction for `agent`; empty when it does.

    Its claim is a post, by which reproductions are counted; so there must be one.
    """
    if quotas.experiments is None and quotas.experiments_per_hour is None:
        return ""
    has_claimed = any(
        body["kind"] == "claim" and body["target"] == hypothesis for _, body in _said(state, agent)
    )
    if has_claimed:
        return ""
    return f"claim {hypothesis!r} by a post first: the experiments of {agent} are counted by those"


def _refuses_words(state: RunState, agent: str, quotas: Quotas, now_us: int) -> str:
    if quotas.posts is None and quotas.posts_per_hour is None:
        return ""
    times = [at_us for at_us, _ in _said(state, agent)]
    if quotas.posts is not None and len(times) >= quotas.posts:
        return f"the {quotas.posts} posts of {agent} are used up; report results, nothing else"
    most = quotas.posts_per_hour
    why = "" if most is None else _too_soon(times, most, now_us)
    return f"{agent} has written {most} posts {why}" if why else ""


def _asked(state: RunState, agent: str) -> int:
    return sum(_is_experiment(state, body) for _, body in _said(state, agent))


def _is_experiment(state: RunState, body: Mapping[str, Any]) -> bool:
    kind = body["kind"]
    return kind == "hypothesis" or (kind == "claim" and body["target"] in state.hypotheses)


def _said(state: RunState, agent: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield when an agent's posts were recorded, and their bodies; reports of results left out."""
    for post in state.posts.values():
        if post.posted.author == agent and post.posted.body["kind"] not in _REPORTS:
            yield post.at_us, post.posted.body


def _too_soon(times_us: list[int], most: int, now_us: int) -> str:
    """Say how long to wait where `most` of these times lie within the last hour."""
    if len(times_us) < most or times_us[-most] <= now_us - HOUR_US:
        return ""
    wait_s = -(-(times_us[-most] + HOUR_US - now_us) // 1_000_000)
    return f"within an hour, the most that its role grants; wait {wait_s} s"
