"""Mosquitto's files and its log: closed to others, complete, and read without being fooled."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from fortress import free_port, mosquitto_with

from forum.certificates import certificate_for
from forum.credentials import BrokerAddress, Credentials, load_credential, load_credentials
from forum.errors import LoginRefusedError, TopicError
from forum.ids import AgentName
from forum.messages import Notice
from forum.mosquitto_files import CREDENTIALS_NAME, MosquittoPlan, write_mosquitto
from forum.mosquitto_log import LogReader, follow_log
from forum.mqtt_board import MqttBoard
from forum.topics import Topics

ADA = AgentName("ada")
STAMP = "2026-01-01T00:00:00: "


def plan(**changes: object) -> MosquittoPlan:
    """Return a plan for two participants on a free port of loopback."""
    fields = {
        "run": "r1",
        "participants": ("ada", "~anna"),
        "address": BrokerAddress("127.0.0.1", free_port()),
    }
    return MosquittoPlan(**(fields | changes))  # type: ignore[arg-type]


def test_everything_is_closed_to_others(tmp_path: Path) -> None:
    """Folders 0700, files 0600; a second call makes other passwords."""
    folder = tmp_path / "broker"
    write_mosquitto(folder, plan())
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    held = load_credentials(folder / CREDENTIALS_NAME)
    assert set(held) == {
        *("ada", "~anna", "clerk", "observer", "observer.2", "observer.3", "observer.4"),
    }
    for name, one in held.items():
        text = (folder / "passwd").read_text() + (folder / "acl").read_text()
        assert one.password not in text
        assert f"{name}:$7$" in text
    write_mosquitto(folder, plan())
    assert load_credential(folder / CREDENTIALS_NAME / "ada.json") != held["ada"]


def test_plain_text_off_loopback_is_refused(tmp_path: Path) -> None:
    """Neither as a listener nor as a way to join."""
    with pytest.raises(TopicError, match="plain text off loopback"):
        write_mosquitto(tmp_path, plan(address=BrokerAddress("0.0.0.0", 1883)))
    assert list(tmp_path.iterdir()) == []


def read(*lines: str) -> list[tuple[str, str, int]]:
    """Return (user, kind, count) of what a log tells."""
    reader = LogReader(Topics("r1"))
    for line in lines:
        reader.take(STAMP + line)
    return [(one.user, one.what, one.count) for one in reader.tally.take()]


def test_a_log_tells_who_tried_what() -> None:
    """Denials, log-ins, wills and subscriptions beyond one's own; what is allowed tells nothing."""
    assert read(
        "New client connected from 127.0.0.1:1 as ada (p2, c1, k60, u'ada').",
        "Will message specified (6 bytes) (r0, q1).",
        "\trc/r1/submit/bob",
        "Sending CONNACK to ada (0, 0)",
        "Received SUBSCRIBE from ada",
        "\trc/r1/feed/ada (QoS 1)",
        "\trc/r1/feed/bob (QoS 1)",
        "\t# (QoS 1)",
        "Denied PUBLISH from ada (d0, q1, r0, m1, 'rc/r1/submit/bob', ... (6 bytes))",
        "Client <unknown> disconnected, not authorised.",
        "Client <unknown> disconnected due to protocol error.",
        "Bad socket read/write on client ada: Unknown error.",
    ) == [
        ("ada", "will", 1),
        ("ada", "subscribe", 2),
        ("ada", "publish", 1),
        ("(unknown)", "login", 1),
        ("(unknown)", "packet", 1),
        ("ada", "packet", 1),
    ]
    assert (
        read(
            "New client connected from 127.0.0.1:1 as ada (p2, c1, k60, u'ada').",
            "Will message specified (6 bytes) (r0, q1).",
            "\trc/r1/presence/ada",
            "Received PUBLISH from ada (d0, q1, r0, m2, 'rc/r1/submit/ada', ... (2 bytes))",
            "Client ada disconnected.",
            "\t# (QoS 1)",
            "no stamp",
            "",
        )
        == []
    )


async def test_a_log_is_followed_through_rotation_and_emptying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its end on; a file that is new under the name is read from its start."""
    monkeypatch.setattr("forum.mosquitto_log._READ_S", 0.01)
    monkeypatch.setattr("forum.mosquitto_log.MAX_LOG_BYTES", 1000)
    path = tmp_path / "mosquitto.log"
    denied = STAMP + "Denied PUBLISH from {} (d0, q0, r0, m0, 't', ... (1 bytes))\n"
    path.write_text(denied.format("before"))
    following = follow_log(path, Topics("r1"))

    async def next_user() -> str:
        async with asyncio.timeout(20):
            return (await anext(following)).user

    waiting = asyncio.create_task(next_user())
    await asyncio.sleep(0.1)
    with path.open("a") as file:
        file.write(denied.format("ada")[:20])
        file.flush()
        await asyncio.sleep(0.05)
        file.write(denied.format("ada")[20:])
    assert await waiting == "ada"
    path.rename(tmp_path / "old")
    path.write_text(denied.format("bob"))
    assert await next_user() == "bob"
    with path.open("a") as file:
        file.write("x" * 2000 + "\n")
    waiting = asyncio.create_task(next_user())
    async with asyncio.timeout(20):
        while path.stat().st_size:  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)
    with path.open("a") as file:
        file.write(denied.format("carl"))
    assert await waiting == "carl"


async def test_a_board_works_on_mosquitto_with_its_files(tmp_path: Path) -> None:
    """Each participant as itself; three observers see everything at once; no other credential."""
    drawn = plan()
    async with mosquitto_with(write_mosquitto(tmp_path / "b", drawn), drawn.address.port):
        held = load_credentials(tmp_path / "b" / CREDENTIALS_NAME)
        logins = Credentials(logins={name: one.login for name, one in held.items()})
        board = MqttBoard("127.0.0.1", drawn.address.port, "r1", logins)
        joined = MqttBoard.joining(None, held["~anna"])
        async with (
            board.desk() as desk,
            board.seat(ADA) as ada,
            joined.seat(AgentName("~anna")) as anna,
            board.observe() as first,
            board.observe() as second,
            board.observe() as third,
        ):
            await desk.notify(Notice(kind="start", text="hello"))
            for seat in (ada, anna):
                assert (await anext(seat.notices())).text == "hello"
            await desk.observe("post", b"x")
            for events in (first, second, third):
                assert (await anext(events)).payload == b"x"
            with pytest.raises(LoginRefusedError):
                async with MqttBoard("127.0.0.1", drawn.address.port, "r1", Credentials()).desk():
                    pass


async def test_mosquitto_speaks_tls_with_our_certificate(tmp_path: Path) -> None:
    """Verified by name and certificate; without the certificate, nobody connects."""
    certificate, ca = certificate_for("0.0.0.0", tmp_path / "tls", None)
    address = BrokerAddress("127.0.0.1", free_port(), is_tls=True)
    drawn = plan(address=address, certificate=certificate, ca=ca)
    async with mosquitto_with(write_mosquitto(tmp_path / "b", drawn), address.port):
        ada = load_credential(tmp_path / "b" / CREDENTIALS_NAME / "ada.json")
        assert ada.url == f"mqtts://127.0.0.1:{address.port}"
        async with MqttBoard.joining(None, ada).seat(ADA) as seat:
            assert seat.interruptions == 0
