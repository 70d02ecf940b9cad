"""Brokers that are not ours: their URLs, and a board on one with a single login."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from forum.codec import decode_draft
from forum.credentials import BrokerAddress, Credentials, Login
from forum.errors import LoginRefusedError, TopicError
from forum.ids import AgentName
from forum.messages import Comment, Draft, Post, Receipt
from forum.mqtt_board import MqttBoard

ADA, BOB = AgentName("ada"), AgentName("bob")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://localhost", BrokerAddress("localhost", 1883)),
        ("mqtt://10.0.0.7:1884", BrokerAddress("10.0.0.7", 1884)),
        ("mqtt://[::1]:1884/", BrokerAddress("::1", 1884)),
        ("mqtt://me:p%40ss%3Aword@h:1", BrokerAddress("h", 1, Login("me", "p@ss:word"))),
        ("mqtts://h", BrokerAddress("h", 8883, is_tls=True)),
        ("mqtts://h:1/run-7", BrokerAddress("h", 1, is_tls=True, run="run-7")),
    ],
)
def test_a_broker_url_is_read(url: str, expected: BrokerAddress) -> None:
    """Host, port, login and run, escapes resolved; and written down again without the login."""
    assert BrokerAddress.parse(url) == expected
    again = BrokerAddress.parse(expected.url)
    assert (again.host, again.port, again.is_tls) == (expected.host, expected.port, expected.is_tls)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:1883",
        "http://me:secret@localhost",
        "ws://me:secret@localhost",
        "mqtt://me:secret@",
        "mqtt://me:secret@h:0",
        "mqtt://me:secret@h:99999",
        "mqtt://me:secret@h:port",
        "mqtt://me:secret@h/run/topic",
        "mqtt://me:secret@h?x=1",
        "mqtt://me:secret@[::1",
    ],
)
def test_a_bad_broker_url_is_refused_without_its_password(url: str) -> None:
    """The message shows the right form and never the secret."""
    with pytest.raises(TopicError, match=r"write mqtt\[s\]://") as caught:
        BrokerAddress.parse(url)
    assert "secret" not in str(caught.value)


def test_one_login_serves_everybody() -> None:
    """Who shares a broker's login uses it under every name; without one all are anonymous."""
    login = Login("all", "word")
    assert Credentials.of_broker(login).of("ada") == login
    assert Credentials.of_broker(None).of("clerk") is None
    with pytest.raises(LoginRefusedError):
        Credentials.generate(["ada"]).of("bob")


def test_one_login_for_all_never_travels_in_plain_text() -> None:
    """Off loopback a broker is reached by TLS or not at all."""
    for url in ("mqtt://10.0.0.7", "mqtt://me@lab.example:1884"):
        with pytest.raises(TopicError, match="plain text off loopback is refused"):
            MqttBoard.at(url, "r1", "word")
        MqttBoard.at(url.replace("mqtt:", "mqtts:"), "r1", "word")
    MqttBoard.at("mqtt://me@localhost:1884", "r1", "word")


async def test_a_board_works_on_an_external_broker() -> None:
    """Drafts, receipts, posts and events pass through a stock broker with one login."""
    script = Path(__file__).with_name("open_broker.py")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(script)), stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(60):
        port = int(await process.stdout.readline())
        board = MqttBoard.at(f"mqtt://all:p%40ss%3Aword@127.0.0.1:{port}", "r1")
        async with (
            board.desk() as desk,
            board.seat(ADA) as ada,
            board.seat(BOB) as bob,
            board.observe() as events,
        ):
            body = Comment(text="hello")
            waiting = asyncio.create_task(ada.submit(Draft(message_id="m1", body=body)))
            submission = await anext(desk.submissions())
            assert submission.author == ADA
            assert decode_draft(submission.payload).body == body
            receipt = Receipt(message_id="m1", post_id="p1", seq=1)
            await desk.acknowledge(ADA, receipt)
            assert await waiting == receipt
            post = Post(post_id="p1", seq=1, at_us=0, author=ADA, message_id="m1", body=body)
            await desk.deliver(BOB, post)
            assert await anext(bob.posts()) == post
            await desk.observe("post", b"x")
            assert (await anext(events)).payload == b"x"
        with pytest.raises(LoginRefusedError):
            async with MqttBoard.at(f"mqtt://all:wrong@127.0.0.1:{port}", "r1").seat(ADA):
                pass
        process.stdin.close()
        assert await process.wait() == 0
