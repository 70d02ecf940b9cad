"""What researchers are told of a number: steps of a quarter of the noise, and nothing between."""

from __future__ import annotations

import pytest

from scoring.evidence.telling import told


@pytest.mark.parametrize(
    ("value", "sigma", "said"),
    [
        (3.0, 0.4, 3.0),
        (3.04, 0.4, 3.0),
        (3.06, 0.4, 3.1),
        (-0.26, 0.4, -0.3),
        (0.001, 0.4, 0.0),
        (3.0123456, 0.0, 3.0123456),
    ],
)
def test_a_value_is_told_as_the_nearest_step(value: float, sigma: float, said: float) -> None:
    """Multiples of sigma/4; where nothing is known of noise there is no step."""
    assert told(value, sigma) == pytest.approx(said)


def test_values_closer_than_a_step_are_told_alike() -> None:
    """So a thousand looks at like trees give few different answers."""
    answers = {told(3.0 + n / 1000, 0.4) for n in range(100)}
    assert answers == {told(3.0, 0.4), told(3.1, 0.4)}
