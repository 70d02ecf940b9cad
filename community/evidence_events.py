"""Events about evidence: who reviews what, what is drawn, when decisions pause, what is taken back.

Records like those of `community.events`, which lists them all; kept apart for their subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True)
class ReviewerAssigned:
    """The clerk asked somebody to review a hypothesis; nobody else's review of it is taken."""

    kind: ClassVar[str] = "reviewer_assigned"
    hypothesis: str
    """Post id."""
    reviewer: str


@dataclass(frozen=True, slots=True)
class ConfirmationDrawn:
    """A lot that says whether a hypothesis will be confirmed whatever is said of it; never told.

    Without such draws a reviewer could bury what would refute him. Every hypothesis that somebody
    is asked about gets a lot, before any review: posts carry their row's number, and a row more for
    those that are drawn would tell who counts.
    """

    kind: ClassVar[str] = "confirmation_drawn"
    hypothesis: str
    share: float
    """Probability with which any hypothesis is drawn."""
    is_drawn: bool = True


@dataclass(frozen=True, slots=True)
class AlarmRaised:
    """Something is wrong with the yardstick: nothing is decided until it is cleared."""

    kind: ClassVar[str] = "alarm_raised"
    alarm_id: str
    """``a1`` and so on."""
    what: Literal["drift", "parent"]
    """drift: sentinel runs left their band; parent: two runs of a declared parent failed."""
    device_class: str
    slot: str
    """Where it was seen; empty for all."""
    detail: str
    """For people."""
    commit: str = ""
    """parent: whose runs failed."""


@dataclass(frozen=True, slots=True)
class AlarmCleared:
    """Fresh reference runs are in; runs from before the alarm are references no more."""

    kind: ClassVar[str] = "alarm_cleared"
    alarm_id: str
    why: str
    """For people."""


@dataclass(frozen=True, slots=True)
class VerdictRetracted:
    """A verdict is taken back; what rested on it is open again."""

    kind: ClassVar[str] = "verdict_retracted"
    verdict_id: str
    why: str
    by: str
    """Who did it: a person's name, or ``lab`` where later runs refuted it."""
    reach: tuple[str, ...] = ()
    """Everything that rested on it, as ``kind:id``: hypotheses, commits, posts, reviews, credit."""


@dataclass(frozen=True, slots=True)
class ClaimRetracted:
    """Later runs refuted a claim: its runs stand, what was built on it does not."""

    kind: ClassVar[str] = "claim_retracted"
    hypothesis: str
    why: str
    by: str
    reach: tuple[str, ...] = ()
    """As in `VerdictRetracted`."""


@dataclass(frozen=True, slots=True)
class FinalsOpened:
    """Nobody proposes any more: the last runs, on ``seal``, are about these commits."""

    kind: ClassVar[str] = "finals_opened"
    commits: tuple[str, ...]
    """The leading ones, best first; the baseline is measured beside them."""
    why: str = ""
    """The stop condition that held, or why else the run is over; a resumed ending ends with it."""
    experiments: int | None = None
    """The limit of experiments that held; None without one."""


@dataclass(frozen=True, slots=True)
class NumbersTold:
    """What a script printed of itself beside its score, with its verdict: its word, no more."""

    kind: ClassVar[str] = "numbers_told"
    experiment_id: str
    numbers: dict[str, float]
    """By key, as its final block has them: ``peak_vram_mb``, ``num_steps``."""


@dataclass(frozen=True, slots=True)
class MeasureChanged:
    """From here on scores are somebody else's word; what stood on the earlier ones is open again.

    All verdicts before it stay as they are, and count nowhere: two words are never compared.
    """

    kind: ClassVar[str] = "measure_changed"
    then: Literal["candidate"]
    now: Literal["scorer"]
    lock_hash: str
    """What scores rest on from here on."""
    manifest: dict[str, str]
    """As in `community.events.RunOpened`."""


@dataclass(frozen=True, slots=True)
class ArtefactGraded:
    """Which data a verdict is about, byte for byte, and all that their grader said; for people."""

    kind: ClassVar[str] = "artefact_graded"
    experiment_id: str
    sha256: str
    measures: dict[str, float]
    """The metric among them; empty where the data were refused."""


@dataclass(frozen=True, slots=True)
class DeviceUsed:
    """What the training behind a verdict had of its card; for people, nothing is decided by it."""

    kind: ClassVar[str] = "device_used"
    experiment_id: str
    peak_bytes: int
    """Most memory in use on the card, as its driver says."""
    busy: float
    """Share of the time, from start to end of the training, in which a kernel ran."""
    looks: int
    """How often the driver was asked."""
    untimed_s: float
    """The constant that the budget does not count, as in task.toml."""
    tokens_per_s: float | None = None
    """Of the counted time, by the steps that the program itself printed; None where it did not."""
    flop_share: float | None = None
    """Model FLOP utilisation: ``6 N tokens_per_s / peak``, by `community.device_figures`."""


@dataclass(frozen=True, slots=True)
class ModelMeasured:
    """All that was measured of a model beside its score: its size, slices of the score; for people.

    A run that broke a bound has a row as well, and no score.
    """

    kind: ClassVar[str] = "model_measured"
    experiment_id: str
    measures: dict[str, float]


@dataclass(frozen=True, slots=True)
class SlotPlaced:
    """A node of the cluster serves a slot from here on; what ran on it before refers no more."""

    kind: ClassVar[str] = "slot_placed"
    slot: str
    node: str
    """As the cluster calls it."""


EvidenceEvent = (
    ReviewerAssigned
    | ConfirmationDrawn
    | AlarmRaised
    | AlarmCleared
    | VerdictRetracted
    | ClaimRetracted
    | FinalsOpened
    | NumbersTold
    | MeasureChanged
    | ArtefactGraded
    | DeviceUsed
    | ModelMeasured
    | SlotPlaced
)
