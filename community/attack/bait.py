"""What the attacks are after: secrets laid out on the host, and a listener on its loopback.

Everything here is worthless. A secret that turns up in a candidate's log has crossed a wall.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PAGES_NAMES = ("pages-0.bin", "pages-1.bin", "pages-2.bin")
"""One for each attack on the page cache, since they run beside one another."""
_PAGES = 256
"""A bit each; more than the secret needs."""
_KEYCTL, _JOIN_SESSION_KEYRING = 250, 1
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
    udp_port: int
    """Of one that answers every datagram with the secret."""
    data: str
    """The training data, by the name that a sandbox gives it."""

    @property
    def answers(self) -> str:
        """A honeypot: a file of false answers beside the training data, as a sandbox names it."""
        return "/data/answers.txt"

    @property
    def pages(self) -> str:
        """Files of many pages beside the training data that nobody reads, but for ``-0.bin``."""
        return "/data/pages"

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
            "udp_port",
            "pages",
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
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(f"\0note-{secret[-8:]}")
        unix.listen()
        for listener in (server, unix):
            threading.Thread(target=_tell, args=(listener, secret), daemon=True).start()
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
        port = server.getsockname()[1]
        udp_port = _tell_datagrams(stack, secret)
        yield Bait(secret, ledger, neighbour, victim.pid, port, udp_port, "/data/train.bin")


def lay_pages(data: Path) -> None:
    """Lay `PAGES_NAMES` into the folder of the training data, on the disk too."""
    for name in PAGES_NAMES:
        with (data / name).open("wb") as stream:
            stream.write(os.urandom(_PAGES * mmap.PAGESIZE))
            stream.flush()
            os.fsync(stream.fileno())


def share_keyring() -> None:
    """Give this process a session keyring that its children inherit, as a login does."""
    ctypes.CDLL(None).syscall(_KEYCTL, _JOIN_SESSION_KEYRING, None)


def forgets_pages(path: Path) -> bool:
    """Whether the page cache lets go of a file when it is told to; one in memory stays there."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT)
    except BlockingIOError:
        return True
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return False


def _tell(server: socket.socket, secret: str) -> None:
    """Say the secret to whoever connects, until the listener is closed."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.sendall(secret.encode())


def _tell_datagrams(stack: ExitStack, secret: str) -> int:
    """Answer datagrams with the secret until `stack` is closed; the port."""
    server = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
    server.bind(("127.0.0.1", 0))
    is_over = threading.Event()
    stack.callback(is_over.set)

    def answer() -> None:
        server.settimeout(0.5)
        while not is_over.is_set():
            try:
                _, sender = server.recvfrom(99)
                server.sendto(secret.encode(), sender)
            except TimeoutError:
                continue
            except OSError:
                return

    threading.Thread(target=answer, daemon=True).start()
    return int(server.getsockname()[1])
