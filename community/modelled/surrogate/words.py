"""A fitted surrogate in words and tables: how good it is, and what it says of each knob."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from agents.closeness import bounds
from agents.knobs import Knob
from community.modelled.surrogate.landscape import Landscape
from community.modelled.surrogate.model_file import Check, ModelFile
from community.modelled.surrogate.space import Values
from community.plain_text import one_line
from forum.messages import KnobValue

PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of a number's range, on its own scale."""


def checks_in_words(checks: Sequence[Check]) -> Iterator[str]:
    """Yield the table of what cross-validation showed."""
    head = ("part", "measure", "model", "mean", "bound")
    rows = [head] + [
        (one_line(c.part), one_line(c.measure), _number(c.model), _number(c.mean), _number(c.floor))
        for c in checks
    ]
    wide = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        words = [cell.ljust(width) for cell, width in zip(row[:2], wide[:2], strict=True)]
        words += [cell.rjust(width) for cell, width in zip(row[2:], wide[2:], strict=True)]
        yield "  ".join(words).rstrip()
    yield "mean: of predicting the same for all trees; bound: what a perfect model would have"


def model_in_words(model: ModelFile) -> Iterator[str]:
    """Yield what a surrogate is, how good it is, and what it says of each knob."""
    made, noise = model.made_from, model.noise
    budget = f"{model.budget.amount:g} {model.budget.kind.replace('_', ' ')}"
    yield (
        f"surrogate of {one_line(model.task)} at {budget}: {one_line(model.metric)}, "
        f"{one_line(model.unit)}, {model.direction} is better"
    )
    yield (
        f"learnt from {made.experiments} experiments on {made.settings} settings of "
        f"{len(model.knobs)} knobs in {made.runs} runs"
    )
    for why, count in made.left_out.items():
        yield f"left out: {count} experiments, {one_line(why)}"
    yield f"made on: {'; '.join(map(one_line, made.device_classes))}"
    rises = f", times the score above the floor to the power {noise.slope:g}" if noise.slope else ""
    yield f"noise from seed to seed: {noise.sigma:g}{rises}"
    for split, offset in model.offsets.items():
        yield f"{split}: {offset.mean:+.4f} from dev, {offset.spread:.4f} between runs"
    edge = "below" if model.direction == "lower" else "above"
    yield f"never {edge} {model.sign * model.score.floor:g}"
    yield ""
    yield from checks_in_words(model.checks)
    yield ""
    yield from _effects(model)


def _effects(model: ModelFile) -> Iterator[str]:
    """Yield what turning each knob of the start does, the strongest first."""
    landscape, space = Landscape(model), model.space()
    start: Values = tuple(knob.start for knob in space.knobs)
    here = model.sign * landscape.cost(start)
    yield f"expected of the start on dev: {here:.4f}; of the start with one knob turned:"
    found: list[tuple[float, str]] = []
    for index, knob in enumerate(space.knobs):
        values = _places(knob)
        costs = [landscape.cost((*start[:index], value, *start[index + 1 :])) for value in values]
        cells = [f"{_shown(v)}: {model.sign * c:.3f}" for v, c in zip(values, costs, strict=True)]
        words = f"  {one_line(knob.name)} ({_shown(knob.start)})  " + "  ".join(cells)
        found.append((max(costs) - min(costs), words))
    yield from (words for _, words in sorted(found, key=lambda each: -each[0]))


def _places(knob: Knob) -> list[KnobValue]:
    """Return a knob's options, or numbers evenly over its range."""
    if not knob.is_number:
        return list(knob.options)
    low, high = bounds(knob)
    if knob.scale == "log":
        numbers = [low * (high / low) ** place for place in PLACES]
    else:
        numbers = [low + (high - low) * place for place in PLACES]
    if knob.kind == "int":
        whole = [min(max(round(number), math.ceil(low)), math.floor(high)) for number in numbers]
        return list(dict.fromkeys(whole))
    return [min(max(float(f"{number:.3g}"), low), high) for number in numbers]


def _shown(value: KnobValue) -> str:
    return f"{value:g}" if isinstance(value, float) else one_line(str(value), 20)


def _number(number: float | None) -> str:
    return "" if number is None else f"{number:.4g}"
