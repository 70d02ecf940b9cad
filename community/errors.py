"""What can go wrong in the institution.

CommunityError
├── LedgerError                   the run's record cannot be used
│   ├── LedgerMissingError        there is none where one was expected
│   ├── LedgerExistsError         there is one where a new one was to be made
│   ├── LedgerInUseError          another process writes it
│   ├── LedgerDamagedError        SQLite cannot read it, or it is no ledger
│   ├── LedgerTooNewError         a newer program wrote it
│   ├── LedgerEventError          a row or an event does not have the shape of its kind
│   └── LedgerInconsistentError   rows contradict one another
├── RunFolderError                a run folder cannot be made or found
├── ExportError                   there is nothing to export, or nowhere to put it
├── ScenarioError                 a scenario file cannot be used; lists every fault
├── ResumeError                   a run cannot go on where it stopped
├── BaselineFailedError           the unmodified start does not run
├── BaselineDiffersError          another run's baseline does not compare with this run
├── ScorerBrokenError             an experiment was lost again and again, by nobody's fault
└── TopologyError                 a family's parameters do not fit the number of agents

Every message says what, which, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class CommunityError(Exception):
    """Anything the institution reports to the person who runs it."""


class LedgerError(CommunityError):
    """The run's record cannot be used."""


class LedgerMissingError(LedgerError):
    """There is no ledger where one was expected."""


class LedgerExistsError(LedgerError):
    """There is a ledger where a new one was to be made."""


class LedgerInUseError(LedgerError):
    """Another process writes this ledger."""


class LedgerDamagedError(LedgerError):
    """SQLite cannot read the file, or the file is no ledger."""


class LedgerTooNewError(LedgerError):
    """The ledger has schema changes that this program does not know."""


class LedgerEventError(LedgerError):
    """An event, or a stored row, does not have the shape of its kind."""


class LedgerInconsistentError(LedgerError):
    """Rows of a ledger contradict one another."""


class RunFolderError(CommunityError):
    """A run folder cannot be made or found."""


class ExportError(CommunityError):
    """There is nothing to export, or nowhere to put it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a scenario file."""

    place: str
    """``file:line``, or the file alone."""
    key: str
    """Key path, for example ``agents[2].role``; empty when the whole file is meant."""
    text: str
    """What is wrong and what to do."""

    def __str__(self) -> str:
        return (
            f"{self.place}: {self.key}: {self.text}" if self.key else f"{self.place}: {self.text}"
        )


class ScenarioError(CommunityError):
    """A scenario file cannot be used; `faults` lists everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class TopologyError(CommunityError):
    """The parameters of a topology do not fit the number of agents."""


class ResumeError(CommunityError):
    """A run cannot go on where it stopped, because what it was made with has changed."""


class BaselineFailedError(CommunityError):
    """A baseline run is invalid, so there is nothing to compare experiments with."""

    def __init__(self, experiment_id: str, reason: str) -> None:
        super().__init__(
            f"baseline run {experiment_id} is invalid ({reason}): the task's start tree does not "
            f"run within its budget; read jobs/{experiment_id}-1/log.txt in the run folder and "
            "mend start/"
        )


class BaselineDiffersError(CommunityError):
    """Another run's baseline cannot be taken over; `differs` names what stands against it."""

    def __init__(self, other: str, differs: Sequence[str]) -> None:
        self.differs = tuple(differs)
        super().__init__(
            f"the baseline of run {other} does not compare with this run: {', '.join(differs)} "
            "differ; give --baseline-from a run made alike, or leave it out"
        )


class ScorerBrokenError(CommunityError):
    """An experiment came to no verdict in several attempts, by no fault of the candidate."""

    def __init__(self, experiment_id: str, outcome: str, reason: str) -> None:
        super().__init__(
            f"experiment {experiment_id} came to no verdict in several attempts "
            f"({outcome}: {reason}); run `community doctor`, then go on with "
            "`community run --resume`"
        )
