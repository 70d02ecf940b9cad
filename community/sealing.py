"""The seal: the last runs, on held-out text by which nothing was decided, for the final report.

A run that tries many things on `dev` and confirms some on `vault` has chosen by both; what it says
of its best commit is honest only on text that was never asked. That text is good for one question.
It is asked when a run has first ended in order, of the commits that lead then and of the baseline,
each on several fresh seeds, and never again: a run that is resumed under another limit keeps its
first answer, whatever leads later. No researcher hears of it.

The runs are experiments like others, of purpose ``seal``; `community.finals` carries them out.
"""

from __future__ import annotations

from collections.abc import Sequence

from community.archive.frontier import frontier_move
from community.archive.state import BASELINE, ExperimentState, HypothesisState, RunState
from community.chronicle import Chronicle
from community.claims import standing_claims
from community.evidence_events import FinalsOpened
from community.scheduler import Request, Scheduler
from community.screening import tree_of

TOP = 3
"""How many leading commits are measured beside the baseline."""


def finalists(state: RunState) -> list[HypothesisState]:
    """Return what would be measured now: reproduced claims of different trees, the best first."""
    found: dict[str, HypothesisState] = {}
    for claim in standing_claims(state):
        found.setdefault(claim.tree_key, claim)
    return list(found.values())[:TOP]


def open_finals(chronicle: Chronicle, why: str, limit: int | None) -> None:
    """Record of what the last runs are, unless that was done in an earlier life.

    A run in which no commit was reproduced has nothing to ask about, and keeps its seal for a later
    life.

    Args:
        chronicle: The ledger and its fold.
        why: The stop condition that held.
        limit: The limit of experiments that held.
    """
    leading = finalists(chronicle.state)
    if leading and chronicle.state.evidence.finals is None:
        commits = tuple(claim.commit for claim in leading)
        move = frontier_move(chronicle.state)
        chronicle.record(*move, FinalsOpened(commits, why, limit))


def seal_runs(state: RunState) -> list[ExperimentState]:
    """Return the runs on the seal, in order of admission."""
    return [e for e in state.experiments.values() if e.queued.purpose == "seal"]


async def score_seal(
    chronicle: Chronicle, scheduler: Scheduler, slots: Sequence[str], runs: int
) -> None:
    """Measure the baseline and the finalists `runs` times each; goes on where a restart left it.

    Every round measures each of them once, and each moves on by one slot from round to round, so
    that neither a slow slot nor a slow hour falls on one of them alone.

    Cancellation: running attempts end with the scheduler; the next life goes on.
    """
    state = chronicle.state
    opened, finals = state.opened, state.evidence.finals
    assert opened is not None
    assert finals is not None
    known = {(e.queued.commit, e.queued.pair): e.queued.experiment_id for e in seal_runs(state)}
    for turn in range(1, runs + 1):
        for place, commit in enumerate((opened.baseline_commit, *finals.commits)):
            if (commit, turn) in known:
                continue
            request = Request(
                commit=commit,
                tree_key=tree_of(state, commit),
                hypothesis="",
                purpose="seal",
                split="seal",
                charged_to=BASELINE,
                requested_by=BASELINE,
                pair=turn,
                slot=slots[(place + turn) % len(slots)],
            )
            known[commit, turn] = scheduler.admit(request)
    for experiment_id in known.values():
        await scheduler.verdict(experiment_id)
