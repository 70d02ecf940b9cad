"""What researchers say: drafts on their way to the clerk, posts as the clerk recorded them.

Bodies are pydantic models because they arrive from outside; everything in them is text or numbers
that another mind wrote, hence data. They say nothing about jobs: a commit or a verdict is an opaque
string here. Next: `forum.codec` puts them on the wire, `forum.visibility` thins them per edge.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1

Carries = Literal["score", "summary", "diff", "everything"]
"""How much of a post an edge lets through, from least to most."""

ShortText = Annotated[str, Field(max_length=300)]
LongText = Annotated[str, Field(max_length=4_000)]
PatchText = Annotated[str, Field(max_length=65_536)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
CommitId = Annotated[str, Field(max_length=64)]
"""A commit, or the empty string where the edge did not carry it."""
KnobValue = float | int | bool | str
Knobs = Annotated[dict[Name, float | int | bool | ShortText], Field(max_length=64)]
KnobNames = Annotated[tuple[Name, ...], Field(max_length=64)]
Parents = Annotated[tuple[Name, ...], Field(max_length=16)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Prediction(_Body):
    """What somebody expects of an experiment before it has run."""

    gain: float
    """Expected gain over the parent in the task's unit; positive means better."""
    confidence: Annotated[float, Field(ge=0, le=1)]
    """Probability that the gain is positive."""


def _ascending(quantiles: tuple[float, float, float]) -> tuple[float, float, float]:
    if not quantiles[0] <= quantiles[1] <= quantiles[2]:
        raise ValueError("give the 10, 50 and 90 % quantiles in this order, none below the last")
    return quantiles


class Forecast(_Body):
    """What a reviewer expects of a hypothesis, were it confirmed on fresh seeds."""

    reproduced: Annotated[float, Field(ge=0, le=1)]
    """Probability that the confirmation reproduces it."""
    gain: Annotated[tuple[float, float, float], AfterValidator(_ascending)]
    """10, 50 and 90 % quantiles of the gain over the declared parent that it measures, in the
    task's unit; positive means better."""
    invalid: Annotated[float, Field(ge=0, le=1)] | None = None
    """Probability that its first run fails: a crash, a limit, a cheat. None says nothing of it."""
    device_s: Annotated[float, Field(gt=0)] | None = None
    """Median of the device-seconds that its first run will be charged; None says nothing of it."""
    screened: Annotated[tuple[float, float, float], AfterValidator(_ascending)] | None = None
    """The same quantiles of the gain that its screen shows, if it runs; None says nothing of it."""


class Evidence(_Body):
    """A cited verdict; the clerk fills it from the ledger and overwrites what the author wrote."""

    verdict_id: Name
    outcome: Literal["ok", "invalid", "interrupted", "scorer_failed"] = "ok"
    score: float | None = None
    status: Name = "measured"
    """measured, not_improved, undecided, improved, reproduced, contested, retracted."""
    gain: float | None = None
    """Gain over the declared parent's mean, positive is better; None when there is no score."""


class Hypothesis(_Body):
    """A claim about a patched tree, made before it runs."""

    kind: Literal["hypothesis"] = "hypothesis"
    title: ShortText
    rationale: LongText = ""
    parents: Parents
    """Commits it builds on; the first one is what the gain is measured against. Empty when the edge
    carries less than the diff."""
    knobs: Knobs = Field(default_factory=dict)
    """Named constants it changes, with their new values; empty for a free-form patch, and when the
    edge carries less than the diff."""
    knob_names: KnobNames = ()
    """Which constants it changes; `forum.visibility` writes it from `knobs`, authors leave it."""
    prediction: Prediction
    commit: CommitId = ""
    """The commit that holds the patched tree; every draft has one."""
    patch: PatchText = ""
    """Unified diff against the first parent."""


class Finding(_Body):
    """What an experiment showed; worth nothing without the verdict it cites."""

    kind: Literal["finding"] = "finding"
    hypothesis: Name
    """Post id of the hypothesis."""
    evidence: Evidence
    text: LongText = ""
    parents: Parents = ()
    knobs: Knobs = Field(default_factory=dict)
    knob_names: KnobNames = ()
    commit: CommitId = ""
    patch: PatchText = ""
    log_tail: LongText = ""


class Conditions(_Body):
    """What an experiment was tried under; the clerk fills it in from the ledger."""

    parent_tree: Name
    """Key of the tree that its gain was measured against."""
    budget: ShortText
    """``10 cpu_seconds``."""
    device_class: ShortText
    """Of the machine, and how fast it was."""
    around: Knobs = Field(default_factory=dict)
    """What all knobs of the tested tree stood at; empty for a task without knobs."""


class Failure(_Body):
    """An experiment that did not help or did not run, with the conditions it was tried under.

    It says something about these alone: once they have changed it has expired.
    """

    kind: Literal["failure"] = "failure"
    hypothesis: Name
    evidence: Evidence
    text: LongText = ""
    parents: Parents = ()
    knobs: Knobs = Field(default_factory=dict)
    knob_names: KnobNames = ()
    commit: CommitId = ""
    patch: PatchText = ""
    log_tail: LongText = ""
    conditions: Conditions | None = None
    """None where the edge carries less than the diff."""


class Review(_Body):
    """A judgement of a hypothesis, by whom the clerk asked for one, before its experiment begins.

    Until then nobody but its author reads it.
    """

    kind: Literal["review"] = "review"
    hypothesis: Name
    opinion: Literal["support", "doubt", "reject"]
    forecast: Forecast
    text: LongText = ""


class Lead(_Body):
    """A direction worth trying that its author does not run now."""

    kind: Literal["lead"] = "lead"
    title: ShortText
    text: LongText = ""
    knobs: Knobs = Field(default_factory=dict)
    knob_names: KnobNames = ()


class Claim(_Body):
    """Somebody takes a lead, or a reproduction, upon himself."""

    kind: Literal["claim"] = "claim"
    target: Name
    """Post id of the lead or hypothesis that is claimed."""
    text: ShortText = ""


class Comment(_Body):
    """Plain talk in a thread."""

    kind: Literal["comment"] = "comment"
    text: LongText


Body = Annotated[
    Hypothesis | Finding | Failure | Review | Lead | Claim | Comment, Field(discriminator="kind")
]


class Draft(_Body):
    """A post as its author submits it; who the author is follows from the credential, not from it.

    The models also describe thinned posts, so they cannot insist on a commit: the clerk does, for
    the drafts of hypotheses, findings and failures.
    """

    schema_version: Literal[1] = 1
    message_id: Name
    thread: Name | None = None
    """Post id this replies to, or None to open a thread."""
    body: Body


class Post(_Body):
    """A post as the clerk recorded it; `seq` orders all posts of a run."""

    schema_version: Literal[1] = 1
    post_id: Name
    seq: Annotated[int, Field(ge=1)]
    """Ledger sequence number."""
    at_us: Annotated[int, Field(ge=0)]
    """Microseconds since the run began."""
    author: Name
    message_id: Name
    thread: Name | None = None
    body: Body


class Receipt(_Body):
    """The clerk's answer to a draft."""

    message_id: Name
    post_id: Name | None = None
    """None when the draft was refused."""
    seq: int | None = None
    reason: ShortText = ""
    """Why it was refused: what, which and what to do."""


class Notice(_Body):
    """A public word of the institution; never carries research content."""

    kind: Literal["start", "stop", "pause", "resume", "budget"]
    text: ShortText = ""
