"""A community on a script task: autoresearch's protocol, and what its own word is worth."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e_life import Life, call, recorded
from e2e_scenarios import scenario_text
from script_repositories import add_grader, stub_task

from community.archive.state import RunState
from community.events import VerdictGiven
from trainer.repository import Repository


@dataclass(frozen=True)
class Ended:
    """A run that has ended, and what is told of it."""

    folder: Path
    state: RunState
    shown: str

    def rows(self) -> list[list[str]]:
        """Return results.tsv, line by line."""
        lines = (self.folder / "results.tsv").read_text().splitlines()
        return [line.split("\t") for line in lines]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Run a lone researcher on the stub."""
    root = tmp_path_factory.mktemp("scripts")
    text = scenario_text(
        stub_task(root),
        ("ada explorer random",),
        run={"task": "./stub", "seed": 2},
        budget={"kind": "device_seconds", "amount": 3},
        stop={"experiments": 22},
        seal={"runs": 1},
    )
    (root / "scripts.toml").write_text(text)
    life = Life.begin("scripts.toml", cwd=root)
    assert life.finish(120) == 0, life.text[-4000:]
    state = RunState.from_rows(recorded(root / "run"))
    return Ended(root / "run", state, call("show", "run", cwd=root).stdout)


def test_results_tsv_is_as_the_protocol_says(ended: Ended):
    """Whatever an experiment did to its final block, its row is the protocol's."""
    header, baseline, *rows = ended.rows()
    assert header == ["commit", "val_bpb", "memory_gb", "status", "description"]
    assert baseline[1:4] == ["1.160000", "2.0", "keep"]
    repository = Repository.open(ended.folder / "repo.git", writer=False)
    modes = set()
    for commit, score, memory, status, _ in rows:
        [whole] = [name for name in ended.state.proposals if name.startswith(commit)]
        tree = repository.read(whole)["train.py"].decode()
        mode, lr = (re.search(rf"(?m)^{name} = (.*)$", tree)[1] for name in ("MODE", "LR"))
        modes.add(mode)
        if mode == '"good"':
            assert score == f"{1 + (float(lr) - 0.1) ** 2:.6f}"
            assert memory == "2.0"
            assert status in ("keep", "discard")
            kept = [h.status for h in ended.state.hypotheses.values() if h.commit == whole]
            assert (status == "keep") == ("reproduced" in kept)
        else:
            assert (score, memory, status) == ("0.000000", "0.0", "crash")
    assert modes == {f'"{mode}"' for mode in ("good", "missing", "twice", "nan", "crash", "hang")}


def test_every_view_says_whose_word_it_is(ended: Ended):
    """Nobody takes a printed number for a measured one."""
    verdicts = [r.event for r in recorded(ended.folder) if isinstance(r.event, VerdictGiven)]
    assert {verdict.measured_by for verdict in verdicts} == {"candidate"}
    assert all("self-reported" in verdict.device_class for verdict in verdicts)
    assert "every score is what the candidate's own script printed" in ended.shown
    assert "best (self-reported): " in ended.shown
    assert all(row[4].startswith("[self-reported]") for row in ended.rows()[1:])
    page = (ended.folder / "report" / "index.html").read_text()
    assert "every score is what the candidate&#39;s own script printed" in page
    lines = (ended.folder.parent / "run.txt").read_text()
    assert re.search(r"baseline: 1\.1600 on dev \(self-reported\)", lines)


def test_what_it_runs_on_has_to_stay_as_it_was(ended: Ended):
    """Scores over other data do not compare."""
    root = ended.folder.parent
    (root / "stub-data" / "second.txt").write_text("2\n")
    again = call("run", "--resume", "--run-dir", "run", "--experiments", "40", cwd=root)
    (root / "stub-data" / "second.txt").unlink()
    assert again.returncode != 0
    assert "the data that the script is shown changed" in again.stdout


def test_a_grader_may_come_later_and_the_ledger_goes_on(ended: Ended):
    """What was told before stays the candidate's word; all is judged anew by what is measured."""
    root = ended.folder.parent
    told = dict(ended.state.verdicts)
    add_grader(root / "stub")
    assert "locked/manifest.json" in call("lock", "write", "./stub", cwd=root).stdout
    again = Life.begin("--resume", "--experiments", "34", cwd=root)
    assert again.finish(120) == 0, again.text[-4000:]
    rows = list(recorded(ended.folder))
    state = RunState.from_rows(rows)
    changed = next(r.seq for r in rows if r.event.kind == "measure_changed")
    for row in rows:
        if isinstance(row.event, VerdictGiven):
            whose = "candidate" if row.seq < changed else "scorer"
            assert row.event.measured_by == whose
            assert ("self-reported" in row.event.device_class) == (whose == "candidate")
    assert all(state.verdicts[name] == verdict for name, verdict in told.items())
    assert state.noise is not None
    assert state.noise.mean == pytest.approx(3.2304)
    standing = [v for runs in state.verdicts_by_tree.values() for v in runs]
    assert standing
    assert {v.measured_by for v in standing} == {"scorer"}
    assert all(v.score is None or v.score >= 3 for v in standing)
    for claim in state.hypotheses.values():
        for change in claim.standing_changes:
            assert {state.verdicts[v].measured_by for v in change.verdicts} <= {"scorer"}
    shown = call("show", "run", cwd=root).stdout
    assert "self-reported" not in shown.split("baseline: ")[1].splitlines()[0]
    table = [line.split("\t") for line in (ended.folder / "results.tsv").read_text().splitlines()]
    assert table[1][1:4] == ["3.230400", "2.0", "keep"]
    old = [row for row in table[2:] if row[4].startswith("[self-reported]")]
    assert old
    assert {row[3] for row in old} <= {"discard", "crash"}
    gone = (root / "stub" / "task.toml").read_text()
    (root / "stub" / "task.toml").write_text(
        gone.replace('[artifact]\nformat = "json"\n', "").replace('leaves = "out/model.json"\n', "")
    )
    back = call("run", "--resume", "--run-dir", "run", "--experiments", "60", cwd=root)
    assert back.returncode != 0
    assert "its scores are measured" in back.stdout
