"""What only a real start finds out: ports, brokers, tasks that do not work. One message, code 2."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from e2e_life import Life, survivors
from e2e_scenarios import lock_again, scenario_text, small_task

AGENTS = ("ada explorer random",)


def _told(where: Path, text: str) -> str:
    """Run a scenario that cannot work and return its one message."""
    (where / "mine.toml").write_text(text)
    life = Life.begin("mine.toml", cwd=where)
    code = life.finish(60)
    assert code == 2, (code, life.text)
    assert "Traceback" not in life.text
    assert survivors(within_s=1.0) == []
    messages = [line for line in life.text.splitlines() if line.startswith("community: ")]
    return "\n".join(m for m in messages if not m.startswith("community: the run's folder is"))


def test_a_port_in_use_is_named(tmp_path: Path, small: Path) -> None:
    """The embedded broker cannot have a port that somebody holds; the message names it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = _told(tmp_path, scenario_text(small, AGENTS, board={"port": port}))
    assert f"port {port} of 127.0.0.1 is in use; name another" in message


def test_an_external_broker_that_is_not_there_is_named(tmp_path: Path, small: Path) -> None:
    """Nobody answers at the broker's address: said at once, not retried for ever."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        broker = {"broker": f"mqtt://127.0.0.1:{port}"}
        message = _told(tmp_path, scenario_text(small, AGENTS, board=broker))
    assert f"127.0.0.1:{port}" in message


@pytest.mark.parametrize(
    ("path", "spoilt", "expected"),
    [
        ("start/train.py", "raise RuntimeError('no start')\n", "b0001"),
        ("locked/grade.py", "raise RuntimeError('no grader')\n", "no grader"),
        ("knobs.toml", '[NOBODY]\nkind = "bool"\ndoc = "x"\n', "NOBODY"),
    ],
    ids=["start", "grader", "knobs"],
)
def test_a_task_that_does_not_work_is_told(
    tmp_path: Path, path: str, spoilt: str, expected: str
) -> None:
    """A start that crashes, a grader that cannot be loaded, knobs that the start does not have."""
    task = small_task(tmp_path)
    text = (task / path).read_text() + spoilt if path.startswith("start") else spoilt
    (task / path).write_text(text)
    lock_again(task)
    message = _told(tmp_path, scenario_text(task, AGENTS, board={"broker": "memory"}))
    assert expected in message


def test_a_task_that_changed_since_the_run_began_is_not_gone_on_with(tmp_path: Path) -> None:
    """Scores under two graders never meet in one ledger: `--resume` refuses and says why."""
    task = small_task(tmp_path)
    text = scenario_text(task, AGENTS, board={"broker": "memory"}, stop={"experiments": 1})
    (tmp_path / "mine.toml").write_text(text)
    life = Life.begin("mine.toml", cwd=tmp_path)
    assert life.finish(60) == 0, life.text
    with (task / "locked" / "grade.py").open("a") as grade:
        grade.write("# changed\n")
    resumed = Life.begin("--resume", "--experiments", "3", cwd=tmp_path)
    assert resumed.finish(60) == 2, resumed.text
    assert "the lock of small does not hold" in resumed.text
    lock_again(task)
    resumed = Life.begin("--resume", "--experiments", "3", cwd=tmp_path)
    assert resumed.finish(60) == 2, resumed.text
    assert "cannot go on: what scores rest on (locked/grade.py is changed" in resumed.text
