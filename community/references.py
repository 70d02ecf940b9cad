"""References: fresh runs of a declared parent, beside which a screen may be judged.

A machine is not the same all day, nor are two of its slots. So a run of a child is judged by runs
of its parent on the same slot, in the same device class, ended at most half an hour before, and
after the last alarm. Only runs that were made for that: a screening run of the parent is what it
was chosen by, so it flatters. What is missing the lab runs, on the account of who proposed the
child; every other child that waits for the same parent on the same slot shares it.
"""

from __future__ import annotations

from collections.abc import Sequence

from community.admission import Admission
from community.archive.state import ExperimentState, RunState
from community.chronicle import Chronicle
from community.events import Purpose
from community.scheduler import Request, Scheduler
from community.seed_rule import is_deterministic
from scoring.evidence.sequential import REFERENCE_AGE_S, SEEDS, references_wanted

PURPOSES: frozenset[Purpose] = frozenset({"baseline", "sentinel", "parent"})
"""Runs of a tree that nobody chose by their scores."""
LAB = "lab"
_SPARE_RUNS = 2
"""Where runs are so long that references would age while the others run, they may be as old as all
runs of a screen and this many more take."""


class References:
    """Finds the references there are, and asks for those that are missing.

    Args:
        chronicle: The ledger and its fold.
        scheduler: Runs them.
        admission: Counts them.
        device_class: Of this life of the run.
    """

    def __init__(
        self, chronicle: Chronicle, scheduler: Scheduler, admission: Admission, device_class: str
    ) -> None:
        self._chronicle = chronicle
        self._scheduler = scheduler
        self._admission = admission
        self.device_class = device_class

    def is_fresh(self, experiment: ExperimentState) -> bool:
        """Whether a run is valid and may take part in a decision now, about its own slot."""
        state, verdict = self._chronicle.state, experiment.standing_verdict
        if verdict is None or verdict.score is None or not verdict.slot:
            return False
        if state.noise_model.is_lasting:
            return True
        if verdict.device_class != self.device_class or not experiment.attempts:
            return False  # the latter: made by another run, whose slots and hours are not these
        started_us = experiment.attempts[-1].started_us
        age_us = true_age_us(state, experiment.verdict_us or 0, self._chronicle.clock.now_us())
        return (
            started_us >= state.evidence.refers_since_us(verdict.slot)
            and age_us <= 1e6 * self._oldest_s()
        )

    def fresh(self, tree_key: str, slot: str) -> list[ExperimentState]:
        """Return the references of a tree on a slot, oldest first; facts refer everywhere."""
        state = self._chronicle.state
        if state.noise_model.is_lasting:
            return [
                e for e in state.by_verdict if e.queued.tree_key == tree_key and self.is_fresh(e)
            ]
        runs = (
            state.experiments[verdict.experiment_id]
            for verdict in state.verdicts_by_tree.get((tree_key, "dev"), ())
            if verdict.slot == slot
        )
        return [e for e in runs if e.queued.purpose in PURPOSES and self.is_fresh(e)]

    def wanted(self, tree_key: str, seeds: int) -> int:
        """How many a child with `seeds` runs wants: one of a parent whose runs are all the same."""
        is_fixed = is_deterministic(self._chronicle.state, tree_key)
        return 1 if is_fixed else self._chronicle.state.noise_model.references(seeds)

    def together(self, runs: Sequence[ExperimentState]) -> list[ExperimentState]:
        """Return those of some fresh runs that may stand together: those on the last one's slot."""
        slots = [run.verdict.slot if run.verdict is not None else "" for run in runs]
        if self._chronicle.state.noise_model.is_lasting:
            return list(runs)
        return [run for run, slot in zip(runs, slots, strict=True) if slot == slots[-1]]

    def ask(
        self, commit: str, tree_key: str, slot: str, charged_to: str, *, seeds: int
    ) -> list[str]:
        """Admit what a decision on `slot` still lacks, as far as the run's limits allow.

        Args:
            commit: The parent.
            tree_key: Its tree's.
            slot: Where the child ran.
            charged_to: Who proposed the child.
            seeds: How many runs of the child there are, or will be.

        Returns:
            Ids of the experiments to wait for, those that were asked for before included; empty
            when nothing is lacking or nothing more is allowed.
        """
        state = self._chronicle.state
        coming = [
            experiment.queued.experiment_id
            for experiment in state.pending()
            if (experiment.queued.tree_key, experiment.queued.slot) == (tree_key, slot)
            and experiment.queued.purpose in PURPOSES
        ]
        request = Request(
            commit=commit,
            tree_key=tree_key,
            hypothesis="",
            purpose="parent",
            split="dev",
            charged_to=charged_to,
            requested_by=LAB,
            slot=slot,
        )
        lacking = self.wanted(tree_key, seeds) - len(self.fresh(tree_key, slot)) - len(coming)
        for _ in range(lacking):
            if self._admission.refuses_screen(state):
                break
            coming.append(self._scheduler.admit(request))
        return coming

    def _oldest_s(self) -> float:
        most = references_wanted(SEEDS) + SEEDS
        runs_s = (most + _SPARE_RUNS) * usual_wall_s(self._chronicle.state)
        return max(REFERENCE_AGE_S, runs_s)


def usual_wall_s(state: RunState) -> float:
    """Return the mean wall time of a baseline run's training in seconds, 0 before there is one."""
    walls = [
        experiment.verdict.train_wall_s
        for experiment in state.index.calibration
        if experiment.verdict is not None
    ]
    return sum(walls) / len(walls) if walls else 0.0


def true_age_us(state: RunState, then_us: int, now_us: int) -> int:
    """Return how long ago run time `then_us` was, the time between a stop and its resume included.

    The machine went on meanwhile, although run time stood still.
    """
    return now_us - then_us + sum(gap for at_us, gap in _stops(state) if at_us > then_us)


def _stops(state: RunState) -> list[tuple[int, int]]:
    """Return (run time of the resume, microseconds that nobody ran before it) for each resume."""
    if state.opened is None:
        return []
    began_us, began_s = state.opened_us, _epoch_s(state.opened.host)
    stops = []
    for at_us, resumed in state.resumed:
        epoch_s = _epoch_s(resumed.host)
        if epoch_s is not None and began_s is not None:
            gap_us = (epoch_s - began_s) * 1_000_000 - (at_us - began_us)
            stops.append((at_us, max(0, gap_us)))
        began_us, began_s = at_us, epoch_s
    return stops


def _epoch_s(host: dict[str, str]) -> int | None:
    stamp = host.get("epoch_s", "")
    return int(stamp) if stamp.isdigit() else None
