"""Observations made by hand, for tests of single decisions."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from modelled_lab import ModelLab, World, complete
from modelled_landscape import KNOBS, PATH, START

from agents.knobs import turn
from agents.minds.catalogue import make_mind
from agents.observation import Known, Observation, OpenClaim, OpenHypothesis
from forum.messages import Forecast, Hypothesis, Post, Prediction

PROPOSERS = ("random", "greedy", "social", "merge", "tpe", "cmaes")
WORLD = World(complete("ada", "eve"))
HUNCH = Forecast(reproduced=0.5, gain=(0.0, 0.1, 0.2))
BY_NAME = {knob.name: knob for knob in KNOBS}


_BRIEFING = asyncio.run(ModelLab(WORLD, "ada").briefing())


def briefing():
    """Return the modelled task's briefing."""
    return _BRIEFING


def measured(name: str, changes, score, *, parent="", status="improved", author="eve", gain=None):
    """Return a known commit called `name`, and its tree."""
    parent = parent or WORLD.baseline
    base = WORLD.trees[parent].text if parent in WORLD.trees else TREES[parent]
    TREES[name] = turn(base, changes, KNOBS).text
    if gain is None and score is not None:
        gain = WORLD.baseline_mean - score
    outcome = "ok" if score is not None else "invalid"
    return Known(name, (parent,), f"p-{name}", author, outcome, score, status, gain, changes, True)


TREES: dict[str, str] = {}


def observation(*known: Known, **changed) -> Observation:
    """Return what an agent called ada would see after these results."""
    start = Known(
        WORLD.baseline, (), "", "lab", "ok", WORLD.baseline_mean, "measured", None, {}, True
    )
    trees = {WORLD.baseline: {PATH: START}}
    trees |= {each.commit: {PATH: TREES[each.commit]} for each in known if each.is_readable}
    seen = Observation(
        agent="ada",
        role="explorer",
        turn=0,
        seed=1,
        briefing=briefing(),
        knobs=KNOBS,
        known=(start, *known),
        trees=trees,
        open_hypotheses=(),
        open_claims=(),
        notebook="",
        remaining_experiments=40,
        run_s=10.0,
        rights=frozenset({"propose", "merge", "review", "reproduce", "lead", "comment"}),
    )
    return replace(seen, **changed)


def decide(mind: str, seen: Observation, lab=None):
    """Return the answer of a policy."""
    return asyncio.run(make_mind(f"policy:{mind}").decide(seen, lab or ModelLab(WORLD, "ada")))


def open_hypothesis(changes, *, parent="", reviewed=False, asked=True) -> OpenHypothesis:
    """Return a neighbour's open hypothesis."""
    body = Hypothesis(
        title="t",
        parents=(parent or WORLD.baseline,),
        knobs=changes,
        prediction=Prediction(gain=0.1, confidence=0.5),
        commit="open",
    )
    post = Post(post_id="p7", seq=7, at_us=0, author="eve", message_id="m", body=body)
    return OpenHypothesis(post, reviewed, asked)


def claim(name: str, score: float, gain: float | None = None, **changed) -> OpenClaim:
    """Return a neighbour's open claim."""
    gain = WORLD.baseline_mean - score if gain is None else gain
    return replace(OpenClaim(f"p-{name}", name, "eve", "improved", score, gain, False), **changed)


def crowd(count: int = 24) -> list[Known]:
    """Return failures, so that a confirmation keeps within its share."""
    return [measured(f"no{n}", {"DIM": 100 + n}, 3.3, status="not_improved") for n in range(count)]
