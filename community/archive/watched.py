"""A run's fold for somebody who only looks: what grows with its rows lies on a shelf.

The same fold as `community.archive.state`, of the same rows, with the same answers. Two things are
otherwise. Records are objects only while they are looked at (`community.archive.shelf`). And what
nobody but the institution asks for is not kept: which post has reached whom, calls that were paid;
who asks for it all the same gets an error and no wrong answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final, NoReturn, TypeVar

from community.archive.reach import Arrivals
from community.archive.shelf import Form, InOrder, Roll, Shelf, Shelved
from community.archive.state import RunState
from community.archive.state_records import (
    AttemptState,
    ExperimentState,
    HypothesisState,
    PostRecord,
)
from community.events import (
    AttemptEnded,
    ExperimentQueued,
    Noticed,
    Posted,
    Proposed,
    Refused,
    Row,
    StatusChanged,
    VerdictGiven,
)
from community.evidence_events import ArtefactGraded

T = TypeVar("T")


def _flat(record: type[T]) -> Form[T]:
    """Return how records are written whose fields hold nothing but plain data."""
    names = [each.name for each in fields(record)]  # type: ignore[arg-type]
    return Form(attrgetter(*names), lambda values: record(*values))


def _same(value: T) -> T:
    return value


_PLAIN: Final[Form[Any]] = Form(_same, _same)
_CHANGED: Final[Form[Any]] = Form(_same, _same, is_changed=True)
_POSTED, _PROPOSED, _QUEUED = _flat(Posted), _flat(Proposed), _flat(ExperimentQueued)
_ENDED, _VERDICT, _STATUS = _flat(AttemptEnded), _flat(VerdictGiven), _flat(StatusChanged)
_VERDICTS: Final[Form[list[VerdictGiven]]] = Form(
    lambda values: [_VERDICT.pack(value) for value in values],
    lambda packed: [_VERDICT.unpack(value) for value in packed],
    is_changed=True,
)
_ATTEMPT, _CLAIM = _flat(AttemptState), _flat(HypothesisState)
_CLAIM_FIELDS = [each.name for each in fields(HypothesisState)]
_CHANGES, _CONFIRMATIONS = map(_CLAIM_FIELDS.index, ("changes", "confirmations"))


def _pack_post(record: PostRecord) -> object:
    return record.seq, record.at_us, _POSTED.pack(record.posted)


def _unpack_post(packed: Any) -> PostRecord:
    seq, at_us, posted = packed
    return PostRecord(seq, at_us, _POSTED.unpack(posted))


def _pack_attempt(attempt: AttemptState) -> object:
    ended = None if attempt.ended is None else _ENDED.pack(attempt.ended)
    return (attempt.attempt, attempt.slot, attempt.started_us, ended, attempt.ended_us,
            attempt.is_lost, attempt.lost_s)  # fmt: skip


def _unpack_attempt(packed: Any) -> AttemptState:
    number, slot, started_us, ended, *rest = packed
    return AttemptState(
        number, slot, started_us, None if ended is None else _ENDED.unpack(ended), *rest
    )


def _pack_experiment(experiment: ExperimentState) -> object:
    verdict = None if experiment.verdict is None else _VERDICT.pack(experiment.verdict)
    return (
        _QUEUED.pack(experiment.queued),
        experiment.queued_at_us,
        [_pack_attempt(attempt) for attempt in experiment.attempts],
        verdict,
        experiment.verdict_us,
        experiment.is_retracted,
    )


def _unpack_experiment(packed: Any) -> ExperimentState:
    queued, queued_at_us, attempts, verdict, *rest = packed
    return ExperimentState(
        _QUEUED.unpack(queued),
        queued_at_us,
        [_unpack_attempt(attempt) for attempt in attempts],
        None if verdict is None else _VERDICT.unpack(verdict),
        *rest,
    )


def _pack_claim(claim: HypothesisState) -> object:
    """A confirmation is one of the changes, the same object: which one is written."""
    values: list[Any] = list(_CLAIM.pack(claim))  # type: ignore[call-overload]
    values[_CHANGES] = [(at_us, _STATUS.pack(change)) for at_us, change in claim.changes]
    values[_CONFIRMATIONS] = [
        next(place for place, (_, change) in enumerate(claim.changes) if change is confirmed)
        for confirmed in claim.confirmations
    ]
    return values


def _unpack_claim(values: Any) -> HypothesisState:
    changes = [(at_us, _STATUS.unpack(change)) for at_us, change in values[_CHANGES]]
    values[_CHANGES] = changes
    values[_CONFIRMATIONS] = [changes[place][1] for place in values[_CONFIRMATIONS]]
    return HypothesisState(*values)


def _named(name_of: Callable[[T], str], load: Callable[[str], T]) -> Form[list[T]]:
    """Return how a list of things is written that lie on the shelf already: by their names."""
    return Form(
        lambda values: [name_of(value) for value in values],
        lambda names: [load(name) for name in names],
        is_changed=True,
    )


def _timed(form: Form[T]) -> Form[tuple[int, T]]:
    """Return how (run time, something) is written."""
    return Form(
        lambda value: (value[0], form.pack(value[1])),
        lambda packed: (packed[0], form.unpack(packed[1])),
    )


class Unkept:
    """In place of a dict or a list: takes everything, keeps nothing, answers nothing."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __setitem__(self, key: object, value: object) -> None:
        """Keep nothing."""

    def append(self, value: object) -> None:
        """Keep nothing."""

    def __iadd__(self, values: object) -> Unkept:
        return self

    def setdefault(self, key: object, default: T) -> T:
        """Keep nothing."""
        return default

    def _refuse(self, *_: object) -> NoReturn:
        raise LookupError(
            f"{self._what}: not kept in a run that is only watched; fold its ledger with "
            "RunState.from_rows where that is needed"
        )

    __getitem__ = __contains__ = __iter__ = __len__ = __eq__ = get = items = values = _refuse
    __hash__ = None  # type: ignore[assignment]


class WatchedState(RunState):
    """What the ledger says about a run, in memory that hardly grows with it."""

    def __init__(self) -> None:
        super().__init__()
        shelf = self._shelf = Shelf()
        claim = Form(_pack_claim, _unpack_claim, is_changed=True, is_shared=True)
        run = Form(_pack_experiment, _unpack_experiment, is_changed=True, is_shared=True)
        posts: Shelved[str, PostRecord] = Shelved(shelf, Form(_pack_post, _unpack_post))
        self.posts = self.shelved_posts = posts
        self.posts_by_message = Shelved(shelf, _PLAIN)
        self.proposals = Shelved(shelf, _PROPOSED)
        self.hypotheses = Shelved[str, HypothesisState](shelf, claim)
        self.hypotheses_by_commit = Shelved(shelf, _CHANGED)
        experiments = self.experiments = Shelved[str, ExperimentState](shelf, run)
        self.measurements = Shelved(shelf, _PLAIN)

        def verdict_of(experiment_id: str) -> VerdictGiven:
            given = experiments[experiment_id].verdict
            assert given is not None
            return given

        by_run = attrgetter("experiment_id")
        self.verdicts = Shelved[str, VerdictGiven](shelf, Form(by_run, verdict_of))
        self.verdicts_by_tree = Shelved(shelf, _VERDICTS)
        name_of = attrgetter("queued.experiment_id")
        self.by_verdict = InOrder(experiments, name_of)
        repeats = _named(name_of, experiments.__getitem__)
        self.index.repeats = Shelved(shelf, repeats)
        of_tree = _named(attrgetter("post_id"), self.hypotheses.__getitem__)
        self.index.hypotheses_by_tree = Shelved(shelf, of_tree)
        self._hear(shelf)
        refused, noticed = _timed(_flat(Refused)), _timed(_flat(Noticed))
        self.refusals, self.notices = Roll(shelf, refused), Roll(shelf, noticed)
        self._leave_out()

    def _hear(self, shelf: Shelf) -> None:
        """Shelve what was said of claims by others than their authors."""
        reach, evidence = self.reach, self.evidence
        commits = Shelved[str, None](shelf, _PLAIN)
        reach.new_reader = lambda: Arrivals(commits)
        reach.reviews = Shelved(shelf, _CHANGED)
        reach.begun = Shelved(shelf, _PLAIN)
        evidence.assigned = Shelved(shelf, _PLAIN)
        evidence.drawn = Shelved(shelf, _PLAIN)
        evidence.told = Shelved(shelf, _PLAIN)
        evidence.graded = Shelved(shelf, _flat(ArtefactGraded))

    def _leave_out(self) -> None:
        """Keep nothing of what nobody who only looks asks for."""
        reach, minds = self.reach, self.minds
        for owner, names in (
            (reach, ("delivered", "leads", "heard", "opened", "arrivals", "delayed")),
            (minds, ("entries", "paid")),
        ):
            for name in names:
                setattr(owner, name, Unkept(f"{type(owner).__name__}.{name}"))
        self.delivered = reach.delivered

    def apply(self, row: Row) -> None:
        """Take in the next row.

        Raises:
            LedgerInconsistentError: it does not follow from what came before.
            OSError: there is no room left for temporary files.
        """
        self._shelf.is_writing = True
        try:
            super().apply(row)
        finally:
            self._shelf.is_writing = False
