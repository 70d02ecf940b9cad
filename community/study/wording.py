"""What a study found, in sentences: effects and the lack of them in the same plain words.

Every sentence states the size with its interval, how sure, how often on single landscapes, and what
could have been found at all. A difference that is not shown is never called none: what the interval
rules out is said instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from community.study.findings import Analysis, Contrast, MainEffect, Stratum
from community.study.statistics import FEW, Estimate, Paired

POWERS = (0.8, 0.9)


def number(value: float, *, scale: float, is_signed: bool = False) -> str:
    """Return a number with the digits that a difference of `scale` is worth, at most five.

    Args:
        value: What is told.
        scale: Say, half an interval: two of its digits are shown.
        is_signed: Whether a plus is written.
    """
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if not value and not scale:
        return "0"
    known = abs(scale) if math.isfinite(scale) and scale else abs(value) or 1.0
    digits = min(5, max(0, 1 - math.floor(math.log10(known))))
    text = f"{value:+.{digits}f}" if is_signed else f"{value:.{digits}f}"
    return text.replace("-", "−")


def interval(estimate: Estimate, *, is_signed: bool = False) -> str:
    """Return ``+0.031 (+0.012 to +0.050)``; without an interval the value alone."""
    scale = estimate.half
    value = number(estimate.value, scale=scale, is_signed=is_signed)
    if estimate.method == "none":
        return f"{value} (one landscape, no interval)"
    if estimate.method == "exact":
        return f"{value} (on every landscape)"
    low, high = (number(x, scale=scale, is_signed=is_signed) for x in (estimate.low, estimate.high))
    return f"{value} ({low} to {high})"


def probability(p: float) -> str:
    """Return ``p = .012``, ``p < .0001``."""
    if p < 0.0001:
        return "p < .0001"
    digits = 4 if p < 0.001 else 3 if p < 0.1 else 2
    return f"p = {p:.{digits}f}".replace("0.", ".", 1)


def tally(gap: Paired) -> str:
    """Return ``better on 38 of 60 landscapes, tied on 10, worse on 12``."""
    return (
        f"better on {gap.wins} of {gap.n} landscapes, tied on {gap.ties}, worse on {gap.losses} "
        f"(sign test without ties, {probability(gap.p_sign)})"
    )


def found_gaps(contrast: Contrast) -> str:
    """Return the smallest gaps that such a comparison finds, at the level of Holm's first step."""
    gaps = [contrast.gap.smallest_gap(power, contrast.level) for power in POWERS]
    if any(math.isnan(gap) for gap in gaps):
        if contrast.gap.n < 2:
            return "one landscape finds no gap"
        return "landscapes that all differ by the same do not tell which gaps they would find"
    told = " / ".join(number(gap, scale=gap) for gap in gaps)
    return (
        f"such a study finds true gaps of {told} in 80 / 90 of 100 cases (two-sided at "
        f".05/{contrast.family_size})"
    )


def contrast_sentence(contrast: Contrast, margin: float | None) -> str:
    """Return the whole statement of a contrast."""
    gap, names = contrast.gap, f"{contrast.first} against {contrast.second}"
    size = interval(gap.difference, is_signed=True)
    sure = f"Holm-adjusted {probability(contrast.p_holm)}"
    dz = "" if not math.isfinite(gap.dz) else f", d_z {number(gap.dz, scale=0.1, is_signed=True)}"
    if contrast.is_shown:
        verb = "is better than" if gap.difference.value > 0 else "is worse than"
        head = f"{contrast.first} {verb} {contrast.second}: {size}{dz}, {sure}"
        if contrast.is_negligible(margin):
            head += f"; the whole interval lies within ±{margin:g}, which was stated not to matter"
    elif contrast.is_negligible(margin):
        head = f"{names}: no difference that matters (within ±{margin:g}): {size}{dz}, {sure}"
    else:
        head = f"{names}: no difference is shown: {size}{dz}, {sure}{_ruled_out(gap.difference)}"
    return f"{head}; {tally(gap)}; {found_gaps(contrast)}.{_crossed(contrast)}"


def verdict_word(contrast: Contrast, margin: float | None) -> str:
    """Return ``better``, ``worse``, ``negligible`` or ``not shown``."""
    if contrast.is_negligible(margin):
        return "negligible"
    if not contrast.is_shown:
        return "not shown"
    return "better" if contrast.gap.difference.value > 0 else "worse"


def effect_sentence(effect: MainEffect) -> str:
    """Return the statement of a main effect."""
    size = interval(effect.gap.difference, is_signed=True)
    return (
        f"{effect.factor} {effect.first} against {effect.second}, the other factors averaged over: "
        f"{size}, Holm-adjusted {probability(effect.p_holm)}; {tally(effect.gap)}."
    )


def summary_lines(analysis: Analysis, margin: float | None) -> list[str]:
    """Return how many contrasts of each family show what, nulls as plainly as effects."""
    lines = []
    for family, what in (("levels", "between levels"), ("controls", "against controls")):
        chosen = [c for c in analysis.contrasts if c.family == family]
        if not chosen:
            continue
        words = [verdict_word(contrast, margin) for contrast in chosen]
        counts = [
            f"{words.count(word)} {word}"
            for word in ("better", "worse", "negligible", "not shown")
            if word in words
        ]
        lines.append(f"{len(chosen)} contrasts {what}: {', '.join(counts)}.")
    return lines


def null_lines(analysis: Analysis, margin: float | None) -> list[str]:
    """Return where nothing is shown, by stratum: the region in which a claim would be wrong."""
    lines = []
    for stratum in analysis.strata:
        chosen = _of(analysis.contrasts, stratum)
        quiet = [c for c in chosen if verdict_word(c, margin) in ("not shown", "negligible")]
        if not quiet:
            continue
        place = f"{stratum.label}: " if stratum.label else ""
        names = ", ".join(f"{c.first} against {c.second}" for c in quiet)
        bounds = [_bound(c.gap.difference) for c in quiet]
        widest = max((bound for bound in bounds if not math.isnan(bound)), default=math.nan)
        share = "all of the" if len(quiet) == len(chosen) else f"{len(quiet)} of the"
        lines.append(
            f"{place}nothing is shown in {share} {len(chosen)} contrasts ({names}); "
            + _outside(widest)
        )
    return lines


def _of(contrasts: Sequence[Contrast], stratum: Stratum) -> list[Contrast]:
    return [contrast for contrast in contrasts if contrast.stratum == stratum.label]


def _outside(widest: float) -> str:
    if math.isnan(widest):
        return "so few landscapes rule nothing out."
    return (
        f"gaps beyond {number(widest, scale=widest)} either way are outside the 95 % intervals of "
        "all of them."
    )


def _bound(difference: Estimate) -> float:
    """Return beyond what the interval rules gaps out; nan where there is none to speak of."""
    if difference.method == "exact" and difference.n < FEW:
        return math.nan
    return max(abs(difference.low), abs(difference.high))


def _ruled_out(difference: Estimate) -> str:
    bound = _bound(difference)
    if math.isnan(bound):
        return ""
    return f" (gaps beyond {number(bound, scale=bound)} either way lie outside the interval)"


def _crossed(contrast: Contrast) -> str:
    crossing = contrast.crossing
    if crossing is None or not crossing.is_seen:
        return ""
    low = "the start" if math.isinf(crossing.low) else f"{crossing.low:.4g}"
    high = "beyond the budget" if math.isinf(crossing.high) else f"{crossing.high:.4g}"
    return (
        f" Its mean curve overtakes at {crossing.time:.4g} (95 % interval {low} to {high}; curves "
        f"cross in {crossing.share:.0%} of resamples)."
    )
