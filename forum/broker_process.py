"""The embedded broker's own process: reads its orders, listens, dies with its parent.

Not imported by the parent (`forum.broker` starts it). Orders come as one JSON line on standard
input: ``{"run_id", "address", "passwords": {user: password}, "secured": null or {"address",
"chain", "key"}}``; the answer is one JSON line on standard output: ``{"port": n, "secured_port": n
or null}`` or ``{"error": text}``. Lines that follow are incidents, counted, now and then, and kept
back while nobody reads. End of input means that the parent is gone.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import resource
import signal
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from forum.incidents import IncidentTally

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_MAX_ORDERS_BYTES: Final = 4 * 1024 * 1024
_SHUTDOWN_S = 1.0
_TELL_S = 0.25


def main() -> None:
    """Serve until standard input ends or SIGTERM comes."""
    _die_with_parent()
    _more_files()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes us last
    warnings.simplefilter("ignore")  # amqtt's, which nobody here can act on
    for name in ("amqtt", "asyncio", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # at shutdown, a traceback per message
    orders = json.loads(sys.stdin.buffer.readline(_MAX_ORDERS_BYTES))
    asyncio.run(_serve(orders))
    sys.stdout.flush()
    os._exit(0)  # sockets of clients that do not read must not hold up the end


async def _serve(orders: dict[str, Any]) -> None:
    from forum.certificates import Certificate
    from forum.guarded_broker import GuardedBroker
    from forum.topics import Topics

    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    secured = orders["secured"]
    if secured is not None:
        certificate = Certificate(Path(secured["chain"]), Path(secured["key"]))
        secured = (secured["address"], certificate)
    topics = Topics(orders["run_id"])
    broker = GuardedBroker(orders["address"], topics, orders["passwords"], secured)
    try:
        await broker.start()
    except Exception as error:  # amqtt wraps whatever the socket said
        _answer({"error": str(error)})
        return
    loop.add_reader(sys.stdin.fileno(), _watch_input, over)
    _answer({"port": broker.port(), "secured_port": broker.port("secured") if secured else None})
    os.set_blocking(sys.stdout.fileno(), False)
    telling = loop.create_task(_tell(broker.incidents))
    await over.wait()
    telling.cancel()
    _tell_now(broker.incidents)
    try:
        async with asyncio.timeout(_SHUTDOWN_S):
            await broker.shutdown()
    except TimeoutError:
        return


async def _tell(incidents: IncidentTally) -> None:
    while True:
        await asyncio.sleep(_TELL_S)
        _tell_now(incidents)


def _tell_now(incidents: IncidentTally) -> None:
    """Write what was counted, a line each; what does not fit into the pipe is counted on."""
    untold = incidents.take()
    try:
        while untold:
            # One line is shorter than PIPE_BUF, so it goes out whole or not at all.
            os.write(sys.stdout.fileno(), json.dumps(asdict(untold[0])).encode() + b"\n")
            untold.pop(0)
    except (BlockingIOError, BrokenPipeError):
        incidents.give_back(untold)


def _more_files() -> None:
    """Raise the number of open files to what is allowed: a connection takes one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _watch_input(over: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        over.set()


def _answer(answer: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


def _die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent dies; end of input stands behind it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main()
