"""The ``tpe`` and ``cmaes`` minds: Optuna's samplers as controls, through ask and tell.

Each turn rebuilds the study from the agent's own results, so nothing is kept between turns and the
chance of a turn comes from its seed. They search absolute settings from the baseline and do not
listen to neighbours: that is what makes them controls. CMA-ES moves numbers; options are drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from random import Random
from typing import Any, Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, create_trial

from agents.actions import Action
from agents.knobs import Knob
from agents.lab import LabReader
from agents.minds.policy.proposing import proposal
from agents.minds.policy.reserve import must_hold, waiting
from agents.minds.policy.surrogate import Surrogate
from agents.minds.policy.view import Point, Setting, View, differences, view_of
from agents.observation import Observation
from forum.messages import KnobValue

STARTUP_TRIALS = 10
"""Optuna's default: TPE draws evenly until it has this many results."""
FIRST_SPREAD = 1 / 6
"""CMA-ES starts with a sixth of each range, Optuna's default, around the baseline."""
PENALTY_SIGMAS = 10.0
"""How much worse than the worst result an invalid run is told to be."""
MOST_RESULTS = 1_000
"""Replaying more would make turns slow; the newest are kept."""
ASKS = 12
"""How often to ask again when a setting has been measured already."""


class ReplayingCmaEs(CmaEsSampler):
    """CMA-ES that can be told what it asked for in earlier turns.

    CMA-ES learns only from trials that it sampled itself, in whole generations. While `replayed`
    holds a setting, the sampler goes through its own motions and answers with that setting.
    """

    replayed: Setting | None = None

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the numbers to try, or those of the setting that is replayed."""
        asked = super().sample_relative(study, trial, search_space)
        return asked if self.replayed is None else {name: self.replayed[name] for name in asked}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return an option to try, or that of the setting that is replayed."""
        if self.replayed is not None:
            return self.replayed[param_name]
        return super().sample_independent(study, trial, param_name, param_distribution)


class OptunaSearch:
    """One of Optuna's samplers as a mind."""

    def __init__(self, method: Literal["tpe", "cmaes"]) -> None:
        self._method = method

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with the setting that the sampler asks for, or wait."""
        view = view_of(observation)
        if not view.knobs or must_hold(view):
            return [waiting(view)]
        changes = self._ask(view)
        if not changes:
            return [waiting(view)]
        run = proposal(
            view,
            Surrogate(view),
            view.baseline,
            changes,
            policy=self._method,
            because=f"The setting that {self._method} asks for after {len(view.points)} results.",
        )
        return [waiting(view) if run is None else run]

    def _ask(self, view: View) -> dict[str, KnobValue]:
        """Return the changes against the baseline that the sampler wants measured next."""
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            with warnings.catch_warnings():
                # Optuna marks arguments as experimental that its documentation recommends.
                warnings.simplefilter("ignore", ExperimentalWarning)
                # x0 and sigma0 are announced to leave with Optuna 6; pyproject.toml stays below it.
                warnings.filterwarnings("ignore", "`(x0|sigma0)`", FutureWarning)
                return self._next(view)
        finally:
            optuna.logging.set_verbosity(before)

    def _next(self, view: View) -> dict[str, KnobValue]:
        space = {knob.name: _distribution(knob) for knob in view.knobs}
        sampler = self._sampler(view)
        study = optuna.create_study(sampler=sampler, direction="minimize")
        _tell_all(study, sampler, view, space)
        for _ in range(ASKS):
            asked = study.ask(fixed_distributions=dict(space)).params
            setting = {knob.name: _tidy(knob, asked[knob.name]) for knob in view.knobs}
            if not view.is_tried(setting):
                return differences(view.baseline.setting, setting)
        return {}

    def _sampler(self, view: View) -> BaseSampler:
        seed = Random(view.observation.seed).randrange(2**31)  # noqa: S311  # not cryptography
        if self._method == "tpe":
            return TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
        numbers = {
            knob.name: view.baseline.setting[knob.name] for knob in view.knobs if knob.is_number
        }
        return ReplayingCmaEs(
            x0=numbers,
            sigma0=FIRST_SPREAD,
            seed=seed,
            independent_sampler=RandomSampler(seed=seed),
            warn_independent_sampling=False,
        )


def _tell_all(
    study: optuna.Study, sampler: BaseSampler, view: View, space: dict[str, BaseDistribution]
) -> None:
    """Give the study the baseline and the agent's own results, in the order they came."""
    own = [p for p in view.points[1:] if p.known.author == view.observation.agent][-MOST_RESULTS:]
    costs = [p.cost for p in [view.baseline, *own] if p.cost is not None]
    penalty = max(costs) + PENALTY_SIGMAS * view.sigma
    for number, point in enumerate([view.baseline, *own]):
        value = penalty if point.cost is None else point.cost
        params = _inside(view.knobs, point)
        if isinstance(sampler, ReplayingCmaEs) and number > 0:
            sampler.replayed = params
            study.tell(study.ask(fixed_distributions=dict(space)), value)
            sampler.replayed = None
        else:
            study.add_trial(create_trial(params=params, distributions=dict(space), value=value))


def _distribution(knob: Knob) -> BaseDistribution:
    if not knob.is_number:
        return CategoricalDistribution(knob.options)
    assert knob.low is not None
    assert knob.high is not None
    is_log = knob.scale == "log"
    if knob.kind == "int":
        return IntDistribution(int(knob.low), int(knob.high), log=is_log)
    return FloatDistribution(knob.low, knob.high, log=is_log)


def _inside(knobs: Sequence[Knob], point: Point) -> dict[str, KnobValue]:
    """Return a point's setting as Optuna takes it: exact types."""
    return {knob.name: _exact(knob, point.setting.get(knob.name, knob.start)) for knob in knobs}


def _exact(knob: Knob, value: KnobValue) -> KnobValue:
    if knob.kind == "float":
        return float(value)
    return int(value) if knob.kind == "int" else value


def _tidy(knob: Knob, value: KnobValue) -> KnobValue:
    """Return a float with four significant digits, still inside its range."""
    if knob.kind != "float" or knob.low is None or knob.high is None:
        return value
    return min(max(float(f"{float(value):.4g}"), knob.low), knob.high)
