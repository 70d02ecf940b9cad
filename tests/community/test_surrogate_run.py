"""The shipped surrogate: it is what its brief says, and communities live on it in virtual time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.knobs import load_knobs
from community.archive.row_file import export_rows
from community.errors import ModelError, ModelFileError, ModelFitError
from community.loading import load_scenario
from community.modelled.surrogate.ledgers import Trees, read_evidence
from community.modelled.surrogate.model_file import load
from community.modelled.tasks import modelled_task
from community.scenario import Scenario
from community.virtual.run import run_virtual
from trainer.task import find_task, list_tasks, load_task

FOLDER = next(path for path in list_tasks() if path.name == "nanolm_surrogate")
NANOLM = load_task(find_task("nanolm", FOLDER))


def scenario(**model: Any) -> Scenario:
    """Return the shipped scenario, short, with other parameters of the model."""
    shipped = load_scenario("surrogate")
    stop = shipped.stop.model_copy(update={"experiments": 6})
    given = {**(shipped.model or {}), **model}
    return shipped.model_copy(update={"stop": stop, "model": given})


def test_the_brief_tells_the_files_numbers() -> None:
    """How good it is, to the last digit that is told."""
    model, brief = load(FOLDER / "model.json"), (FOLDER / "brief.md").read_text()
    said = {(check.part, check.measure): check for check in model.checks}
    score = said["score, process", "RMSE"]
    assert score.mean is not None
    assert score.floor is not None
    rank = said["score", "rank correlation"].model
    explained = said["score", "share explained of what noise leaves"].model
    within = said["score, calibration", "share within its 90 %"].model
    best = said["score", "RMSE in the best quarter"].model
    made = model.made_from
    for words in (
        f"error of {score.model:.3f}", f"beside {score.floor:.3f} of noise",
        f"and {score.mean:.3f} of predicting the mean",
        f"rank correlation {rank:.2f}", f"{100 * explained:.0f} % of what noise leaves",
        f"{100 * within:.0f} % lie within", f"error is {best:.3f}",
        f"{made.experiments:,} real experiments of {made.runs} runs",
        f"floor lies at {model.score.floor:.2f}",
    ):  # fmt: skip
        assert words in " ".join(brief.split())


def test_the_task_is_the_real_one_without_training() -> None:
    """Its tree and its knobs are nanolm's, and so are the caps on what may be written."""
    modelled = modelled_task(scenario())
    task = modelled.task
    assert task.start == NANOLM.start
    assert task.knobs_toml == NANOLM.knobs_toml
    assert task.policy == NANOLM.policy
    assert modelled.model.truth(task.start) == pytest.approx(3.49, abs=0.15)
    short = modelled_task(scenario(tree="knobs"))
    assert len(short.task.start["train.py"]) < 0.3 * len(NANOLM.start["train.py"])
    assert short.model.truth(short.task.start) == modelled.model.truth(task.start)
    other = modelled_task(scenario(landscape_seed=5))
    assert other.model.truth(task.start) != modelled.model.truth(task.start)


def test_a_community_lives_on_it() -> None:
    """Twice the same: measured by the model, at the pace of real runs, whatever happened before."""
    short = scenario(tree="knobs")
    first, second = run_virtual(short, ""), run_virtual(short, "")
    assert first.ledger_hash == second.ledger_hash
    verdicts = [e.verdict for e in first.state.experiments.values() if e.verdict is not None]
    assert len(verdicts) >= 6
    assert {verdict.measured_by for verdict in verdicts} == {"model"}
    assert all(3 < verdict.train_wall_s < 60 for verdict in verdicts)
    assert first.state.noise is not None
    assert 0.01 < first.state.noise.sigma < 0.1


def test_rows_alone_tell_the_settings_that_the_trees_have(tmp_path: Path) -> None:
    """What is learnt from a run's folder is learnt from its exported rows, merges included."""
    folder, out = tmp_path / "run", tmp_path / "rows.jsonl.gz"
    whole = scenario(noise=0.001)
    stop = whole.stop.model_copy(update={"experiments": 40})
    run_virtual(whole.model_copy(update={"stop": stop}), "", folder)
    export_rows(folder / "ledger.db", out)
    task = modelled_task(whole).task
    assert task.knobs_toml is not None
    knobs = load_knobs(task.knobs_toml, task.start["train.py"].decode())
    trees = Trees(task.start, "train.py", knobs)
    from_trees, from_rows = read_evidence([folder], trees), read_evidence([out], trees)
    assert from_trees.measured == from_rows.measured
    assert not from_trees.left_out
    assert len({each.values for each in from_trees.measured}) > 8
    other = {"train.py": task.start["train.py"] + b"import os\n"}
    with pytest.raises(ModelFitError, match="began with another start tree"):
        read_evidence([folder], Trees(other, "train.py", knobs))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"fitted": "brief.md"}, "no surrogate"),
        ({"fitted": "none.json"}, "cannot read"),
        ({"fitted_sha256": "0" * 64}, "fitted_sha256 says otherwise"),
    ],
)
def test_a_file_that_is_not_the_one_meant_is_refused(model: dict[str, Any], words: str) -> None:
    """Before the run begins."""
    with pytest.raises(ModelFileError, match=words):
        modelled_task(scenario(**model))


def test_what_it_knows_nothing_of_is_refused() -> None:
    """Another budget, another task, a key of other models."""
    other = scenario()
    budget = load_scenario("quickstart").budget
    assert budget is not None
    changed = budget.model_copy(update={"kind": "cpu_seconds", "amount": 7.0})
    with pytest.raises(ModelFileError, match="knows nothing of others"):
        modelled_task(other.model_copy(update={"budget": changed}))
    with pytest.raises(ModelFileError, match="nanolm_surrogate"):
        modelled_task(scenario(of="nanolm_surrogate"))
    with pytest.raises(ModelError, match="not known here"):
        modelled_task(scenario(n=16))
