"""The ``careless`` mind: a researcher who does not look before he asks, at stated rates.

It is there to be reviewed: what it wastes is known in advance. Of its proposals

* a quarter (`DUPLICATES`) repeat what is known: a commit it can see with one number turned by less
  than `agents.closeness.CLOSE`, so that the tree is new and the idea is not (an exact copy would
  cost nothing, as the lab answers it from the record);
* a quarter (`CRASHES`) do not run: a knob of the best commit is set to a name that does not exist;
* a quarter (`HOPELESS`) cannot help: four numbers of the best commit, each at the far end of its
  range;
* the rest are what `greedy` would propose.

It says of the first three what it says of everything: that it is nearly sure of a gain; and insists
where the lab points out that it repeats something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from agents.actions import Action, Run
from agents.closeness import CLOSE, to_unit
from agents.constants import find_constants
from agents.knobs import turn
from agents.lab import LabReader
from agents.minds.policy.greedy import Greedy
from agents.minds.policy.proposing import in_words, short
from agents.minds.policy.reserve import must_hold, waiting
from agents.minds.policy.steps import from_unit
from agents.minds.policy.view import Point, View, view_of
from agents.observation import Observation
from forum.messages import KnobValue, Prediction

DUPLICATES = 0.25
CRASHES = 0.25
HOPELESS = 0.25
"""Shares of its proposals."""
KNOBS_AT_ONCE = 4
RECENT = 8
"""From how many of the newest commits it can see it takes what it repeats."""
BOAST_SIGMAS, SURE = 3.0, 0.9
"""What it expects of everything."""
TRIES = 20


class Careless:
    """Proposes without looking."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with one proposal, or wait."""
        view = view_of(observation)
        if not view.knobs or must_hold(view):
            return [waiting(view)]
        rng = Random(observation.seed)  # noqa: S311  # not cryptography
        roll, run = rng.random(), None
        if roll < DUPLICATES:
            run = _again(view, rng)
        elif roll < DUPLICATES + CRASHES:
            run = _misspelt(view, rng)
        elif roll < DUPLICATES + CRASHES + HOPELESS:
            run = _far_off(view, rng)
        return await Greedy().decide(observation, lab) if run is None else [run]


def _again(view: View, rng: Random) -> Run | None:
    """Repeat a measured commit but for a hair's breadth."""
    known = [point for point in view.readable if point.cost is not None][-RECENT:]
    numbers = [knob for knob in view.knobs if knob.kind == "float"]
    if not known or not numbers:
        return None
    for _ in range(TRIES):
        point, knob = rng.choice(known), rng.choice(numbers)
        here = to_unit(knob, point.setting[knob.name])
        step = rng.uniform(0.2, 0.9) * CLOSE * (1 if here < 0.5 else -1)
        changes = {knob.name: from_unit(knob, here + step)}
        if not view.is_tried({**point.setting, **changes}):
            return _turned(view, point, changes, "A little fine-tuning.")
    return None


def _misspelt(view: View, rng: Random) -> Run | None:
    """Set a knob of the best commit to a name that nobody has defined."""
    base, path = view.best(), view.observation.briefing.knobs_path
    text = view.observation.trees.get(base.known.commit, {}).get(path, "")
    places, _ = find_constants(text)
    names = [knob.name for knob in view.knobs if knob.name in places]
    if not names:
        return None
    place = places[name := rng.choice(names)]
    wrong = f"{name.lower()}_{rng.randrange(1000)}"
    text = text[: place.begin] + wrong + text[place.end :]
    title = f"tidy up how {name} is set on {short(base)} (careless)"
    return _run(view, base, {path: text}, {}, title, "This ought to be cleaner.")


def _far_off(view: View, rng: Random) -> Run | None:
    """Turn several numbers of the best commit to the far ends of their ranges."""
    base = view.best()
    numbers = [knob for knob in view.knobs if knob.is_number]
    for _ in range(TRIES):
        drawn = rng.sample(numbers, min(KNOBS_AT_ONCE, len(numbers)))
        changes = {
            knob.name: from_unit(knob, float(to_unit(knob, base.setting[knob.name]) < 0.5))
            for knob in drawn
        }
        if changes and not view.is_tried({**base.setting, **changes}):
            return _turned(view, base, changes, "Be bold.")
    return None


def _turned(view: View, base: Point, changes: Mapping[str, KnobValue], because: str) -> Run | None:
    path = view.observation.briefing.knobs_path
    text = view.observation.trees.get(base.known.commit, {}).get(path)
    if text is None:
        return None
    turned = turn(text, changes, view.knobs)
    if not turned.applied:
        return None
    title = f"{in_words(base, turned.applied)} on {short(base)} (careless)"
    return _run(view, base, {path: turned.text}, turned.applied, title, because)


def _run(
    view: View,
    base: Point,
    files: Mapping[str, str],
    knobs: Mapping[str, KnobValue],
    title: str,
    because: str,
) -> Run:
    return Run(
        parents=(base.known.commit,),
        files=files,
        title=title,
        rationale=because,
        prediction=Prediction(gain=BOAST_SIGMAS * view.sigma, confidence=SURE),
        knobs=dict(knobs),
        insists=True,
    )
