"""A message over MQTT that is sent again until its answer comes.

Neither a message nor its answer is stored anywhere on the way, so either is lost if the clerk, or
we, are away: it is repeated after a reconnect, and on a timer. Who answers drops repeats.
"""

from __future__ import annotations

import asyncio
from typing import Final, Generic, TypeVar

from forum.errors import BoardClosedError
from forum.messages import Receipt
from forum.mqtt_link import MqttLink
from forum.pending import Pending
from forum.requests import Reply

FIRST_REPEAT_S: Final = 0.5
"""A message without an answer is sent again after this long, then at doubling intervals."""
LONGEST_REPEAT_S: Final = 30.0

_Answer = TypeVar("_Answer", Receipt, Reply)


class MqttExchange(Generic[_Answer]):
    """Messages to one topic and the answers to them.

    Args:
        topic: Where messages go.
    """

    link: MqttLink

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._pending: Pending[_Answer] = Pending()

    async def ask(self, name: str, payload: bytes) -> _Answer:
        """Send `payload`, whose answer bears `name`, and wait for that.

        Raises:
            BoardClosedError: the place was left or lost.

        Cancellation: it may have arrived.
        """
        with self._pending.expecting(name, payload) as answer:
            pause_s = FIRST_REPEAT_S
            reconnected = self.link.next_connection
            await self.link.send(self._topic, payload)
            while await self._still_waits(answer, reconnected, pause_s):
                pause_s = min(2 * pause_s, LONGEST_REPEAT_S)
                if reconnected.done():
                    reconnected, pause_s = self.link.next_connection, FIRST_REPEAT_S
                if self.link.is_connected:
                    await self.link.send(self._topic, payload)
            return answer.result()

    def settle(self, name: str, answer: _Answer) -> None:
        """Hand `answer` to those who wait for it."""
        self._pending.settle(name, answer)

    def close(self, why: BoardClosedError) -> None:
        """Fail everybody who waits, now and later."""
        self._pending.close(why)

    async def _still_waits(
        self, answer: asyncio.Future[_Answer], reconnected: asyncio.Future[None], pause_s: float
    ) -> bool:
        futures = (answer, reconnected)
        await asyncio.wait(futures, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
        return not answer.done()
