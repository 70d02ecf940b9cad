"""A run on somebody else's broker: one login for everybody, MQTT 3.1.1, nothing of ours in it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
import e2e_life
import pytest
from e2e_life import ROOT, Life, state_of
from e2e_scenarios import scenario_text

from community.events import Row, VerdictGiven
from forum.codec import encode
from forum.messages import Comment, Draft

PASSWORD = "p@ss:word"
AGENTS = ("ada explorer social", "grace exploiter greedy", "marie reproducer verify")


@dataclass(frozen=True)
class Broker:
    """A plain amqtt broker."""

    process: subprocess.Popen[bytes]
    port: int

    def url(self) -> str:
        """Return where it is, with the user that all share."""
        return f"mqtt://all@127.0.0.1:{self.port}"

    async def hand_in(self, topic: str, *payloads: bytes) -> None:
        """Publish as anybody can who has the login."""
        client = aiomqtt.Client(
            "127.0.0.1", self.port, username="all", password=PASSWORD,
            protocol=aiomqtt.ProtocolVersion.V311,
        )  # fmt: skip
        async with client:
            for payload in payloads:
                await client.publish(topic, payload, qos=1)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """Start a broker, and give runs its password."""
    monkeypatch.setenv("COMMUNITY_BROKER_PASSWORD", PASSWORD)
    program = ROOT / "tests" / "forum" / "open_broker.py"
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield Broker(process, int(process.stdout.readline()))
        process.stdin.close()
        try:
            process.wait(5)
        finally:
            process.kill()


def begin(small: Path, folder: Path, broker: Broker, experiments: int) -> Life:
    """Begin a run of three researchers on `broker`."""
    sections = {"board": {"broker": broker.url()}, "stop": {"experiments": experiments}}
    (folder / "mine.toml").write_text(scenario_text(small, AGENTS, **sections))
    return Life.begin("mine.toml", cwd=folder)


def is_screen(row: Row) -> bool:
    """Whether `row` is the first verdict on a hypothesis, when everybody is at work."""
    return isinstance(row.event, VerdictGiven) and row.event.experiment_id == "e0001"


def test_a_run_finishes_on_an_external_broker(tmp_path: Path, small: Path, broker: Broker) -> None:
    """Every post passes through it, the run ends by its limit, no file holds the password."""
    life = begin(small, tmp_path, broker, experiments=4)
    assert life.finish(90) == 0, life.text[-4000:]
    state = state_of(life.folder)
    assert state.experiments_done == 4
    assert any(len(record.posted.readers) == 3 for record in state.posts.values())
    assert PASSWORD not in life.text
    assert PASSWORD.encode() not in (life.folder / "ledger.db").read_bytes()


def test_a_stranger_with_the_login_does_not_disturb_a_run(
    tmp_path: Path, small: Path, broker: Broker
) -> None:
    """Well-formed or not, what comes from a name that takes no part is nothing to the clerk."""
    life = begin(small, tmp_path, broker, experiments=6)
    assert life.await_row(is_screen, 90) is not None, life.text[-4000:]
    hello = encode(Draft(message_id="m1", body=Comment(text="hello")))
    asyncio.run(broker.hand_in("rc/run/submit/mallory", hello, b"noise"))
    assert life.finish(90) == 0, life.text[-4000:]
    state = state_of(life.folder)
    assert state.experiments_done == 6
    assert "mallory" not in {post.posted.author for post in state.posts.values()}
    assert "mallory" not in {refused.who for _, refused in state.refusals}


def test_a_run_whose_broker_died_ends_with_what_to_do(
    tmp_path: Path, small: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No silent hang: told of while it lasts, then an error, in the ledger as well; no traceback.

    The waiting is shortened by the program that runs the command.
    """
    program = (
        "import forum.mqtt_link as link, forum.mqtt_board as board; "
        "link.AWAY_WARNING_S, board.DESK_PATIENCE_S = 0.2, 4.0; "
        "from community.cli import main; main()"
    )
    monkeypatch.setattr(e2e_life, "command", lambda *given: [sys.executable, "-c", program, *given])
    life = begin(small, tmp_path, broker, experiments=60)
    assert life.await_row(is_screen, 90) is not None, life.text[-4000:]
    broker.process.kill()
    assert life.finish(60) == 2, life.text[-4000:]
    where = f"127.0.0.1:{broker.port}"
    assert f"clerk has no connection to the broker at {where}" in life.text
    assert f"community: no MQTT broker at {where} for " in life.text
    assert "start the broker again, then go on with `community run --resume`" in life.text
    assert "Traceback" not in life.text
    assert "failed to receive on socket" not in life.text
    state = state_of(life.folder)
    assert any("no MQTT broker" in notice.text for _, notice in state.notices)
    assert state.stopped is not None
    assert state.stopped.why.startswith("failed")
