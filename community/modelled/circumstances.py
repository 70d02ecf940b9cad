"""The circumstances of an experiment: how long it takes, how noisy it is, what its device adds.

Every model puts these around the worth of a tree, so that all are told the same way.
"""

from __future__ import annotations

from community.modelled.chance import around, normal, uniform
from community.modelled.model import Modelled
from community.modelled.parameters import DeviceSection, ModelSection, WorldSection


class Circumstances:
    """What the parameters common to all models make of a tree's worth.

    Args:
        section: The parameters.
        sign: 1 where a higher score is better, -1 where a lower one is.
    """

    def __init__(self, section: ModelSection, sign: float) -> None:
        self._section = section
        self._sign = sign
        self._devices = {name: device for device in devices_of(section) for name in names(device)}

    def modelled(self, worth: float | None, seed: int, split: str, device: str) -> Modelled:
        """Return what a run of a tree of this worth comes to; None for one that does not run.

        Only the score depends on the split. A run that crashes does so somewhere on its way.
        """
        section, on = self._section, self._devices.get(device)
        speed = 1.0 if on is None else on.speed
        train_s = around(section.duration_s, section.duration_spread, "duration", seed) / speed
        if worth is None:
            return Modelled("invalid", "crash", None, train_s * uniform("crash", seed), 0.0)
        score = worth if on is None else worth + self._sign * on.gain
        if section.noise:
            score += section.noise * normal(f"noise/{split}", seed)
        return Modelled("ok", "", score, train_s, section.score_s)


def devices_of(section: WorldSection) -> tuple[DeviceSection, ...]:
    """Return the devices that the parameters name, none where the pool says how many there are."""
    return section.devices or ()


def names(device: DeviceSection) -> tuple[str, ...]:
    """Return the names of the slots of a kind of device."""
    return tuple(f"{device.name}-{number}" for number in range(1, device.count + 1))
