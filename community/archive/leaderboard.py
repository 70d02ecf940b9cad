"""The leaderboard: contributions in order of merit and what each researcher did.

A function of the ledger's fold and of nothing else: no claim counts, only verdicts and statuses.
Next: `community.show`, the report, the TUI.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from community.archive.credit import CreditTable, Kind, credit_table
from community.archive.queries import baseline_mean
from community.archive.standing import Placed, placed
from community.archive.state import HypothesisState, RunState, Split
from community.reviewing import Skill, skills
from scoring.evidence.multiplicity import q_values
from scoring.evidence.sequential import gain_over
from scoring.evidence.standing import Basis
from scoring.verdict import Direction, Isolation


@dataclass(frozen=True, slots=True)
class Contribution:
    """One measured hypothesis on the leaderboard."""

    rank: int
    """From 1; see `contributions`."""
    hypothesis: str
    """Post id."""
    commit: str
    author: str
    title: str
    """The author's words; data."""
    status: str
    outcome: str
    """ok; retracted when its runs were taken back; else invalid when none of them was valid."""
    score: float | None
    """Mean on `split`; None when invalid."""
    split: Split
    """vault for reproduced hypotheses, dev for all others."""
    runs: int
    """How many valid runs the score is the mean of."""
    gain: float | None
    """Gain over its parent as of its newest status, positive is better."""
    baseline_gain: float | None
    """Gain over the baseline's mean on the same split, where that is known."""
    predicted_gain: float
    reproduced_by: str | None
    isolation: Isolation
    measured_by: str
    """``scorer``, ``model`` where nothing was run, ``candidate`` where it says so itself."""
    """The weakest among its runs; anything less than full is ranked apart."""
    estimate: float | None
    """Gain over the baseline, shrunk, summed along declared parents; None where it is unknown. See
    `scoring.evidence.standing`."""
    low: float | None
    """Lower end of its two-sided 95 % interval, which it is ranked by."""
    high: float | None
    basis: Basis | None
    """Which runs the estimate rests on: after its acceptance; mixed or confirmation, of which
    nobody claims that they are unbiased; or screen, still less so."""
    runs_after: int
    """Valid runs of its tree on vault since it was accepted."""
    q_value: float | None
    """Benjamini and Hochberg's, over all confirmations; None without one."""
    pairs: int
    """Pairs that its confirmations took."""
    proposer: str
    """Who committed the tree; whoever reproduces it is another, or the lab."""
    gain_low: float | None
    """Lower end of the two-sided 95 % interval of `gain`; None in older ledgers."""
    gain_high: float | None
    classes: int
    """Device classes in which its gain over its parent was measured."""
    i2: float | None
    """Share of that gain's spread that is between classes, from 0 to 1; None with fewer than two.
    """

    @property
    def status_said(self) -> str:
        """Its status for people; what has no valid run is invalid, or open again."""
        words = {"ok": self.status.replace("_", " "), "retracted": "open again"}
        return words.get(self.outcome, "invalid")


@dataclass(frozen=True, slots=True)
class Researcher:
    """One agent's record."""

    agent: str
    role: str
    mind: str
    experiments: int
    """Experiments charged to it, reproductions included."""
    device_seconds: float
    """The charge of all attempts on its account."""
    posts: int
    hypotheses: int
    improved: int
    """Own hypotheses that were ever found improved or reproduced."""
    reproduced: int
    """Own hypotheses that are reproduced now."""
    reproductions: int
    """Confirmations of others' hypotheses that it brought to an end."""
    reviews: int
    prediction_error: float | None
    """Mean distance between predicted and screened gain of own hypotheses, the task's unit."""
    review_error: float | None
    """The same for the medians in its reviews."""
    review_skill: float | None
    """What its forecasts were worth beyond the base rate, by `scoring.evidence.reviewing`; None
    before one is settled."""
    reviews_settled: int
    """How many of its reviews that is about."""
    credit: float
    """Its part of the gain that the run confirmed, the task's unit; `credit_table` has the rest."""
    credit_kind: Kind
    """path or leave-one-out."""
    decided: int
    """Those of `reproductions` that decided something and still stand."""


def contributions(state: RunState) -> tuple[Contribution, ...]:
    """Return all measured hypotheses in the order of `scoring.evidence.ranking.rank`.

    Reproduced ones first, then all others, then retracted ones, then those without a valid run;
    each by the lower bound of their gain over the baseline, older ones first where that ties.
    """
    return tuple(each_contribution(state))


def each_contribution(state: RunState) -> Iterator[Contribution]:
    """Yield the `contributions`, the best first, one at a time."""
    known = confirmed_q_values(state)
    for rank, place in enumerate(placed(state), start=1):
        yield _contribution(state, rank, place, known.get(place.post_id))


def confirmed_q_values(state: RunState) -> dict[str, float]:
    """Return each confirmed hypothesis' q-value: the share of false ones if it counts as true.

    Benjamini and Hochberg's, over all confirmations of the run that ended with a p-value, by the
    newest one of each hypothesis.
    """
    newest = {
        hypothesis.post_id: change.p
        for hypothesis in state.hypotheses.values()
        for change in hypothesis.confirmations
        if change.p is not None
    }
    return dict(zip(newest, q_values(list(newest.values())), strict=True))


def researchers(state: RunState, credit: CreditTable | None = None) -> tuple[Researcher, ...]:
    """Return the agents: most credit first, then most reproduced and improved, then by name.

    Credit leads, for it cannot be had by making a tree worse and then taking that back.

    Args:
        state: The run.
        credit: Its `credit_table`, if the caller has it.
    """
    posts: Counter[str] = Counter()
    reviews: dict[str, list[tuple[str, float]]] = {}
    for record in state.posts.values():
        posts[record.posted.author] += 1
        body = record.posted.body
        if body.get("kind") == "review":
            said = body.get("forecast")  # absent in older ledgers
            median = float(said["gain"][1] if said else body["prediction"]["gain"])
            reviews.setdefault(record.posted.author, []).append((str(body["hypothesis"]), median))
    earned, credit = skills(state), credit or credit_table(state)
    tally = Tally(state)
    table = [
        _researcher(
            state, name, posts[name], reviews.get(name, []), earned.get(name), credit, tally
        )
        for name in state.agents
    ]
    return tuple(sorted(table, key=lambda r: (-r.credit, -r.reproduced, -r.improved, r.agent)))


class Tally:
    """What came of all claims, by who posted them and who confirmed them: one look at each."""

    def __init__(self, state: RunState) -> None:
        self.hypotheses, self.improved = Counter[str](), Counter[str]()
        self.reproduced, self.reproductions = Counter[str](), Counter[str]()
        self.errors: defaultdict[str, list[float]] = defaultdict(list)
        """How far predictions were off, by author."""
        self.gains: dict[str, float] = {}
        """Claim -> gain of its screen."""
        for claim in state.hypotheses.values():
            self.hypotheses[claim.author] += 1
            self.improved[claim.author] += claim.was_improved
            self.reproduced[claim.author] += claim.status == "reproduced"
            self.reproductions.update(change.by for change in claim.confirmations)
            if (gain := claim.screened_gain) is not None:
                self.gains[claim.post_id] = gain
                self.errors[claim.author].append(abs(claim.prediction[0] - gain))


def _contribution(state: RunState, rank: int, place: Placed, q_value: float | None) -> Contribution:
    hypothesis, standing = place.hypothesis, place.standing
    newest = hypothesis.changes[-1][1] if hypothesis.changes else None
    split: Split = "vault" if hypothesis.status == "reproduced" else "dev"
    score = state.mean_score(hypothesis.tree_key, split)
    baseline = baseline_mean(state, split)
    direction: Direction = state.opened.direction if state.opened else "lower"
    is_comparable = baseline is not None and score is not None
    return Contribution(
        rank=rank,
        hypothesis=hypothesis.post_id,
        commit=hypothesis.commit,
        author=hypothesis.author,
        title=hypothesis.title,
        status=hypothesis.status,
        outcome=_outcome(state, hypothesis, score),
        score=score,
        split=split,
        runs=len(state.scores(hypothesis.tree_key, split)),
        gain=hypothesis.gain,
        baseline_gain=gain_over(score or 0.0, baseline or 0.0, direction)
        if is_comparable
        else None,
        predicted_gain=hypothesis.prediction[0],
        reproduced_by=hypothesis.reproduced_by,
        isolation=place.isolation,
        measured_by=state.measured_by,
        estimate=standing.estimate if standing else None,
        low=standing.low if standing else None,
        high=standing.high if standing else None,
        basis=standing.basis if standing else None,
        runs_after=place.runs_after,
        q_value=q_value,
        pairs=_pairs(state, hypothesis),
        proposer=hypothesis.proposer,
        gain_low=newest.low if newest else None,
        gain_high=newest.high if newest else None,
        classes=place.classes,
        i2=place.i2,
    )


def _outcome(state: RunState, hypothesis: HypothesisState, score: float | None) -> str:
    if score is not None:
        return "ok"
    served = [state.experiments[name] for name in hypothesis.experiments]
    is_open = hypothesis.awaits_screen and any(e.is_retracted for e in served)
    return "retracted" if is_open else "invalid"


def _pairs(state: RunState, hypothesis: HypothesisState) -> int:
    served = (state.experiments[name] for name in hypothesis.experiments)
    return sum(
        e.queued.purpose == "confirm_child" and e.standing_verdict is not None for e in served
    )


def _researcher(
    state: RunState,
    name: str,
    posts: int,
    reviews: list[tuple[str, float]],
    skill: Skill | None,
    credit: CreditTable,
    tally: Tally,
) -> Researcher:
    agent = state.agents[name]
    said = (abs(gain - tally.gains[claim]) for claim, gain in reviews if claim in tally.gains)
    spend = state.spend.get(name)
    return Researcher(
        agent=name,
        role=agent.role,
        mind=agent.mind,
        experiments=spend.experiments if spend else 0,
        device_seconds=spend.device_seconds if spend else 0.0,
        posts=posts,
        hypotheses=tally.hypotheses[name],
        improved=tally.improved[name],
        reproduced=tally.reproduced[name],
        reproductions=tally.reproductions[name],
        reviews=len(reviews),
        prediction_error=_mean(tally.errors[name]),
        review_error=_mean([*said]),
        review_skill=skill.points if skill else None,
        reviews_settled=skill.settled if skill else 0,
        credit=credit.by_author.get(name, 0.0),
        credit_kind=credit.kind,
        decided=credit.decided.get(name, 0),
    )


def _mean(errors: list[float]) -> float | None:
    return sum(errors) / len(errors) if errors else None
