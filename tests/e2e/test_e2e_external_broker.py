"""A run on somebody else's broker: one login for everybody, MQTT 3.1.1, nothing of ours in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_life import ROOT, Life, state_of
from e2e_scenarios import scenario_text

PASSWORD = "p@ss:word"
AGENTS = ("ada explorer social", "grace exploiter greedy", "marie reproducer verify")


@pytest.fixture
def port() -> Iterator[int]:
    """Start a plain amqtt broker and give its port."""
    program = ROOT / "tests" / "forum" / "open_broker.py"
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as broker:
        assert broker.stdout is not None
        assert broker.stdin is not None
        yield int(broker.stdout.readline())
        broker.stdin.close()
        try:
            broker.wait(5)
        finally:
            broker.kill()


def test_a_run_finishes_on_an_external_broker(
    tmp_path: Path, small: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every post passes through it, the run ends by its limit, no file holds the password."""
    monkeypatch.setenv("COMMUNITY_BROKER_PASSWORD", PASSWORD)
    broker = {"broker": f"mqtt://all@127.0.0.1:{port}"}
    text = scenario_text(small, AGENTS, board=broker, stop={"experiments": 4})
    (tmp_path / "mine.toml").write_text(text)
    life = Life.begin("mine.toml", cwd=tmp_path)
    assert life.finish(90) == 0, life.text[-4000:]
    state = state_of(life.folder)
    assert state.experiments_done == 4
    assert any(len(record.posted.readers) == 3 for record in state.posts.values())
    assert PASSWORD not in life.text
    assert PASSWORD.encode() not in (life.folder / "ledger.db").read_bytes()
