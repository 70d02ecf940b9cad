"""A whole run of a task whose programs leave data: what counts, what is kept, what is shown."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e_life import ROOT, Life, call, state_of
from e2e_scenarios import scenario_text

from community.archive.state import RunState
from community.artefacts import KEPT_DATA, best_data, data_file
from community.run_folder import RunFolder
from scoring.data_reading import read_data

AGENTS = ("ada explorer social", "alan explorer climber", "marie reproducer verify")
PACKING = ROOT / "scenarios" / "tasks" / "circle_packing"


@dataclass(frozen=True)
class Finished:
    """A run that came to its end."""

    folder: Path
    state: RunState


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Give a finished run of circle packing, forty steps an experiment."""
    where = tmp_path_factory.mktemp("packing")
    text = scenario_text(
        "circle_packing",
        AGENTS,
        budget={"kind": "steps", "amount": 40},
        stop={"experiments": 18},
        board={"broker": "memory"},
        seal={"runs": 1},
        credit={"share": 0.0},
    )
    (where / "mine.toml").write_text(text)
    life = Life.begin("mine.toml", cwd=where)
    assert life.finish(150) == 0, life.text[-4000:]
    return Finished(life.folder, state_of(life.folder))


def test_what_is_kept_is_the_best_and_can_be_graded_again(run: Finished) -> None:
    """Every valid score is a row with the bytes' hash; the best files give theirs again."""
    state = run.state
    valid = [v for v in state.verdicts.values() if v.outcome == "ok"]
    assert {v.measured_by for v in valid} == {"scorer"}
    assert {v.experiment_id for v in valid} == {
        name for name, row in state.evidence.graded.items() if row.measures
    }
    spec = importlib.util.spec_from_file_location("again", PACKING / "locked" / "grade.py")
    assert spec is not None
    assert spec.loader is not None
    grader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(grader)
    best = best_data(state)
    assert len(best) == len(valid)
    for place, each in enumerate(best):
        path = data_file(RunFolder(run.folder), each, "json")
        assert path.exists() == (place < KEPT_DATA)
        if path.exists():
            content = path.read_bytes()
            row = state.evidence.graded[each.queued.experiment_id]
            assert hashlib.sha256(content).hexdigest() == row.sha256
            artifact = read_data(content, "json", "decimal")
            grader.check(artifact)
            assert each.verdict is not None
            found = grader.score(artifact, {})
            assert found == row.measures
            assert float(f"{found['sum_of_radii']:.15g}") == each.verdict.score


def test_facts_take_one_run_to_screen_and_two_to_confirm(run: Finished) -> None:
    """No seed gate, no run of a parent beside a screen; a gain is best over best, to the digit."""
    state = run.state
    purposes = Counter(e.queued.purpose for e in state.experiments.values())
    assert purposes["parent"] == 0
    assert {a.ended.gate_cpu_s for e in state.experiments.values() for a in e.attempts if a.ended} \
        == {0.0}  # fmt: skip
    changes = [change for claim in state.hypotheses.values() for _, change in claim.changes]
    assert {"improved", "reproduced"} <= {change.status for change in changes}
    for change in changes:
        if change.gain is not None:
            assert change.low == change.gain == change.high
            assert (change.gain > 0) == (change.status != "not_improved")
        if change.status == "reproduced":
            assert change.pairs == 1
    start = state.opened
    assert start is not None
    assert state.mean_score(start.baseline_tree_key, "dev") == max(
        score
        for split in ("dev", "vault", "seal")
        for score in state.scores(start.baseline_tree_key, split)
    )


def test_the_report_draws_the_best_and_never_other_bytes(run: Finished) -> None:
    """A picture of 26 circles; none once the file is not what the ledger names."""
    picture = run.folder / "report" / "best.svg"
    best = best_data(run.state)[0]
    assert best.verdict is not None
    told = call("report", str(run.folder), cwd=run.folder.parent)
    assert told.returncode == 0, told.stdout
    assert picture.read_text().startswith("<svg")
    assert "The best result" in (run.folder / "report" / "index.html").read_text()
    path = data_file_of(run, best.queued.experiment_id)
    content = path.read_bytes()
    path.chmod(0o600)
    try:
        path.write_text(json.dumps({"circles": [[0.5, 0.5, 0.5]] * 26}))
        assert call("report", str(run.folder), cwd=run.folder.parent).returncode == 0
        assert "The best result" not in (run.folder / "report" / "index.html").read_text()
    finally:
        path.write_bytes(content)


def data_file_of(run: Finished, experiment: str) -> Path:
    """Return where an experiment's data lie."""
    return next(run.folder.glob(f"jobs/{experiment}-*/artefact.json"))


def test_the_attack_suite_says_what_it_is_for(tmp_path: Path) -> None:
    """Its attacks are on models; a task of data is refused in words."""
    told = call("attack", "circle_packing", cwd=tmp_path)
    assert told.returncode == 2
    assert "tasks of kind model" in told.stdout
