"""`community init`: what it finds, what it refuses, and what it says when the script fails."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

import pytest
from cli_calls import community, told
from typer.testing import Result
from wrapped_repositories import AUTORESEARCH, PLAIN, everything, git, repository

from community.task_lock import must_be_as_expected
from community.wrapping import reading
from community.wrapping.constants_found import knobs_of
from community.wrapping.proposal import Wishes, propose
from community.wrapping.repository_files import find_files
from trainer.task import BUNDLED, load_task


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def init(*options: str) -> Result:
    """Make a task of ``mine``, without questions and without running anything."""
    return community("init", "mine", "--yes", "--no-baseline", "--python", sys.executable, *options)


def test_what_git_does_not_track_and_what_leads_out_is_left_out(tmp_path: Path):
    """Links out, fifos, huge files, submodules, secrets: named with the reason, never copied."""
    outside = tmp_path / "outside.py"
    outside.write_text("SECRET = 1\n")
    inner = repository(tmp_path / "inner", {"a.py": "print(1)\n"})
    root = repository(tmp_path / "mine", {**PLAIN, "id_rsa": "x", "deploy.env": "x", "fifo.py": ""})
    (root / "out.py").symlink_to(outside)
    (root / "near.py").symlink_to("train.py")
    (root / "loop.py").symlink_to("loop.py")
    (root / "away").symlink_to(tmp_path)
    (root / "notes.txt").write_text("-----BEGIN RSA PRIVATE KEY-----\n")
    with (root / "big.txt").open("wb") as file:
        file.truncate(3 << 20)
    git(root, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    git(root, "add", "out.py", "near.py", "loop.py", "away", "notes.txt")
    empty = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    git(root, "update-index", "--add", "--cacheinfo", f"100644,{empty},big.txt")
    (root / "fifo.py").unlink()
    os.mkfifo(root / "fifo.py")
    (root / "untracked.py").write_text("print(2)\n")
    before = everything(root)
    result = init()
    assert result.exit_code == 0, result.output
    assert everything(root) == before
    start = tmp_path / "mine_task" / "start"
    assert sorted(str(p.relative_to(start)) for p in start.rglob("*") if p.is_file()) == [
        "README.md", "near.py", "tests/test_train.py", "train.py",
    ]  # fmt: skip
    assert not any(path.is_symlink() for path in start.rglob("*"))
    for path, why in {
        "out.py": "leads out of the repository",
        "away": "leads out of the repository",
        "loop.py": "cannot be read",
        "id_rsa": "looks secret",
        "deploy.env": "looks secret",
        "fifo.py": "no regular file",
        "big.txt": "3 MiB large",
        "sub": "a submodule",
        "notes.txt": "holds a private key",
        "untracked.py": "not tracked by git",
    }.items():
        [line] = [line for line in result.output.splitlines() if path in line and why in line]
        assert line, path


def test_a_configuration_that_starts_programs_starts_none(tmp_path: Path):
    """Git is asked without what a hostile repository has it run."""
    root = repository(tmp_path / "mine", PLAIN)
    mark = tmp_path / "was-run"
    (root / "hook.sh").write_text(f"#!/bin/sh\ntouch {mark}\n")
    (root / "hook.sh").chmod(0o755)
    git(root, "config", "core.fsmonitor", str(root / "hook.sh"))
    assert init().exit_code == 0
    assert not mark.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(tmp_path: Path):
    """It is left out, and the rest goes on."""
    root = repository(tmp_path / "mine", {**PLAIN, "locked.txt": "x"})
    (root / "locked.txt").chmod(0)
    assert "locked.txt: cannot be read: Permission denied" in init().output


def test_too_much_is_an_error_that_says_what_to_do(tmp_path: Path):
    """A whole disk of files is no task."""
    repository(tmp_path / "mine", {**PLAIN, **{f"d{n}/f.txt": "x" for n in range(950)}})
    assert "name the folder of the one project alone" in told(init())
    assert not (tmp_path / "mine_task").exists()


def test_it_refuses_to_overwrite_and_writes_nothing_into_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """From within, the task goes beside; what is there stays."""
    root = repository(tmp_path / "mine", PLAIN)
    monkeypatch.chdir(root)
    python = ("--python", sys.executable)
    assert community("init", "--yes", "--no-baseline", *python).exit_code == 0
    assert (tmp_path / "mine_task" / "task.toml").is_file()
    before = everything(tmp_path / "mine_task")
    assert "exists already" in told(community("init", "--yes", "--no-baseline", *python))
    assert everything(tmp_path / "mine_task") == before
    assert git(root, "status", "--porcelain") == ""


def test_options_override_what_is_found(tmp_path: Path):
    """Each guess has its option."""
    repository(tmp_path / "mine", PLAIN)
    (tmp_path / "set").mkdir()
    result = init(
        *("--command", "python train.py --fast", "--metric", "f1", "--line", "F1 is"),
        *("--direction", "higher", "--unit", "share", "--budget", "77", "--reports", "last"),
        *("--editable", "train.py", "--data", "set:inner/set", "--into", "other"),
    )
    assert result.exit_code == 0, result.output
    table = tomllib.loads((tmp_path / "other" / "task.toml").read_text())
    assert table["script"]["command"] == ["python", "train.py", "--fast"]
    assert (table["metric"], table["unit"], table["budget"]["amount"]) == ("f1", "share", 77)
    assert (table["script"]["line"], table["script"]["reports"]) == ("F1 is", "last")
    assert table["script"]["data"] == [{"source": str(tmp_path / "set"), "target": "inner/set"}]
    assert load_task(tmp_path / "other").script is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--command", "python nothing.py"), "runs no file of the repository"),
        (("--metric", "quux"), "give --direction lower or higher"),
        (("--data", "nowhere"), "is not there"),
        (("--data", "~"), "holds a whole home"),
        (("--editable", "nothing.py"), "cannot be opened"),
        (("--python", "nowhere"), "is no program"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, options: tuple[str, ...], message: str):
    """One clear line, and nothing is written."""
    (tmp_path / "home").mkdir()
    repository(tmp_path / "mine", PLAIN)
    assert message in told(init(*options)).replace("\n", " ")
    assert not (tmp_path / "mine_task").exists()


def test_a_script_that_fails_is_shown_with_the_end_of_its_log(tmp_path: Path):
    """A module that is absent is named, with what to do; no half of a task stays."""
    text = PLAIN["train.py"].replace("import random", "import a_module_of_mine\nimport random")
    repository(tmp_path / "mine", {**PLAIN, "train.py": text})
    result = community("init", "mine", "--yes", "--python", sys.executable)
    output = result.output
    assert result.exit_code == 2
    assert "No module named 'a_module_of_mine'" in output
    assert "    Traceback (most recent call last):\n" in output
    assert "--python PATH/.venv" in output
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_the_tree_cannot_hold_is_shown_beside_it(tmp_path: Path):
    """Deep paths and odd names reach the script read-only."""
    files = {**AUTORESEARCH, "a/b/c/d/e/deep.py": "X = 1\n", "odd name.txt": "y"}
    repository(tmp_path / "mine", files)
    assert init().exit_code == 0
    task = load_task(tmp_path / "mine_task")
    assert task.script is not None
    shown = {each.target: Path(each.place).read_text() for each in task.script.data}
    assert shown == {"a/b/c/d/e/deep.py": "X = 1\n", "odd name.txt": "y"}


def test_without_a_terminal_nothing_is_asked(tmp_path: Path):
    """And it says what to type instead."""
    repository(tmp_path / "mine", PLAIN)
    assert "add --yes" in told(community("init", "mine"))


def test_answers_override_what_is_found(tmp_path: Path):
    """What it cannot know it asks, with what it found for an answer."""
    files = {**PLAIN, "train.py": 'SIZE = 3\nprint("quux:", SIZE)\n'}
    root = repository(tmp_path / "mine", files)
    asked = {}

    def ask(question: str, proposed: str) -> str:
        asked[question] = proposed
        answers = {"number that counts": "quux", "text before it": "quux:", "better?": "higher"}
        return next((a for words, a in answers.items() if words in question), proposed)

    proposal = propose(find_files(root), Wishes(python=sys.executable), ask)
    assert asked["command that runs one experiment"] == "python train.py"
    assert asked["is a lower or a higher quux better?"] == ""
    assert (proposal.metric, proposal.line, proposal.direction) == ("quux", "quux:", "higher")


MODEL = (BUNDLED / "nanolm" / "start" / "train.py").read_text()


def test_code_that_defines_a_model_is_measured(tmp_path: Path):
    """It gets the grader of language models and a lock, and no command."""
    repository(tmp_path / "mine", {"train.py": MODEL})
    result = init("--budget", "2")
    assert result.exit_code == 0, result.output
    task = load_task(tmp_path / "mine_task")
    assert (task.kind, task.budget.amount, task.script) == ("model", 2, None)
    must_be_as_expected(task)
    assert "self-reported" not in result.output


@pytest.mark.slow
def test_a_model_is_trained_twice_to_show_the_noise(tmp_path: Path):
    """By the scorer, as experiments will be."""
    repository(tmp_path / "mine", {"train.py": MODEL})
    result = community("init", "mine", "--yes", "--budget", "2")
    assert result.exit_code == 0, result.output
    assert "baseline: " in result.output
    assert "bits per byte" in result.output


def test_numbers_are_found_by_what_prints_them():
    """The likeliest first; what is printed as it goes is known as such."""
    [first, *_] = reading.printed_in(AUTORESEARCH["train.py"])
    assert (first.metric, first.line, first.anywhere) == ("val_bpb", "val_bpb:", False)
    text = 'print(f"epoch {e} train_loss: {a:.3f} val_acc={b:.3f}")\nprint("val_acc:", c)\n'
    found = reading.printed_in(text)
    assert ("val_acc", "val_acc:", False) in [(t.metric, t.line, t.anywhere) for t in found]
    assert reading.printed_in('print("nothing here")\nprint(f"{x}")\n') == []


def test_knobs_are_constants_of_training_alone():
    """Paths, seeds and switches of output are none; each range holds its value."""
    turned = "LR = 1e-3\nDROPOUT = 0.1\nBETA2 = 0.95\nDEPTH = 8\nFLIP = True\n"
    others = 'SEED = 3\nOUT_DIR = "x"\nEVAL_EVERY = 5\n'
    found = knobs_of("train.py", (turned + others).encode())
    assert found is not None
    assert found.names == ("LR", "DROPOUT", "BETA2", "DEPTH", "FLIP")
    assert knobs_of("train.py", b"def f():\n    return 1\n") is None
