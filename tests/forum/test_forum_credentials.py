"""Credentials as files: closed to others, bounded, and good for one participant's place."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from forum.broker import EmbeddedBroker
from forum.credentials import Credential, Credentials, load_credential, write_credentials
from forum.errors import CredentialError, LoginRefusedError, TopicError
from forum.ids import AgentName
from forum.mqtt_board import MqttBoard

ADA = Credential("ada", "word", "r1", "mqtt://127.0.0.1:1883")


def test_a_credential_is_written_closed_and_read_again(tmp_path: Path) -> None:
    """Only the owner can read file and folder, also where they existed with wider modes."""
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o755)
    (folder / "ada.json").write_text("{}")
    write_credentials(folder, [ADA])
    path = folder / "ada.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert load_credential(path) == ADA
    assert os.listdir(folder) == ["ada.json"]
    assert "word" not in repr(ADA)


def test_a_credential_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """The message says how to close it."""
    write_credentials(tmp_path, [ADA])
    (tmp_path / "ada.json").chmod(0o640)
    with pytest.raises(CredentialError, match="chmod 600"):
        load_credential(tmp_path / "ada.json")


@pytest.mark.parametrize(
    "change",
    [
        {"user": "Ada"},
        {"user": "lab"},
        {"run": "a/b"},
        {"url": "http://h"},
        {"password": 7},
        {"ca": 7},
        {"more": ""},
    ],
)
def test_what_is_no_credential_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    """Names, run and URL are looked at before anything connects; the password is never shown."""
    said = {"user": "ada", "password": "hush", "run": "r1", "url": "mqtt://h", "ca": None}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(said | change))
    path.chmod(0o600)
    with pytest.raises(CredentialError, match="no credential") as caught:
        load_credential(path)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "x" * 300_000])
def test_other_files_are_no_credentials(tmp_path: Path, text: str) -> None:
    """Nor is one that is missing or far too large."""
    path = tmp_path / "x.json"
    with pytest.raises(CredentialError, match="cannot read"):
        load_credential(path)
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(CredentialError, match="no credential"):
        load_credential(path)


def test_passwords_of_an_earlier_life_stay() -> None:
    """Those that are known are kept, the others are new."""
    old = Credentials.generate(["ada", "~anna"])
    new = Credentials.generate(["ada", "~anna"], {"~anna": old.logins["~anna"].password})
    assert new.logins["~anna"] == old.logins["~anna"]
    assert new.logins["ada"] != old.logins["ada"]


def test_a_url_that_does_not_fit_the_credential_is_refused() -> None:
    """Another run, a login, or plain text where the credential says TLS."""
    for url in ("mqtt://h/r2", "mqtt://me:word@h"):
        with pytest.raises(TopicError):
            MqttBoard.joining(url, ADA)
    tls = Credential("ada", "word", "r1", "mqtts://h:1")
    with pytest.raises(TopicError, match="mqtts://"):
        MqttBoard.joining("mqtt://h:1", tls)
    with pytest.raises(CredentialError, match="no certificate"):
        MqttBoard.joining("mqtts://h:1", Credential("ada", "word", "r1", "mqtts://h:1", "no PEM"))


async def test_a_credential_opens_one_place() -> None:
    """Its holder can sit where it says, and nowhere else."""
    async with await EmbeddedBroker.start("r1", ["ada", "bob", "~anna"]) as broker:
        login = broker.credentials.logins["~anna"]
        url = f"mqtt://{broker.host}:{broker.port}"
        board = MqttBoard.joining(f"{url}/r1", Credential("~anna", login.password, "r1", url))
        async with board.seat(AgentName("~anna")) as seat:
            assert seat.interruptions == 0
        for place in (board.seat(AgentName("ada")), board.desk(), board.observe()):
            with pytest.raises(LoginRefusedError):
                async with place:
                    pass
        stolen = Credential("bob", login.password, "r1", url)
        with pytest.raises(LoginRefusedError):
            async with MqttBoard.joining(None, stolen).seat(AgentName("bob")):
                pass
