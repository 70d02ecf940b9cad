"""What can go wrong in scoring, as types.

::

    ScoringError
    ├── CorpusError              the source cannot be split into training and held-out text
    │   └── CorpusTooSmallError
    ├── InvalidAnswersError      the candidate's answers are refused (becomes outcome ``invalid``)
    ├── LockBrokenError          something that decides scores changed during a run
    ├── ScorerStartError         no worker process can be started
    ├── WorkerLostError          the worker process died (becomes outcome ``scorer_failed``)
    ├── ScorerClosedError        a score was asked of a closed scorer
    └── StatisticsError          numbers no rule can be applied to

A broken scorer never becomes a bad score: only `InvalidAnswersError` blames the candidate.
"""

from __future__ import annotations

from typing import Literal

Refusal = Literal["short", "late", "not_finite", "range", "probe", "protocol"]
"""Why answers are refused.

short: the answers ended early; late: the deadline passed; not_finite: NaN or infinity; range: a
logit beyond the cap; probe: a blind sandbox answered differently; protocol: bytes nobody asked for.
"""


class ScoringError(Exception):
    """Root of everything `scoring` raises."""


class CorpusError(ScoringError):
    """The source cannot be split into training and held-out text."""


class CorpusTooSmallError(CorpusError):
    """A part of the corpus is smaller than scores need.

    Attributes:
        part: Which part (``held-out``, ``train``, ``dev``, ``vault`` or ``seal``).
        size_bytes: What was found.
        least_bytes: What is needed.
        source: Of which folder.
    """

    def __init__(self, part: str, size_bytes: int, least_bytes: int, source: str) -> None:
        super().__init__(
            f"{part} text of {source!r} has {size_bytes} bytes, at least {least_bytes} are needed; "
            "use a Python whose whole standard library is installed as source, or, of private "
            "text, more and larger files"
        )
        self.part = part
        self.size_bytes = size_bytes
        self.least_bytes = least_bytes
        self.source = source


class InvalidAnswersError(ScoringError):
    """The candidate's answers are refused; `reason` is one fixed word, never held-out data."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(f"the candidate's answers are refused: {reason}")
        self.reason: Refusal = reason


class LockBrokenError(ScoringError):
    """Something that decides scores is not what it was when the run began.

    Attributes:
        name: The entry of the lock manifest, for example ``locked/grade.py``.
        change: ``changed``, ``missing`` or ``new``.
    """

    def __init__(self, name: str, change: str) -> None:
        super().__init__(
            f"lock broken: {name!r} is {change} since the run began; "
            "restore it, or start a new run (scores of two locks do not compare)"
        )
        self.name = name
        self.change = change


class ScorerStartError(ScoringError):
    """No worker process can be started; the message ends with what the worker said last."""


class WorkerLostError(ScoringError):
    """The worker process died or stopped answering; the next score starts a new one."""


class ScorerClosedError(ScoringError):
    """A score was asked of a scorer that has been closed; start a new one."""


class StatisticsError(ScoringError, ValueError):
    """Too few, or not finite, numbers for the rule that was asked."""
