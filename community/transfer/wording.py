"""What a transfer found, in sentences and a table: what carried over, and what did not."""

from __future__ import annotations

import math
from typing import Final

from community.study.wording import number, probability
from community.transfer.findings import Carried, Findings, Gain, Outcome, Sized

OUTCOMES: Final[dict[Outcome, str]] = {
    "carried": "carries over",
    "reversed": "is a loss there",
    "lost": "does not carry over",
    "open": "cannot be told",
    "none": "was not shown before, nor there",
    "invalid": "could not be run",
}


def gain_words(gain: Gain | None) -> str:
    """Return ``+0.031 (+0.012 to +0.050)``."""
    if gain is None:
        return "no score"
    if gain.se == 0.0:
        return "0 (the same tree)"
    half = (gain.high - gain.low) / 2
    value, low, high = (
        number(x, scale=half, is_signed=True) for x in (gain.value, gain.low, gain.high)
    )
    return f"{value} ({low} to {high})"


def change_words(found: Carried) -> str:
    """Return how much of it is left, with its interval."""
    if found.change is None:
        return ""
    value, low, high = found.change
    half = (high - low) / 2
    told = [number(x, scale=half, is_signed=True) for x in (value, low, high)]
    return f"{told[0]} ({told[1]} to {told[2]})"


def sentence(found: Carried) -> str:
    """Return the whole statement of one gain."""
    words = OUTCOMES[found.outcome]
    sizes = f"{gain_words(found.before)} before, {gain_words(found.after)} there"
    if found.change is None:
        return f"{found.title}: {words}: {sizes}"
    sure = f"Holm-adjusted {probability(found.p)}"
    return f"{found.title} {words}: {sizes}, {sure}; a change of {change_words(found)}"


def lines(found: Findings, unit: str) -> list[str]:
    """Return what there is to say, the most important first."""
    before, after = found.before, found.after
    told = [
        f"Gains in {unit} over the start of the same size, positive is better, 95 % intervals: "
        f"before ({before.label}, {before.budget}) and there ({after.label}, {after.budget}).",
        f"{found.whole.title[0].upper()}{sentence(found.whole)[1:]}.",
    ]
    told += [f"{sentence(group)}." for group in found.groups]
    lost = [g.title for g in found.groups if g.outcome in ("lost", "reversed")]
    told.append(
        f"Did not carry over: {'; '.join(lost)}." if lost
        else "No gain was shown to be lost at the other size."
    )  # fmt: skip
    return [*told, *found.plan.inseparable, *_invalid(before), *_invalid(after)]


def _invalid(size: Sized) -> list[str]:
    return [
        f"At {size.label} {part}{'' if group < 0 else f' group {group + 1}'} has no score: {why}"
        for (part, group), why in size.invalid.items()
    ]


def table(found: Findings) -> list[list[str]]:
    """Return the rows of the table: a head, and one for each gain."""
    head = ["change", "outcome", "before: leave one out", "there: leave one out",
            "before: add one in", "there: add one in", "there less before"]  # fmt: skip
    rows = [head]
    whole = found.whole
    rows.append(
        ["all of it", OUTCOMES[whole.outcome], gain_words(whole.before), gain_words(whole.after),
         "", "", change_words(whole)]
    )  # fmt: skip
    for at, group in enumerate(found.groups):
        rows.append(
            [
                group.title,
                OUTCOMES[group.outcome],
                gain_words(found.before.without[at]),
                gain_words(found.after.without[at]),
                gain_words(found.before.only[at]),
                gain_words(found.after.only[at]),
                change_words(group),
            ]
        )
    return rows


def size_words(size: Sized, unit: str) -> str:
    """Return one size in a line."""
    sigma = "unknown" if math.isnan(size.sigma) else number(size.sigma, scale=size.sigma)
    return (
        f"{size.label}, {size.budget} an experiment: the start scores {size.start:.4f} {unit}, the "
        f"leader {size.leader:.4f}; spread between seeds {sigma}; {size.runs} runs"
    )
