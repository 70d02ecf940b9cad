"""The run's secret: drawn once, kept to its owner, told by its hash, shared and lost."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from archive_script import opened

from community.archive.ledger import Ledger
from community.errors import RunSecretError
from community.events import RunOpened, RunResumed, RunStopped
from community.run_folder import RunFolder
from community.run_secret import open_secret, secret_hash


def begun(base: Path, name: str, *more: RunStopped | RunResumed) -> tuple[RunFolder, RunOpened]:
    """Return a run with a secret of its own and a ledger that tells its hash."""
    folder = RunFolder.create(base, name)
    first = opened(run_id=name, secret_hash=secret_hash(open_secret(folder, None)))
    with Ledger.create(folder.ledger) as ledger:
        for event in (first, *more):
            ledger.append(0, event)
    return folder, first


def test_each_run_draws_a_secret_that_its_owner_alone_reads(tmp_path: Path) -> None:
    """Two runs differ; the file has mode 0600 and gives the secret again, before and after."""
    folder, first = begun(tmp_path, "one")
    secret = open_secret(folder, first)
    assert len(secret) == 32
    assert stat.S_IMODE(folder.secret.stat().st_mode) == 0o600
    assert open_secret(folder, None) == secret
    assert open_secret(begun(tmp_path, "two")[0], None) != secret
    assert not list(folder.path.glob("*.part"))


def test_a_lost_or_another_secret_stops_a_resumed_run(tmp_path: Path) -> None:
    """Its scores could not be drawn on the same text: the error names the file and the way out."""
    folder, first = begun(tmp_path, "one")
    folder.secret.unlink()
    with pytest.raises(RunSecretError, match=r"scorer\.secret is lost.*start a new run"):
        open_secret(folder, first)
    assert not folder.secret.exists()
    folder.secret.write_text("ab" * 32)
    with pytest.raises(RunSecretError, match="is not the secret it began with"):
        open_secret(folder, first)
    for bad in ("no hexadecimal", "ab" * 31):
        folder.secret.write_text(bad)
        with pytest.raises(RunSecretError):
            open_secret(folder, first)


def test_an_arm_takes_over_the_secret_of_the_run_that_gave_its_baseline(tmp_path: Path) -> None:
    """From its file while there is one, from the end of a ledger alone, and never afterwards."""
    folder, first = begun(tmp_path, "one")
    secret = open_secret(folder, first)
    arm = RunFolder.create(tmp_path, "arm")
    assert open_secret(arm, None, shared=folder.ledger) == secret
    ended, _ = begun(tmp_path, "ended")
    told = open_secret(ended, None)
    ended.secret.unlink()
    ended.ledger.unlink()
    with Ledger.create(ended.ledger) as ledger:
        ledger.append(0, opened(secret_hash=secret_hash(told)))
        ledger.append(1, RunStopped("experiments", told.hex()))
    other = RunFolder.create(tmp_path, "other")
    assert open_secret(other, None, shared=ended.ledger) == told
    assert open_secret(ended, opened(secret_hash=secret_hash(told))) == told
    assert open_secret(arm, None, shared=ended.ledger) == secret
