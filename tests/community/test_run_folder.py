"""Run folders and run time."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import pytest
from archive_script import opened

from community.archive.ledger import Ledger
from community.clock import RunClock, wall_stamp
from community.errors import RunFolderError
from community.run_folder import RunFolder


def begun(base: Path, run_id: str) -> RunFolder:
    """Return the folder of a run with a ledger."""
    folder = RunFolder.create(base, run_id)
    with Ledger.create(folder.ledger) as ledger:
        ledger.append(0, opened(run_id=run_id))
    folder.make_latest()
    return folder


def test_latest_points_to_the_newest_run(tmp_path: Path) -> None:
    """The link moves with each new run and is relative, so that runs/ may be moved."""
    first = begun(tmp_path, "one")
    assert RunFolder.open("latest", base=tmp_path) == first
    second = begun(tmp_path, "two")
    assert RunFolder.open(base=tmp_path) == second
    assert (tmp_path / "latest").readlink() == Path("two")
    assert {entry.name for entry in tmp_path.iterdir()} == {"one", "two", "latest"}
    first.make_latest()
    assert RunFolder.open(base=tmp_path).run_id == "one"


def test_a_run_is_found_by_folder_name_or_ledger(tmp_path: Path) -> None:
    """Path, name below the base, link and ledger file all lead to the same folder."""
    folder = begun(tmp_path / "runs", "one")
    base = tmp_path / "runs"
    for where in (folder.path, str(folder.path), "one", folder.ledger, base / "latest"):
        assert RunFolder.open(where, base=base) == folder
    assert folder.job("e0001-1") == folder.path / "jobs" / "e0001-1"
    assert folder.jobs.is_dir()
    assert folder.data.is_dir()
    assert folder.report.is_dir()


def test_what_is_no_run_is_refused_with_the_runs_there_are(tmp_path: Path) -> None:
    """A missing run lists the others; a folder without a ledger says what it lacks."""
    with pytest.raises(RunFolderError, match="none at all"):
        RunFolder.open(base=tmp_path)
    begun(tmp_path, "one")
    with pytest.raises(RunFolderError, match=r"there is no run two; in .* there are: one"):
        RunFolder.open("two", base=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunFolderError, match=r"holds no ledger\.db"):
        RunFolder.open("empty", base=tmp_path)


def test_taken_and_unusable_names_are_refused(tmp_path: Path) -> None:
    """A run is never made over another, and a name cannot leave the folder."""
    begun(tmp_path, "one")
    with pytest.raises(RunFolderError, match=f"--resume --run-dir {tmp_path / 'one'}`"):
        RunFolder.create(tmp_path, "one")
    (tmp_path / "thesis").mkdir()
    with pytest.raises(RunFolderError, match="is no run; give another --run-dir") as caught:
        RunFolder.create(tmp_path, "thesis")
    assert "--resume" not in str(caught.value)
    for name in ("", "..", "a/b", "latest", "x" * 65, ".hidden", "new\nline"):
        with pytest.raises(RunFolderError, match="cannot name a run"):
            RunFolder.create(tmp_path, name)


def test_unwritable_places_are_refused(tmp_path: Path) -> None:
    """A file where the folder should be, or something solid at `latest`, is reported."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="--run-dir"):
        RunFolder.create(tmp_path / "file", "one")
    (tmp_path / "runs" / "latest").mkdir(parents=True)
    folder = RunFolder.create(tmp_path / "runs", "one")
    with pytest.raises(RunFolderError, match="out of the way"):
        folder.make_latest()
    assert {entry.name for entry in (tmp_path / "runs").iterdir()} == {"latest", "one"}


def test_a_new_folder_is_not_the_newest_run_yet(tmp_path: Path) -> None:
    """A run that fails before it begins leaves `latest` where it was."""
    first = begun(tmp_path, "one")
    RunFolder.create(tmp_path, "two")
    assert RunFolder.open("latest", base=tmp_path) == first


def test_a_run_is_live_while_its_ledger_is_open_for_writing(tmp_path: Path) -> None:
    """Readers and finished writers do not make it live."""
    folder = begun(tmp_path, "one")
    assert not folder.is_live()
    with Ledger.open(folder.ledger):
        assert folder.is_live()
    assert not folder.is_live()


async def test_run_time_goes_on_from_the_offset() -> None:
    """A resumed run's clock starts where the ledger ended and counts loop time."""
    loop = asyncio.get_running_loop()
    clock = RunClock(offset_us=5_000_000)
    before = clock.now_us()
    assert 5_000_000 <= before <= clock.at_us(loop.time())
    moment = loop.time()
    assert clock.at_us(moment + 1.5) - clock.at_us(moment) in {1_499_999, 1_500_000, 1_500_001}
    assert clock.at_us(moment - 100.0) == 0


def test_wall_stamp_is_utc_to_the_second() -> None:
    """People can read it, programs can parse it."""
    stamp = datetime.fromisoformat(wall_stamp())
    assert stamp.utcoffset() is not None
    assert stamp.microsecond == 0
