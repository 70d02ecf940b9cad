"""The ``social`` mind: copies, recombines and improves what neighbours published.

It gathers candidates around the best visible commits (somebody's good change put on somebody else's
commit, a way that paid taken further, an untouched knob turned) and picks by what the surrogate
expects of them, with some optimism for the unknown. Evidence weighs by status: see `View.ranked`
and `Surrogate`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from agents.actions import Action, Run
from agents.lab import LabReader
from agents.minds.policy.copying import Candidate, copies_of
from agents.minds.policy.leads import following
from agents.minds.policy.proposing import proposal
from agents.minds.policy.reserve import must_hold, waiting
from agents.minds.policy.steps import turned
from agents.minds.policy.surrogate import Surrogate
from agents.minds.policy.turning import Lessons, advised, lessons_of, scale_of, survey
from agents.minds.policy.view import Key, Point, View, view_of
from agents.observation import Observation

BASES = 3
"""How many of the best commits are considered to build on."""
OVERLOOKED = 0.5
"""Share of candidates a turn does not think of, so that two agents who know the same do not both
propose the same."""
SURVEY_SHARE = 0.5
"""Share of turns that look at a knob nobody has turned, while there is one. Chosen on a scratch
model of nanolm's single turns, 24 seeds: 23.7 ± 0.8 % reproduced gain with it, 22.8 ± 0.8 %
without, so the difference may be chance; it costs nothing and keeps knobs from being forgotten."""
MOST_OPTIMISM = 2.0
"""Standard deviations that the boldest turn adds to what it expects. On the modelled landscape of
the tests 1.5 to 2.5 were alike and 0.3 was worse: hope is what opens new directions."""


class Social:
    """Learns from everything that reaches it."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with the most promising candidate, or wait."""
        view = view_of(observation)
        if not view.knobs or must_hold(view):
            return [waiting(view)]
        led = following(view, Surrogate(view), "social")
        if led is not None:
            return [led]
        run = exploit(view, Random(observation.seed))  # noqa: S311  # not cryptography
        return [waiting(view) if run is None else run]


def exploit(view: View, rng: Random, policy: str = "social") -> Run | None:
    """Return the proposal that visible evidence speaks for, or None if all was tried."""
    surrogate = Surrogate(view)
    lessons = lessons_of(view)
    if rng.random() < SURVEY_SHARE:
        looked = _look(view, surrogate, rng, lessons, policy)
        if looked is not None:
            return looked
    candidates = [
        candidate
        for base in _bases(view, rng)
        for candidate in _around(view, base, rng, lessons)
        if candidate.changes and not view.is_closed(candidate.base.setting, candidate.changes)
    ]
    candidates = list(_distinct(candidates))
    if not candidates:
        return None
    best = view.best()
    settings = [(each.base.setting, each.changes) for each in candidates]
    gains, deviations = Surrogate(view, believes=True).gains(best.setting, settings)
    optimism = rng.uniform(0.0, MOST_OPTIMISM)
    worth = gains + optimism * deviations
    overlooked = [rng.random() < OVERLOOKED for _ in candidates]
    order = sorted(range(len(candidates)), key=lambda i: (overlooked[i], -worth[i]))
    for index in order[:8]:
        chosen = candidates[index]
        run = proposal(
            view, surrogate, chosen.base, chosen.changes, policy=policy, because=chosen.because
        )
        if run is not None:
            return run
    return None


def _look(
    view: View, surrogate: Surrogate, rng: Random, lessons: Lessons, policy: str
) -> Run | None:
    """Return a turn of one little-known knob, on the best commit with what surely helps it."""
    base = view.best()
    changes = survey(view, base, rng, lessons)
    if changes is None:
        return None
    because = f"Too little is known about {' and '.join(changes)}."
    copies = [
        each for each in copies_of(view, base, rng) if not changes.keys() & each.changes.keys()
    ]
    if copies:
        settings = [(base.setting, each.changes) for each in copies]
        gains, deviations = surrogate.gains(base.setting, settings)
        sure = gains - deviations
        best = max(range(len(copies)), key=lambda i: sure[i])
        if sure[best] > 0:
            changes = {**copies[best].changes, **changes}
            because = f"{copies[best].because} {because}"
    return proposal(view, surrogate, base, changes, policy=policy, because=because)


def _bases(view: View, rng: Random) -> list[Point]:
    """Return the best commit, and now and then close rivals of it."""
    ranked = view.ranked()[:BASES]
    first = ranked[0][0]
    return [
        point for cost, point in ranked if rng.random() <= math.exp(-(cost - first) / view.sigma)
    ] or [ranked[0][1]]


def _around(view: View, base: Point, rng: Random, lessons: Lessons) -> list[Candidate]:
    return [
        *copies_of(view, base, rng),
        *_further(view, base, rng, lessons),
        *_fresh(view, base, rng, lessons),
    ]


def _further(view: View, base: Point, rng: Random, lessons: Lessons) -> list[Candidate]:
    """Return single knobs turned as the lessons about them advise."""
    taught = {lesson.knob for lesson in lessons}
    scale = scale_of(view)
    found: list[Candidate] = []
    for knob in view.knobs:
        if knob.name not in taught:
            continue
        for _ in range(3):
            value = advised(knob, base.setting, rng, lessons, view.sigma, scale)
            if value is not None:
                because = f"What turning {knob.name} did before points this way."
                found.append(Candidate(base, {knob.name: value}, because))
    return found + _pairs(base, found, rng)


def _fresh(view: View, base: Point, rng: Random, lessons: Lessons) -> list[Candidate]:
    """Return bold turns of single knobs and pairs, most of them never tried."""
    scale = scale_of(view)
    found: list[Candidate] = []
    for knob in view.knobs:
        for _ in range(3):
            value = turned(knob, base.setting[knob.name], rng, scale)
            if value is not None:
                because = f"Little is known about {knob.name} here."
                found.append(Candidate(base, {knob.name: value}, because))
    return found + _pairs(base, found, rng)


def _pairs(base: Point, singles: list[Candidate], rng: Random) -> list[Candidate]:
    if len(singles) < 2:
        return []
    found: list[Candidate] = []
    for _ in range(len(singles)):
        chosen = rng.sample(singles, min(len(singles), rng.choice((2, 2, 3))))
        changes = {name: value for each in chosen for name, value in each.changes.items()}
        because = " ".join(dict.fromkeys(each.because for each in chosen))
        found.append(Candidate(base, changes, because))
    return found


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """Return one candidate per setting, the one on the better base."""
    seen: dict[Key, Candidate] = {}
    for each in candidates:
        seen.setdefault(each.base.setting.key_with(each.changes), each)
    return list(seen.values())
