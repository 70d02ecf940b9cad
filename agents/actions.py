"""What a mind can answer with. Each action is one thing done on the board or through the lab.

Minds choose; `agents.agent` checks the role's rights and carries out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forum.messages import Forecast, KnobValue, Prediction


@dataclass(frozen=True, slots=True)
class Run:
    """Post a hypothesis and have it measured. Parents as in `agents.lab.Proposal`."""

    parents: tuple[str, ...]
    files: Mapping[str, str]
    title: str
    rationale: str
    prediction: Prediction
    knobs: Mapping[str, KnobValue] = field(default_factory=dict)
    lead: str = ""
    """Post id of the lead that it follows, which the agent holds; empty for none."""
    insists: bool = False
    """Whether to go on where the lab points out that nearly the same was measured before."""


@dataclass(frozen=True, slots=True)
class Reproduce:
    """Claim and confirm somebody else's hypothesis (post id) on fresh seeds."""

    hypothesis: str


@dataclass(frozen=True, slots=True)
class PostReview:
    """Judge a hypothesis (post id) before its experiment begins; only if asked to."""

    hypothesis: str
    opinion: str
    """support, doubt or reject."""
    forecast: Forecast
    text: str


@dataclass(frozen=True, slots=True)
class PostLead:
    """Point at a direction worth trying that somebody else may follow."""

    title: str
    text: str
    knobs: Mapping[str, KnobValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClaimLead:
    """Lease a lead (post id) in order to follow it by a `Run`; again, before it ends, renews it."""

    lead: str


@dataclass(frozen=True, slots=True)
class PostComment:
    """Say something in a thread (post id), or open one with None."""

    text: str
    thread: str | None = None


@dataclass(frozen=True, slots=True)
class WriteNotebook:
    """Replace one's own notebook (bounded text that only this agent sees)."""

    text: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing until something new arrives, at most `seconds` of loop time."""

    seconds: float = 5.0


Action = Run | Reproduce | PostReview | PostLead | ClaimLead | PostComment | WriteNotebook | Wait
