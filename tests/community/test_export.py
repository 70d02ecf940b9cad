"""What leaves a run: results.tsv, and the best commit as patch and branch."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest
from archive_script import BASE, CHILD, CRASH, OTHER, rows

from community import events as ev
from community.archive.codec import decode_event, encode_event
from community.archive.export import export_run, results_tsv, write_results_tsv
from community.archive.ledger import Ledger
from community.archive.state import RunState
from community.errors import ExportError, RunFolderError
from community.run_folder import RunFolder
from trainer.repository import Repository

START = b"LR = 0.1\n\ndef train():\n    pass\n"


def test_results_tsv_has_autoresearchs_five_columns() -> None:
    """Baseline first, then screens in order of verdict; confirmations are not rows."""
    assert results_tsv(RunState.from_rows(rows())) == (
        "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"
        "bbbbbbb\t3.100000\t0.0\tkeep\tbaseline\n"
        "ccccccc\t2.600000\t0.0\tkeep\tturn p1\n"
        "ddddddd\t3.400000\t0.0\tdiscard\tturn p2\n"
        "eeeeeee\t0.000000\t0.0\tcrash\tturn p3\n"
    )


def test_results_tsv_survives_hostile_titles() -> None:
    """Tabs and newlines of a title cannot make columns or rows."""
    told = rows()
    for row in told:
        if isinstance(row.event, ev.Posted) and "title" in row.event.body:
            row.event.body["title"] = "a\tb\nc\rd\x1b[31m"
    lines = results_tsv(RunState.from_rows(told)).splitlines()
    assert len(lines) == 5
    assert {line.count("\t") for line in lines} == {4}
    assert lines[2].endswith("\ta b c d [31m")


@pytest.mark.parametrize("title", ["=HYPERLINK(1)", "+cmd", "-2+3", "@SUM(1)"])
def test_a_spreadsheet_computes_no_title(title: str) -> None:
    """What would begin a formula is quoted."""
    told = rows()
    for row in told:
        if isinstance(row.event, ev.Posted) and "title" in row.event.body:
            row.event.body["title"] = title
    assert results_tsv(RunState.from_rows(told)).splitlines()[2].endswith(f"\t'{title}")


def test_results_tsv_is_replaced_in_one_step(tmp_path: Path) -> None:
    """The new table stands, no temporary file remains, an unwritable place is reported."""
    path = tmp_path / "results.tsv"
    path.write_text("old")
    state = RunState.from_rows(rows())
    write_results_tsv(state, path)
    assert path.read_text() == results_tsv(state)
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.tsv"]
    with pytest.raises(ExportError, match="cannot write"):
        write_results_tsv(state, tmp_path / "nowhere" / "results.tsv")


def make_run(base: Path, *, until: type[ev.RunStopped] | type[ev.AgentJoined]) -> RunFolder:
    """Record the script, commits made real, up to the first event of a kind."""
    folder = RunFolder.create(base, "r1")
    repository = Repository.create(folder.repository)

    def commit(lr: str, parents: list[str]) -> str:
        tree = {"train.py": START.replace(b"0.1", lr.encode())}
        return repository.commit(tree, parents, "ada <ada@community.invalid>", f"LR {lr}", 0)

    names = {BASE: commit("0.1", [])}
    for fake, lr in ((CHILD, "0.2"), (OTHER, "0.3"), (CRASH, "0.4")):
        names[fake] = commit(lr, [names[BASE]])
    with Ledger.create(folder.ledger) as ledger:
        for row in rows():
            text = encode_event(row.event)
            for fake, real in names.items():
                text = text.replace(fake, real)
            ledger.append(row.at_us, decode_event(row.event.kind, text))
            if isinstance(row.event, until):
                break
    return folder


def git(*arguments: str, cwd: Path) -> str:
    """Run git, away from the user's settings, and return what it prints."""
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t.invalid", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)
    return done.stdout


def test_export_gives_a_patch_that_git_applies_and_a_branch(tmp_path: Path) -> None:
    """A stranger gets from the start tree to the best tree by `git apply`, `git am` or a clone."""
    folder = make_run(tmp_path / "runs", until=ev.RunStopped)
    out = tmp_path / "out"
    exported = export_run(folder.path, out)
    assert exported.patch is not None
    expected = START.replace(b"0.1", b"0.2")

    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "train.py").write_bytes(START)
    git("apply", str(exported.patch), cwd=plain)
    assert (plain / "train.py").read_bytes() == expected

    mail = tmp_path / "mail"
    mail.mkdir()
    (mail / "train.py").write_bytes(START)
    git("init", "-q", cwd=mail)
    git("add", ".", cwd=mail)
    git("commit", "-q", "-m", "start", cwd=mail)
    git("am", "-q", str(exported.patch), cwd=mail)
    assert (mail / "train.py").read_bytes() == expected
    assert git("log", "-1", "--format=%an: %s", cwd=mail) == "ada: turn p1\n"

    assert exported.repository is not None
    git("clone", "-q", str(exported.repository), "clone", cwd=tmp_path)
    assert (tmp_path / "clone" / "train.py").read_bytes() == expected
    assert git("branch", "--show-current", cwd=tmp_path / "clone") == "best\n"


def test_export_comes_with_tables_and_can_be_repeated(tmp_path: Path) -> None:
    """Table, ranking and README stand beside the patch; a second export replaces the first."""
    folder = make_run(tmp_path / "runs", until=ev.RunStopped)
    out = tmp_path / "out"
    export_run(folder.path, out)
    exported = export_run(folder.path, out)
    assert exported.results.read_text().splitlines()[2].endswith("keep\tturn p1")
    board = json.loads(exported.leaderboard.read_text())
    assert (board[0]["rank"], board[0]["status"]) == (1, "reproduced")
    readme = exported.readme.read_text()
    assert "git apply best.patch" in readme
    assert "18.2 % better than the baseline (3.3000 on vault)" in readme
    names = {entry.name for entry in out.iterdir()}
    assert names == {"best.patch", "repo.git", "results.tsv", "leaderboard.json", "README.md"}


def test_export_before_any_score_has_tables_and_no_patch(tmp_path: Path) -> None:
    """A run without a measured hypothesis exports what there is and says so."""
    folder = make_run(tmp_path / "runs", until=ev.AgentJoined)
    exported = export_run(folder.path, tmp_path / "out")
    assert (exported.patch, exported.repository) == (None, None)
    assert "no patch here" in exported.readme.read_text()


def test_export_names_what_is_missing(tmp_path: Path) -> None:
    """No run, no repository, an unusable target: each says which."""
    with pytest.raises(RunFolderError, match="there is no run"):
        export_run(tmp_path / "nowhere", tmp_path / "out")
    folder = make_run(tmp_path / "runs", until=ev.RunStopped)
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="choose another folder"):
        export_run(folder.path, tmp_path / "file")
    folder.repository.rename(folder.path / "gone.git")
    with pytest.raises(ExportError, match=r"repo\.git is whole"):
        export_run(folder.path, tmp_path / "out")


def test_the_exported_repository_of_a_read_only_run_may_be_written(tmp_path: Path) -> None:
    """Who got a run to look at can go on with its copy, and export it again."""
    folder = make_run(tmp_path / "runs", until=ev.RunStopped)
    inside = [folder.repository, *folder.repository.rglob("*")]
    for path in inside:
        path.chmod(0o555 if path.is_dir() else 0o444)
    exported = export_run(folder.path, tmp_path / "out")
    assert exported.repository is not None
    copies = [exported.repository, *exported.repository.rglob("*")]
    assert all(path.stat().st_mode & 0o200 for path in copies)
    export_run(folder.path, tmp_path / "out")
    for path in inside:
        path.chmod(0o755)


def test_an_export_that_fails_leaves_no_half_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was copied so far is taken away again."""
    folder = make_run(tmp_path / "runs", until=ev.RunStopped)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Repository, "set_best", refuse)
    with pytest.raises(ExportError, match="--out"):
        export_run(folder.path, tmp_path / "out")
    assert not (tmp_path / "out" / "repo.git.part").exists()


def test_exported_paths_are_all_in_the_target(tmp_path: Path) -> None:
    """Nothing is written into the run."""
    folder = make_run(tmp_path / "runs", until=ev.RunStopped)
    before = sorted(p for p in folder.path.rglob("*") if not p.name.startswith("ledger.db-"))
    exported = export_run(folder.path, tmp_path / "out")
    after = sorted(p for p in folder.path.rglob("*") if not p.name.startswith("ledger.db-"))
    assert before == after
    for field in dataclasses.fields(exported):
        assert getattr(exported, field.name).parent == tmp_path / "out"
