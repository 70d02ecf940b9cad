"""`community lock`: what is written, what is noticed, and where private text may lie."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from community.cli.application import application
from community.task_lock import must_be_as_expected, read_expected
from scoring import lock as scoring_lock
from scoring.lock import MANIFEST
from scoring.private_text import RECORD
from trainer.task import BUNDLED, load_task


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """Give a copy of nanolm without a manifest."""
    where = tmp_path / "mytask"
    shutil.copytree(BUNDLED / "nanolm", where, ignore=shutil.ignore_patterns("__pycache__"))
    (where / "locked" / MANIFEST).unlink(missing_ok=True)
    return where


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """Give a folder with 960 kB of text in sixty files."""
    folder = tmp_path / "private"
    (folder / "deep").mkdir(parents=True)
    chance = random.Random(7)
    for number in range(60):
        text = "".join(chance.choices("abcdefgh \n", k=16_000))
        (folder / "deep" / f"{number}.txt").write_text(text)
    return folder


def lock(*arguments: str | Path) -> Result:
    """Call ``community lock`` in this process."""
    return CliRunner().invoke(application(), ["lock", *map(str, arguments)])


def test_a_lock_is_written_read_and_holds(task: Path) -> None:
    """The manifest is sorted text; writing it again changes nothing; without one verify says so."""
    missing = lock("verify", task)
    assert missing.exit_code == 2
    assert f"community lock write {task}" in missing.output
    assert "entries, where there was no manifest" in lock("write", task).output
    text = (task / "locked" / MANIFEST).read_text()
    told = json.loads(text)
    assert text == json.dumps(told, indent=2, sort_keys=True) + "\n"
    assert {"locked/grade.py", "scoring/worker.py", "scoring/answering.py", "constants",
            "trainer/sandbox/seccomp.py", "seccomp/x86_64/train_cpu", "sandbox/packages",
            "limits/memory_bytes"} <= set(told["lock"])  # fmt: skip
    assert {"python", "numpy", "torch", "corpus"} <= set(told["measured_on"])
    assert "was current" in lock("write", task).output
    assert (task / "locked" / MANIFEST).read_text() == text
    holds = lock("verify", task)
    assert (holds.exit_code, "holds" in holds.output) == (0, True)


def test_a_changed_byte_is_told_by_its_name(
    task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the grader, among the locked files, in the scorer's code, in the task's limits."""
    lock("write", task)
    grade, limits = task / "locked" / "grade.py", task / "task.toml"
    grade.write_text(grade.read_text() + "#")
    (task / "locked" / "more.txt").write_text("")
    limits.write_text(
        limits.read_text().replace("memory_bytes = 2147483648", "memory_bytes = 999999999")
    )
    sources = tmp_path / "scoring"
    shutil.copytree(Path(scoring_lock.__file__).parent, sources)
    (sources / "log_loss.py").write_text("# other\n" + (sources / "log_loss.py").read_text())
    (sources / "verdict.py").unlink()
    monkeypatch.setattr(scoring_lock, "_SOURCES", sources)
    refused = lock("verify", task)
    assert refused.exit_code == 2
    for line in (
        "locked/grade.py is changed", "locked/more.txt is new", "scoring/log_loss.py is changed",
        "scoring/verdict.py is missing",
        "limits/memory_bytes is changed: 2147483648 then, 999999999",
    ):  # fmt: skip
        assert line in refused.output
    assert refused.output.count(" is ") == 5


def test_another_interpreter_is_a_note_and_no_fault(task: Path) -> None:
    """What belongs to the machine is told, since scores do not compare, and nothing is refused."""
    lock("write", task)
    path = task / "locked" / MANIFEST
    told = json.loads(path.read_text())
    told["measured_on"]["python"] = "CPython 3.99.0"
    path.write_text(json.dumps(told))
    noted = lock("verify", task)
    assert noted.exit_code == 0
    assert "python is changed: CPython 3.99.0 then" in noted.output
    assert "do not compare" in noted.output


@pytest.mark.parametrize("text", ["", "[]", '{"lock": {"a": 1}, "measured_on": {}}', "{}"])
def test_a_damaged_manifest_is_refused_and_can_be_written_again(task: Path, text: str) -> None:
    """Whatever stands there, the error names the file and the command."""
    (task / "locked" / MANIFEST).write_text(text)
    refused = lock("verify", task)
    assert refused.exit_code == 2
    assert "cannot be read" in refused.output
    assert "community lock write" in refused.output


def test_private_text_is_recorded_by_path_and_hash_alone(task: Path, private: Path) -> None:
    """Scores rest on it from then on, a changed byte of it is noticed, and it can be left again."""
    lock("write", task)
    before = read_expected(load_task(task))
    written = lock("write", task, "--heldout", private)
    assert written.exit_code == 0, written.output
    assert "others may read it: chmod -R go=" in written.output
    record = (task / "locked" / RECORD).read_text()
    assert str(private) in record
    locked = [path.read_bytes() for path in (task / "locked").iterdir() if path.is_file()]
    piece = (private / "deep" / "3.txt").read_bytes()[100:140]
    assert not any(piece in content for content in locked)
    with_text = read_expected(load_task(task))
    assert f"locked/{RECORD}" in with_text.lock
    assert with_text.measured_on["dev_bytes"] == "320000"
    assert with_text.measured_on["train_bytes"] == before.measured_on["train_bytes"]
    assert lock("verify", task).exit_code == 0
    (private / "deep" / "3.txt").write_text("other")
    changed = lock("verify", task)
    assert changed.exit_code == 2
    assert "is not what was recorded" in changed.output
    assert lock("write", task, "--no-heldout").exit_code == 0
    assert read_expected(load_task(task)) == before


def test_private_text_that_could_be_seen_or_is_too_little_is_refused(
    task: Path, private: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside the task, the runs or what sandboxes show; a link; some bytes: nothing is written."""
    monkeypatch.chdir(tmp_path)
    lock("write", task)
    before = (task / "locked" / MANIFEST).read_text()
    runs = tmp_path / "runs" / "mine"
    runs.mkdir(parents=True)
    for place, what in (
        (task / "start", "the task's folder"),
        (runs, "the runs' folder"),
        (Path(json.__file__).parent, "code that sandboxes show"),
        (tmp_path, "in or around"),
        (tmp_path / "nowhere", "no such folder"),
    ):
        refused = lock("write", task, "--heldout", place)
        assert (refused.exit_code, what in refused.output) == (2, True), refused.output
    (private / "deep" / "link").symlink_to("0.txt")
    assert "is a link" in lock("write", task, "--heldout", private).output
    (private / "deep" / "link").unlink()
    for number in range(30):
        (private / "deep" / f"{number}.txt").unlink()
    little = lock("write", task, "--heldout", private)
    assert (little.exit_code, "480000 bytes, at least 600000" in little.output) == (2, True)
    assert not (task / "locked" / RECORD).exists()
    assert (task / "locked" / MANIFEST).read_text() == before
    must_be_as_expected(load_task(task))


def test_a_run_refuses_to_begin_under_a_lock_that_does_not_hold(
    task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No manifest, or a changed grader: the command to type is told, and nothing is made."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(
        'run = { task = "./mytask" }\nstop = { experiments = 1 }\n'
        '[[agents]]\nname = "ada"\nrole = "explorer"\nmind = "policy:random"\n'
    )
    missing = CliRunner().invoke(application(), ["run", "mine.toml"])
    assert (missing.exit_code, f"community lock write {task}" in missing.output) == (2, True)
    lock("write", task)
    grade = task / "locked" / "grade.py"
    grade.write_text(grade.read_text() + "#")
    changed = CliRunner().invoke(application(), ["run", "mine.toml"])
    assert (changed.exit_code, "locked/grade.py is changed" in changed.output) == (2, True)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("asked", [("attack",), ("lock", "verify"), ("lock", "write")])
def test_a_task_without_a_grader_is_neither_locked_nor_attacked(asked: tuple[str, ...]) -> None:
    """It says what the scores of a landscape rest on, and what can be locked instead."""
    refused = CliRunner().invoke(application(), [*asked, "nk"])
    told = " ".join(refused.output.split())
    assert refused.exit_code == 2
    assert "is of kind landscape, without a locked grader: a model computes its scores" in told
    assert "in every run's first row" in told
    assert "lock and attack a task that is graded, nanolm" in told
    assert not (BUNDLED / "nk" / "locked").exists()
