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
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from trainer.descriptors import close_all_but
from trainer.harness import hand_over, report
from trainer.launch import EXIT_CRASH, ServeOrder
from trainer.sandbox.lockdown import CARD_LINKS

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
        self._found: dict[int, str] = {}

    def prepare(self) -> None:
        """Compile the program inside the sandbox and give it a module of its own."""
        self._code = compile(self._source, Path(self._order.path).name, "exec")
        sys.modules[_NAME] = self._module

    def run(self) -> int:
        """Run it to its end; the exit code, 0 if `main` returned, as in training otherwise."""
        hand_over(self._mark)
        self._found = _opened()
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

        What the driver of a card has opened meanwhile stays as well: it cannot answer without.

        Until then other calls work; after it, once the keeper has said so, nothing but reading,
        writing and computing does.
        """
        if self._link is None:
            return
        sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = _Nowhere()  # type: ignore[assignment, misc]
        kept = [self._descriptors[position] for position in self._order.stays or ()]
        link = self._link.detach()
        self._link = None
        close_all_but((*kept, link, *self._drivers()))
        os.close(link)

    def _drivers(self) -> list[int]:
        """Return what the driver of a card seems to have opened since the program began."""
        opened = {n: target for n, target in _opened().items() if self._found.get(n) != target}
        if not any(target.startswith("/dev/nvidia") for target in opened.values()):
            return []
        return [n for n, target in opened.items() if target.startswith(CARD_LINKS)]


def _opened() -> dict[int, str]:
    """Return what each open descriptor refers to; nothing where there is no /proc."""
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return {}
    found = {}
    for number in numbers:
        with suppress(OSError):  # the listing's own
            found[number] = os.readlink(f"/proc/self/fd/{number}")
    return found
