"""What each measured commit is worth over the baseline, and which one leads.

A function of the fold: `community.archive.steps` picks the runs, `scoring.evidence.standing` says
what they mean. The leaderboard, the best commit of every view and the ledger's frontier rank by it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from community.archive.state import HypothesisState, RunState, Split
from community.archive.steps import Trials
from community.events import StatusChanged
from scoring.evidence.ranking import Contribution, rank, reproduced, weakest
from scoring.evidence.standing import Standing, standings
from scoring.verdict import Direction, Isolation, Status

_SPLITS: tuple[Split, ...] = ("dev", "vault")


@dataclass(frozen=True, slots=True)
class Placed:
    """A measured hypothesis in its place on the leaderboard."""

    post_id: str
    claims: Mapping[str, HypothesisState] = field(repr=False, compare=False)
    """Where it is found."""
    isolation: Isolation
    """The weakest among its tree's runs; anything less than full is ranked apart."""
    standing: Standing | None
    """Its gain over the baseline; None where nothing was measured side by side."""
    classes: int
    """Device classes in which its gain over its declared parent was measured."""
    i2: float | None
    """Share of that gain's spread that is between classes; None with fewer than two."""
    runs_after: int
    """Valid runs of its tree on vault since it was accepted; 0 while it is not."""

    @property
    def hypothesis(self) -> HypothesisState:
        """The claim."""
        return self.claims[self.post_id]


def placed(state: RunState, decided: StatusChanged | None = None) -> list[Placed]:
    """Return all measured hypotheses in the order of `scoring.evidence.ranking.rank`.

    Args:
        state: The run.
        decided: A change of status that counts as recorded: whoever is about to record it asks
            here what it moves.
    """
    if decided is None:
        version = (state.index.moves, len(state.proposals))
        return state.remember("placed", lambda: _placed(state, state.hypotheses), version)
    hypotheses = dict(state.hypotheses.items())
    claim = hypotheses[decided.hypothesis]
    changes = [*claim.changes, (state.last_us, decided)]
    hypotheses[claim.post_id] = dataclasses.replace(claim, status=decided.status, changes=changes)
    return _placed(state, hypotheses)


def _placed(state: RunState, hypotheses: Mapping[str, HypothesisState]) -> list[Placed]:
    trials = Trials(state, hypotheses)
    steps = trials.steps()
    found = standings(steps)
    places: dict[str, Placed] = {}
    entries: list[Contribution] = []
    for claim in hypotheses.values():
        if not _is_measured(state, claim):
            continue
        step = steps[claim.commit].gain if claim.commit in steps else None
        place = places[claim.post_id] = Placed(
            post_id=claim.post_id,
            claims=hypotheses,
            isolation=_isolation(state, claim),
            standing=found.get(claim.commit),
            classes=step.classes if step else 0,
            i2=step.i2 if step and step.classes > 1 else None,
            runs_after=len(trials.after(claim.tree_key)),
        )
        entries.append(_rankable(state, place, claim))
    order = rank(entries, _direction(state))
    return [places[contribution.name] for contribution in order]


def standing_places(state: RunState, decided: StatusChanged | None = None) -> list[Placed]:
    """Return the reproduced hypotheses, best first: the first one ought to lead."""
    places = {place.post_id: place for place in placed(state, decided)}
    entries = [_rankable(state, place, place.hypothesis) for place in places.values()]
    return [places[entry.name] for entry in reproduced(entries, _direction(state))]


def _rankable(state: RunState, place: Placed, claim: HypothesisState) -> Contribution:
    dev = state.mean_score(claim.tree_key, "dev")
    return Contribution(
        name=place.post_id,
        status=cast("Status", claim.status),
        outcome="invalid" if dev is None else "ok",
        dev_mean=dev,
        vault_mean=state.mean_score(claim.tree_key, "vault"),
        isolation=place.isolation,
        low=place.standing.low if place.standing else None,
    )


def _is_measured(state: RunState, hypothesis: HypothesisState) -> bool:
    return bool(hypothesis.changes) or any(
        state.experiments[experiment].is_done for experiment in hypothesis.experiments
    )


def _isolation(state: RunState, hypothesis: HypothesisState) -> Isolation:
    kept = (state.verdicts_by_tree.get((hypothesis.tree_key, split), ()) for split in _SPLITS)
    return weakest(verdict.isolation for verdicts in kept for verdict in verdicts)


def _direction(state: RunState) -> Direction:
    return state.opened.direction if state.opened else "lower"
