"""The ``tpe`` and ``cmaes`` minds: Optuna's samplers as controls, through ask and tell.

Each turn asks a study of the agent's own results, and its chance comes from its seed. What TPE was
told is told no second time, which changes no answer: after a restart it is told anew. They search
absolute settings from the baseline and do not listen to neighbours: that is what makes them
controls. CMA-ES moves numbers; options are drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from optuna.trial import FrozenTrial, TrialState, create_trial

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

_Result = tuple[dict[str, KnobValue], float]
"""A setting in Optuna's own types, and its cost."""


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


class TpeOfOneSpace(TPESampler):
    """TPE where all trials have the same parameters, which it need not find out from each of them.

    Args:
        space: The parameters.
        kwargs: As for `TPESampler`.
    """

    def __init__(self, space: Mapping[str, BaseDistribution], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._space = {name: space[name] for name in sorted(space) if not space[name].single()}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return what there is to sample."""
        return dict(self._space)


class OptunaSearch:
    """One of Optuna's samplers as a mind."""

    def __init__(self, method: Literal["tpe", "cmaes"]) -> None:
        self._method = method
        self._told: _Told | None = None

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
        study = self._study(view, space)
        asked: list[optuna.Trial] = []
        try:
            for _ in range(ASKS):
                asked.append(study.ask(fixed_distributions=dict(space)))
                values = asked[-1].params
                setting = {knob.name: _tidy(knob, values[knob.name]) for knob in view.knobs}
                if not view.is_tried(setting):
                    return differences(view.baseline.setting, setting)
            return {}
        finally:
            for trial in asked:  # what is never told counts as on its way, for this turn alone
                study.tell(trial, state=TrialState.FAIL)

    def _study(self, view: View, space: dict[str, BaseDistribution]) -> optuna.Study:
        """Return a study that knows the agent's results, with this turn's sampler."""
        sampler, results = self._sampler(view, space), _results(view)
        if isinstance(sampler, ReplayingCmaEs):
            study = optuna.create_study(sampler=sampler, direction="minimize")
            _replay(study, sampler, results, space)
            return study
        told = self._told
        if told is None or told.knobs != view.knobs or told.results != results[: len(told.results)]:
            told = self._told = _Told(view.knobs, optuna.create_study(direction="minimize"))
        told.study.sampler = sampler
        for params, value in results[len(told.results) :]:
            told.study.add_trial(create_trial(params=params, distributions=space, value=value))
            told.results.append((params, value))
        return told.study

    def _sampler(self, view: View, space: Mapping[str, BaseDistribution]) -> BaseSampler:
        seed = Random(view.observation.seed).randrange(2**31)  # noqa: S311  # not cryptography
        if self._method == "tpe":
            return TpeOfOneSpace(space, seed=seed, n_startup_trials=STARTUP_TRIALS)
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


@dataclass(slots=True)
class _Told:
    """A study of complete trials; what was asked in earlier turns failed, which says nothing."""

    knobs: tuple[Knob, ...]
    study: optuna.Study
    results: list[_Result] = field(default_factory=list)


def _results(view: View) -> list[_Result]:
    """Return the baseline and the agent's own results, in the order they came, as costs."""
    own = [p for p in view.points[1:] if p.known.author == view.observation.agent][-MOST_RESULTS:]
    points = [view.baseline, *own]
    penalty = max(p.cost for p in points if p.cost is not None) + PENALTY_SIGMAS * view.sigma
    return [
        (_inside(view.knobs, point), penalty if point.cost is None else point.cost)
        for point in points
    ]


def _replay(
    study: optuna.Study,
    sampler: ReplayingCmaEs,
    results: Sequence[_Result],
    space: dict[str, BaseDistribution],
) -> None:
    """Tell a study of results as if the sampler had asked for all but the first, the baseline."""
    for number, (params, value) in enumerate(results):
        if number == 0:
            study.add_trial(create_trial(params=params, distributions=dict(space), value=value))
            continue
        sampler.replayed = params
        study.tell(study.ask(fixed_distributions=dict(space)), value)
        sampler.replayed = None


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
