"""The table of classic models: what was published, what we came to, and whether it agrees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from community.classics.case import RESAMPLES, Case, verdicts
from community.classics.catalogue import Classic

HEADER: Final = ("model", "case", "source", "target", "ours", "standard error", "verdict")


@dataclass(frozen=True, slots=True)
class Section:
    """One model's cases, judged together, and how long they took."""

    classic: Classic
    cases: tuple[Case, ...]
    passes: tuple[bool, ...]
    seconds: float

    @classmethod
    def judged(cls, classic: Classic, cases: Sequence[Case], seconds: float) -> Section:
        """Return the section of these cases."""
        return cls(classic, tuple(cases), tuple(verdicts(cases)), seconds)

    @property
    def is_passed(self) -> bool:
        """Whether there are cases and all of them pass."""
        return bool(self.cases) and all(self.passes)

    @property
    def title(self) -> str:
        """``M3 Zollman 2007: fewer links, more often right``."""
        return f"{' '.join(self.classic.models)} {self.classic.paper}: {self.classic.about}"


def row(case: Case, passes: bool) -> tuple[str, ...]:
    """Return a case as the words of one line, in the order of `HEADER`.

    A target carries what is allowed beside the standard errors, which are those of the difference
    of both numbers; a claim has none, but the share of resamples that say otherwise.
    """
    verdict = "passes" if passes else "FAILS"
    chance = f"p = {case.p:.2g}" if case.p else f"p < {1 / RESAMPLES:g}"
    allowed = f" ± {case.delta:.3g}" if case.delta else ""
    if case.claim_p is not None:
        target = f"{_number(case.target)}{allowed}" if allowed else f"above {_number(case.target)}"
        error = chance
    else:
        target = f"{_number(case.target)}{allowed}"
        error = "exact" if case.p in (0, 1) else chance  # of a test, where there is no error
        error = _number(case.standard_error) if case.standard_error else error
    return case.model, case.name, case.source, target, _number(case.ours), error, verdict


def _number(value: float) -> str:
    """Return a number with about four digits that matter."""
    if math.isnan(value):
        return "none"
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    size = math.floor(math.log10(abs(value)))
    digits = max(0, 3 - size) if size >= 0 else min(7, max(4, 2 - size))
    return f"{value:.{digits}f}"


def as_json(sections: Sequence[Section], size: float, seed: int) -> dict[str, Any]:
    """Return the table as plain values; what could not be estimated is None."""
    return {
        "size": size,
        "seed": seed,
        "passed": all(section.is_passed for section in sections),
        "models": [
            {
                "name": section.classic.name,
                "seconds": round(section.seconds, 1),
                "cases": [
                    {**_plain(asdict(case)), "passes": passes}
                    for case, passes in zip(section.cases, section.passes, strict=True)
                ],
            }
            for section in sections
        ],
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }


def markdown(sections: Sequence[Section], size: float, seed: int, machine: str) -> str:
    """Return the table as a Markdown page."""
    count = sum(len(section.cases) for section in sections)
    failed = sum(passes.count(False) for passes in (section.passes for section in sections))
    seconds = sum(section.seconds for section in sections)
    said = "all pass" if not failed else f"{failed} fail"
    lines = [
        "# The classic models",
        "",
        f"`community classic --size {size:g} --seed {seed}`: {count} numbers and claims, {said}; "
        f"{seconds / 60:.1f} minutes on {machine}.",
        "",
        "A number passes within three standard errors of the difference and what the target "
        "allows; what is further out fails if Holm's procedure rejects it at 0.01 within its "
        "model. A claim has to be shown by 99 % of bootstrap resamples "
        "(`community/classics/case.py`).",
    ]
    for section in sections:
        lines += ["", f"## {section.title}", "", _line(HEADER), _line(["---"] * len(HEADER))]
        lines += [
            _line(row(case, passes))
            for case, passes in zip(section.cases, section.passes, strict=True)
        ]
        lines += ["", f"{section.seconds:.0f} s."]
    return "\n".join(lines) + "\n"


def _line(words: Sequence[str]) -> str:
    return f"| {' | '.join(word.replace('|', '/') for word in words)} |"
