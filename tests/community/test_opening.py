"""What a resumed run must have in common with its first life, and what its baseline failed at."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from archive_script import opened
from bench_script import ScriptedScorePhase, house, scenario_of

import trainer
from community.archive.codec import decode_event, encode_event
from community.calibration import calibrate
from community.chronicle import Chronicle
from community.errors import BaselineFailedError, ResumeError
from community.opening import _must_match, trainer_hash
from community.score_phase import Scored
from scoring.verdict import Score
from trainer.repository import Repository


@pytest.mark.parametrize("name", ["harness.py", "experiment.py"])
def test_an_edit_of_the_trainer_is_refused_on_resume(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another margin or grace gives scores that do not compare; the message names the files."""
    known = opened(trainer_hash=trainer_hash())
    copy = Path(shutil.copytree(Path(trainer.__file__).parent, tmp_path / "trainer"))
    monkeypatch.setattr(trainer, "__file__", str(copy / "__init__.py"))
    _must_match(known, opened(trainer_hash=trainer_hash()))
    with (copy / name).open("a") as source:
        source.write("GRACE = 2\n")
    with pytest.raises(ResumeError, match=r"trainer/harness\.py or trainer/experiment\.py changed"):
        _must_match(known, opened(trainer_hash=trainer_hash()))


def test_a_ledger_from_before_the_trainers_hash_still_loads():
    """Its first row lacks the field: it is read, and not held against the run."""
    body = json.loads(encode_event(opened()))
    del body["trainer_hash"]
    known = decode_event("run_opened", json.dumps(body))
    assert known == opened()
    _must_match(known, opened(trainer_hash=trainer_hash()))


def test_a_run_keeps_its_isolation():
    """A machine that isolates less (or more) than at the start cannot take the run up."""
    _must_match(opened(isolation="full"), opened(isolation="full"))
    _must_match(opened(), opened(isolation="full"))  # a ledger from before it was noted
    with pytest.raises(ResumeError, match="isolates candidate code"):
        _must_match(opened(isolation="full"), opened(isolation="partial"))


async def failure(
    chronicle: Chronicle, repository: Repository, folder: Path, *, lost: int = 0
) -> str:
    """Return what is said of a baseline that cannot be measured, after `lost` lost attempts."""
    chronicle.state.noise = None  # as before calibration
    async with house(chronicle, repository, folder, scenario_of()) as home:
        home.executor.lose_next = lost
        with pytest.raises(BaselineFailedError) as raised:
            await calibrate(chronicle, home.scheduler, home.bench, 1)
    return str(raised.value)


@pytest.mark.parametrize(
    ("reason", "words"),
    [("short", "the model raised an error"), ("memory", "more memory than the task allows")],
)
async def test_a_baseline_that_fails_while_answering_is_not_blamed_on_training(
    reason: str,
    words: str,
    chronicle: Chronicle,
    repository: Repository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """There is no log of that phase: the message says what the word means and what to call."""

    async def refuse(self: object, artefact: Path, *_: object) -> Scored:
        return Scored(Score("invalid", None, reason, 0, 0, 0.01), 0.01)

    monkeypatch.setattr(ScriptedScorePhase, "score", refuse)
    said = await failure(chronicle, repository, tmp_path)
    assert f"was trained, but its answers were refused ({reason}: " in said
    assert words in said
    assert "jobs/b0001-1/tree/train.py" in said
    assert "log.txt" not in said


async def test_a_baseline_that_fails_in_training_names_the_log_of_its_last_attempt(
    chronicle: Chronicle, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """An attempt that was lost before is not the one to read."""
    monkeypatch.setattr("bench_script.rate_of", lambda _: 13.0)
    said = await failure(chronicle, repository, tmp_path, lost=1)
    assert "failed in training (crash); read jobs/b0001-2/log.txt" in said
