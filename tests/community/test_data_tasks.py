"""Task folders of data and graders of users': what task.toml may say, and what their lock holds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from community.cli.application import application
from community.grading_phase import judging_of
from scoring.judging import Bound
from scoring.lock import MANIFEST
from trainer.errors import TaskError
from trainer.task import BUNDLED, load_task
from trainer.task_file import parse_task_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a copy of the ranking example, as a user would make one."""
    where = tmp_path / "mine"
    skipped = shutil.ignore_patterns("__pycache__", MANIFEST)
    shutil.copytree(BUNDLED / "examples" / "ranking", where, ignore=skipped)
    return where


def lock(*arguments: str | Path) -> Result:
    """Call ``community lock`` in this process."""
    return CliRunner().invoke(application(), ["lock", *map(str, arguments)])


def test_a_task_says_how_its_data_are_judged(folder: Path) -> None:
    """Format, direction, constraints and guards of task.toml reach the scorer as they stand."""
    task = load_task(folder)
    assert (task.kind, task.leaves, task.noise, task.direction) == (
        *("artifact", "json", "seeds", "higher"),
    )
    judging = judging_of(task)
    assert judging is not None
    assert (judging.metric, judging.most_bytes) == ("ndcg_at_10", 65536)
    assert judging.bounds == (
        Bound("mrr", "constraint", 0.3, None),
        Bound("ndcg_of_rare", "guard", 0.2, None),
    )
    assert judging_of(load_task(BUNDLED / "nanolm")) is None


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('format = "json"', 'format = "pickle"', "artifact.format = 'pickle'"),
        ('format = "json"', 'formt = "json"', "artifact.formt is not a key of this file; did you"),
        ('format = "json"', 'format = "json"\ngrading_cpu_s = 0', "artifact.grading_cpu_s = 0"),
        ("least = 0.3", "", "neither least, most nor below_start"),
        ("least = 0.3", "least = 0.3\nmost = 0.2", "least above its most"),
        ("least = 0.3", 'least = "much"', "constraints.least = 'much'"),
        ("least = 0.3", "leats = 0.3", "constraints.leats is not a key of this file; did you mean"),
        ('kind = "artifact"', 'kind = "model"', "a task of kind artifact has a table [artifact]"),
        ('[artifact]\nformat = "json"', "", "a task of kind artifact has a table [artifact]"),
        ("[limits]", '[noise]\nmodel = "none"\n[limits]', "noise.model = 'none'"),
        ("[limits]", '[noise]\nmodel = "exact"\n[limits]', "different held-out files"),
        ('direction = "higher"', 'direction = "up"', "direction = 'up'"),
    ],
)
def test_what_task_toml_may_not_say(folder: Path, old: str, new: str, fault: str) -> None:
    """Every fault names its key and what would be right."""
    path = folder / "task.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(TaskError) as caught:
        load_task(folder)
    assert fault in str(caught.value)


def test_what_a_folder_of_data_has_to_hold(folder: Path, tmp_path: Path) -> None:
    """A program and a grader; facts are of data alone, and guards of what is graded."""
    (folder / "start" / "solve.py").rename(folder / "start" / "other.py")
    (folder / "locked" / "grade.py").unlink()
    with pytest.raises(TaskError) as caught:
        load_task(folder)
    told = str(caught.value)
    assert "start/solve.py is missing: it defines solve(run)" in told
    assert "locked/grade.py is missing: it defines check(artifact) and score(" in told
    model = tmp_path / "model"
    shutil.copytree(BUNDLED / "nanolm", model)
    text = (model / "task.toml").read_text()
    (model / "task.toml").write_text(text + '[noise]\nmodel = "exact"\n')
    with pytest.raises(TaskError, match="artifact"):
        load_task(model)
    guard = '[[guards]]\nmeasure = "x"\nbelow_start = 0.1\n'
    (model / "task.toml").write_text(text + guard)
    assert load_task(model).guards[0].below_start == 0.1
    (model / "task.toml").write_text(text + guard.replace("0.1", "-0.1"))
    with pytest.raises(TaskError, match=r"guards.below_start = -0.1"):
        load_task(model)
    landscape = (BUNDLED / "nk" / "task.toml").read_text() + guard
    found, faults = parse_task_file(landscape)
    assert found is None
    assert "locked grader" in faults[0]


def test_a_users_grader_is_locked_like_ours(folder: Path, tmp_path: Path) -> None:
    """Grader, held-out files and bounds are in its manifest; a changed byte is told by name."""
    assert lock("write", folder).exit_code == 0
    told = json.loads((folder / "locked" / MANIFEST).read_text())["lock"]
    assert {"locked/grade.py", "locked/held_out/seal/rare.json"} <= set(told)
    assert "ndcg_of_rare" in told["constants"]
    assert (told["task/leaves"], told["task/noise"]) == ("json", "seeds")
    assert lock("verify", folder).exit_code == 0
    held_out = folder / "locked" / "held_out" / "vault" / "rare.json"
    held_out.write_text(held_out.read_text() + " ")
    toml = folder / "task.toml"
    toml.write_text(toml.read_text().replace("least = 0.2", "least = 0.1"))
    broken = lock("verify", folder)
    assert broken.exit_code == 2
    assert "locked/held_out/vault/rare.json is changed" in broken.output
    assert lock("write", folder).exit_code == 0
    assert "least=0.1" in (folder / "locked" / MANIFEST).read_text()


def test_private_held_out_files_stay_where_they_are(folder: Path, tmp_path: Path) -> None:
    """Their folder needs the three splits; only its path and hash are recorded."""
    private = tmp_path / "private"
    shutil.copytree(folder / "locked" / "held_out", private)
    shutil.rmtree(folder / "locked" / "held_out")
    shutil.rmtree(private / "seal")
    refused = lock("write", folder, "--heldout", private)
    assert refused.exit_code != 0
    assert "seal has no file" in refused.output
    shutil.copytree(private / "vault", private / "seal")
    written = lock("write", folder, "--heldout", private)
    assert written.exit_code == 0, written.output
    manifest = json.loads((folder / "locked" / MANIFEST).read_text())
    assert int(manifest["measured_on"]["seal_bytes"]) > 100
    assert not any("rare" in name for name in manifest["lock"])
