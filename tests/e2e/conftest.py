"""Fixtures of the end-to-end tests: the small task, and a check that no process is left over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_life import adopt_orphans, begin_test, survivors
from e2e_scenarios import small_task


@pytest.fixture(scope="session", autouse=True)
def _orphans_come_to_us() -> Iterator[None]:
    adopt_orphans(is_wanted=True)
    yield
    adopt_orphans(is_wanted=False)


@pytest.fixture(autouse=True)
def _nothing_outlives_a_test() -> Iterator[None]:
    """Every test here starts processes by the dozen; none may be left when it ends."""
    begin_test()
    yield
    assert survivors(within_s=3.0) == []


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the small task; tests that spoil it make a copy of their own."""
    return small_task(tmp_path_factory.mktemp("tasks"))
