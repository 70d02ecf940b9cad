"""Whose logins a broker of the user's own needs: those of a run, or of a scenario to come."""

from __future__ import annotations

import re
from pathlib import Path

from community.archive.ledger import LedgerReader
from community.archive.state import RunState
from community.errors import RunFolderError
from community.loading import parse_scenario, read_scenario
from community.people import person_of
from community.run_folder import RunFolder


def participants_of(which: str) -> tuple[str, list[str]]:
    """Return the run that topics name, and its agents and people.

    Args:
        which: A run, or a scenario's name or file. A run to come has no name yet, so its topics
            bear the scenario's.

    Raises:
        RunFolderError: it is a run's folder without a run.
        ScenarioError: it is neither a run nor a scenario that can be run.
    """
    try:
        folder = RunFolder.open(which)
    except RunFolderError:
        if Path(which).is_dir():
            raise
        loaded = read_scenario(which)
        run = re.sub(r"[^A-Za-z0-9._-]+", "-", loaded.path.stem).strip("-._")[:64] or "run"
        names = [member.name for member in loaded.scenario.members()]
        return run, [*names, person_of(RunState())]
    with LedgerReader(folder.ledger) as ledger:
        state = RunState.from_rows(ledger.rows())
    scenario = parse_scenario(state.opened.scenario if state.opened else "", folder.scenario)
    names = [member.name for member in scenario.scenario.members()]
    return folder.run_id, [*names, person_of(state)]
