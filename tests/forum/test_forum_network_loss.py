"""A network that swallows everything without a word: no reset, no answer, for a while."""

from __future__ import annotations

import asyncio

import pytest
from silent_network import network

from forum import mqtt_link
from forum.broker import EmbeddedBroker
from forum.codec import decode_draft
from forum.ids import AgentName
from forum.messages import Comment, Draft, Post, Receipt
from forum.mqtt_board import MqttBoard

ADA, BOB = AgentName("ada"), AgentName("bob")
KEEPALIVE_S = 1


async def test_a_client_cut_off_in_silence_loses_no_draft_and_knows_that_it_missed_posts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Keepalive finds out; drafts of the time come through once each, and catching up is due."""
    monkeypatch.setattr(mqtt_link, "_KEEPALIVE_S", KEEPALIVE_S)
    monkeypatch.setattr(mqtt_link, "_CALL_S", 1.0)
    recorded: list[str] = []
    async with (
        asyncio.timeout(90),
        await EmbeddedBroker.start("r1", [ADA, BOB]) as broker,
        network(broker.port) as (between, port),
    ):
        near = MqttBoard(broker.host, broker.port, "r1", broker.credentials)
        far = MqttBoard(broker.host, port, "r1", broker.credentials)
        async with near.desk() as desk, far.seat(ADA) as ada, near.seat(BOB) as bob:

            async def serve() -> None:
                async for submission in desk.submissions():
                    message_id = decode_draft(submission.payload).message_id
                    if message_id not in recorded:
                        recorded.append(message_id)
                    number = recorded.index(message_id) + 1
                    receipt = Receipt(message_id=message_id, post_id=f"p{number}", seq=number)
                    await desk.acknowledge(submission.author, receipt)

            serving = asyncio.create_task(serve())
            assert (await ada.submit(draft("m1"))).seq == 1
            between.swallow()
            waiting = [asyncio.create_task(ada.submit(draft(f"m{n}"))) for n in (2, 3)]
            for reader in (ADA, BOB):
                await desk.deliver(reader, post(7))
            assert (await anext(bob.posts())).seq == 7  # others notice nothing
            await between.refused.wait()
            assert not any(task.done() for task in waiting)
            between.mend()
            assert [(await task).seq for task in waiting] == [2, 3]
            assert recorded == ["m1", "m2", "m3"]
            assert ada.interruptions >= 1
            await desk.deliver(ADA, post(8))
            assert (await anext(ada.posts())).seq == 8
            serving.cancel()


def draft(message_id: str) -> Draft:
    """Make a draft."""
    return Draft(message_id=message_id, body=Comment(text="hello"))


def post(seq: int) -> Post:
    """Make a post."""
    body = Comment(text="hello")
    return Post(post_id=f"p{seq}", seq=seq, at_us=0, author=BOB, message_id=f"m{seq}", body=body)
