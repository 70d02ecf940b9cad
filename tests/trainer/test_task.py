"""Task folders are read whole and refused whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trainer.errors import PatchRefusedError, TaskError
from trainer.experiment import Budget
from trainer.task import Task, find_task, list_tasks, load_task

TOML = """\
kind = "model"
metric = "val_bpb"
unit = "bits per byte"
direction = "lower"
editable = ["train.py"]

[budget]
kind = "cpu_seconds"
amount = 10

[limits]
tree_bytes = 4096
artefact_bytes = 8388608
memory_bytes = 2147483648

[knobs]
path = "train.py"
"""
KNOBS = '[LR]\nkind = "float"\nlow = 1e-4\nhigh = 1e-1\nscale = "log"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a small task folder without a fault."""
    root = tmp_path / "tasks" / "tiny"
    for place, text in {
        "task.toml": TOML,
        "brief.md": "Lower is better.\n",
        "knobs.toml": KNOBS,
        "start/train.py": "LR = 0.01\n",
        "start/model/layers.py": "# layers\n",
        "locked/grade.py": "",
    }.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)
    return root


def faults_of(folder: Path) -> str:
    """Return the faults that loading finds, one per line."""
    with pytest.raises(TaskError) as caught:
        load_task(folder)
    assert str(folder) in str(caught.value)
    assert all(fault in str(caught.value) for fault in caught.value.faults)
    return "\n".join(caught.value.faults)


def edit(folder: Path, old: str, new: str) -> None:
    """Change task.toml."""
    text = (folder / "task.toml").read_text()
    assert old in text
    (folder / "task.toml").write_text(text.replace(old, new))


def test_a_whole_task_is_loaded(folder: Path):
    """Every field comes from the folder; what is left out has its documented default."""
    assert load_task(folder) == Task(
        name="tiny",
        folder=folder,
        kind="model",
        metric="val_bpb",
        unit="bits per byte",
        direction="lower",
        editable=("train.py",),
        tree_bytes=4096,
        patch_bytes=40960,
        patch_files=8,
        literal_bytes=2048,
        novel_bytes=8192,
        budget=Budget("cpu_seconds", 10.0),
        artefact_bytes=8388608,
        memory_bytes=2147483648,
        loading_cpu_s=0.5,
        block=129,
        vocab=256,
        brief="Lower is better.\n",
        start={"model/layers.py": b"# layers\n", "train.py": b"LR = 0.01\n"},
        knobs_toml=KNOBS,
        knobs_path="train.py",
    )
    assert load_task(folder).locked == folder / "locked"


def test_the_tasks_policy_is_built_from_its_limits(folder: Path):
    """What task.toml opens and caps is what the patch policy enforces."""
    task = load_task(folder)
    assert task.policy.apply(task.start, {"train.py": b"LR = 1\n"})["train.py"] == b"LR = 1\n"
    with pytest.raises(PatchRefusedError):
        task.policy.apply(task.start, {"model/layers.py": b"x"})
    with pytest.raises(PatchRefusedError):
        task.policy.apply(task.start, {"train.py": b"#" * 4090})


def test_caches_that_running_the_start_leaves_are_not_part_of_it(folder: Path):
    """A __pycache__ does not make another task."""
    before = load_task(folder)
    (folder / "start" / "__pycache__").mkdir()
    (folder / "start" / "__pycache__" / "train.cpython-311.pyc").write_bytes(b"\0")
    assert load_task(folder) == before


def test_a_task_without_knobs_is_whole(folder: Path):
    """Knobs are for the built-in policies; a task may have none."""
    edit(folder, '[knobs]\npath = "train.py"\n', "")
    (folder / "knobs.toml").unlink()
    task = load_task(folder)
    assert task.knobs_toml is None
    assert task.knobs_path is None


def test_all_faults_are_listed_at_once(folder: Path):
    """One look at the message is enough to mend the folder."""
    edit(folder, 'metric = "val_bpb"', 'metrc = "val_bpb"')
    edit(folder, "amount = 10", "amount = -1")
    edit(folder, 'kind = "model"', 'kind = "modle"')
    edit(folder, "tree_bytes = 4096", 'tree_byte = 4096\nmemory_bytes = "lots"')
    edit(folder, "\nmemory_bytes = 2147483648", "")
    (folder / "brief.md").unlink()
    (folder / "locked" / "grade.py").unlink()
    (folder / "start" / "link.py").symlink_to("train.py")
    faults = faults_of(folder)
    for part in (
        "task.toml line 2: metrc is not a key of this file; did you mean 'metric'?",
        "task.toml: metric is missing; add it",
        "task.toml line 9: budget.amount = -1 cannot be: input should be greater than 0",
        "task.toml line 1: kind = 'modle' cannot be: no kind of task; did you mean 'model'?",
        "task.toml line 12: limits.tree_byte is not a key of this file; did you mean 'tree_bytes'?",
        "task.toml line 13: limits.memory_bytes = 'lots' cannot be",
        "brief.md is missing",
        "locked/grade.py is missing",
        "start/link.py is a link",
    ):
        assert part in faults
    assert len(faults.splitlines()) == 9


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('editable = ["train.py"]', 'editable = ["trian.py"]', "did you mean 'train.py'?"),
        ('editable = ["train.py"]', 'editable = ["../brief.md"]', "not a file of start/"),
        ('editable = ["train.py"]', 'editable = ["train.py", "train.py"]', "listed twice"),
        ('editable = ["train.py"]', "editable = []", "at least 1 item"),
        ('editable = ["train.py"]', 'editable = ["train.py", 3]', "valid string"),
        ('path = "train.py"', 'path = "model/layers.py"', "is not editable"),
        ('kind = "cpu_seconds"\namount = 10', 'kind = "steps"\namount = 1.5', "whole number"),
        ("amount = 10", "amount = inf", "finite"),
        ("amount = 10", "amount = nan", "cannot be"),
        ("amount = 10", "amount = 1e9", "less than or equal"),
        ("tree_bytes = 4096", "tree_bytes = 10", "tree of 19 bytes"),
        ("tree_bytes = 4096", "tree_bytes = 0", "greater than 0"),
        ("tree_bytes = 4096", "tree_bytes = true", "valid integer"),
        ("memory_bytes = 2147483648", "memory_bytes = 1", "greater than or equal"),
        ('direction = "lower"', 'direction = "down"', "'lower' or 'higher'"),
        ('unit = "bits per byte"', 'unit = "a\\u001bb"', "pattern"),
        ("[knobs]", "[model]\nblock = 1\n[knobs]", "greater than or equal to 2"),
        ("[knobs]", "[model]\nblok = 9\n[knobs]", "did you mean 'block'?"),
        ("[budget]", "[budget", "not TOML"),
        ('[knobs]\npath = "train.py"\n', "", "no [knobs] path"),
    ],
)
def test_each_fault_of_the_file_is_told(folder: Path, old: str, new: str, fault: str):
    """What is wrong, where, and what to do."""
    edit(folder, old, new)
    assert fault in faults_of(folder)


@pytest.mark.parametrize("name", ["task.toml", "brief.md", "knobs.toml"])
def test_missing_linked_large_and_garbled_texts_are_told(folder: Path, name: str):
    """The folder's own texts are regular files of UTF-8 and of a size one can read."""
    place = folder / name
    place.write_bytes(b"# \xff")
    assert f"{name} is not UTF-8 at byte 2" in faults_of(folder)
    place.write_bytes(b"#" * 300_000)
    assert f"{name} is larger than" in faults_of(folder)
    place.unlink()
    assert f"{name} is missing" in faults_of(folder)
    place.symlink_to("/etc/hostname")
    assert f"{name} is missing or no regular file" in faults_of(folder)


def test_links_pipes_and_hidden_names_in_start_are_refused(folder: Path):
    """Only plain regular files can be put under version control."""
    (folder / "start" / "outside").symlink_to("/etc")
    (folder / "start" / ".env").write_text("x")
    (folder / "start" / "two words.py").write_text("x")
    os.mkfifo(folder / "start" / "pipe")
    faults = faults_of(folder)
    assert "start/outside is a link or no regular file" in faults
    assert "'.env'" in faults
    assert "'two words.py'" in faults
    assert "start/pipe is a link or no regular file" in faults


def test_a_linked_start_folder_is_refused(folder: Path, tmp_path: Path):
    """The tree lies in the task folder itself."""
    (folder / "start").rename(tmp_path / "elsewhere")
    (folder / "start").symlink_to(tmp_path / "elsewhere")
    assert "start/ is missing or a link" in faults_of(folder)


def test_a_start_without_its_entry_is_refused(folder: Path):
    """A model task is trained through train.py."""
    (folder / "start" / "train.py").rename(folder / "start" / "main.py")
    assert "start/train.py is missing" in faults_of(folder)


def test_broken_knobs_are_refused(folder: Path):
    """knobs.toml is at least TOML, and there if it is named."""
    (folder / "knobs.toml").write_text("[LR")
    assert "knobs.toml is not TOML" in faults_of(folder)


def test_a_folder_name_that_cannot_be_a_task_name_is_refused(folder: Path):
    """The name goes into ledgers, topics and paths."""
    assert "folder name 'Tiny Task'" in faults_of(folder.rename(folder.with_name("Tiny Task")))


def test_a_missing_folder_is_told(tmp_path: Path):
    """A wrong path is one clear fault."""
    assert "there is no such folder" in faults_of(tmp_path / "nowhere")


def test_tasks_are_found_by_name_and_by_path(folder: Path, tmp_path: Path):
    """A bundled name wins; everything else is a path from where the scenario is."""
    library = folder.parent
    assert list_tasks(library) == (folder,)
    assert find_task("tiny", Path("/"), library) == folder
    assert find_task("tasks/tiny", tmp_path, library) == folder
    assert find_task("../tasks/tiny", tmp_path / "scenarios", library) == folder
    assert find_task(str(folder), Path("/"), library) == folder
    assert find_task("./tiny", library, tmp_path) == folder


def test_an_unknown_task_names_the_nearest(folder: Path, tmp_path: Path):
    """A typo is answered with the name that was meant, and with all there are."""
    with pytest.raises(TaskError, match=r"no task 'tinny'.*those are: tiny.*did you mean 'tiny'"):
        find_task("tinny", tmp_path, folder.parent)


def test_the_bundled_tasks_are_whole():
    """Every task that comes with the distribution loads, and is found by its name."""
    names = [path.name for path in list_tasks()]
    assert "nanolm" in names
    for name in names:
        assert load_task(find_task(name, Path("/"))).name == name
