"""The embedded broker's life: start, refusal to start, death with its parent, return."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import socket
import sys
from pathlib import Path

import pytest

from forum.board import Desk
from forum.broker import EmbeddedBroker
from forum.codec import decode_draft
from forum.credentials import Credentials
from forum.errors import (
    BoardClosedError,
    BoardUnreachableError,
    BrokerStartError,
    LoginRefusedError,
    TopicError,
)
from forum.ids import AgentName
from forum.messages import Comment, Draft, Post, Receipt
from forum.mqtt_board import MqttBoard

ADA = AgentName("ada")
ROOT = Path(__file__).resolve().parents[2]
PARENT = """
import asyncio, sys
from forum.broker import EmbeddedBroker
async def main():
    broker = await EmbeddedBroker.start("r1", ["ada"])
    print(broker.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def board_of(broker: EmbeddedBroker) -> MqttBoard:
    """Make the board on `broker`."""
    return MqttBoard(broker.host, broker.port, broker.run_id, broker.credentials)


def draft(message_id: str) -> Draft:
    """Make a draft."""
    return Draft(message_id=message_id, body=Comment(text="hello"))


def post(seq: int) -> Post:
    """Make a post."""
    body = Comment(text="hello")
    return Post(post_id=f"p{seq}", seq=seq, at_us=0, author=ADA, message_id=f"m{seq}", body=body)


async def record(
    desk: Desk, recorded: list[str], received: asyncio.Event, hold: asyncio.Event
) -> None:
    """Act as a clerk: record each message id once, acknowledge every time once `hold` is set."""
    async for submission in desk.submissions():
        message_id = decode_draft(submission.payload).message_id
        if message_id not in recorded:
            recorded.append(message_id)
        received.set()
        await hold.wait()
        number = recorded.index(message_id) + 1
        receipt = Receipt(message_id=message_id, post_id=f"p{number}", seq=number)
        await desk.acknowledge(submission.author, receipt)


async def kill(broker: EmbeddedBroker) -> None:
    """End the broker as a crash would."""
    os.kill(broker.pid, signal.SIGKILL)
    await broker.wait()
    await broker.aclose()


async def restarted(broker: EmbeddedBroker) -> EmbeddedBroker:
    """Start a broker where `broker` was, with the same passwords."""
    return await EmbeddedBroker.start(
        broker.run_id, [ADA], port=broker.port, credentials=broker.credentials
    )


async def test_it_listens_on_loopback_with_a_login_per_participant() -> None:
    """A fresh broker has its own port and distinct passwords, which no repr shows."""
    async with await EmbeddedBroker.start("r1", [ADA, "bob"]) as broker:
        assert broker.host == "127.0.0.1"
        assert broker.port > 0
        logins = broker.credentials.logins
        assert set(logins) == {"ada", "bob", "clerk", "observer"}
        assert len({login.password for login in logins.values()}) == 4
        shown = repr(broker.credentials) + repr(logins)
        assert not any(login.password in shown for login in logins.values())


async def test_passwords_are_not_on_the_command_line_or_in_the_environment() -> None:
    """Another user of the machine sees nothing in /proc."""
    async with await EmbeddedBroker.start("r1", [ADA]) as broker:
        process = Path(f"/proc/{broker.pid}")
        shown = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        for login in broker.credentials.logins.values():
            assert login.password.encode() not in shown


async def test_a_port_in_use_is_named() -> None:
    """The error says which port, and what to do."""
    async with await EmbeddedBroker.start("r1", [ADA]) as broker:
        with pytest.raises(BrokerStartError, match=rf"port {broker.port} .*in use; name another"):
            await EmbeddedBroker.start("r1", [ADA], port=broker.port)


@pytest.mark.parametrize(("run_id", "agent"), [("r/1", "ada"), ("r1", "clerk"), ("r1", "a+")])
async def test_bad_names_start_no_broker(run_id: str, agent: str) -> None:
    """Malformed run ids and agents' names are refused before anything runs."""
    with pytest.raises(TopicError):
        await EmbeddedBroker.start(run_id, [agent])


async def test_closing_ends_the_process_and_frees_the_port() -> None:
    """After aclose nothing is left; closing twice does no harm."""
    broker = await EmbeddedBroker.start("r1", [ADA])
    await broker.aclose()
    await broker.aclose()
    assert await broker.wait() == 0
    async with await restarted(broker) as again:
        assert again.port == broker.port


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
async def test_it_dies_with_its_parent(signal_number: int) -> None:
    """Within two seconds of the parent's death the broker is gone."""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    async with asyncio.timeout(30):
        broker_pid = int(await parent.stdout.readline())
    watch = os.pidfd_open(broker_pid)
    try:
        parent.send_signal(signal_number)
        await parent.wait()
        ended, _, _ = await asyncio.to_thread(select.select, [watch], [], [], 2.0)
        assert ended, "the broker outlived its parent by two seconds"
    finally:
        os.close(watch)


async def test_a_submission_in_flight_survives_the_brokers_death() -> None:
    """The broker dies before the receipt: the seat comes back and the draft counts once."""
    first = await EmbeddedBroker.start("r1", [ADA])
    recorded: list[str] = []
    received, hold = asyncio.Event(), asyncio.Event()
    board = board_of(first)
    async with asyncio.timeout(60), board.desk() as desk, board.seat(ADA) as ada:
        clerk = asyncio.create_task(record(desk, recorded, received, hold))
        waiting = asyncio.create_task(ada.submit(draft("m1")))
        await received.wait()
        await kill(first)
        hold.set()
        late = asyncio.create_task(ada.submit(draft("m2")))  # begun while no broker is there
        async with await restarted(first):
            assert (await waiting).post_id == "p1"
            assert (await late).post_id == "p2"
            assert recorded == ["m1", "m2"]
            assert ada.interruptions == 1
            await desk.deliver(ADA, post(9))
            assert (await anext(ada.posts())).seq == 9
            clerk.cancel()
            await asyncio.wait((clerk,))


async def test_a_broker_that_no_longer_knows_us_ends_the_seat() -> None:
    """With new passwords there is no way back: whoever waits or reads is told why."""
    first = await EmbeddedBroker.start("r1", [ADA])
    async with asyncio.timeout(60), board_of(first).seat(ADA) as ada:
        waiting = asyncio.create_task(ada.submit(draft("m1")))
        await kill(first)
        async with await EmbeddedBroker.start("r1", [ADA], port=first.port):
            why = r"agent 'ada' lost its seat: the broker refuses 'ada'.*credential"
            for told in (
                waiting,
                anext(ada.posts()),
                anext(ada.notices()),
                ada.submit(draft("m2")),
            ):
                with pytest.raises(BoardClosedError, match=why) as caught:
                    await told
                assert isinstance(caught.value.__cause__, LoginRefusedError)


async def test_a_desk_that_the_broker_no_longer_knows_says_so() -> None:
    """The clerk learns that it was refused, not only that nothing comes any more."""
    first = await EmbeddedBroker.start("r1", [ADA])
    async with asyncio.timeout(60), board_of(first).desk() as desk:
        await kill(first)
        async with await EmbeddedBroker.start("r1", [ADA], port=first.port):
            with pytest.raises(LoginRefusedError, match="refuses 'clerk'"):
                await anext(desk.submissions())


async def test_a_desk_without_a_broker_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its patience the clerk is told where no broker is, and what to do; a seat waits on."""
    monkeypatch.setattr("forum.mqtt_board.DESK_PATIENCE_S", 0.2)
    first = await EmbeddedBroker.start("r1", [ADA])
    board = board_of(first)
    async with asyncio.timeout(60), board.desk() as desk, board.seat(ADA) as ada:
        waiting = asyncio.create_task(ada.submit(draft("m1")))
        await anext(desk.submissions())
        await kill(first)
        why = rf"no MQTT broker at 127.0.0.1:{first.port} for .*start the broker.*--resume"
        with pytest.raises(BoardUnreachableError, match=why):
            await anext(desk.submissions())
        with pytest.raises(BoardClosedError, match=why):
            await desk.deliver(ADA, post(9))
        assert not waiting.done()
        waiting.cancel()


async def test_a_broken_receiver_is_named_as_what_took_the_seat() -> None:
    """Whatever a link dies of, an error of our own included, its user is told."""

    def broken(topic: str, payload: bytes) -> None:
        raise ZeroDivisionError("in the receiver")

    async with (
        await EmbeddedBroker.start("r1", [ADA]) as broker,
        asyncio.timeout(60),
        board_of(broker).desk() as desk,
        board_of(broker).seat(ADA) as ada,
    ):
        ada.link._receive = broken  # type: ignore[attr-defined]
        await desk.deliver(ADA, post(1))
        with pytest.raises(BoardClosedError, match=r"ZeroDivisionError.*in the receiver"):
            await anext(ada.posts())


async def test_a_wrong_password_and_an_unknown_agent_are_refused_at_once() -> None:
    """Trying again would be useless, so the board does not."""
    async with await EmbeddedBroker.start("r1", [ADA]) as broker:
        strangers = Credentials.generate([ADA, "bob"])
        wrong = MqttBoard(broker.host, broker.port, "r1", strangers)
        for agent in (ADA, AgentName("bob")):
            with pytest.raises(LoginRefusedError, match="Not authorized"):
                async with wrong.seat(agent):
                    pass
        with pytest.raises(LoginRefusedError, match="no credential"):
            async with board_of(broker).seat(AgentName("bob")):
                pass
        with pytest.raises(LoginRefusedError, match="to read rc/r2/feed/ada"):
            async with MqttBoard(broker.host, broker.port, "r2", broker.credentials).seat(ADA):
                pass


async def test_nobody_answering_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address without a broker ends in a clear error after a bounded time."""
    monkeypatch.setattr("forum.mqtt_link.FIRST_CONNECT_S", 0.3)
    broker = await EmbeddedBroker.start("r1", [ADA])
    await broker.aclose()
    with pytest.raises(BoardUnreachableError, match=rf"no MQTT broker at 127.0.0.1:{broker.port}"):
        async with board_of(broker).seat(ADA):
            pass


async def test_a_server_that_is_no_broker_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something listens but never speaks MQTT: the error comes and no socket leaks."""
    monkeypatch.setattr("forum.mqtt_link.FIRST_CONNECT_S", 0.3)
    monkeypatch.setattr("forum.mqtt_link._CALL_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel connects, nobody answers
        board = MqttBoard("127.0.0.1", silent.getsockname()[1], "r1", Credentials.generate([ADA]))
        with pytest.raises(BoardUnreachableError, match=r"no answer|timed out"):
            async with board.seat(ADA):
                pass
    gc.collect()  # an unclosed socket would warn here, and fail
