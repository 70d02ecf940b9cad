"""Fixtures of the institution's tests: a chronicle on a real ledger, a repository, a topology."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from archive_script import opened

from community.archive.ledger import Ledger
from community.chronicle import Chronicle
from community.clock import RunClock
from community.events import NoiseEstimated
from trainer.experiment import Budget
from trainer.repository import Repository
from trainer.tree_key import tree_key

START = {"train.py": b"RATE = 1.0\n# knob\nWIDTH = 4\n"}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Give an empty bare repository."""
    return Repository.create(tmp_path / "repo.git")


@pytest_asyncio.fixture
async def chronicle(tmp_path: Path, repository: Repository) -> AsyncIterator[Chronicle]:
    """Give a ledger that was opened and calibrated: baseline 3.0, sigma 0.02."""
    ledger = Ledger.create(tmp_path / "ledger.db")
    chronicle = Chronicle(ledger, RunClock())
    baseline = repository.commit(START, (), "lab <lab@community.invalid>", "baseline\n", 0)
    key = tree_key(START, lock_hash="lock", budget=Budget("cpu_seconds", 1.0), device_class="cpu")
    chronicle.record(
        opened(baseline_commit=baseline, baseline_tree_key=key),
        NoiseEstimated("cpu", 3.0, 0.02, (2.98, 3.0, 3.02)),
    )
    yield chronicle
    ledger.close()
