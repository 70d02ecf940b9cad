"""What ledgers say about settings of knobs: one record for each experiment that can be used.

From a run's folder the trees themselves are read; from rows alone a setting is its first parent's
with the knobs its proposal named. A tree whose code differs from the start in more than knobs, or
whose knobs cannot be told, is left out and counted: a surrogate knows knobs and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agents.closeness import skeletons
from agents.knobs import Knob, read_values, unfit
from community.archive.row_file import open_rows
from community.errors import ModelFitError
from community.events import AttemptEnded, Event, Proposed, RunOpened, VerdictGiven
from community.evidence_events import VerdictRetracted
from community.modelled.surrogate.space import Values
from forum.messages import KnobValue
from trainer.errors import TrainerError
from trainer.experiment import Budget
from trainer.repository import Repository
from trainer.tree_key import tree_key


@dataclass(frozen=True, slots=True)
class Measured:
    """One experiment."""

    group: str
    """Runs that were scored on the same held-out text."""
    values: Values
    split: str
    seed: int
    outcome: Literal["ok", "invalid"]
    reason: str
    score: float | None
    train_s: float | None
    """Wall seconds from the lease to the end of training; None where the ledger has no attempt."""
    score_s: float | None
    """Wall seconds of answering; None where there is none."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was read."""

    opened: RunOpened
    """Of the first run."""
    runs: int
    measured: tuple[Measured, ...]
    device_classes: tuple[str, ...]
    lock_hashes: tuple[str, ...]
    left_out: Mapping[str, int]


class Trees:
    """What turns trees into settings, for one task.

    Args:
        start: The start tree.
        path: Its file with the knobs.
        knobs: The task's.
    """

    def __init__(self, start: Mapping[str, bytes], path: str, knobs: Sequence[Knob]) -> None:
        self.knobs = tuple(knobs)
        self.start = dict(start)
        self._path = path
        self._skeletons = self._bones(start)

    def values(self, files: Mapping[str, bytes]) -> Values | None:
        """Return what a tree's knobs stand at; None where there is more to it than knobs."""
        if self._bones(files) != self._skeletons:
            return None
        text = files[self._path].decode("utf-8", "replace")
        return self.complete(read_values(text, self.knobs))

    def complete(self, setting: Mapping[str, KnobValue]) -> Values | None:
        """Return a setting in the knobs' order; None where a knob is missing or does not fit."""
        if any(k.name not in setting or unfit(k, setting[k.name]) for k in self.knobs):
            return None
        return tuple(canonical(knob, setting[knob.name]) for knob in self.knobs)

    def _bones(self, files: Mapping[str, bytes]) -> tuple[tuple[str, str], ...]:
        texts = {path: content.decode("utf-8", "replace") for path, content in files.items()}
        return skeletons(texts, self._path, self.knobs)


def canonical(knob: Knob, value: KnobValue) -> KnobValue:
    """Return a value as its knob has it: 4 and 4.0 are one setting."""
    if knob.kind == "int":
        return int(value)
    return float(value) if knob.kind == "float" else value


def read_evidence(places: Sequence[Path], trees: Trees) -> Evidence:
    """Read all runs; experiments that several ledgers hold count once.

    Raises:
        LedgerError: one cannot be read.
        ModelFitError: they are not of one task, start tree, budget and metric, or one was never
            opened.
    """
    found: dict[tuple[str, Values, str, int], Measured] = {}
    left_out: Counter[str] = Counter()
    runs: list[tuple[Path, RunOpened]] = []
    classes: set[str] = set()
    for place in places:
        events = [row.event for row in open_rows(place)]
        opened = next((event for event in events if isinstance(event, RunOpened)), None)
        if opened is None:
            raise ModelFitError(f"{place} was never opened, so there is nothing to learn from it")
        runs.append((place, opened))
        _must_be_alike(runs[0], (place, opened))
        _must_begin_here(place, opened, trees)
        settings = _settings(place, opened, events, trees)
        for verdict, measured in _experiments(opened, events, settings):
            classes.add(verdict.device_class)
            if isinstance(measured, str):
                left_out[measured] += 1
                continue
            found.setdefault(
                (measured.group, measured.values, measured.split, measured.seed), measured
            )
    if not runs:
        raise ModelFitError("give at least one run")
    locks = sorted({opened.lock_hash for _, opened in runs})
    # In one order, whatever the runs' was: sums of floats depend on it.
    whole = tuple(found[key] for key in sorted(found, key=repr))
    return Evidence(runs[0][1], len(runs), whole, tuple(sorted(classes)), tuple(locks), left_out)


def _must_be_alike(first: tuple[Path, RunOpened], other: tuple[Path, RunOpened]) -> None:
    """Refuse runs whose scores do not compare at all."""
    for name in ("task", "metric", "direction", "budget_kind", "budget_amount"):
        one, two = getattr(first[1], name), getattr(other[1], name)
        if one != two:
            raise ModelFitError(
                f"{first[0]} and {other[0]} differ in {name}: {one!r} and {two!r}; fit runs that "
                "were made alike, or one model for each"
            )


def _must_begin_here(place: Path, opened: RunOpened, trees: Trees) -> None:
    """Refuse a run that began with another start tree: its settings are told from there."""
    key = tree_key(
        trees.start,
        lock_hash=opened.lock_hash,
        budget=Budget(opened.budget_kind, opened.budget_amount),
        device_class=opened.device_class,
    )
    if key != opened.baseline_tree_key:
        raise ModelFitError(
            f"{place} began with another start tree than this task's; give the task it was run on "
            "with --task"
        )


def _settings(
    place: Path, opened: RunOpened, events: Iterable[Event], trees: Trees
) -> dict[str, Values]:
    """Return the setting of each commit that has one."""
    repository = _repository(place)
    start = {knob.name: knob.start for knob in trees.knobs}
    settings: dict[str, Values] = {}
    whole = trees.complete(start)
    if whole is not None:
        settings[opened.baseline_commit] = whole
    for event in events:
        if not isinstance(event, Proposed) or event.commit in settings:
            continue
        if repository is not None:
            values = _read(repository, event.commit, trees)
        else:
            parent = settings.get(event.parents[0]) if event.parents else None
            values = _turned(parent, event.knobs, trees)
        if values is not None:
            settings[event.commit] = values
    return settings


def _turned(parent: Values | None, changes: Mapping[str, KnobValue], trees: Trees) -> Values | None:
    """Return a parent's setting after a proposal; None where more was changed than knobs."""
    if parent is None or not changes:
        return None
    names = [knob.name for knob in trees.knobs]
    if not set(changes) <= set(names):
        return None
    return trees.complete({**dict(zip(names, parent, strict=True)), **changes})


def _repository(place: Path) -> Repository | None:
    if place.name.endswith(".gz"):
        return None  # rows alone
    folder = place if place.is_dir() else place.parent
    try:
        return Repository.open(folder / "repo.git", writer=False)
    except TrainerError:
        return None  # a ledger that was taken out of its folder


def _read(repository: Repository, commit: str, trees: Trees) -> Values | None:
    try:
        return trees.values(repository.read(commit))
    except TrainerError:
        return None


def _experiments(
    opened: RunOpened, events: Sequence[Event], settings: Mapping[str, Values]
) -> Iterable[tuple[VerdictGiven, Measured | str]]:
    """Yield every verdict with its record, or why there is none."""
    void = {event.verdict_id for event in events if isinstance(event, VerdictRetracted)}
    attempts = {event.experiment_id: event for event in events if isinstance(event, AttemptEnded)}
    group = opened.secret_hash or f"{opened.corpus_hash}:{opened.seed}"
    for verdict in events:
        if not isinstance(verdict, VerdictGiven):
            continue
        values = settings.get(verdict.commit)
        if verdict.verdict_id in void:
            yield verdict, "taken back"
        elif values is None:
            yield verdict, "more than knobs, or knobs not told"
        else:
            attempt = attempts.get(verdict.experiment_id)
            train_s, score_s = _durations(attempt)
            yield verdict, Measured(
                group, values, verdict.split, verdict.seed, verdict.outcome, verdict.reason,
                verdict.score if verdict.outcome == "ok" else None, train_s, score_s,
            )  # fmt: skip


def _durations(attempt: AttemptEnded | None) -> tuple[float | None, float | None]:
    """Return what an attempt took of its slot, in seconds of wall time."""
    if attempt is None:
        return None, None
    train_us = attempt.train_us[1] - attempt.leased_us
    answer_us = attempt.answer_us[1] - attempt.answer_us[0]
    return (
        train_us / 1e6 if attempt.train_us[1] > 0 and train_us > 0 else None,
        answer_us / 1e6 if attempt.is_trained and answer_us > 0 else None,
    )
