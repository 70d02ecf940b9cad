"""What each measured commit is worth over the baseline, and which one leads.

A function of the fold: `community.archive.steps` picks the runs, `scoring.evidence.standing` says
what they mean. The leaderboard, the best commit of every view and the ledger's frontier rank by it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from community.archive.state import HypothesisState, RunState, Split
from community.archive.steps import Trials
from community.events import StatusChanged
from scoring.evidence.effects import Combined
from scoring.evidence.ranking import Contribution, rank, reproduced, weakest
from scoring.evidence.standing import Standing, standings
from scoring.verdict import Direction, Isolation, Status

_SPLITS: tuple[Split, ...] = ("dev", "vault")


@dataclass(frozen=True, slots=True)
class Placed:
    """A measured hypothesis in its place on the leaderboard."""

    hypothesis: HypothesisState
    isolation: Isolation
    """The weakest among its tree's runs; anything less than full is ranked apart."""
    standing: Standing | None
    """Its gain over the baseline; None where nothing was measured side by side."""
    step: Combined | None
    """Its gain over its declared parent, over all device classes."""
    runs_after: int
    """Valid runs of its tree on vault since it was accepted; 0 while it is not."""


def placed(state: RunState, decided: StatusChanged | None = None) -> list[Placed]:
    """Return all measured hypotheses in the order of `scoring.evidence.ranking.rank`.

    Args:
        state: The run.
        decided: A change of status that counts as recorded: whoever is about to record it asks
            here what it moves.
    """
    hypotheses = dict(state.hypotheses)
    if decided is not None:
        claim = hypotheses[decided.hypothesis]
        changes = [*claim.changes, (state.last_us, decided)]
        hypotheses[claim.post_id] = dataclasses.replace(
            claim, status=decided.status, changes=changes
        )
    trials = Trials(state, hypotheses)
    steps = trials.steps()
    found = standings(steps)
    places = {
        h.post_id: Placed(
            hypothesis=h,
            isolation=_isolation(state, h),
            standing=found.get(h.commit),
            step=steps[h.commit].gain if h.commit in steps else None,
            runs_after=len(trials.after(h.tree_key)),
        )
        for h in hypotheses.values()
        if _is_measured(state, h)
    }
    order = rank(_rankable(state, places.values()), _direction(state))
    return [places[contribution.name] for contribution in order]


def standing_places(state: RunState, decided: StatusChanged | None = None) -> list[Placed]:
    """Return the reproduced hypotheses, best first: the first one ought to lead."""
    places = {place.hypothesis.post_id: place for place in placed(state, decided)}
    order = reproduced(_rankable(state, places.values()), _direction(state))
    return [places[contribution.name] for contribution in order]


def _rankable(state: RunState, places: Iterable[Placed]) -> list[Contribution]:
    found = []
    for place in places:
        tree = place.hypothesis.tree_key
        dev = state.mean_score(tree, "dev")
        contribution = Contribution(
            name=place.hypothesis.post_id,
            status=cast("Status", place.hypothesis.status),
            outcome="invalid" if dev is None else "ok",
            dev_mean=dev,
            vault_mean=state.mean_score(tree, "vault"),
            isolation=place.isolation,
            low=place.standing.low if place.standing else None,
        )
        found.append(contribution)
    return found


def _is_measured(state: RunState, hypothesis: HypothesisState) -> bool:
    return bool(hypothesis.changes) or any(
        state.experiments[experiment].is_done for experiment in hypothesis.experiments
    )


def _isolation(state: RunState, hypothesis: HypothesisState) -> Isolation:
    kept = (state.verdicts_by_tree.get((hypothesis.tree_key, split), ()) for split in _SPLITS)
    return weakest(verdict.isolation for verdicts in kept for verdict in verdicts)


def _direction(state: RunState) -> Direction:
    return state.opened.direction if state.opened else "lower"
