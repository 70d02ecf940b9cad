"""What a mind sees in one turn: a frozen summary of its briefing, its feed and its own results.

Built by `agents.agent` from the posts that reached it and from its own outcomes, nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agents.knobs import Knob
from agents.lab import Briefing
from forum.messages import Conditions, KnobValue, Post


@dataclass(frozen=True, slots=True)
class Known:
    """One measured commit the agent may build on or learn from."""

    commit: str
    parents: tuple[str, ...]
    """Declared parents, the first is what `gain` refers to."""
    hypothesis: str
    """Post id of its hypothesis; empty for the baseline."""
    author: str
    outcome: str
    """ok or invalid."""
    score: float | None
    status: str
    gain: float | None
    changes: Mapping[str, KnobValue]
    """Knobs changed against the first parent, as far as the edge carried them."""
    is_readable: bool
    """Whether a post with the diff reached the agent, so that `files` can be read and copied."""


@dataclass(frozen=True, slots=True)
class OpenHypothesis:
    """A hypothesis posted by somebody else whose result has not reached the agent."""

    post: Post
    is_reviewed_by_me: bool
    is_mine_to_review: bool = False
    """Whether the clerk asked the agent for a review, which is still in time; nobody else's counts.
    """


@dataclass(frozen=True, slots=True)
class OpenClaim:
    """An ``improved`` or ``undecided`` result of somebody else that nobody has confirmed yet."""

    hypothesis: str
    commit: str
    author: str
    status: str
    score: float
    gain: float
    is_claimed: bool
    """Whether a visible claim of another agent names it."""


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """Something that did not help, or did not run, and what it was tried under."""

    hypothesis: str
    commit: str
    author: str
    outcome: str
    """ok or invalid."""
    gain: float | None
    """Over its parent; None where it did not run."""
    changes: Mapping[str, KnobValue]
    """Knobs changed against the first parent, as far as the edge carried them."""
    conditions: Conditions | None
    """None where the edge did not carry them."""
    is_expired: bool
    """Whether conditions have changed (`agents.failures`): it may be tried again."""


@dataclass(frozen=True, slots=True)
class OpenLead:
    """A lead that the agent may claim, or that it holds."""

    post: Post
    held_s: float
    """Seconds for which the agent holds it; 0 where nobody does."""
    is_mine: bool
    """Whether the agent posted it."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything a mind may use to decide."""

    agent: str
    role: str
    turn: int
    """Counts from 0 over the whole run, also across restarts."""
    seed: int
    """Seed of this turn, derived from (run seed, agent, turn); the only source of chance."""
    briefing: Briefing
    knobs: tuple[Knob, ...]
    """Empty for a task without knobs.toml."""
    known: tuple[Known, ...]
    """Own and neighbours' measured commits in order of arrival; the baseline comes first."""
    trees: Mapping[str, Mapping[str, str]]
    """Editable files by path of every readable commit in `known`."""
    open_hypotheses: tuple[OpenHypothesis, ...]
    open_claims: tuple[OpenClaim, ...]
    notebook: str
    remaining_experiments: int | None
    """Of the whole run; None when it has no such limit."""
    idle_s: float = 0.0
    """Seconds of loop time for which the agent has only waited; a bound on holding back."""
    run_s: float | None = None
    """Median seconds from a visible hypothesis to its result; None before the first."""
    confirmations: int = 0
    """Ended reproductions it has heard of, whatever came out."""
    rights: frozenset[str] = frozenset()
    """What the agent's role may do."""
    open_leads: tuple[OpenLead, ...] = ()
    """Leads that it may follow, oldest first."""
    failures: tuple[KnownFailure, ...] = ()
    """Own and neighbours' failures, oldest first, with the conditions that they hold under."""
    posts: tuple[Post, ...] = ()
    """The newest posts that reached it, whole, its own among them; the newest last."""
    charter: str = ""
    """What its role is there for, in words."""
    faults: tuple[str, ...] = ()
    """Why actions of its last turn came to nothing; empty after a restart."""
    turns_left: int | None = None
    """By its role's quota, this one included; None without one."""
    experiments_left: int | None = None
    """Likewise, runs and reproductions that it may still ask for."""
    posts_left: int | None = None
    """Likewise, posts that it may still write."""
    grants: str = ""
    """The role's quotas in words; empty without any."""
    challenges: tuple[OpenClaim, ...] = ()
    """Reproduced results of others in which it had no part, oldest first: it may challenge them."""
