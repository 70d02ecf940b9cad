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
├── ModelError                    a modelled task's parameters cannot be used; lists every fault
├── ModelsSilentError             nobody is left but those whose models do not answer
├── RecordError                   a run's record cannot be played again
│   └── ReplayDiffersError        what is played is not what was recorded
├── ResumeError                   a run cannot go on where it stopped
│   └── RunSecretError            its secret is lost, another one, or cannot be written
├── BaselineFailedError           the unmodified start cannot be measured
├── BaselineDiffersError          another run's baseline does not compare with this run
├── TaskLockError                 a task's lock manifest does not hold
│   ├── LockMissingError          it was never written
│   ├── LockUnreadableError       its file is damaged
│   ├── LockDiffersError          something that decides scores is not what it says
│   └── HeldoutPlaceError         a folder of private text lies where candidate code could see it
├── RetractionError               a verdict cannot be taken back
├── ScorerBrokenError             an experiment was lost again and again, by nobody's fault
├── StudyError                    a study cannot be used or go on
│   ├── StudyFileError            its file; lists every fault
│   ├── StudyDiffersError         its folder holds results of other code or other scenarios
│   └── StudyRunError             one of its runs failed
├── WrappingError                 no task can be made of a repository
├── SightError                    nobody, or no turn, whose prompt could be shown
├── TakingPartError               a person, or an agent from elsewhere, cannot take part in a run
├── VirtualWorldError             something was asked for that has no virtual time
│   └── WaitsForEverError         everybody waits and nothing is coming
├── TransferError                 a run's gains cannot be measured at another size
├── ModelFileError                the file of a surrogate cannot be used
├── ModelFitError                 there is too little to learn a surrogate from
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


class TransferError(CommunityError):
    """A run's gains cannot be measured at another size."""


class StudyError(CommunityError):
    """A study cannot be used, or cannot go on."""


class StudyFileError(StudyError):
    """A study file cannot be used; `faults` lists everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class StudyDiffersError(StudyError):
    """The study's folder holds results that do not compare with what would be run now."""


class StudyRunError(StudyError):
    """A run of a study failed; what is finished is kept."""


class ModelError(CommunityError):
    """The parameters of a modelled task cannot be used; `faults` lists what is wrong."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(faults))


class TopologyError(CommunityError):
    """The parameters of a topology do not fit the number of agents."""


class ResumeError(CommunityError):
    """A run cannot go on where it stopped, because what it was made with has changed."""


class RunSecretError(ResumeError):
    """The run's secret is lost, not the one it began with, or cannot be written."""


class BaselineFailedError(CommunityError):
    """A baseline run is invalid, so there is nothing to compare experiments with.

    Args:
        experiment_id: Which run.
        attempt: Its last attempt, which names the job folder.
        reason: The fixed word of its verdict.
        is_trained: Whether training succeeded, so that it failed while it was scored. Of that there
            is no log, since the model could print held-out text into it.
    """

    def __init__(self, experiment_id: str, attempt: int, reason: str, *, is_trained: bool) -> None:
        job = f"jobs/{experiment_id}-{attempt}"
        if is_trained and reason in _DATA:
            what = f"ran, but what it left got no score ({reason}: {_DATA[reason]})"
            advice = f"run {job}/tree by hand, read {job}/log.txt"
        elif is_trained:
            what = f"was trained, but its answers were refused ({reason}: {_refused(reason)})"
            advice = f"call build_model() and the model in {job}/tree/train.py by hand"
        else:
            what = f"failed in training ({reason})"
            advice = f"read {job}/log.txt in the run folder"
        super().__init__(
            f"baseline run {experiment_id} is invalid: the task's start tree {what}; {advice}, "
            "and mend start/"
        )


_DATA = {
    "form": "it is not in the format that task.toml declares",
    "refused": "the task's check() does not accept it",
    "grader": "the task's check() or score() failed at it",
    "constraint": "one of task.toml's constraints is not kept",
    "guard": "one of task.toml's guards is not kept",
    "target": "it does not reach the objective's target; make that easier, or the budget larger",
}
"""Why what a program left has no score, in words."""


def _refused(reason: str) -> str:
    """Say what a scorer's fixed word means."""
    meanings = {
        "short": "the model raised an error or ended, its state dict does not fit build_model(), "
        "or its logits have a wrong shape",
        "limit": "it used up the processor time, wall time or threads that loading (loading_cpu_s) "
        "or answering may cost",
        "memory": "it used more memory than the task allows",
        "protocol": "it wrote what nobody asked for, or held something open when it was locked in",
        "late": "it took too long",
        "not_finite": "a logit is NaN or infinite",
        "range": "a logit is too large",
        "probe": "answers about one byte depend on later bytes, other rows or earlier requests",
    }
    return meanings.get(reason, "it wrote what nobody asked for")


class BaselineDiffersError(CommunityError):
    """Another run's baseline cannot be taken over; `differs` names what stands against it."""

    def __init__(self, other: str, differs: Sequence[str]) -> None:
        self.differs = tuple(differs)
        super().__init__(
            f"the baseline of run {other} does not compare with this run: {', '.join(differs)} "
            "differ; give --baseline-from a run made alike, or leave it out"
        )


class TaskLockError(CommunityError):
    """A task's lock manifest does not hold."""


class LockMissingError(TaskLockError):
    """The task has no manifest."""

    def __init__(self, path: str, task: str) -> None:
        super().__init__(
            f"{path} is missing: it says what the task's scores rest on, so that a change is "
            f"noticed; look at the task's locked folder, then write it: community lock write {task}"
        )


class LockUnreadableError(TaskLockError):
    """The manifest's file is damaged."""

    def __init__(self, path: str, why: str, task: str) -> None:
        super().__init__(
            f"{path} cannot be read ({why}); restore it, or write it again: "
            f"community lock write {task}"
        )


class LockDiffersError(TaskLockError):
    """What decides scores is not what the manifest says; `names` tells what, one line each."""

    def __init__(self, task: str, names: Sequence[str], argument: str) -> None:
        self.names = tuple(names)
        super().__init__(
            f"the lock of {task} does not hold:\n  "
            + "\n  ".join(self.names)
            + "\nrestore what should not have changed; if you meant the change: "
            f"community lock write {argument} (scores before and after it do not compare)"
        )


class HeldoutPlaceError(TaskLockError):
    """A folder of private text lies where it must not."""


class RetractionError(CommunityError):
    """A verdict, or a claim, cannot be taken back."""


class WrappingError(CommunityError):
    """No task can be made of a repository: what is missing, or what its baseline came to."""


class RecordError(CommunityError):
    """A run's record cannot be played again: what it was made with is not here, or has changed."""


class ReplayDiffersError(RecordError):
    """What is played again is not what was recorded; the message names the first difference."""


class SightError(CommunityError):
    """There is nothing to see: no such agent, or no such turn."""


class TakingPartError(CommunityError):
    """A run is not live, does not answer, or has no place for who asks."""


class ModelsSilentError(CommunityError):
    """Nobody is left who may propose but those whose models do not answer, for too long now."""

    def __init__(self, await_s: float, words: Sequence[str]) -> None:
        self.words = tuple(words)
        told = "; ".join(self.words)
        long = f"{await_s:.3g} s" if await_s < 120.0 else f"{await_s / 60:.3g} minutes"
        super().__init__(
            f"no model has answered for {long}, and nobody else may propose "
            f"({told}). The run has stopped and keeps everything; see to the key, the network or "
            "the provider, then go on with `community run --resume`"
        )


class ScorerBrokenError(CommunityError):
    """An experiment came to no verdict in several attempts, by no fault of the candidate."""

    def __init__(self, experiment_id: str, outcome: str, reason: str) -> None:
        super().__init__(
            f"experiment {experiment_id} came to no verdict in several attempts "
            f"({outcome}: {reason}); run `community doctor`, then go on with "
            "`community run --resume`"
        )


class VirtualWorldError(CommunityError):
    """Something was asked for that does not exist in virtual time, or no time passes in it."""


class WaitsForEverError(VirtualWorldError):
    """Every task waits, and no timer will ever wake one; `waiting` says who waits where."""

    def __init__(self, at_s: float, waiting: Sequence[str]) -> None:
        self.waiting = tuple(waiting)
        super().__init__(
            f"at {at_s:g} s of virtual time everybody waits and nothing is coming:\n  "
            + "\n  ".join(waiting)
            + "\nsomebody waits for what nobody will do; this is a fault of the program"
        )


class ModelFileError(CommunityError):
    """The file of a surrogate is missing, damaged, or does not belong to this task."""


class ModelFitError(CommunityError):
    """There is too little, or too much of different kinds, to learn a surrogate from."""
