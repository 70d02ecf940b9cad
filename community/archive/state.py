"""A run as it stands: the fold of its ledger rows. Scheduler, clerk and all views read this.

Not a store and not a decision: the same rows give the same state, live or replayed. It refuses rows
that contradict one another (a verdict without its experiment, say), which is what makes a resumed
ledger provably whole. `community.archive.queries` and `leaderboard` compute views from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Literal, Self, TypeVar, get_args

from community.archive.evidence_state import EvidenceState, fold_evidence
from community.archive.experiment_fold import ExperimentEvent, fold_experiment, lose_attempt
from community.archive.forum_state import ForumState, fold_forum
from community.archive.mind_state import MindState
from community.archive.reach import Reach
from community.archive.run_index import RunIndex
from community.archive.shelf import InOrder, Kept, Roll, Shelved
from community.archive.state_records import (
    AgentState,
    AttemptState,
    ExperimentState,
    HypothesisState,
    PostRecord,
    SpendState,
)
from community.errors import LedgerInconsistentError
from community.events import (
    AgentJoined,
    AttemptStarted,
    ExperimentQueued,
    FrontierMoved,
    NoiseEstimated,
    Noticed,
    Posted,
    Proposed,
    Refused,
    ReproductionOpened,
    Row,
    RunOpened,
    RunResumed,
    RunStopped,
    SealScored,
    StatusChanged,
    TurnTaken,
    VerdictGiven,
)
from community.evidence_events import EvidenceEvent
from community.forum_events import ForumEvent
from community.mind_events import MindEvent, SpendSettled
from scoring.evidence.noise_models import FACT, NOISE_MODELS, NoiseModel

__all__ = [
    "BASELINE", "AgentState", "AttemptState", "ExperimentState", "HypothesisState", "PostRecord",
    "RunState", "SpendState",
]  # fmt: skip

Split = Literal["dev", "vault", "seal"]
_T = TypeVar("_T")

BASELINE = "lab"
"""Whom baseline runs are charged to."""


class RunState:
    """Everything the ledger says about a run, up to the last applied row."""

    def __init__(self) -> None:
        self.last_seq = 0
        """Sequence number of the last applied row."""
        self.last_us = 0
        """Run time of the last applied row, in microseconds."""
        self.opened: RunOpened | None = None
        self.opened_us = 0
        self.resumed: list[tuple[int, RunResumed]] = []
        self.stopped: RunStopped | None = None
        """The run's end; None while it runs, after a kill, and again after a restart."""
        self.noise: NoiseEstimated | None = None
        self.agents: dict[str, AgentState] = {}
        self.posts: Kept[str, PostRecord] = {}
        """By post id, in the ledger's order."""
        self.posts_by_message: Kept[tuple[str, str], str] = {}
        """(author, message id) -> post id, so that a repeated draft is acknowledged again."""
        self.proposals: Kept[str, Proposed] = {}
        """By commit."""
        self.hypotheses: Kept[str, HypothesisState] = {}
        """By post id."""
        self.hypotheses_by_commit: Kept[str, list[str]] = {}
        """Commit -> post ids."""
        self.experiments: Kept[str, ExperimentState] = {}
        """By experiment id, in order of admission."""
        self.measurements: Counter[str] | Shelved[str, int] = Counter()
        """Tree key -> how many measurements were admitted; also the next n of the seed rule."""
        self.verdicts: Kept[str, VerdictGiven] = {}
        """By verdict id, in the ledger's order."""
        self.verdicts_by_tree: Kept[tuple[str, str], list[VerdictGiven]] = {}
        """(tree key, split) -> verdicts that stand, in order, invalid ones included."""
        self.index = RunIndex()
        """Parts of what is here, so that nobody has to look through all of it."""
        self.reach = Reach()
        """What has reached whom, and which reviews are still sealed."""
        self.delivered = self.reach.delivered
        """Reader -> post id -> what the edge carried."""
        self.frontier: list[tuple[int, FrontierMoved]] = []
        self.seal: SealScored | None = None
        """The one score on the split ``seal``, once the run has ended in order."""
        self.refusals: list[tuple[int, Refused]] | Roll[tuple[int, Refused]] = []
        self.notices: list[tuple[int, Noticed]] | Roll[tuple[int, Noticed]] = []
        self.evidence = EvidenceState()
        """Alarms, assignments, draws, what was taken back."""
        self.forum = ForumState()
        self.minds = MindState()
        self.spend: dict[str, SpendState] = {}
        """By agent; calibration is under ``lab``."""
        self.experiments_admitted = 0
        self.experiments_done = 0
        """Those with a verdict; runs that are listed apart are left out of both."""
        self.lost_attempts = 0
        """Attempts that died with the run, or were interrupted by nobody's fault."""
        self.cut_off_attempts = 0
        """Attempts that the run's own stop ended; not among the lost ones."""
        self.device_seconds = 0.0
        """The charge of all attempts, those listed apart left out."""
        self.baseline_device_seconds = 0.0
        self.final_device_seconds = 0.0
        self.by_verdict: list[ExperimentState] | InOrder[ExperimentState] = []
        """In the order of their verdicts."""

    @classmethod
    def from_rows(cls, rows: Iterable[Row]) -> Self:
        """Fold `rows`, which start at sequence number 1.

        Raises:
            LedgerInconsistentError: rows contradict one another.
        """
        state = cls()
        for row in rows:
            state.apply(row)
        return state

    def apply(self, row: Row) -> None:
        """Take in the next row.

        Raises:
            LedgerInconsistentError: it does not follow from what came before.
        """
        if row.seq != self.last_seq + 1:
            raise LedgerInconsistentError(
                f"row {row.seq} follows row {self.last_seq}: a gap or a repeated row; "
                "restore ledger.db from a copy"
            )
        if row.at_us < self.last_us:
            raise self._wrong(row, f"run time went back from {self.last_us} us")
        if self.opened is None and not isinstance(row.event, RunOpened):
            raise self._wrong(row, "a ledger begins with run_opened")
        _FOLDS[type(row.event)](self, row, row.event)
        self.index.moves += type(row.event) not in _MOVES_NOTHING
        self.last_seq = row.seq
        self.last_us = row.at_us

    def remember(self, name: object, compute: Callable[[], _T], version: object = None) -> _T:
        """Return what `compute` returns, computed anew when verdicts, or what they led to, change.

        Args:
            name: Of what is computed.
            compute: A function of standing verdicts, the noise band and the frontier alone.
            version: What else it may follow from, `moves` say; in place of these.
        """
        version = version or (
            len(self.by_verdict), len(self.evidence.retractions), len(self.frontier), self.noise
        )  # fmt: skip
        known = self.index.remembered.get(name)
        if known is None or known[0] != version:
            known = self.index.remembered[name] = (version, compute())
        value: _T = known[1]
        return value

    @property
    def stop_reason(self) -> str | None:
        """Why the run ended in order, or None."""
        return self.stopped.why if self.stopped else None

    @property
    def measured_by(self) -> Literal["scorer", "model", "candidate"]:
        """Whose word its scores are now; verdicts of another's count nowhere."""
        if self.evidence.measure is not None:
            return self.evidence.measure.now
        return self.opened.measured_by if self.opened else "scorer"

    def scores(self, tree_key: str, split: Split) -> tuple[float, ...]:
        """Return the scores of all valid runs of a tree on a split that stand, in order."""
        verdicts = self.verdicts_by_tree.get((tree_key, split), ())
        return tuple(v.score for v in verdicts if v.outcome == "ok" and v.score is not None)

    @property
    def noise_model(self) -> NoiseModel:
        """What a run of a tree is evidence of in this run, as its task declares."""
        return NOISE_MODELS[self.opened.manifest.get(FACT, "seeds") if self.opened else "seeds"]

    def on_record(self, tree_key: str, split: Split) -> tuple[float, ...]:
        """Return the scores that tell of a tree on a split; facts tell on every split."""
        splits: tuple[Split, ...] = get_args(Split) if self.noise_model.is_lasting else (split,)
        return tuple(score for each in splits for score in self.scores(tree_key, each))

    def mean_score(self, tree_key: str, split: Split) -> float | None:
        """Return what a tree's scores on a split come to, or None without a valid run.

        That is their mean, or the best of them where scores are facts.
        """
        scores = self.on_record(tree_key, split)
        direction = self.opened.direction if self.opened else "lower"
        return self.noise_model.level(scores, direction) if scores else None

    def may_read(self, agent: str, commit: str) -> bool:
        """Whether a commit is among those that an agent may read."""
        is_baseline = self.opened is not None and commit == self.opened.baseline_commit
        return is_baseline or commit in self.reach.readable.get(agent, ())

    def readable(self, agent: str) -> frozenset[str]:
        """Return the commits an agent may read: its own, the baseline, and those carried to it."""
        baseline = {self.opened.baseline_commit} if self.opened else set()
        return frozenset(baseline.union(self.reach.readable.get(agent, ())))

    def pending(self) -> list[ExperimentState]:
        """Return admitted experiments without a verdict, in order of admission."""
        return list(self.index.unjudged.values())

    def running(self) -> list[ExperimentState]:
        """Return the experiments of which an attempt runs."""
        return [e for e in self.index.unjudged.values() if e.is_running]

    @staticmethod
    def _wrong(row: Row, what: str) -> LedgerInconsistentError:
        return LedgerInconsistentError(
            f"row {row.seq} ({row.event.kind}): {what}; the ledger contradicts itself, "
            "restore ledger.db from a copy or report this as a bug"
        )

    def _run_opened(self, row: Row, event: RunOpened) -> None:
        if self.opened is not None:
            raise self._wrong(row, "the run was opened before")
        self.opened = event
        self.opened_us = row.at_us

    def _run_resumed(self, row: Row, event: RunResumed) -> None:
        self.resumed.append((row.at_us, event))
        self.stopped = None
        running = [e.queued.experiment_id for e in self.running()]
        if unknown := set(event.lost_attempts).difference(running):
            raise self._wrong(row, f"{min(unknown)} had no running attempt to lose")
        for name in running:
            lose_attempt(self, self.experiments[name], row.at_us)

    def _run_stopped(self, row: Row, event: RunStopped) -> None:
        self.stopped = event
        self.evidence.is_open_again = False

    def _agent_joined(self, row: Row, event: AgentJoined) -> None:
        agent = self._agent(event.agent)
        agent.role, agent.mind, agent.hears = event.role, event.mind, event.hears

    def _turn_taken(self, row: Row, event: TurnTaken) -> None:
        agent = self._agent(event.agent)
        if event.turn < agent.next_turn:
            raise self._wrong(row, f"{event.agent} took turn {event.turn} twice")
        agent.next_turn = event.turn + 1
        agent.cost_usd += event.cost_usd
        self._pay(row, round(event.cost_usd * 1e6))
        if event.notebook is not None:
            agent.notebook = event.notebook

    def _posted(self, row: Row, event: Posted) -> None:
        message = (event.author, event.message_id)
        if event.post_id in self.posts:
            raise self._wrong(row, f"post {event.post_id} exists already")
        if message in self.posts_by_message:
            raise self._wrong(
                row, f"message {event.message_id} of {event.author} was recorded before"
            )
        self.posts[event.post_id] = PostRecord(row.seq, row.at_us, event)
        self.posts_by_message[message] = event.post_id
        self.reach.post(row.seq, event)
        if event.body.get("kind") == "hypothesis":
            self._hypothesis(row, event)

    def _hypothesis(self, row: Row, event: Posted) -> None:
        commit = event.body["commit"]
        claim = HypothesisState.posted(event, row.at_us, self.proposals.get(commit))
        self.hypotheses[event.post_id] = claim
        self.index.hypotheses_by_tree.setdefault(claim.tree_key, []).append(claim)
        self.hypotheses_by_commit.setdefault(commit, []).append(event.post_id)

    def _refused(self, row: Row, event: Refused) -> None:
        self.refusals.append((row.at_us, event))

    def _proposed(self, row: Row, event: Proposed) -> None:
        self.proposals.setdefault(event.commit, event)
        self.reach.own(event.author, event.commit)

    def _experiment(self, row: Row, event: ExperimentEvent) -> None:
        if wrong := fold_experiment(self, row.seq, row.at_us, event):
            raise self._wrong(row, wrong)

    def _noise_estimated(self, row: Row, event: NoiseEstimated) -> None:
        self.noise = event
        if self.index.calibrated_us is None:
            self.index.calibrated_us = row.at_us

    def _status_changed(self, row: Row, event: StatusChanged) -> None:
        hypothesis = self._known_hypothesis(row, event.hypothesis)
        if missing := [v for v in event.verdicts if v not in self.verdicts]:
            raise self._wrong(row, f"it rests on verdict {missing[0]}, which is not recorded")
        hypothesis.status = event.status
        hypothesis.gain, hypothesis.threshold = event.gain, event.threshold
        hypothesis.changes.append((row.at_us, event))
        self.index.screening.pop(event.hypothesis, None)
        if hypothesis.reproduction_by == event.by:
            hypothesis.confirmations.append(event)
            hypothesis.reproduction_by = None
            del self.index.confirming[event.hypothesis]
        kept = hypothesis.reproduced_by or event.by  # not who challenged it since
        hypothesis.reproduced_by = kept if event.status == "reproduced" else None

    def _reproduction_opened(self, row: Row, event: ReproductionOpened) -> None:
        hypothesis = self._known_hypothesis(row, event.hypothesis)
        if hypothesis.reproduction_by is not None:
            raise self._wrong(row, f"{hypothesis.reproduction_by} reproduces it already")
        hypothesis.open_reproduction(event, row.at_us)
        self.index.confirming[event.hypothesis] = hypothesis

    def _frontier_moved(self, row: Row, event: FrontierMoved) -> None:
        self.frontier.append((row.at_us, event))

    def _seal_scored(self, row: Row, event: SealScored) -> None:
        if self.seal is not None:
            raise self._wrong(row, "seal was asked before, and it is asked once")
        self.seal = event

    def _noticed(self, row: Row, event: Noticed) -> None:
        self.notices.append((row.at_us, event))

    def _forum(self, row: Row, event: ForumEvent) -> None:
        if wrong := fold_forum(self, row.seq, row.at_us, event):
            raise self._wrong(row, wrong)

    def _evidence(self, row: Row, event: EvidenceEvent) -> None:
        if wrong := fold_evidence(self, row.at_us, event):
            raise self._wrong(row, wrong)

    def _minds(self, row: Row, event: MindEvent) -> None:
        if wrong := self.minds.fold(event):
            raise self._wrong(row, wrong)
        if isinstance(event, SpendSettled):
            self._pay(row, event.micro_usd + event.doubt_micro_usd)

    def _pay(self, row: Row, micro_usd: int) -> None:
        if micro_usd:
            self.minds.paid.append((row.at_us, micro_usd))

    def _agent(self, name: str) -> AgentState:
        return self.agents.setdefault(name, AgentState(name))

    def _known_hypothesis(self, row: Row, post_id: str) -> HypothesisState:
        if post_id not in self.hypotheses:
            raise self._wrong(row, f"no hypothesis was posted as {post_id}")
        return self.hypotheses[post_id]


_MOVES_NOTHING = frozenset(
    {AgentJoined, AttemptStarted, ExperimentQueued, Posted, Proposed, Refused, TurnTaken}
)
_FOLDS: dict[type, Callable[[RunState, Row, Any], None]] = {
    RunOpened: RunState._run_opened,
    RunResumed: RunState._run_resumed,
    RunStopped: RunState._run_stopped,
    AgentJoined: RunState._agent_joined,
    TurnTaken: RunState._turn_taken,
    Posted: RunState._posted,
    Refused: RunState._refused,
    Proposed: RunState._proposed,
    **dict.fromkeys(get_args(ExperimentEvent), RunState._experiment),
    NoiseEstimated: RunState._noise_estimated,
    StatusChanged: RunState._status_changed,
    ReproductionOpened: RunState._reproduction_opened,
    FrontierMoved: RunState._frontier_moved,
    SealScored: RunState._seal_scored,
    Noticed: RunState._noticed,
    **dict.fromkeys(get_args(EvidenceEvent), RunState._evidence),
    **dict.fromkeys(get_args(ForumEvent), RunState._forum),
    **dict.fromkeys(get_args(MindEvent), RunState._minds),
}
