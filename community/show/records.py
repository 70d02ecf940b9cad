"""What is said of a run, as one record: the shape of ``community show --json``."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from community.archive.beside import Beside
from community.archive.finals import Final
from community.archive.leaderboard import Contribution, Researcher
from community.archive.yardstick import Alarm, PurposeSpend
from community.evidence_events import DeviceUsed


@dataclass(frozen=True, slots=True)
class BaselineShown:
    """The unmodified start tree; None where it is not measured yet."""

    commit: str
    mean: float | None
    """Mean score on dev."""
    sigma: float | None
    """Standard deviation between seeds."""
    n: int
    """Runs the two rest on."""
    vault_mean: float | None
    """Mean on vault, known once a reproduction measured it."""


@dataclass(frozen=True, slots=True)
class BestShown:
    """The commit the run would be judged by; all None before anything is measured."""

    score: float | None
    """Mean over its runs on `split`."""
    status: str | None
    """reproduced for the frontier; else improved, or what the best measured one came to."""
    commit: str | None
    hypothesis: str | None
    """Post id."""
    title: str | None
    author: str | None
    reproduced_by: str | None
    gain_percent: float | None
    """Gain over `reference` in percent, positive is better."""
    split: str | None
    """vault for reproduced, else dev."""
    reference: float | None
    """The baseline's mean on `reference_split`."""
    reference_split: str | None
    """That split, but dev where the baseline is not measured on vault."""


@dataclass(frozen=True, slots=True)
class SealShown:
    """The last word, on text by which nothing was decided; all None before a run has ended."""

    score: float | None
    """Mean of its runs."""
    baseline: float | None
    """The baseline's mean on the same text."""
    commit: str | None
    """Which led when the run first ended."""
    hypothesis: str | None
    reason: str | None
    """Why there is no score; empty where there is one."""
    runs: int = 0
    """Of the commit; the baseline had as many."""


@dataclass(frozen=True, slots=True)
class HeadlineShown:
    """The gain on seal of the commit that led, over the baseline; all None before the last runs."""

    gain: float | None
    """In the task's unit; positive is better."""
    low: float | None
    """Two-sided 95 %, like `high`."""
    high: float | None
    percent: float | None
    """Of the baseline's mean on seal; also None where that mean is 0."""
    percent_low: float | None
    percent_high: float | None
    runs: int | None
    """Of the commit, on seal."""
    baseline_runs: int | None
    commit: str | None
    hypothesis: str | None
    author: str | None
    dev_gain: float | None
    """Of the run on dev that chose it."""
    vault_gain: float | None


@dataclass(frozen=True, slots=True)
class YardstickShown:
    """How steady the machine was, and what it cost to know."""

    dev_looks: int
    """Trees that had a look at dev."""
    references: int
    """Runs of a declared parent, made to judge a screen beside them."""
    sentinels: int
    reference_share: float
    """Of all device-seconds, what references and sentinels took; from 0 to 1."""
    spend: tuple[PurposeSpend, ...]
    alarms: tuple[Alarm, ...]
    """Oldest first."""


@dataclass(frozen=True, slots=True)
class PoolShown:
    """How busy the slots were between 10 % and 90 % of the run's time, from 0 to 1."""

    slots: tuple[str, ...]
    busy_share: float
    """A train or an answering process was alive."""
    train_share: float


@dataclass(frozen=True, slots=True)
class TopologyShown:
    """Who hears whom at the moment, or when the run ended."""

    edges: int
    rewirings: int
    why: str
    """How this graph came about: drawn, schedule or adaptive."""
    measures: dict[str, float | None]
    """As `community.topology.measures` has them; of the graph that holds."""
    lost: int
    """Copies of posts that edges have lost."""
    on_their_way: int
    """Copies that are delayed and have not arrived."""


@dataclass(frozen=True, slots=True)
class SpendShown:
    """What the run consumed."""

    device_seconds: float
    """The charge of all attempts, the budget of lost ones included, baseline left out."""
    baseline_device_seconds: float
    score_cpu_s: float
    """CPU seconds of answering processes, baseline included."""
    run_s: float
    """Run time so far, stops left out."""
    by_agent: dict[str, float]
    """Device seconds per agent; calibration is under ``lab``."""
    by_role: dict[str, float]
    """Likewise of all agents of a role."""
    thinking: dict[str, ThinkingShown]
    """Per agent whose mind asks a model."""
    thinking_by_role: dict[str, ThinkingShown]
    """Of all such agents of a role, and of all together under an empty name."""
    cost_usd: float
    """Of all thinking, modelled turns and doubt included."""


@dataclass(frozen=True, slots=True)
class ThinkingShown:
    """What one agent's mind asked of models, or several agents'."""

    calls: int
    usd: float
    """As providers counted."""
    doubt_usd: float
    """What calls that broke off may have cost beyond."""
    tokens: int
    """All of these but thinking, which is a part of what was written."""
    input: int
    """Read afresh."""
    output: int
    cache_read: int
    cache_write: int
    thinking: int
    outcomes: dict[str, int]
    """How its calls ended."""
    answers: dict[str, int]
    """How its answers were taken: acted, faulty, empty, truncated, refused."""


@dataclass(frozen=True, slots=True)
class CreditShown:
    """How much gain there is to share; whose it is stands with the agents."""

    kind: str
    """path: along the frontier's moves. leave-one-out: measured when the run had ended."""
    total: float
    """In the task's unit: all credit and `unattributed` add up to it."""
    unattributed: float
    by_commit: dict[str, float]


@dataclass(frozen=True, slots=True)
class RetractionShown:
    """A verdict, or a claim, that was taken back."""

    verdict: str | None
    """None where later runs refuted a claim."""
    hypothesis: str | None
    """Post id of what it was about; None for a run that served no hypothesis."""
    at_s: float
    """Run time."""
    by: str
    why: str
    reach: dict[str, tuple[str, ...]]
    """What rested on it: ids by kind (hypothesis, commit, post, review, frontier, credit, seal)."""


@dataclass(frozen=True, slots=True)
class IncidentShown:
    """What the broker turned away, of one kind and user, as last counted."""

    who: str
    """A user, or ``(unknown)``."""
    what: str
    reason: str
    """The first attempt, and how many there were."""
    at_s: float
    """Run time of the last count."""


@dataclass(frozen=True, slots=True)
class Shown:
    """All that is said of a run."""

    run_id: str
    replay_of: str
    """The run whose record was played again here, and its ledger's hash; empty for a run."""
    task: str
    seed: int
    metric: str
    unit: str
    direction: str
    budget: str
    """For people: ``10 cpu_seconds``."""
    isolation: str
    """For people: how candidate code was isolated where that was not full; else empty."""
    baseline: BaselineShown
    best: BestShown
    seal: SealShown
    headline: HeadlineShown
    finals: tuple[Final, ...]
    """The baseline and the leading commits on all three splits; empty before the last runs."""
    beside: tuple[Beside, ...]
    """What was measured beside the score: size, slices; empty where a score is all there is."""
    yardstick: YardstickShown
    experiments: int
    """Experiments admitted, reproductions included, baseline left out."""
    experiments_done: int
    """Those with a verdict."""
    experiment_limit: int | None
    """As last given; None without a limit."""
    lost_attempts: int
    """Attempts that died with the run, or by nobody's fault."""
    cut_off_attempts: int
    """Attempts that the run's own stop ended."""
    void_attempts: int
    """Those whose timing did not count because the machine had slowed down."""
    resumes: int
    posts: int
    refusals: int
    """Drafts, proposals and requests that were turned down, and rows about incidents."""
    incidents: tuple[IncidentShown, ...]
    pool: PoolShown
    cards: dict[str, DeviceUsed]
    """By experiment id, of those that ran on a card."""
    topology: TopologyShown | None
    """None in older ledgers."""
    spend: SpendShown
    stop: str | None
    """Why it ended in order; None while it runs and after a kill."""
    is_live: bool
    """Whether a process writes it at the moment."""
    retractions: tuple[RetractionShown, ...]
    """Oldest first."""
    credit: CreditShown
    leaderboard: tuple[Contribution, ...]
    agents: tuple[Researcher, ...]
    ledger_hash: str

    def as_json(self) -> str:
        """Return it as indented JSON, ASCII only."""
        return json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False)
