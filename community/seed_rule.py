"""Which trees have to show that their seed matters, and of which it is known that it does not.

The showing is `trainer.seed_gate`; what is demanded of a tree whose seed does not matter is
`scoring.evidence.sequential.LOTTERY_Z`. Functions of the folded ledger, nothing else.
"""

from __future__ import annotations

from community.archive.state import RunState
from community.events import ExperimentQueued, VerdictGiven


def needs_seed_gate(state: RunState, experiment: ExperimentQueued) -> bool:
    """Whether this is the first measurement of its tree: none has ended well, on any split.

    The start tree is the task's own and is never gated.
    """
    if experiment.purpose == "baseline" or state.opened is None:
        return False
    if experiment.tree_key == state.opened.baseline_tree_key:
        return False
    return not any(verdict.outcome == "ok" for verdict in _verdicts(state, experiment.tree_key))


def is_deterministic(state: RunState, tree_key: str) -> bool:
    """Whether the tree's runs are one run told several times."""
    return any(verdict.is_deterministic for verdict in _verdicts(state, tree_key))


def _verdicts(state: RunState, tree_key: str) -> list[VerdictGiven]:
    found: list[VerdictGiven] = []
    for split in ("dev", "vault", "seal"):
        found += state.verdicts_by_tree.get((tree_key, split), ())
    return found
