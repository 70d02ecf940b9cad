"""The ``climber`` mind: copies the best it sees, else turns one knob and keeps what helps.

The agent of a published model of communities, so that communities can be compared with it. It takes
one step in each round: if the best result that a neighbour had by the last round is strictly better
than its own best, it makes that solution its own; otherwise it turns one knob, drawn by chance, of
its own best. Its first step is a solution drawn by chance.

Source: Lazer, D. & Friedman, A. (2007), The network structure of exploration and exploitation,
Administrative Science Quarterly 52, 667-694. Differs: a copy costs a run here, because who has not
measured a tree cannot publish it; it is marked with its holder's name, or the lab would know it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random

from agents.actions import Action, Run, Wait
from agents.knobs import Knob, read_values, turn
from agents.lab import LabReader
from agents.minds.policy.steps import anywhere, turned
from agents.observation import Known, Observation
from forum.messages import KnobValue, Prediction

WAIT_S = 60.0
_MARK = re.compile(r'^HELD_BY = ".*"\n', re.MULTILINE)
"""A constant that nothing reads, at the end of the file that holds the knobs."""


class Climber:
    """Climbs, and copies who is higher."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with the one step of this round."""
        if not observation.knobs:
            return [Wait(WAIT_S)]
        rng = Random(observation.seed)  # noqa: S311  # not cryptography
        steps = _steps(observation)
        mine = steps.pop(observation.agent, [])
        done = len(mine)
        if not done:
            start = _baseline(observation)
            return [_step(observation, start, drawn(observation.knobs, rng), done, "starts at")]
        own = _best(observation, mine)
        others = [_best(observation, theirs[:done]) for theirs in steps.values()]
        best = min((each for each in others if each is not None), default=None, key=_cost)
        if best is not None and (own is None or best[0] < own[0]):
            return [_step(observation, best[1], {}, done, "copies")]
        base = own[1] if own is not None else mine[0]
        knob = observation.knobs[rng.randrange(len(observation.knobs))]
        now = read_values(_text(observation, base), observation.knobs).get(knob.name, knob.start)
        value = turned(knob, now, rng)
        return [
            _step(observation, base, {} if value is None else {knob.name: value}, done, "turns")
        ]


def drawn(knobs: Sequence[Knob], rng: Random) -> dict[str, KnobValue]:
    """Return a value for every knob, each drawn evenly from its whole range."""
    values = {knob.name: anywhere(knob, knob.start, rng) for knob in knobs}
    return {name: value for name, value in values.items() if value is not None}


def _steps(observation: Observation) -> dict[str, list[Known]]:
    """Return everybody's results in their order: one a round."""
    steps: dict[str, list[Known]] = {}
    for known in observation.known:
        if known.hypothesis:
            steps.setdefault(known.author, []).append(known)
    return steps


def _baseline(observation: Observation) -> Known:
    return observation.known[0]


def _best(observation: Observation, results: Sequence[Known]) -> tuple[float, Known] | None:
    """Return the first of the best results that can be built on, with its cost."""
    sign = 1.0 if observation.briefing.direction == "lower" else -1.0
    found = [
        (sign * known.score, known)
        for known in results
        if known.score is not None and known.outcome == "ok" and known.is_readable
    ]
    return min(found, default=None, key=_cost)


def _cost(found: tuple[float, Known]) -> float:
    return found[0]


def _text(observation: Observation, known: Known) -> str:
    tree: Mapping[str, str] = observation.trees.get(known.commit, {})
    return tree.get(observation.briefing.knobs_path, "")


def _step(
    observation: Observation,
    base: Known,
    changes: Mapping[str, KnobValue],
    number: int,
    what: str,
) -> Run:
    """Return the run of `base` with `changes`, as this agent's own."""
    start = _baseline(observation)
    path = observation.briefing.knobs_path
    text = turn(_text(observation, base), changes, observation.knobs).text
    text = _MARK.sub("", text) + f'HELD_BY = "{observation.agent}, round {number}"\n'
    before = read_values(_text(observation, start), observation.knobs)
    after = read_values(text, observation.knobs)
    parents = dict.fromkeys((start.commit, base.commit))
    return Run(
        parents=tuple(parents),
        files={path: text},
        title=f"round {number}: {observation.agent} {what} {base.commit[:7]}",
        rationale="One step of a climber; see its neighbours' results for what it copies.",
        prediction=Prediction(gain=0.0, confidence=0.5),
        knobs={name: value for name, value in after.items() if before.get(name) != value},
        insists=True,
    )
