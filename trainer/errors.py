"""Everything that `trainer` raises; the message says what, which, and what to do.

TrainerError
├── ExecutorError          the executor itself is broken; rerun, never the candidate's fault
│   ├── SandboxUnavailableError  this machine offers less isolation than was asked for
│   └── NodeLostError      a node of the cluster is gone, and what ran there with it
├── CommandError           a command cannot be run behind walls here
├── TaskError              a task folder has faults; all of them are listed
├── PatchRefusedError      a tree or a change breaks the patch policy; path and rule are kept
├── TextLimitError         candidate text that cannot be worked on within limits
├── RepositoryError        the run's git repository cannot be used as asked
│   └── UnknownCommitError a commit that the repository does not hold
├── WorkspaceError         a job's tree cannot be written
├── DeviceError            the slots that were asked for do not exist here
└── PoolTooSmallError      a lease that no pool of this size could ever grant
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class TrainerError(Exception):
    """Root of this package's errors."""


class ExecutorError(TrainerError):
    """The executor itself is broken; mend it and rerun. Never raised for a candidate's fault."""


class SandboxUnavailableError(ExecutorError):
    """The kernel refuses what the asked-for isolation needs."""

    def __init__(self, wanted: Sequence[str], missing: Sequence[str]) -> None:
        self.wanted = tuple(wanted)
        self.missing = tuple(missing)
        """One line per facility that is missing, with what to do about it."""
        super().__init__(
            f"no sandbox of isolation {' or '.join(self.wanted)} on this machine: "
            f"{'; '.join(self.missing)}. For trusted code only, ask for isolation 'none'"
        )


class NodeLostError(ExecutorError):
    """A node of a cluster is gone, or has been silent for longer than its lease."""

    def __init__(self, node: str, why: str) -> None:
        self.node = node
        self.why = why
        super().__init__(f"node {node} is lost: {why}; what ran there is run elsewhere")


class CommandError(TrainerError):
    """A command cannot be run behind walls here, or is not there at all."""


class TaskError(TrainerError):
    """A task folder that cannot be used, with every fault that was found in it."""

    def __init__(self, folder: Path, faults: Sequence[str]) -> None:
        self.folder = folder
        self.faults = tuple(faults)
        lines = "\n".join(f"  - {fault}" for fault in self.faults)
        super().__init__(f"task folder {folder} cannot be used:\n{lines}")


class PatchRefusedError(TrainerError):
    """A tree or a change that the task's patch policy forbids."""

    def __init__(self, path: str, rule: str, advice: str) -> None:
        self.path = path
        """The offending path, escaped and shortened; empty if the change as a whole is refused."""
        self.rule = rule
        """One fixed word: path, name, clash, editable, source, size, files, unchanged, text,
        syntax, literals, novelty, time."""
        self.advice = advice
        what = f"path {path}" if path else "the change"
        super().__init__(f"patch refused ({rule}): {what} {advice}")


class TextLimitError(TrainerError):
    """Candidate text takes more time or memory than `trainer.text_process` grants."""

    def __init__(self, what: str) -> None:
        self.what = what
        """What was asked: check, key, diff, merge."""
        super().__init__(f"{what} takes too long or too much memory on this text; write it plainer")


class HunksInseparableError(TrainerError):
    """Some of a tree's hunks cannot be taken back without the others."""


class RepositoryError(TrainerError):
    """The run's git repository is missing, in the way, or refuses what was asked."""


class UnknownCommitError(RepositoryError):
    """A commit id that is malformed or that the repository does not hold."""

    def __init__(self, commit: str) -> None:
        self.commit = commit
        super().__init__(
            f"commit {commit[:80]!r} is not in the run's repository;"
            " give the full 40-digit id of a commit this run has made"
        )


class WorkspaceError(TrainerError):
    """A job's tree cannot be written where it was asked for."""


class DeviceError(TrainerError):
    """The slots that were asked for cannot be cut from this machine's devices."""


class PoolTooSmallError(TrainerError):
    """A lease was asked of a pool that could never grant it."""
