"""Admission: how many experiments a run may still start, and whether it is time to stop.

Reads the folded ledger and decides nothing about order. A confirmation holds its experiments in
reserve from the moment it is opened, so that what was promised to a claim cannot be spent
elsewhere; near the end the last confirmation's worth is kept for the best open claim.
"""

from __future__ import annotations

from community.archive.queries import leader
from community.archive.state import HypothesisState, RunState
from community.scenario import StopSection


def better(first: float, second: float, direction: str) -> bool:
    """Whether score `first` is better than `second`."""
    return first < second if direction == "lower" else first > second


def leading_claims(state: RunState) -> list[HypothesisState]:
    """Return open ``improved`` claims that would lead the frontier, the best score first.

    A claim's score is its tree's mean on dev; it must beat the dev mean of the frontier's tree.
    """
    opened = state.opened
    if opened is None:
        return []
    sign = 1.0 if opened.direction == "lower" else -1.0
    lead = None
    if (leading := leader(state)) is not None:
        lead = state.mean_score(state.hypotheses[leading.hypothesis].tree_key, "dev")
    claims = []
    for claim in state.hypotheses.values():
        score = state.mean_score(claim.tree_key, "dev")
        is_open = claim.status == "improved" and not claim.confirmations
        if not is_open or claim.reproduction_by is not None or score is None:
            continue
        if lead is None or sign * score < sign * lead:
            claims.append((sign * score, claim))
    return [claim for _, claim in sorted(claims, key=lambda pair: pair[0])]


class Admission:
    """Counts experiments against the scenario's stop conditions.

    Args:
        stop: The scenario's stop conditions.
        confirm_pairs: Pairs of one confirmation; it needs twice as many experiments.
        confirm_share: Largest share of experiments in confirmations for the lab to open another.
    """

    def __init__(self, stop: StopSection, confirm_pairs: int, confirm_share: float = 1.0) -> None:
        self._stop = stop
        self._confirm_share = confirm_share
        self._reserved = 0
        self._is_closed = False
        self.confirmation_size = 2 * confirm_pairs

    def close(self) -> None:
        """Admit nothing any more."""
        self._is_closed = True

    @property
    def is_closed(self) -> bool:
        """Whether the run has stopped admitting for good."""
        return self._is_closed

    def remaining(self, state: RunState) -> int | None:
        """Return how many experiments may still be admitted; None without a limit."""
        if self._is_closed:
            return 0
        if self._stop.experiments is None:
            return None
        return max(0, self._stop.experiments - state.experiments_admitted - self._reserved)

    def refuses_screen(self, state: RunState) -> str:
        """Say why a screen cannot be admitted now; empty when it can."""
        remaining = self.remaining(state)
        if remaining is None:
            return ""
        if remaining == 0:
            return "the run's experiments are used up"
        if self.keeps_the_rest(state):
            return f"the last {remaining} experiments are kept to confirm a leading claim"
        return ""

    def keeps_the_rest(self, state: RunState) -> bool:
        """Whether just one confirmation's worth remains and there is a claim to confirm."""
        is_last = self.remaining(state) == self.confirmation_size
        return is_last and bool(leading_claims(state))

    def lab_may_confirm(self, state: RunState) -> bool:
        """Whether another confirmation keeps confirmations within their share, or is the last.

        It is not the last if it left a few experiments over that could not confirm what they find.
        """
        if self.keeps_the_rest(state):
            return True
        remaining = self.remaining(state)
        if remaining is not None and remaining < 2 * self.confirmation_size:
            return False
        spent = sum(e.queued.purpose.startswith("confirm") for e in state.experiments.values())
        after = spent + self.confirmation_size
        screens = state.experiments_admitted - spent
        return after <= self._confirm_share * (screens + after)

    def reserve(self, state: RunState) -> bool:
        """Hold a whole confirmation's experiments; False when too few remain."""
        remaining = self.remaining(state)
        if remaining is not None and remaining < self.confirmation_size:
            return False
        self.hold(self.confirmation_size)
        return True

    def hold(self, experiments: int) -> None:
        """Hold `experiments` back, asked or not: a restart takes up what was promised before."""
        self._reserved += experiments

    def release(self, experiments: int) -> None:
        """Give `experiments` of a reserve back, because they were admitted or are not needed."""
        self._reserved = max(0, self._reserved - experiments)

    def reason_to_stop(self, state: RunState, now_s: float) -> str:
        """Return the stop condition that holds now, or an empty string.

        The experiment limit holds once all admitted experiments have ended and no confirmation
        is under way.
        """
        stop = self._stop
        if stop.wall_s is not None and now_s >= stop.wall_s:
            return "wall_s"
        if stop.device_seconds is not None and state.device_seconds >= stop.device_seconds:
            return "device_seconds"
        if stop.target is not None and self._reached_target(state, stop.target):
            return "target"
        is_spent = stop.experiments is not None and (
            state.experiments_admitted >= stop.experiments and self._reserved == 0
        )
        if is_spent and state.experiments_done >= state.experiments_admitted:
            return "experiments"
        return ""

    def _reached_target(self, state: RunState, target: float) -> bool:
        leading = leader(state)
        if state.opened is None or leading is None:
            return False
        score = leading.score
        return score == target or better(score, target, state.opened.direction)
