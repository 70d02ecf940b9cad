"""Reserve: when proposers leave the last experiments of a run to whoever confirms.

A result that nobody reproduced counts for nothing, and a confirmation costs several runs. So when
the run nears its end and something visible is better than anything reproduced, proposers wait. The
wait is bounded, because perhaps nobody who could confirm is there.
"""

from __future__ import annotations

from agents.actions import Wait
from agents.minds.policy.view import View

PATIENCE_RUNS = 12.0
"""Bound on holding back, in usual durations of a run: a confirmation and a half, run by run."""
PATIENCE_S = 120.0
"""The same where no duration is known yet."""
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 20.0


def patience_s(view: View, runs: float = PATIENCE_RUNS) -> float:
    """Return for how long to hold back, in seconds: `runs` times the usual duration of a run."""
    usual = view.observation.run_s
    return PATIENCE_S * runs / PATIENCE_RUNS if usual is None else max(runs * usual, 1.0)


def confirmation_runs(view: View) -> int:
    """Return how many experiments a confirmation takes at least."""
    return view.observation.briefing.confirmation_runs


def kept_runs(view: View) -> int:
    """Return how many experiments are kept near the end: what a fair gain is confirmed with."""
    return min(2 * confirmation_runs(view), view.observation.briefing.confirmation_runs_most)


def must_hold(view: View) -> bool:
    """Return whether a proposer should leave the remaining experiments to a confirmation.

    Only when no more than a confirmation's worth is left, which is when the lab keeps them too:
    holding back earlier would leave slots idle where only the lab can confirm.
    """
    left = view.observation.remaining_experiments
    if left == 0:
        return True
    # Fewer than a confirmation takes are free.
    is_kept = left is not None and confirmation_runs(view) <= left <= kept_runs(view)
    if not is_kept or view.observation.idle_s >= patience_s(view):
        return False
    return _has_unconfirmed_lead(view)


def waiting(view: View) -> Wait:
    """Return a wait that grows with the time already spent waiting."""
    return Wait(min(max(FIRST_WAIT_S, view.observation.idle_s / 4), LONGEST_WAIT_S))


def _has_unconfirmed_lead(view: View) -> bool:
    best = view.best_reproduced_cost()
    taken = {claim.commit for claim in view.observation.open_claims if claim.is_claimed}
    return any(
        point.known.status == "improved"
        and point.known.commit not in taken
        and point.cost is not None
        and point.cost < best - 2 * view.sigma
        for point in view.points
    )
