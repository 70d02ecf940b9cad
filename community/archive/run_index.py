"""Parts of a folded run by what they are asked for: kept by the fold, so that nobody scans it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from community.archive.shelf import Kept
from community.archive.state_records import ExperimentState, HypothesisState


@dataclass(slots=True)
class RunIndex:
    """What `RunState` holds, once more, sorted otherwise."""

    unjudged: dict[str, ExperimentState] = field(default_factory=dict)
    """Experiments without a verdict, in order of admission."""
    calibration: list[ExperimentState] = field(default_factory=list)
    """Runs of the baseline before the research."""
    calibrated_us: int | None = None
    """Run time at which the baseline had been measured."""
    moves: int = 1
    """Counts rows that may change what is thought of claims: their status, scores and right."""
    admitted: Counter[str] = field(default_factory=Counter)
    """How many experiments were admitted, by purpose."""
    repeats: Kept[tuple[str, str, str], list[ExperimentState]] = field(default_factory=dict)
    """(tree key, split, device class) -> runs that are no screens, by their verdicts."""
    hypotheses_by_tree: Kept[str, list[HypothesisState]] = field(default_factory=dict)
    """Tree key -> the claims on it, in the ledger's order."""
    confirming: dict[str, HypothesisState] = field(default_factory=dict)
    """By post id, the claims with a reproduction that is open."""
    screening: dict[str, HypothesisState] = field(default_factory=dict)
    """By post id, those with an experiment and without any status yet."""
    remembered: dict[object, tuple[object, Any]] = field(default_factory=dict)
    """What was computed of the run, with what it was computed from; see `RunState.remember`."""
