"""The embedded broker for others: TLS or nothing, verified by those who join."""

from __future__ import annotations

import asyncio
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from forum import mqtt_link
from forum.broker import EmbeddedBroker, Secured
from forum.certificates import Certificate, certificate_for, hosts_of, is_loopback, own_certificate
from forum.credentials import Credential
from forum.errors import BoardUnreachableError, BrokerStartError, LoginRefusedError, TopicError
from forum.ids import AgentName
from forum.messages import Notice
from forum.mqtt_board import MqttBoard

ANNA = AgentName("~anna")


def test_a_certificate_is_made_once_and_closed(tmp_path: Path) -> None:
    """The key is its owner's alone; loopback needs none; a second call finds the first."""
    assert certificate_for("127.0.0.1", tmp_path / "none", None) == (None, None)
    assert not (tmp_path / "none").exists()
    made, ca = certificate_for("0.0.0.0", tmp_path / "tls", None)
    assert made is not None
    assert ca == made.chain.read_text()
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert certificate_for("0.0.0.0", tmp_path / "tls", None) == (made, ca)
    assert certificate_for("127.0.0.1", tmp_path / "none", made) == (made, ca)


def test_a_certificate_that_is_none_is_refused(tmp_path: Path) -> None:
    """Missing files, and files without one: never plain text instead."""
    (tmp_path / "empty").write_text("")
    for name in ("missing", "empty"):
        named = Certificate(tmp_path / name, tmp_path / name)
        with pytest.raises(BrokerStartError, match="cannot use certificate"):
            certificate_for("0.0.0.0", tmp_path, named)


def test_which_hosts_are_this_machines_alone() -> None:
    """Only loopback addresses; 0.0.0.0 is everywhere."""
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.7", "board.example.org", "")))
    assert hosts_of("board.example.org")[0] == "board.example.org"
    assert {"localhost", "127.0.0.1"} <= set(hosts_of("0.0.0.0"))


async def test_the_secured_listener_serves_who_verifies_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Agents within go on in plain text on loopback; from elsewhere only TLS is spoken."""
    monkeypatch.setattr(mqtt_link, "FIRST_CONNECT_S", 3.0)
    certificate, ca = certificate_for("0.0.0.0", tmp_path / "tls", None)
    assert certificate is not None
    secured = Secured("127.0.0.1", 0, certificate, ca)
    async with await EmbeddedBroker.start("r1", ["ada", ANNA], secured=secured) as broker:
        assert broker.secured is not None
        port = broker.secured.port
        assert port not in (0, broker.port)
        word = broker.credentials.logins[ANNA].password
        anna = Credential(ANNA, word, "r1", f"mqtts://127.0.0.1:{port}", ca)
        within = MqttBoard(broker.host, broker.port, "r1", broker.credentials)
        async with within.desk() as desk, MqttBoard.joining(None, anna).seat(ANNA) as seat:
            await desk.notify(Notice(kind="start", text="hello"))
            assert (await anext(seat.notices())).text == "hello"
        for fooled in (
            replace(anna, ca=None),  # an authority that the system knows has not signed it
            replace(anna, ca=certificate_for("0.0.0.0", tmp_path / "other", None)[1]),
        ):
            with pytest.raises(LoginRefusedError, match="not the one"):
                async with MqttBoard.joining(None, fooled).seat(ANNA):
                    pass
        monkeypatch.setattr(mqtt_link, "_CALL_S", 1.0)
        with pytest.raises(BoardUnreachableError):  # plain text at the door for TLS
            async with MqttBoard("127.0.0.1", port, "r1", broker.credentials).seat(ANNA):
                pass
        with pytest.raises(TopicError, match="mqtts"):
            MqttBoard.joining(f"mqtt://127.0.0.1:{broker.port}", anna)
        with pytest.raises(TopicError, match="plain text off loopback"):
            MqttBoard.joining("mqtt://10.0.0.7", replace(anna, url="mqtt://10.0.0.7"))


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    """Trusted, but not the name that was dialled."""
    certificate = own_certificate(tmp_path / "tls", ("board.example.org",))
    ca = certificate.chain.read_text()
    secured = Secured("127.0.0.1", 0, certificate, ca)
    async with await EmbeddedBroker.start("r1", [ANNA], secured=secured) as broker:
        assert broker.secured is not None
        word = broker.credentials.logins[ANNA].password
        anna = Credential(ANNA, word, "r1", f"mqtts://127.0.0.1:{broker.secured.port}", ca)
        with pytest.raises(LoginRefusedError, match="not the one"):
            async with MqttBoard.joining(None, anna).seat(ANNA):
                pass


async def test_a_tls_handshake_that_never_comes_holds_up_nobody(tmp_path: Path) -> None:
    """A hundred connections that say nothing at the secured listener."""
    certificate, ca = certificate_for("0.0.0.0", tmp_path / "tls", None)
    assert certificate is not None
    secured = Secured("127.0.0.1", 0, certificate, ca)
    async with await EmbeddedBroker.start("r1", [ANNA], secured=secured) as broker:
        assert broker.secured is not None
        port = broker.secured.port
        held = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(100)]
        word = broker.credentials.logins[ANNA].password
        anna = Credential(ANNA, word, "r1", f"mqtts://127.0.0.1:{port}", ca)
        async with MqttBoard.joining(None, anna).seat(ANNA) as seat:
            assert seat.interruptions == 0
        for writer in held:
            writer.transport.abort()
