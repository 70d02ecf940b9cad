"""The Lab protocol: everything a researcher may ask of the institution.

It stands for the scheduler, the ledger and the scorer, none of which `agents` knows. The community
binds one Lab to each agent, so that rights and visibility are enforced there, not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from forum.messages import Conditions, KnobValue, Post

LabOutcome = Literal["ok", "invalid", "refused", "stopped"]
"""invalid: the candidate failed; refused: the lab would not run it; stopped: the run is ending."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A patched tree that an agent wants measured."""

    parents: tuple[str, ...]
    """Commits it builds on; the first is the declared parent, two make a merge."""
    files: Mapping[str, str]
    """The editable files that differ from the first parent's tree, whole new text by path."""
    title: str
    """The hypothesis in one line; becomes the commit message."""
    knobs: Mapping[str, KnobValue] = field(default_factory=dict)
    """Named constants changed against the first parent, with their new values."""
    note: str = ""
    """The rationale; goes into the commit message's body."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A committed proposal: it has a name that can be posted, but nothing has run."""

    commit: str
    tree_key: str
    patch: str
    """Unified diff against the first parent."""
    known: Outcome | None
    """The recorded outcome when this very tree was measured before and the asker may know it."""
    near: tuple[Near, ...] = ()
    """Claims on the same tree, or close to it, that reached the asker; the nearest first."""


@dataclass(frozen=True, slots=True)
class Near:
    """A claim that a proposal repeats, as far as the asker was told of it."""

    hypothesis: str
    """Post id."""
    distance: float
    """In knob space, see `agents.closeness`; 0 is the same tree."""
    outcome: Outcome | None
    """What came of it; None where no post has told the asker."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run, as its proposer (or its reproducer) is told."""

    outcome: LabOutcome
    commit: str
    verdict_id: str
    """Empty unless a verdict exists."""
    score: float | None
    status: str
    gain: float | None
    """Gain over the declared parent's mean; positive is better, whatever the metric's direction."""
    reason: str
    log_tail: str = ""
    conditions: Conditions | None = None
    """What it was tried under; a failure says something about that alone."""


@dataclass(frozen=True, slots=True)
class Merged:
    """A three-way merge of two commits, not yet committed."""

    files: Mapping[str, str]
    """Whole text by path of the merged editable files; conflicts keep the first commit's side."""
    conflicts: tuple[str, ...]
    """Paths in which both sides changed the same lines."""


@dataclass(frozen=True, slots=True)
class Briefing:
    """What everybody is told before the first turn."""

    task: str
    brief: str
    """The text of brief.md."""
    metric: str
    unit: str
    direction: Literal["lower", "higher"]
    knobs_path: str
    """The editable file that holds the knobs."""
    baseline_commit: str
    baseline_mean: float
    """Mean score of the unmodified start on dev."""
    baseline_sigma: float
    """Seed-to-seed standard deviation of the same."""
    budget: str
    """For people: ``10 cpu_seconds``."""
    device_class: str = ""
    """Of the machine, and how fast it is: what a failure was tried under may be another one."""
    confirmation_runs: int = 4
    """Experiments that a reproduction takes at least, both sides counted: a large gain passes with
    them."""
    confirmation_runs_most: int = 16
    """Experiments that it takes at most."""


class LabReader(Protocol):
    """What a mind may ask while it thinks: reading, which costs nothing and changes nothing."""

    async def read_tree(self, commit: str) -> Mapping[str, str]:
        """Return the editable files of `commit` by path.

        Raises:
            NotVisibleError: no post that carried this commit has reached the asker.
        """
        ...

    async def merge(self, first: str, second: str) -> Merged:
        """Merge two visible commits three ways over their common ancestor.

        Raises:
            NotVisibleError: as `read_tree`.
            NoRightError: the asker's role may not merge.
            MergeFailedError: these two cannot be merged.
        """
        ...


class Lab(LabReader, Protocol):
    """The institution as one agent sees it."""

    async def briefing(self) -> Briefing:
        """Return the task, the metric and the baseline; waits until the baseline is measured."""
        ...

    async def wait_for_turn(self) -> None:
        """Return when the asker may take its next turn: at once, unless a person paused it."""
        ...

    async def prepare(self, proposal: Proposal) -> Prepared:
        """Commit `proposal` in the run's repository so that it can be posted and reviewed.

        Raises:
            NotVisibleError: a parent is not visible.
            ProposalRefusedError: the patch policy forbids it (path, size, nothing changed).
        """
        ...

    async def run(self, commit: str, hypothesis: str) -> Outcome:
        """Measure a prepared commit: queue, train, score. `hypothesis` is its post id.

        Cancellation: the experiment goes on to its verdict; only the waiting ends.
        """
        ...

    async def reproduce(self, hypothesis: str) -> Outcome:
        """Confirm somebody else's claim on fresh seeds; answers after all pairs are done."""
        ...

    async def verdict(self, verdict_id: str) -> Outcome | None:
        """Return what is recorded under `verdict_id`, or None where the asker may not know."""
        ...

    async def catch_up(self, after_seq: int) -> Sequence[Post]:
        """Return the posts that reached the asker after ledger number `after_seq`, in order."""
        ...

    async def assignments(self) -> frozenset[str]:
        """Return the hypotheses (post ids) that the asker was asked to review and still may."""
        ...

    async def open_leads(self) -> Mapping[str, float]:
        """Return the leads (post ids) that the asker may claim or holds, oldest first.

        With each, the seconds of run time for which he holds it; 0 where nobody does.
        """
        ...

    async def remaining_experiments(self) -> int | None:
        """Return how many experiments the run may still start; None without such a limit.

        Of a confirmation under way no more than the first look is taken off until its word is out.
        """
        ...
