"""A program inside the sandbox: one file's `main(arguments, descriptors)`, run beside its caller.

It knows nothing of what the program does; the score phase is one user. The file is read before the
walls go up and executed after, with the candidate's workspace as working and import folder. One
that is to be locked in gets a third argument, `lock()`: what it may call from there on is decided
outside (`trainer.keeper`), as is whether it has kept anything open.
"""

from __future__ import annotations

import io
import os
import socket
import sys
from pathlib import Path
from types import ModuleType

from trainer.descriptors import close_all_but
from trainer.harness import hand_over, report
from trainer.launch import EXIT_CRASH, ServeOrder

_NAME = "hosted_program"


class _Nowhere(io.TextIOBase):
    """Where output goes when no descriptor is left for it."""

    def write(self, text: str, /) -> int:
        """Forget `text`."""
        return len(text)


class ServePhase:
    """One program; `prepare` compiles it, `run` is its own doing."""

    def __init__(
        self,
        order: ServeOrder,
        mark: int,
        descriptors: tuple[int, ...],
        link: socket.socket | None,
    ) -> None:
        self._order = order
        self._mark = mark
        self._descriptors = descriptors
        self._link = link
        self._source = Path(order.path).read_bytes()
        self._module = ModuleType(_NAME)

    def prepare(self) -> None:
        """Compile the program inside the sandbox and give it a module of its own."""
        self._code = compile(self._source, Path(self._order.path).name, "exec")
        sys.modules[_NAME] = self._module

    def run(self) -> int:
        """Run it to its end; the exit code, 0 if `main` returned, as in training otherwise."""
        hand_over(self._mark)
        more = () if self._link is None else (self.lock,)
        try:
            exec(self._code, self._module.__dict__)  # noqa: S102 - this is what the sandbox is for
            arguments = dict(self._order.arguments)
            self._module.__dict__["main"](arguments, self._descriptors, *more)
        except BaseException as error:
            return report(error, EXIT_CRASH)
        return 0

    def lock(self) -> None:
        """Close all descriptors but those that stay, then the link, which asks to be locked in.

        Until then other calls work; after it, once the keeper has said so, nothing but reading,
        writing and computing does.
        """
        if self._link is None:
            return
        sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = _Nowhere()  # type: ignore[assignment, misc]
        kept = [self._descriptors[position] for position in self._order.stays or ()]
        link = self._link.detach()
        self._link = None
        close_all_but((*kept, link))
        os.close(link)
