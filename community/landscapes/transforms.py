"""What a landscape's value is reported as; all are increasing, so none changes who is better.

Source:
    Lazer, D. & Friedman, A. (2007). The network structure of exploration and exploitation.
    Administrative Science Quarterly 52, 667-694. ``eighth_power`` is their score: most solutions
    are poor, few are good.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Transform = Literal["raw", "share_of_max", "eighth_power", "rescaled"]


def transformed(
    values: NDArray[np.float64], kind: Transform, least: float, most: float
) -> NDArray[np.float64]:
    """Return `values` as `kind`.

    Args:
        values: any shape, between `least` and `most`.
        kind: ``raw``: as they are. ``share_of_max``: v / most. ``eighth_power``: (v / most)^8.
            ``rescaled``: (v - least) / (most - least).
        least: the landscape's lowest value.
        most: its highest value, above 0 for the shares.

    Returns:
        An array of the same shape.

    Raises:
        ValueError: an unknown kind, or no range to scale by.
    """
    if kind == "raw":
        return np.array(values, dtype=np.float64)
    if kind == "rescaled":
        if most <= least:
            raise ValueError(f"rescaled: there is no range from {least} to {most}")
        return np.asarray((values - least) / (most - least))
    if most <= 0:
        raise ValueError(f"{kind}: the highest value is {most}; it must be above 0")
    share = np.asarray(values / most)
    if kind == "share_of_max":
        return share
    if kind == "eighth_power":
        fourth = np.square(np.square(share))
        return np.asarray(fourth * fourth)
    raise ValueError(f"{kind} is no transform")
