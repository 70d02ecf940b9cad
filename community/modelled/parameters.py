"""Parameters of modelled tasks: a task's ``[landscape]``, and a scenario's ``model``.

The scenario's keys stand before the task's. What is common to all models is here: how long an
experiment and a turn take, what a turn costs, how noisy a score is, which devices there are; each
model adds its own. The landscape's seed is the run's unless it is given.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from community.errors import ModelError
from community.landscapes.nk import MOST_BITS, Mode
from community.landscapes.transforms import Transform

_Seconds = Annotated[float, Field(ge=0, le=1e7)]
_Spread = Annotated[float, Field(ge=0, le=3)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DeviceSection(_Section):
    """`count` devices alike."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] = "device"
    """Slots are called ``name-1`` and so on."""
    count: Annotated[int, Field(ge=1, le=4096)]
    speed: Annotated[float, Field(gt=0, le=1e3)] = 1.0
    """How many times faster than usual it is done with an experiment."""
    gain: float = 0.0
    """What it adds to a score, positive is better: a budget in seconds buys more on a fast device.
    """


class WorldSection(_Section):
    """What every modelled world knows, wherever its scores come from."""

    landscape_seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """None: the run's seed."""
    thinking_s: _Seconds = 0.0
    """Median seconds from what an agent sees to what it does."""
    thinking_spread: _Spread = 0.0
    cost_usd: Annotated[float, Field(ge=0)] = 0.0
    """Dollars of a turn."""
    round_s: _Seconds = 0.0
    """Turns begin together, at multiples of so many seconds; 0: each when it can."""
    waves: bool = False
    """Whether all researchers are the hands of one mind: their turns begin together."""
    devices: Annotated[tuple[DeviceSection, ...], Field(strict=False, min_length=1)] | None = None
    """None: ``pool.slots`` of one kind."""

    def scored_by(self) -> dict[str, Any]:
        """Return the parameters that a score depends on: not time, money or devices."""
        return self.model_dump(
            exclude={
                *("duration_s", "duration_spread", "score_s"),
                *("thinking_s", "thinking_spread", "cost_usd", "devices", "waves", "round_s"),
            }
        )


class ModelSection(WorldSection):
    """Of landscapes that are made up: what a task's runs are like is a parameter."""

    noise: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation of a score between two runs of one tree."""
    crash: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of trees that do not run; the start always does."""
    duration_s: Annotated[float, Field(gt=0, le=1e7)] = 300.0
    """Median seconds for which training holds a device of speed 1."""
    duration_spread: _Spread = 0.0
    """Standard deviation of its logarithm."""
    score_s: _Seconds = 0.0
    """Seconds for which scoring holds it afterwards."""


class NkSection(ModelSection):
    """An NK landscape."""

    model: Literal["nk"]
    n: Annotated[int, Field(ge=1, le=512)] = 20
    """Bits of a solution."""
    k: Annotated[int, Field(ge=0, le=20)] = 5
    """Other bits that the worth of each depends on."""
    mode: Mode = "random"
    transform: Transform = "share_of_max"
    decimals: Annotated[int, Field(ge=0, le=12)] | None = None
    """To how many the values of its tables are rounded."""

    @model_validator(mode="after")
    def _can_be_made(self) -> NkSection:
        if self.transform != "raw" and self.n > MOST_BITS:
            raise ValueError(
                f"{self.transform} takes the exact optimum, known up to n = {MOST_BITS}; "
                'set transform = "raw", or a smaller n'
            )
        return self


class MasonWattsSection(ModelSection):
    """One peak among misleading hills, on a square grid."""

    model: Literal["mason_watts"]
    side: Annotated[int, Field(ge=2, le=1000)] = 100
    """Places along each side."""


class PotionsSection(ModelSection):
    """Things that are brewed of things."""

    model: Literal["potions"]
    brews: Annotated[int, Field(ge=1, le=20)] = 7
    """Length of the list; seven are what the last remedy takes."""


class SurrogateSection(WorldSection):
    """The landscape of a real task, learnt from its ledgers. None is as it was learnt."""

    model: Literal["surrogate"]
    of: Annotated[str, Field(min_length=1, max_length=200)]
    """The real task, whose start tree and knobs it has: a name, or a path from this task's folder.
    """
    fitted: Annotated[str, Field(min_length=1, max_length=200)] = "model.json"
    """The file that `community model fit` wrote, from the task's folder."""
    fitted_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    """What it has to hash to; empty for whatever it does."""
    tree: Literal["whole", "knobs"] = "whole"
    """What the start tree holds: all that the real task's does, or the lines with knobs alone;
    built-in minds do not tell them apart, and a run is done in half the time."""
    posterior: Literal["mean", "draw"] = "mean"
    """mean: what is expected, one landscape. draw: for each landscape seed one that might be true.
    """
    noise: Annotated[float, Field(ge=0)] | None = None
    """Standard deviation of a score, the same everywhere."""
    crash: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of experiments that are invalid, the same everywhere."""
    duration_s: Annotated[float, Field(gt=0, le=1e7)] | None = None
    """Median seconds of training the start; all durations go with it."""


SECTIONS: dict[str, type[WorldSection]] = {
    "nk": NkSection,
    "mason_watts": MasonWattsSection,
    "potions": PotionsSection,
    "surrogate": SurrogateSection,
}
"""The models by the name that ``model`` gives them."""


def read_section(landscape: Mapping[str, Any], given: Mapping[str, Any] | None) -> WorldSection:
    """Return the parameters of a task's landscape with what a scenario gives in their place.

    Raises:
        ModelError: an unknown model or key, or a value that cannot be; every fault is named.
    """
    table = {**landscape, **(given or {})}
    name = table.get("model")
    shape = SECTIONS.get(name) if isinstance(name, str) else None
    if shape is None:
        raise ModelError([f"model = {name!r} is none; there are {', '.join(sorted(SECTIONS))}"])
    try:
        return shape.model_validate(table)
    except ValidationError as error:
        known = ", ".join(name for name in shape.model_fields)
        raise ModelError([_in_words(each, known) for each in error.errors()]) from error


def parameters_hash(section: WorldSection, seed: int) -> str:
    """Return the SHA-256 of what scores rest on; `seed` is the landscape's."""
    told = {**section.scored_by(), "landscape_seed": seed}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _in_words(error: Any, known: str) -> str:
    where = ".".join(str(part) for part in error["loc"])
    what = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{where} is not known here; known are {known}"
    return f"{where}: {what[:1].lower()}{what[1:]}" if where else what
