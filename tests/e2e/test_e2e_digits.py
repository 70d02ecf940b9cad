"""A whole run of digits: a model with another metric, under a cap on its size and a guard."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e_life import ROOT, Life, call, state_of
from e2e_scenarios import scenario_text

from community.archive.state import RunState
from community.bounds import PARAMETERS
from community.lock_writing import write_lock
from trainer.task import load_task

DIGITS = ROOT / "scenarios" / "tasks" / "digits"
CAP = 200_000
"""Of this test's copy: WIDTH and HIDDEN can be turned beyond it from a start that keeps to it."""
KNOBS = ("WIDTH", "HIDDEN", "POOL", "LR")
"""Those that matter in forty steps."""
PRYING = """

# ---- what the test adds ----
import os

_train = train


def train(model, run):
    seen = [
        os.path.join(folder, name)
        for folder, folders, names in os.walk("/")
        for name in (*folders, *names)
        if "sklearn" in name or "scikit" in name or "digits.csv" in name
    ]
    try:
        import sklearn
    except ImportError as error:
        seen.append(type(error).__name__)
    try:
        open("<<file>>").read()
    except OSError as error:
        seen.append(type(error).__name__)
    print("PRIED", sorted(seen), flush=True)
    _train(model, run)
"""


@dataclass(frozen=True)
class Finished:
    """A run that came to its end."""

    folder: Path
    state: RunState


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Give a finished run of a copy of digits whose start looks for the images first."""
    where = tmp_path_factory.mktemp("digits")
    task = where / "small"
    shutil.copytree(DIGITS, task, ignore=shutil.ignore_patterns("__pycache__"))
    import sklearn

    images = Path(sklearn.__file__).parent / "datasets" / "data" / "digits.csv.gz"
    assert images.is_file()
    _edit(task / "start" / "train.py", "HIDDEN = 256", "HIDDEN = 128")
    start = task / "start" / "train.py"
    start.write_text(start.read_text() + PRYING.replace("<<file>>", str(images)))
    _edit(task / "task.toml", "most = 300000", f"most = {CAP}")
    _edit(task / "locked" / "grade.py", "ImageClassifier()", "ImageClassifier(views=2)")
    tables = re.split(r"(?m)^(?=\[)", (task / "knobs.toml").read_text())
    chosen = "".join(t for t in tables if t.startswith(tuple(f"[{k}]" for k in KNOBS)))
    (task / "knobs.toml").write_text(chosen)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(write_lock(load_task(task), None))).result()
    text = scenario_text(
        task,
        ("ada explorer random", "alan explorer climber"),
        budget={"kind": "steps", "amount": 40},
        stop={"experiments": 5},
        board={"broker": "memory"},
        reviews={"settle_share": 0.0},
    )
    (where / "mine.toml").write_text(text)
    life = Life.begin("mine.toml", cwd=where)
    assert life.finish(120) == 0, life.text[-4000:]
    return Finished(life.folder, state_of(life.folder))


def test_everything_is_measured_by_the_scorer(run: Finished) -> None:
    """Shares of held-out images, with size and slices beside each; what is too large is refused."""
    state = run.state
    assert state.opened is not None
    assert (state.opened.metric, state.opened.direction) == ("accuracy", "higher")
    verdicts = list(state.verdicts.values())
    assert {v.measured_by for v in verdicts} == {"scorer"}
    assert Counter(v.outcome for v in verdicts)["ok"] >= 2
    for verdict in verdicts:
        measures = state.evidence.measures(verdict.experiment_id)
        if verdict.outcome == "ok":
            assert 0 < measures[PARAMETERS] <= CAP
            assert verdict.score == pytest.approx(measures["accuracy"], rel=1e-4)
            shares = [measures[f"share_of_{one}"] for one in range(10)]
            assert measures["worst_class"] == min(shares)
            assert measures["accuracy"] == pytest.approx(sum(shares) / 10)
        elif verdict.reason == "constraint":
            assert set(measures) == {PARAMETERS}
            assert measures[PARAMETERS] > CAP
        else:
            assert verdict.reason == "guard"


def test_size_and_slices_are_shown(run: Finished) -> None:
    """Of the start and of what leads; a table of the report has them too."""
    told = call("show", str(run.folder), cwd=run.folder.parent)
    assert re.search(r"^parameters: 13\d,\d+ -> ", told.stdout, re.MULTILINE), told.stdout
    assert re.search(r"^worst_class: 0\.\d+ ± ", told.stdout, re.MULTILINE)
    page = (run.folder / "report" / "index.html").read_text()
    assert "<td>worst_class</td>" in page


def test_the_images_are_nowhere_in_a_sandbox(run: Finished) -> None:
    """No file of scikit-learn, by name or by path, and no module of it."""
    logs = [path.read_text() for path in run.folder.glob("jobs/*/log.txt")]
    assert len(logs) >= 2
    for log in logs:
        assert "PRIED ['FileNotFoundError', 'ModuleNotFoundError']" in log


def test_attacks_on_a_classifier_are_refused(tmp_path: Path) -> None:
    """The lock and the grader stop what there is to be tried on one, twins score as in torch."""
    tried = ("compares the images of a request", "hides below what is compared")
    chosen = [part for name in tried for part in ("--only", name)]
    told = call("attack", "digits", "--json", *chosen, cwd=tmp_path, timeout_s=150)
    report = json.loads(told.stdout[told.stdout.index("{") :])
    assert told.returncode == 0, told.stdout
    found = {row["name"]: row for row in report["attacks"]}
    assert [found[name]["locked"]["reason"] for name in tried] == ["probe", "no gain"]
    assert all(row["twin"]["apart"] < 1e-6 for row in found.values())
    refused = call("attack", "digits", "--disable", "probe", cwd=tmp_path)
    assert refused.returncode == 2
    assert "on models of text alone" in refused.stdout


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))
