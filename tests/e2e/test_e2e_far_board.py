"""Runs whose board others can reach: a Mosquitto with logins, and the embedded broker with TLS."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiomqtt
import pytest
from e2e_life import ROOT, Elsewhere, Life, call, state_of
from e2e_scenarios import scenario_text

from community.events import Proposed, Row, VerdictGiven
from forum.certificates import hosts_of, own_certificate
from forum.credentials import BrokerAddress, Credential, load_credential

sys.path.append(str(ROOT / "tests" / "forum"))
from fortress import free_port, mosquitto_program

AGENTS = ("ada explorer social", "marie reproducer verify", "eve explorer remote")


def is_screen(row: Row) -> bool:
    """Whether `row` is the first verdict on a hypothesis, when everybody is at work."""
    return isinstance(row.event, VerdictGiven) and row.event.experiment_id == "e0001"


async def forge(credential: Credential) -> None:
    """Log in as its holder, and write to another's feed."""
    where = BrokerAddress.parse(credential.url)
    client = aiomqtt.Client(
        *(where.host, where.port),
        username=credential.user,
        password=credential.password,
        identifier=credential.user,
        tls_context=where.tls(credential.ca),
        protocol=aiomqtt.ProtocolVersion.V311,
    )
    async with client:
        await client.publish(f"rc/{credential.run}/feed/ada", b"forged", qos=1)


@contextmanager
def mosquitto(small: Path, folder: Path) -> Iterator[None]:
    """Run a Mosquitto for the scenario ``far.toml``, with files from the command line."""
    program, port = mosquitto_program(), free_port()
    home = folder / "broker"
    board = {
        "broker": f"mqtt://127.0.0.1:{port}",
        "credentials": "broker",
        "log": "broker/mosquitto.log",
    }
    write(small, folder, board)
    said = call("broker", "config", "far.toml", "--out", str(home), "--port", str(port), cwd=folder)
    assert said.returncode == 0, said.stdout
    with subprocess.Popen(
        [program, "-c", home / "mosquitto.conf"], stderr=subprocess.DEVNULL
    ) as it:
        try:
            yield
        finally:
            it.terminate()
            it.wait()


@contextmanager
def secured(small: Path, folder: Path) -> Iterator[None]:
    """Have the scenario ``far.toml`` listen with TLS."""
    made = own_certificate(folder / "tls", hosts_of("127.0.0.1"))
    board = {
        "listen": f"127.0.0.1:{free_port()}",
        "tls_cert": str(made.chain),
        "tls_key": str(made.key),
    }
    write(small, folder, board)
    yield


def write(small: Path, folder: Path, board: dict[str, str]) -> None:
    """Write the scenario."""
    sections = {"board": board, "stop": {"experiments": 6}, "lab": {"await_remote_s": 60}}
    (folder / "far.toml").write_text(scenario_text(small, AGENTS, **sections))


@pytest.mark.parametrize("board", [mosquitto, secured])
def test_a_run_with_somebody_elsewhere_and_somebody_hostile(
    small: Path, tmp_path: Path, board: object
) -> None:
    """Who joins proposes as everybody does; a forged post is an incident that `show` tells."""
    with board(small, tmp_path):  # type: ignore[operator]
        life = Life.begin("far.toml", cwd=tmp_path)
        assert life.await_row(lambda row: row.seq > 3, 90) is not None, life.text[-4000:]
        held = life.folder / "credentials"
        eve = Elsewhere.begin(
            held / "eve.json", "--mind", "policy:social", log=tmp_path / "eve.txt"
        )
        assert life.await_row(is_screen, 90) is not None, life.text[-4000:]
        asyncio.run(forge(load_credential(next(held.glob("~*.json")))))
        proposed = life.await_row(
            lambda row: isinstance(row.event, Proposed) and row.event.author == "eve", 90
        )
        assert proposed is not None, (eve.text, life.text[-4000:])
        assert life.finish(120) == 0, life.text[-4000:]
        eve.finish(30)
    state = state_of(life.folder)
    assert state.experiments_done >= 6
    told = [one for _, one in state.refusals if one.what == "connection"]
    assert [(one.who[0], one.message_id) for one in told] == [("~", "publish")]
    assert all("forged" not in str(post.posted) for post in state.posts.values())
    shown = json.loads(call("show", str(life.folder), "--json", cwd=tmp_path).stdout)
    assert [one["what"] for one in shown["incidents"]] == ["publish"]
    assert "incident at the broker: ~" in life.text
