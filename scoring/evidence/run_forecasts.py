"""What forecasts of a first run were worth: whether it fails, what it costs, what its screen shows.

The seconds that a claim takes decide with its gain whose turn it is, so what is said of them is
scored as well, or saying it would be free. All three losses are proper: the squared error of a
probability (Brier 1950), the absolute error of a median, here of logarithms, and the pinball loss
of quantiles. What is not said earns nothing. Unlike a confirmation, a first run comes of every
claim, whatever anybody thinks of it: no weights are needed.

Sources: see `scoring.evidence.reviewing`; Smith, W. E. (1956). Various optimizers for single-stage
production. Naval Research Logistics Quarterly 3, 59-66: what is worth most per second of a machine
goes first. Differs: worth and seconds are expectations, and seconds are of the first run alone;
what its parent's runs and a confirmation take besides hardly depends on the claim.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from scoring.evidence.reviewing import LARGEST, Quantiles, Settlement, pinball, usual_of

PRIOR_RUNS = 10.0
"""The base rate starts as if so many runs had been seen before the run of a community,"""
PRIOR_INVALID = 0.1
"""this share of them invalid."""
LARGEST_RATIO = 4.0
"""Seconds are cut at the usual times and by this, on both sides of the comparison."""


@dataclass(frozen=True, slots=True)
class RunForecast:
    """What somebody said of a claim's first run; None where he said nothing."""

    invalid: float | None = None
    device_s: float | None = None
    gain: Quantiles | None = None
    """10, 50 and 90 % quantiles of the screen's gain, in noise deviations."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of it."""

    at: float
    """When: anything that orders runs and forecasts."""
    is_invalid: bool
    device_s: float
    """What it was charged."""
    gain: float | None = None
    """What its screen showed, in noise deviations; None where it showed nothing, or not yet."""


@dataclass(frozen=True, slots=True)
class UsualRun:
    """What everybody could have said."""

    invalid: float
    """Share of the runs that fail."""
    median_s: float
    """Device-seconds of any run."""
    valid_s: float
    """Mean device-seconds of a run that did not fail."""
    invalid_s: float
    """Mean device-seconds of a run that failed."""
    gain: Quantiles
    """Of what screens showed."""

    @property
    def mean_s(self) -> float:
        """Mean device-seconds of any run."""
        return self.invalid * self.invalid_s + (1 - self.invalid) * self.valid_s


def usual_run(ran: Sequence[Ran], budget_s: float) -> UsualRun:
    """Return the base rate.

    Args:
        ran: Runs that were seen.
        budget_s: What a run is charged while none was seen, in device-seconds; above 0.
    """
    failed = [one.device_s for one in ran if one.is_invalid]
    valid = [one.device_s for one in ran if not one.is_invalid]
    weight = PRIOR_RUNS + len(ran)
    valid_s = fmean(valid) if valid else budget_s
    return UsualRun(
        invalid=(PRIOR_RUNS * PRIOR_INVALID + len(failed)) / weight,
        median_s=max(median([*valid, *failed]) if ran else budget_s, 1e-3),
        valid_s=max(valid_s, 1e-3),
        invalid_s=max(fmean(failed) if failed else valid_s, 1e-3),
        gain=usual_of([Settlement(one.at, False, one.gain) for one in ran]).gain,
    )


def run_points(said: RunForecast, ran: Ran, usual: UsualRun) -> float:
    """Return what a forecast was better by than the base rate, as far as it was made.

    (b - y)^2 - (p - y)^2 + (|x| - |x - q|) / log `LARGEST_RATIO` + (pinball of the base - of the
    forecast) / `LARGEST`.

    Args:
        said: p, the seconds whose logarithm over the usual median, cut, is q, and quantiles.
        ran: y, the seconds of which x is the same, and the gain.
        usual: b, the usual median and quantiles, as they stood when the forecast was made.

    Raises:
        ValueError: a probability is none, or seconds are not above 0.
    """
    better = 0.0
    if said.invalid is not None:
        if not 0.0 <= said.invalid <= 1.0:
            raise ValueError(f"{said.invalid} is no probability; give 0 to 1")
        y = float(ran.is_invalid)
        better += (usual.invalid - y) ** 2 - (said.invalid - y) ** 2
    if said.device_s is not None:
        if not said.device_s > 0.0:
            raise ValueError(f"{said.device_s} s are no duration; give more than 0")
        x, q = (_ratio(s, usual.median_s) for s in (ran.device_s, said.device_s))
        better += (abs(x) - abs(x - q)) / math.log(LARGEST_RATIO)
    if said.gain is not None and ran.gain is not None:
        better += (pinball(usual.gain, ran.gain) - pinball(said.gain, ran.gain)) / LARGEST
    return better


def expected_s(said: RunForecast, usual: UsualRun) -> float:
    """Return the device-seconds that a forecast expects of the first run.

    Where it tells only how likely the run fails, what failed and valid runs usually take.
    """
    if said.device_s is not None:
        low, high = usual.median_s / LARGEST_RATIO, usual.median_s * LARGEST_RATIO
        return min(max(said.device_s, low), high)
    invalid = usual.invalid if said.invalid is None else said.invalid
    return invalid * usual.invalid_s + (1 - invalid) * usual.valid_s


def _ratio(seconds: float, usual_s: float) -> float:
    most = math.log(LARGEST_RATIO)
    return min(max(math.log(max(seconds, 1e-6) / usual_s), -most), most)
