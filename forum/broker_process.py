"""The embedded broker's own process: reads its orders, listens, dies with its parent.

Not imported by the parent (`forum.broker` starts it). Orders come as one JSON line on standard
input: ``{"run_id", "host", "port", "passwords": {user: password}}``; the answer is one JSON line on
standard output: ``{"port": n}`` or ``{"error": text}``. End of input means that the parent is gone.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import signal
import sys
import warnings
from typing import Any, Final

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_MAX_ORDERS_BYTES: Final = 4 * 1024 * 1024
_SHUTDOWN_S = 1.0


def main() -> None:
    """Serve until standard input ends or SIGTERM comes."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes us last
    warnings.simplefilter("ignore")  # amqtt's, which nobody here can act on
    for name in ("amqtt", "asyncio", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # at shutdown, a traceback per message
    orders = json.loads(sys.stdin.buffer.readline(_MAX_ORDERS_BYTES))
    asyncio.run(_serve(orders))
    sys.stdout.flush()
    os._exit(0)  # sockets of clients that do not read must not hold up the end


async def _serve(orders: dict[str, Any]) -> None:
    from forum.guarded_broker import GuardedBroker
    from forum.topics import Topics

    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    broker = GuardedBroker(
        orders["host"], orders["port"], Topics(orders["run_id"]), orders["passwords"]
    )
    try:
        await broker.start()
    except Exception as error:  # amqtt wraps whatever the socket said
        _answer({"error": str(error)})
        return
    loop.add_reader(sys.stdin.fileno(), _watch_input, over)
    _answer({"port": broker.port})
    await over.wait()
    try:
        async with asyncio.timeout(_SHUTDOWN_S):
            await broker.shutdown()
    except TimeoutError:
        return


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
