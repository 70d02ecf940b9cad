"""Running a study: kills, resumption, refusals and failures, with runs that are made up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from study_script import TEXT, made_up, pretend

from community.errors import StudyDiffersError, StudyError, StudyRunError
from community.study import provenance
from community.study.records import load_record, read_records
from community.study.runner import Progress, StudyFolder, run_study
from community.study.table import pack_records, table_csv, unpack_records

TESTS = Path(__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    """Give a folder that is not there yet."""
    return StudyFolder(tmp_path / "made_up")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a file in which every run that is begun is noted."""
    path = tmp_path / "log.txt"
    path.touch()
    monkeypatch.setenv("STUDY_SCRIPT_LOG", str(path))
    return path


def go(folder: StudyFolder, text: str = TEXT, jobs: int = 2) -> str:
    """Run the study and return its table."""
    design = made_up(text)
    records = run_study(design, folder, jobs=jobs, command="community study x", run=pretend)
    return table_csv(design, records)


def short(text: str = TEXT) -> str:
    """Return the study on two landscapes."""
    return text.replace("replicates = 12", "replicates = 2")


def test_a_study_killed_five_times_equals_an_uninterrupted_one(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
):
    """SIGKILL after a handful of runs each: the same bytes, no finished run made again."""
    whole = StudyFolder(tmp_path / "whole")
    expected = go(whole)
    log.write_text("")
    monkeypatch.setenv("STUDY_SCRIPT_S", "0.05")
    killed = StudyFolder(tmp_path / "killed")
    command = [sys.executable, str(TESTS / "study_script.py"), str(killed.path), "2"]
    root = str(TESTS.parent.parent)
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{TESTS}"}
    finished: set[str] = set()
    for kill in range(1, 6):
        process = subprocess.Popen(command, env=environment, cwd=root)
        while len(list(killed.runs.glob("*.json"))) < 6 * kill and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        before = finished
        finished = {path.stem for path in killed.runs.glob("*.json")}
        assert len(finished) > len(before)
    done_before_the_last = finished
    begun = Counter(log.read_text().split())
    subprocess.run(command, env=environment, cwd=root, check=True)
    assert (killed.path / "results.csv").read_text() == expected
    after = Counter(log.read_text().split())
    assert all(after[name] == begun[name] for name in done_before_the_last)
    assert not list(killed.runs.glob(".*"))


def test_as_many_workers_as_one_likes_give_the_same_table(tmp_path: Path):
    """One and three, byte for byte."""
    one = go(StudyFolder(tmp_path / "one"), short(), jobs=1)
    assert go(StudyFolder(tmp_path / "three"), short(), jobs=3) == one


def test_what_is_there_is_not_made_again_and_more_landscapes_add_to_it(
    folder: StudyFolder, log: Path
):
    """Two landscapes, then three: only the third one's runs are begun."""
    go(folder, short())
    first = Counter(log.read_text().split())
    go(folder, short().replace("replicates = 2", "replicates = 3"))
    second = Counter(log.read_text().split())
    assert set(second.values()) == {1}
    assert {name[-5:] for name in second - first} == {"00002"}


def test_progress_counts_what_was_there_and_tells_what_is_left(folder: StudyFolder):
    """From the runs of before to all; with time left as soon as one is done."""
    go(folder, short())
    told: list[Progress] = []
    design = made_up(short().replace("replicates = 2", "replicates = 3"))
    run_study(design, folder, jobs=1, command="x", run=pretend, on_progress=told.append)
    arms = len(design.arms)
    assert (told[0].done, told[0].total, told[0].left_s) == (2 * arms, 3 * arms, None)
    assert told[-1].done == told[-1].total
    assert told[-1].left_s == 0
    assert told[1].left_s is not None


def test_a_failing_run_names_arm_and_landscape_and_keeps_what_is_finished(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
):
    """The reason is told; afterwards the same command goes on."""
    monkeypatch.setenv("STUDY_SCRIPT_FAILS", "ring, reviews off")
    with pytest.raises(StudyRunError, match=r"ring, reviews off, landscape 0 .*told to fail.*kept"):
        go(folder, short(), jobs=1)
    kept = {record.label for record in read_records(folder.runs)}
    assert "isolated, reviews on" in kept
    monkeypatch.delenv("STUDY_SCRIPT_FAILS")
    assert "ring, reviews off" in go(folder, short())


def test_results_of_another_program_are_refused_and_named(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
):
    """A changed file, a new one, another library: what, and what to do."""
    go(folder, short())
    facts = provenance.program_facts(["nanolm"])
    changed = {**facts, "community/queueing.py": "0" * 16, "agents/new.py": "1", "python": "3.0"}
    monkeypatch.setattr("community.study.runner.program_facts", lambda tasks: changed)
    with pytest.raises(StudyDiffersError) as caught:
        go(folder, short())
    text = str(caught.value)
    assert "community/queueing.py" in text
    assert "agents/new.py (new)" in text
    assert f"python ({facts['python']}, now 3.0)" in text
    assert "`community study x` with another --out" in text


def test_views_are_no_part_of_the_program_and_what_decides_is():
    """A figure may change in the middle of a study; a role, a task and a mind may not."""
    facts = provenance.program_facts(["nanolm"])
    assert {"agents/agent.py", "community/scheduler.py", "scenarios/roles/explorer.toml"} <= set(
        facts
    )
    assert "task nanolm: start/train.py" in facts
    assert "community/study/telemetry.py" in facts
    views = ("community/tui/", "community/cli/", "community/report/", "community/study/statistics")
    assert not [name for name in facts if name.startswith(views)]


def test_a_classic_model_is_decided_by_its_own_files_and_communities_by_theirs():
    """Neither voids the other's results."""
    classic, community = provenance.program_facts(), provenance.program_facts(["nk"])
    assert "community/classics/zollman.py" in classic
    assert "community/classics/zollman.py" not in community
    assert "agents/agent.py" not in classic
    assert "community/modelled/nk_model.py" in community


def test_runs_of_another_scenario_are_refused_and_the_key_is_named(folder: StudyFolder):
    """Another budget under the arms' names; another study seed; and a level less is no harm."""
    go(folder, short())
    with pytest.raises(StudyDiffersError, match=r"stop.experiments was 40, is 50"):
        go(folder, short().replace("experiments = 40", "experiments = 50"))
    with pytest.raises(StudyDiffersError, match=r"study\.seed"):
        go(folder, short().replace("seed = 3", "seed = 4"))
    fewer = go(folder, short().replace('"ring", ', ""))
    assert "isolated, reviews on" in fewer
    assert "ring, reviews on" not in fewer


def test_two_processes_do_not_run_one_study(folder: StudyFolder):
    """The second is told who has it."""
    design = made_up(short())

    def while_it_runs(_: Progress) -> None:
        with pytest.raises(StudyError, match="another process"):
            run_study(design, folder, jobs=1, command="x", run=pretend)

    run_study(design, folder, jobs=1, command="x", run=pretend, on_progress=while_it_runs)


def test_a_damaged_record_is_named(folder: StudyFolder):
    """Whoever edits results by hand learns which file."""
    go(folder, short())
    path = next(folder.runs.glob("*.json"))
    path.write_text(path.read_text()[:50])
    with pytest.raises(StudyError, match=path.name):
        go(folder, short())
    path.unlink()
    go(folder, short())


def test_records_come_back_as_they_were_written(folder: StudyFolder, tmp_path: Path):
    """Through JSON and through the packed file, to the last digit."""
    go(folder, short())
    records = list(read_records(folder.runs))
    pack_records(tmp_path / "records.jsonl.gz", records)
    assert unpack_records(tmp_path / "records.jsonl.gz") == records
    with pytest.raises(ValueError, match="no record"):
        load_record(json.dumps({"arm": "x"}))
