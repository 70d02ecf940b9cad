"""The ``sceptic`` mind: reviews as `judge` does, and challenges what stands on least.

A challenge is two more pairs of runs of what somebody has reproduced. It takes the claim whose gain
is smallest beside the noise, or that the other results speak against, and keeps within a share of
the experiments it can see.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents.actions import Action, Reproduce, WriteNotebook
from agents.lab import LabReader
from agents.minds.policy.judge import Judge
from agents.minds.policy.reserve import confirmation_runs, kept_runs
from agents.minds.policy.surrogate import Surrogate
from agents.minds.policy.view import View, view_of
from agents.observation import Observation, OpenClaim

SHARE = 0.1
"""Of all visible experiments, the most that challenges may take, as far as it can tell."""
THIN_SIGMAS = 3.0
"""A gain below this, in noise deviations, rests on little."""


class Sceptic:
    """Doubts."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with the reviews it was asked for, else with a challenge, or wait."""
        actions = await Judge().decide(observation, lab)
        view = view_of(observation)
        is_asked = any(
            each.is_mine_to_review and not each.is_reviewed_by_me
            for each in observation.open_hypotheses
        )
        doubtful = None if is_asked else _most_doubtful(view)
        if doubtful is None:
            return actions
        noted = f"{observation.notebook} {doubtful.hypothesis}".strip()
        return [WriteNotebook(noted), Reproduce(doubtful.hypothesis)]


def _most_doubtful(view: View) -> OpenClaim | None:
    seen = view.observation
    runs, left = confirmation_runs(view), seen.remaining_experiments
    doubted = seen.notebook.split()
    if left is not None and left <= kept_runs(view) + runs:
        return None
    if runs * (len(doubted) + 1) > SHARE * (len(seen.known) - 1 + runs * seen.confirmations):
        return None
    fresh = [each for each in seen.challenges if each.hypothesis not in doubted]
    rated = [(each.gain - _doubt(view, each), n, each) for n, each in enumerate(fresh)]
    thin = [each for each in rated if each[0] < THIN_SIGMAS * view.sigma]
    return min(thin)[2] if thin else None


def _doubt(view: View, claim: OpenClaim) -> float:
    """Return by how much the other results expect less of a claim than was found."""
    point = view.by_commit.get(claim.commit)
    parent = None if point is None else view.built_on(point)
    if point is None or parent is None:
        return 0.0
    gain, deviation = Surrogate(view).gain(parent.setting, point.setting)
    return max(0.0, claim.gain - gain - deviation)
