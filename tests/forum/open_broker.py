"""A stand-in for an external broker: amqtt as it comes, one login for all; run by a test.

Prints its port, ends with standard input.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import warnings
from dataclasses import dataclass

warnings.simplefilter("ignore")

from amqtt.broker import Broker  # noqa: E402
from amqtt.plugins.base import BaseAuthPlugin  # noqa: E402

logging.disable()


class OneLogin(BaseAuthPlugin):
    """Lets in whoever says ``all`` and ``p@ss:word``."""

    @dataclass
    class Config:
        """No settings."""

    async def authenticate(self, *, session):
        """Compare."""
        return (session.username, session.password) == ("all", "p@ss:word")


async def main() -> None:
    """Serve until standard input ends."""
    listeners = {"default": {"type": "tcp", "bind": "127.0.0.1:0"}}
    broker = Broker({"listeners": listeners, "plugins": {"__main__.OneLogin": {}}})
    await broker.start()
    print(broker._servers["default"].instance.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await broker.shutdown()


asyncio.run(main())
