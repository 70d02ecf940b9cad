"""A scenario's board elsewhere: its own broker with logins, or the embedded one for others."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from archive_script import opened
from typer.testing import CliRunner

from community.archive.ledger import Ledger
from community.board_opening import _place, open_board
from community.chronicle import Chronicle
from community.cli.application import application
from community.clock import RunClock
from community.errors import ScenarioError
from community.incidents import IncidentLog
from community.loading import parse_scenario
from community.scenario import BoardSection
from forum.certificates import hosts_of, own_certificate
from forum.credentials import load_credential, load_credentials
from forum.errors import BrokerStartError, CredentialError
from forum.ids import AgentName
from forum.messages import Notice
from forum.mosquitto_files import LOG_NAME
from forum.mqtt_board import MqttBoard

sys.path.append(str(Path(__file__).parent.parent / "forum"))
from fortress import free_port, mosquitto_with

SCENARIO = """
run = { task = "nanolm" }
[board]
%s
[[agents]]
name = "ada"
role = "explorer"
mind = "policy:social"
"""


def config(*arguments: str) -> str:
    """Call `community broker config`, which must succeed."""
    done = CliRunner().invoke(application(), ["broker", "config", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    """It would be closed to others and its README replaced; a second call renews the first."""
    (tmp_path / "README.md").write_text("mine")
    tmp_path.chmod(0o755)
    for place in (tmp_path, tmp_path / "README.md"):
        call = ["broker", "config", "quickstart", "--out", str(place), "--host", "0.0.0.0"]
        done = CliRunner().invoke(application(), call)
        assert (done.exit_code, "Traceback" in done.output) == (2, False)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    for _ in range(2):
        config("quickstart", "--out", str(tmp_path / "new"))


async def test_a_run_on_a_mosquitto_with_logins(tmp_path: Path) -> None:
    """Files from the command line, everybody as himself, incidents from the log; one at a time."""
    (tmp_path / "mine.toml").write_text(SCENARIO % "")
    home, port = tmp_path / "broker", free_port()
    said = await asyncio.to_thread(
        config, str(tmp_path / "mine.toml"), "--out", str(home), "--port", str(port)
    )
    assert f"mosquitto -c {home / 'mosquitto.conf'}" in said
    person = next(name for name in load_credentials(home / "credentials") if name[0] == "~")
    section = BoardSection(
        broker=f"mqtt://127.0.0.1:{port}", credentials=str(home), log=str(home / LOG_NAME)
    )
    chronicle = Chronicle(Ledger.create(tmp_path / "ledger.db"), RunClock())
    chronicle.record(opened())
    out = tmp_path / "credentials"
    async with mosquitto_with(home / "mosquitto.conf", port):
        async with (
            open_board(
                *(section, "r1", ["ada"]),
                guests=[person],
                folder=out,
                incidents=IncidentLog(chronicle),
            ) as board,
            board.desk() as desk,
            board.seat(AgentName("ada")) as ada,
            MqttBoard.joining(None, load_credential(out / f"{person}.json")).seat(
                AgentName(person)
            ) as joined,
        ):
            await desk.notify(Notice(kind="start", text="hello"))
            for seat in (ada, joined):
                assert (await anext(seat.notices())).text == "hello"
            await ada.link.send("rc/mine/feed/ada", b"forged")  # type: ignore[attr-defined]
            async with asyncio.timeout(20):
                await chronicle.wait_until(lambda state: bool(state.refusals))
            with pytest.raises(CredentialError, match="another run"):
                async with open_board(section, "r2", ["ada"]):
                    pass
        with pytest.raises(CredentialError, match="no credential for bob"):
            async with open_board(section, "r1", ["ada", "bob"]):
                pass
    [(_, refused)] = chronicle.state.refusals
    assert (refused.who, refused.what, refused.message_id) == ("ada", "connection", "publish")
    assert "observer.json" in {path.name for path in out.iterdir()}


async def test_listening_for_others_means_tls(tmp_path: Path) -> None:
    """Guests dial the address they were given and verify who answers, also after a restart."""
    made = own_certificate(tmp_path / "mine", hosts_of("127.0.0.1"))
    port = free_port()
    section = BoardSection(
        listen=f"127.0.0.1:{port}", tls_cert=str(made.chain), tls_key=str(made.key)
    )
    folder, seen = tmp_path / "credentials", []
    for _ in range(2):
        async with open_board(section, "r1", ["ada"], guests=["~anna"], folder=folder) as board:
            anna = load_credential(folder / "~anna.json")
            seen.append(anna)
            assert anna.ca == made.chain.read_text()
            where = f"mqtts://127.0.0.1:{port}/r1"
            seat = MqttBoard.joining(where, anna).seat(AgentName("~anna"))
            async with board.desk() as desk, seat as joined:
                await desk.notify(Notice(kind="start", text="hello"))
                assert (await anext(joined.notices())).text == "hello"
    assert seen[0] == seen[1]
    named = section.model_copy(update={"tls_cert": "/missing"})
    with pytest.raises(BrokerStartError, match="cannot use certificate"):
        async with open_board(named, "r1", ["ada"], folder=folder):
            pass


def test_off_loopback_there_is_a_certificate_or_no_listener(tmp_path: Path) -> None:
    """Made in the run's folder where none is named; loopback alone is plain."""
    port, secured = _place(BoardSection(listen="0.0.0.0:8883"), tmp_path)
    assert port == 0
    assert secured is not None
    assert (secured.host, secured.port) == ("0.0.0.0", 8883)
    assert secured.certificate.chain.parent == tmp_path / "tls"
    assert secured.ca == secured.certificate.chain.read_text()
    with pytest.raises(BrokerStartError, match="name tls_cert"):
        _place(BoardSection(listen="0.0.0.0:8883"), None)
    assert _place(BoardSection(listen="127.0.0.1:0"), None) == (0, None)


@pytest.mark.parametrize(
    ("board", "key", "words"),
    [
        ('listen = "8883"', "board.listen", "host:port"),
        ('listen = "h:1/x"', "board.listen", "host:port"),
        ('listen = "0.0.0.0:8883"\nport = 1', "board.port", "remove one"),
        ('listen = "0.0.0.0:8883"\ntls_cert = "x"', "board", "add tls_key"),
        ('tls_cert = "x"\ntls_key = "y"', "board.tls_cert", "add listen"),
        ('broker = "mqtts://h"\nlisten = "h:1"', "board.listen", "embedded"),
        ('broker = "mqtt://10.0.0.7"', "board.broker", "refused, since whoever is in between"),
        ('broker = "mqtt://me@lab.example"', "board.broker", 'write "mqtts://lab.example"'),
        ('broker = "memory"\ncredentials = "x"', "board.credentials", "broker of yours"),
        ('credentials = "x"', "board.credentials", "broker of yours"),
        ('broker = "mqtts://h"\nlog = "x"', "board.log", "needs credentials"),
        ('broker = "mqtts://me@h"\ncredentials = "x"', "board.broker", "leave the user out"),
    ],
)
def test_keys_that_do_not_go_together_are_told(
    tmp_path: Path, board: str, key: str, words: str
) -> None:
    """Each with its key and what to do."""
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(SCENARIO % board, tmp_path / "s.toml")
    assert any(fault.key == key and words in fault.text for fault in caught.value.faults)


def test_paths_start_at_the_scenario(tmp_path: Path) -> None:
    """And are absolute in what the ledger keeps, so that a run resumes from anywhere."""
    board = 'broker = "mqtts://h"\ncredentials = "b"\nlog = "b/m.log"'
    loaded = parse_scenario(SCENARIO % board, tmp_path / "s.toml")
    assert loaded.scenario.board.credentials == str(tmp_path / "b")
    assert parse_scenario(loaded.text, Path("/elsewhere/s.toml")).scenario == loaded.scenario
