"""A program inside the sandbox: one file's `main(arguments, descriptors)`, run beside its caller.

It knows nothing of what the program does; the score phase is one user. The file is read before the
walls go up and executed after, with the candidate's workspace as working and import folder.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

from trainer.harness import hand_over, report
from trainer.launch import EXIT_CRASH, ServeOrder

_NAME = "hosted_program"


class ServePhase:
    """One program; `prepare` compiles it, `run` is its own doing."""

    def __init__(self, order: ServeOrder, mark: int, descriptors: tuple[int, ...]) -> None:
        self._order = order
        self._mark = mark
        self._descriptors = descriptors
        self._source = Path(order.path).read_bytes()
        self._module = ModuleType(_NAME)

    def prepare(self) -> None:
        """Compile the program inside the sandbox and give it a module of its own."""
        self._code = compile(self._source, Path(self._order.path).name, "exec")
        sys.modules[_NAME] = self._module

    def run(self) -> int:
        """Run it to its end; the exit code, 0 if `main` returned, as in training otherwise."""
        hand_over(self._mark)
        try:
            exec(self._code, self._module.__dict__)  # noqa: S102 - this is what the sandbox is for
            self._module.__dict__["main"](dict(self._order.arguments), self._descriptors)
        except BaseException as error:
            return report(error, EXIT_CRASH)
        return 0
