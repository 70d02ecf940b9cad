"""The embedded broker as its owner sees it: started, addressed, closed.

The broker itself runs in a process of its own (`forum.broker_process`, `forum.guarded_broker`) and
amqtt is imported only there. Passwords go to it through a pipe, never by argument or environment.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from forum.certificates import Certificate
from forum.credentials import Credentials
from forum.errors import BrokerStartError
from forum.incidents import Incident
from forum.topics import Topics

START_S: Final = 30.0
"""How long the process may take until it listens: 0.5 s when idle, seconds on a busy laptop."""
_CLOSE_S = 3.0
_LOOPBACK = "127.0.0.1"
_ROOT = Path(__file__).resolve().parent.parent
# -I keeps the environment and the working folder out of the import path, so ours is named.
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from forum.broker_process import main; main()"
)


@dataclass(frozen=True, slots=True)
class Secured:
    """A listener with TLS, beside the one on loopback."""

    host: str
    port: int
    certificate: Certificate
    ca: str | None = None
    """What its clients verify it against (PEM); None: what their system trusts."""

    def order(self) -> dict[str, str]:
        """Return it as the broker's process is told."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        address, files = f"{host}:{self.port}", self.certificate
        return {"address": address, "chain": str(files.chain), "key": str(files.key)}


class EmbeddedBroker:
    """A running broker for one run; an async context manager, or call `aclose`."""

    def __init__(
        self,
        process: Process,
        run_id: str,
        address: tuple[str, int],
        credentials: Credentials,
        secured: Secured | None,
    ) -> None:
        self._process = process
        self.run_id = run_id
        self.host, self.port = address
        self.credentials = credentials
        """The logins of the agents, the clerk and the observer; needed to start it again."""
        self.secured = secured
        """Where it listens with TLS, the port as it was found."""

    @classmethod
    async def start(
        cls,
        run_id: str,
        agents: Iterable[str],
        *,
        port: int = 0,
        credentials: Credentials | None = None,
        secured: Secured | None = None,
    ) -> Self:
        """Start a broker on the loopback interface and return once it listens.

        Args:
            run_id: The run whose topics it serves.
            agents: Who gets a credential, beside the clerk and the observer.
            port: Where to listen; 0 lets the kernel choose a free port.
            credentials: Those of an earlier broker, so that its clients come back by themselves.
            secured: Where to listen with TLS besides, for participants elsewhere.

        Raises:
            BrokerStartError: a port is in use, the certificate is none, or the process did not come
                up.
            TopicError: `run_id` or an agent's name is malformed.

        Cancellation: the process is killed.
        """
        Topics(run_id)  # refuse a bad run id here, not in another process
        if credentials is None:
            credentials = Credentials.generate(agents)
        orders = {
            "run_id": run_id,
            "address": f"{_LOOPBACK}:{port}",
            "secured": None if secured is None else secured.order(),
            "passwords": {login.user: login.password for login in credentials.logins.values()},
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-c", _PROGRAM, str(_ROOT)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={},
        )
        try:
            ports = await _opened(process, orders)
        except BaseException:
            await _end(process, grace_s=0)
            raise
        if secured is not None:
            secured = replace(secured, port=ports["secured_port"])
        return cls(process, run_id, (_LOOPBACK, ports["port"]), credentials, secured)

    @property
    def pid(self) -> int:
        """The broker's process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Return the exit code when the broker has ended, wanted or not."""
        return await self._process.wait()

    async def again(self) -> EmbeddedBroker:
        """Start a broker in the place of this one, which has ended: same port, same credentials.

        Raises:
            BrokerStartError: as `start`.

        Cancellation: the process is killed.
        """
        return await EmbeddedBroker.start(
            *(self.run_id, ()),
            port=self.port,
            credentials=self.credentials,
            secured=self.secured,
        )

    async def incidents(self) -> AsyncIterator[Incident]:
        """Yield what the broker turned away, counted, until it has ended; for one listener.

        While nobody listens the broker counts on.
        """
        if self._process.stdout is None:
            raise RuntimeError("the broker's process has no pipes")
        while line := await self._process.stdout.readline():
            yield Incident(**json.loads(line))

    async def aclose(self) -> None:
        """End the broker and its connections; twice does no harm.

        Cancellation: the process is killed.
        """
        await _end(self._process, grace_s=_CLOSE_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.aclose()


async def _opened(process: Process, orders: dict[str, Any]) -> dict[str, int]:
    """Send the orders and return the ports from the answer."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the broker's process has no pipes")
    line = b""
    try:
        async with asyncio.timeout(START_S):
            process.stdin.write(json.dumps(orders).encode() + b"\n")
            await process.stdin.drain()
            line = await process.stdout.readline()
    except TimeoutError:
        raise BrokerStartError(
            f"the broker did not listen within {START_S:.0f} s; is the machine overloaded?"
        ) from None
    except ConnectionError:
        pass  # it died before it read its orders: the same as an empty answer
    if not line:
        raise BrokerStartError(
            "the broker's process ended before it listened; "
            f"see why with: {sys.executable} -c 'import forum.guarded_broker'"
        )
    answer = json.loads(line)
    if "error" in answer:
        secured = orders["secured"]
        places = [orders["address"], *([secured["address"]] if secured else [])]
        raise BrokerStartError(_explained(str(answer["error"]), places))
    return {name: port for name, port in answer.items() if port is not None}


def _explained(error: str, addresses: list[str]) -> str:
    parts = [address.rpartition(":") for address in addresses]
    places = " or ".join(f"port {port} of {host}" for host, _, port in parts)
    if re.search(r"Errno (98|48)\b|address already in use", error):  # EADDRINUSE: Linux, BSD
        return f"{places} is in use; name another, or 0 for a free one"
    if re.search(r"Errno 13\b", error):
        return f"{places} is privileged; name one above 1023, or 0"
    return f"the broker cannot listen on {places}: {error}"


async def _end(process: Process, grace_s: float) -> None:
    """Close the pipe, wait, kill; whatever happens the process is gone and reaped."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        if process.returncode is None:
            await asyncio.wait_for(process.wait(), grace_s)
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())
