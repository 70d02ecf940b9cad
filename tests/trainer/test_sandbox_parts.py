"""Each part of the sandbox left out alone: its own wall is gone, and the result says `none`."""

from __future__ import annotations

import json
import os
import socket
from contextlib import closing
from pathlib import Path

import pytest
from test_sandbox import exploring
from trainer_trials import HONEST, RunTrial

from trainer.experiment import Budget
from trainer.local_executor import LocalExecutor
from trainer.sandbox.probe import probe

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not probe().allows("full"), reason="needs user namespaces"),
]

ATTEMPTS = {
    "files": "len(open(SECRET_FILE).read())",
    "network": "SOCKET.connect(('127.0.0.1', PORT)) or 6",
    "processes": "len(open(f'/proc/{HOST_PID}/cmdline').read()) and os.kill(HOST_PID, 0) or 6",
    "syscalls": "os.sched_setaffinity(0, {0}) or 6",
    "limits": "RESOURCE.getrlimit(RESOURCE.RLIMIT_NOFILE)[0] > 256 and 6",
}


@pytest.fixture
def attempts(tmp_path: Path):
    """A candidate that tries all of it against a file, a port and a process of the host."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        values = {
            "SECRET_FILE": repr(str(secret)),
            "PORT": str(listener.getsockname()[1]),
            "HOST_PID": str(os.getpid()),
            "SOCKET": "__import__('socket').socket()",
            "RESOURCE": "__import__('resource')",
        }
        texts = dict(ATTEMPTS)
        for word, value in values.items():
            texts = {name: text.replace(word, value) for name, text in texts.items()}
        yield exploring(texts)


async def test_whole_sandbox_refuses_every_attempt(
    run_trial: RunTrial, executor: LocalExecutor, attempts: str
):
    """With nothing left out none of them succeeds."""
    answers = json.loads((await run_trial(attempts)).log)
    assert [name for name, answer in answers.items() if answer == "6"] == []


@pytest.mark.parametrize("part", list(ATTEMPTS))
async def test_part_left_out_lets_its_attempt_through(
    run_trial: RunTrial, attempts: str, part: str
):
    """Its own attempt alone succeeds, and what is left of the sandbox is reported as none."""
    async with LocalExecutor(without=(part,)) as executor:
        assert await executor.warm_up() == "none"
        trial = await run_trial(attempts, on=executor)
    answers = json.loads(trial.log)
    assert [name for name, answer in answers.items() if answer == "6"] == [part]
    assert trial.result.isolation == "none"


async def test_everything_left_out_still_trains(run_trial: RunTrial):
    """The parts do not depend on one another."""
    without = ("files", "network", "processes", "syscalls", "limits", "lockdown")
    async with LocalExecutor(without=without) as executor:
        trial = await run_trial(HONEST, on=executor, budget=Budget("steps", 2))
    assert (trial.result.outcome, trial.result.isolation) == ("ok", "none")


async def test_part_that_does_not_exist_is_refused():
    """A misspelt part would leave out nothing and look like a wall that holds."""
    with pytest.raises(ValueError, match="a sandbox has no part walls"):
        LocalExecutor(without=("walls",))
