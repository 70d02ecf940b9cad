"""A fitted surrogate as a modelled task: what `community.modelled.model.Model` asks for.

The tree is the real task's, so that agents see and edit what they would see and edit there. Its
knobs decide everything; a tree with other changes than knobs, or a knob outside its range, crashes:
nothing is known of it, and an invented score would reward it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np

from agents.knobs import Knob, load_knobs
from community.errors import ModelFileError
from community.modelled.chance import normal, uniform
from community.modelled.model import Modelled
from community.modelled.parameters import DeviceSection
from community.modelled.surrogate.landscape import Landscape
from community.modelled.surrogate.ledgers import Trees
from community.modelled.surrogate.model_file import SPLITS, Duration, ModelFile
from community.modelled.surrogate.space import Array, Space, Values

_USUAL = DeviceSection(count=1)
UNKNOWN = "crash"
"""Of a tree that nothing is known of."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a task or a scenario may choose; None leaves what was learnt."""

    posterior: Literal["mean", "draw"] = "mean"
    landscape_seed: int = 0
    """Of a draw."""
    noise: float | None = None
    """Standard deviation of a score, the same everywhere."""
    duration_s: float | None = None
    """What training the start takes in the median; all durations go with it."""
    crash: float | None = None
    """Chance of an invalid experiment, the same everywhere but at the start."""
    devices: Mapping[str, DeviceSection] = field(default_factory=dict)
    """By the name of the slot; one that is not named is as usual."""


class Surrogate:
    """A modelled task.

    Args:
        model: The fitted model.
        start: The real task's start tree.
        knobs_toml: The text of its ``knobs.toml``.
        knobs_path: The file of the tree with the knobs.
        choices: What differs from what was learnt.

    Raises:
        ModelFileError: it was fitted on other knobs, or a draw is asked of what knows no doubt.
    """

    def __init__(
        self,
        model: ModelFile,
        start: Mapping[str, bytes],
        knobs_toml: str,
        knobs_path: str,
        choices: Choices | None = None,
    ) -> None:
        self.model = model
        self._choices = choices or Choices()
        self._start, self._knobs_toml = dict(start), knobs_toml
        knobs = load_knobs(knobs_toml, self._start[knobs_path].decode("utf-8", "replace"))
        _must_be_of(model, knobs)
        self._trees = Trees(self._start, knobs_path, knobs)
        seed = self._choices.landscape_seed
        is_drawn = self._choices.posterior == "draw"
        self._landscape = Landscape(self.model, seed if is_drawn else None)
        self._space = self.model.space()
        self._offsets: dict[str, float] = {}
        for split in SPLITS:
            offset = model.offsets[split]
            luck = normal(f"offset/{split}", seed) if is_drawn else 0.0
            self._offsets[split] = offset.mean + offset.spread * luck
        points = self._space.encode(self.model.settings())
        self._train = _Timing(self.model.train, self._space, points)
        self._score_time = _Timing(self.model.score_time, self._space, points)
        start_s = self._train.usual(self._values_of_start())
        wanted_s = self._choices.duration_s
        self._times = 1.0 if wanted_s is None else wanted_s / start_s
        self._odds = np.array(self.model.invalid.weights)

    def start(self) -> Mapping[str, bytes]:
        """Return the start tree."""
        return self._start

    def knobs_toml(self) -> str:
        """Return the text of its ``knobs.toml``."""
        return self._knobs_toml

    def run(
        self, files: Mapping[str, bytes], *, seed: int, split: str, device: str
    ) -> Modelled:  # devices are alike here
        """Return what running a tree comes to; only the score depends on the split."""
        on = self._choices.devices.get(device, _USUAL)
        values, invalid = self._values(files), self.model.invalid
        timed = self._values_of_start() if values is None else values
        train_s = self._train.seconds(timed, uniform("train", seed)) * self._times / on.speed
        if values is None or uniform("invalid", seed) < self.crash_chance(values):
            reason = UNKNOWN if values is None else _drawn_from(invalid.reasons, seed)
            return Modelled("invalid", reason, None, train_s * invalid.share_of_train, 0.0)
        cost = self._landscape.cost(values)
        noisy = cost + self.sigma(cost) * normal(f"noise/{split}", seed)
        score = self.model.sign * (noisy + self._offsets[split] - on.gain)
        score_s = self._score_time.seconds(values, uniform("score", seed)) * self._times
        return Modelled("ok", "", score, train_s, score_s)

    def truth(self, files: Mapping[str, bytes]) -> float | None:
        """Return the expected score of a tree on dev; None where nothing is known of it."""
        values = self._values(files)
        if values is None:
            return None
        return self.model.sign * (self._landscape.cost(values) + self._offsets["dev"])

    def best(self) -> float | None:
        """Return None: the optimum of a surrogate is not known exactly."""
        return None

    def sigma(self, cost: float) -> float:
        """Return the standard deviation of a score whose cost is `cost` without noise."""
        if self._choices.noise is not None:
            return self._choices.noise
        noise = self.model.noise
        off = float(self.model.score.log(cost)) - noise.centre
        return noise.sigma * float(np.exp(np.clip(noise.slope * off, -1.4, 1.4)))

    def crash_chance(self, values: Values) -> float:
        """Return the chance that a setting has no score; the start always has one."""
        if values == self._values_of_start():
            return 0.0
        if self._choices.crash is not None:
            return self._choices.crash
        odds = self.model.invalid.intercept
        if len(self._odds):
            odds += float(np.einsum("k,k->", self._space.encode([values])[0], self._odds))
        return float(1 / (1 + np.exp(-np.clip(odds, -700, 700))))

    def _values(self, files: Mapping[str, bytes]) -> Values | None:
        """Return what a tree's knobs stand at; trees come again and again, and reading is slow."""
        return _read(self._trees, tuple(sorted(files.items())))

    def _values_of_start(self) -> Values:
        return tuple(knob.start for knob in self._space.knobs)


class _Timing:
    """How long a part of an experiment takes."""

    def __init__(self, duration: Duration, space: Space, points: Array) -> None:
        self._response = duration.seconds
        self._ratios = np.array(duration.ratios)
        self._places = np.linspace(0, 1, len(duration.ratios))
        self._predict = duration.seconds.regression.predictor(space, points)
        self._space = space
        self.usual = lru_cache(maxsize=4096)(self._usual)

    def _usual(self, values: Values) -> float:
        """Return the seconds predicted of a setting."""
        return float(self._response.value(self._predict(self._space.encode([values])[0])))

    def seconds(self, values: Values, luck: float) -> float:
        """Return the seconds of one run, from its luck in [0, 1); whole microseconds."""
        return round(self.usual(values) * float(np.interp(luck, self._places, self._ratios)), 6)


@lru_cache(maxsize=4096)
def _read(trees: Trees, files: tuple[tuple[str, bytes], ...]) -> Values | None:
    return trees.values(dict(files))


def _drawn_from(reasons: Mapping[str, int], seed: int) -> str:
    """Return one of some words, as often as it was counted."""
    at = uniform("reason", seed) * sum(reasons.values())
    for reason, count in sorted(reasons.items()):
        at -= count
        if at < 0:
            return reason
    return UNKNOWN


def _must_be_of(model: ModelFile, knobs: Sequence[Knob]) -> None:
    """Refuse a model that was fitted on other knobs than the task has.

    Raises:
        ModelFileError: with the names that differ.
    """
    ours = {knob.name: knob for knob in knobs}
    theirs = {knob.name: knob for knob in model.space().knobs}
    names = sorted({*ours, *theirs})
    differ = [name for name in names if _plain(ours.get(name)) != _plain(theirs.get(name))]
    if differ or list(ours) != list(theirs):
        which = ", ".join(differ) or "their order"
        raise ModelFileError(
            f"this surrogate was fitted on other knobs than the task's: {which}; fit it again on "
            "runs of this task"
        )


def _plain(knob: Knob | None) -> object:
    """Return what makes a knob: 1 and 1.0 are one bound, but two choices."""
    if knob is None:
        return None
    choices = tuple((type(each), each) for each in knob.options)
    return knob.kind, knob.low, knob.high, knob.scale, choices, knob.start
