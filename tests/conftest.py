"""What all tests share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

# A shell that starts the tests with `&` makes them, and every program they start, ignore Ctrl-C;
# tests that press it need the default back. Programs inherit it from here.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# An example takes what it takes beside other tests; speeds are benchmarks.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

ALONE = (
    "attacks",  # clocks, charges, files that a neighbour opens: what others would void
    "e2e/test_e2e_kill.py",  # a machine that changes its speed between two lives measures anew
    "trainer/test_arrival.py",  # a reference kernel that looks at the machine
    "trainer/test_timed_run.py",
)
"""Files and folders that would not hold beside any other; `make test` runs them last."""
PAIRED = (
    "trainer",  # clocks and limits of sandboxes
    "community/test_score_channels.py",  # deadlines of real sandboxes
    "community/test_score_lockdown.py",
    "e2e/test_e2e_interrupt.py",  # how soon a run ends
    "e2e/test_e2e_hostile.py",  # limits on time and memory
    "e2e/test_e2e_asked_tokens.py",
    "forum/test_hostile_client.py",  # likewise: who is slow beside it is blamed
    "forum/test_hostile_floods.py",  # paces
    "scoring/test_scoring_answering.py",  # deadlines, a worker that may not grow
    "scoring/test_scoring_fuzz.py",
    "scoring/test_scoring_worker.py",
)
"""What waits more than it works, and would not hold beside tests that take whole cores."""
BESIDE = tuple(
    f"trainer/test_{name}.py"
    for name in (
        *("artefact", "artefact_fuzz", "commands", "devices", "foreign_trees", "gpu_pool"),
        *("hunks", "patch_policy", "remembered_texts", "repository", "scripts", "sketch", "task"),
        *("tree_key", "tree_text", "workspace"),
    )
)
"""Of these folders what reads no clock that others could stop."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs alone, and what runs beside its own kind only."""
    here = Path(__file__).parent
    alone, paired = ([here / name for name in names] for names in (ALONE, PAIRED))
    beside = {here / name for name in BESIDE}
    for item in items:
        if any(map(item.path.is_relative_to, alone)):
            item.add_marker(pytest.mark.alone)
        elif item.path not in beside and any(map(item.path.is_relative_to, paired)):
            item.add_marker(pytest.mark.paired)
