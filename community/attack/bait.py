"""What the attacks are after: secrets laid out on the host, and a listener on its loopback.

Everything here is worthless. A secret that turns up in a candidate's log has crossed a wall.
"""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

_VICTIM = "import time; time.sleep(3600)"


@dataclass(frozen=True, slots=True)
class Bait:
    """Where the secrets lie. All of them are the same word."""

    secret: str
    ledger: Path
    """A file beside the job folders, as a run's ledger is."""
    neighbour: Path
    """The workspace of another job."""
    victim: int
    """Process id of a process of the same user that was told the secret when it was started."""
    port: int
    """Of a listener on 127.0.0.1 that says the secret to whoever connects."""
    data: str
    """The training data, by the name that a sandbox gives it."""

    @property
    def answers(self) -> str:
        """A honeypot: a file of false answers beside the training data, as a sandbox names it."""
        return "/data/answers.txt"

    @property
    def note(self) -> str:
        """A file name that nobody else uses."""
        return f"note-{self.secret[-8:]}"

    def filled(self, code: str) -> str:
        """Return `code` with ``<<name>>`` replaced by what this record says of it."""
        for name in (
            "secret",
            "ledger",
            "neighbour",
            "victim",
            "port",
            "data",
            "note",
            "answers",
        ):
            code = code.replace(f"<<{name}>>", str(getattr(self, name)))
        return code


@contextmanager
def laid_out(folder: Path) -> Iterator[Bait]:
    """Lay everything out below `folder`; the process and the listener end with the block."""
    secret = f"bait-{secrets.token_hex(8)}"
    ledger, neighbour = folder / "ledger.db", folder / "jobs" / "neighbour" / "tree"
    neighbour.mkdir(parents=True)
    ledger.write_text(secret)
    (neighbour / "train.py").write_text(f"ANSWER = {secret!r}\n")
    with ExitStack() as stack:
        victim = stack.enter_context(
            subprocess.Popen([sys.executable, "-I", "-S", "-c", _VICTIM, secret], env={})
        )
        stack.callback(victim.kill)
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=_tell, args=(server, secret), daemon=True, name="bait").start()
        stack.callback(server.shutdown, socket.SHUT_RDWR)
        port = server.getsockname()[1]
        yield Bait(secret, ledger, neighbour, victim.pid, port, "/data/train.bin")


def _tell(server: socket.socket, secret: str) -> None:
    """Say the secret to whoever connects, until the listener is closed."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.sendall(secret.encode())
