"""Attendance: agents from elsewhere come and go; a run waits for them only where it must."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from bench_script import house
from remote_script import NAMES, ROLES, enrolled, far, scenario

from agents.roles import load_role
from community import remote_seats
from community.attendance import Attendance, is_there
from community.chronicle import Chronicle
from community.evidence_events import ReviewerAssigned
from community.forum_events import SeatLeft, SeatTaken
from trainer.repository import Repository


async def test_who_goes_without_a_word_is_away_until_he_is_heard_again(
    chronicle: Chronicle, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then nobody asks him for anything, and nobody waits for him to take a claim."""
    enrolled(chronicle, "ada", "cleo")
    monkeypatch.setattr(remote_seats, "AWAY_S", 0.05)
    monkeypatch.setattr(remote_seats, "LOOK_S", 0.01)
    state = chronicle.state
    async with (
        asyncio.timeout(30),
        house(chronicle, repository, tmp_path, scenario(), guests=NAMES) as home,
    ):
        assert not is_there(state, "cleo")
        assert is_there(state, "bob")
        async with far(home, "cleo") as cleo:
            assert is_there(state, "cleo")
            await chronicle.wait_until(lambda now: not is_there(now, "cleo"))
            await cleo.briefing()
            assert is_there(state, "cleo")
        await chronicle.wait_until(lambda now: not is_there(now, "cleo"))
        await home.propose("bob", 1.5)
    assert [type(row.event) for row in chronicle.ledger.rows()].count(ReviewerAssigned) == 0


async def test_a_farewell_frees_the_seat_and_a_final_one_counts(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Who leaves may come again; who leaves for good is not waited for."""
    enrolled(chronicle, *NAMES)
    async with house(chronicle, repository, tmp_path, scenario(), guests=NAMES) as home:
        attendance = home.institution.attendance
        for name in NAMES:
            async with far(home, name) as lab:
                await lab.leave("for lunch", is_final=False)
                assert not is_there(chronicle.state, name)
                await lab.leave("said twice", is_final=False)
                await lab.take_seat()
                assert is_there(chronicle.state, name)
                assert attendance.is_deserted() == (name == "cleo")  # who may not propose
                await lab.leave("turns are used up", is_final=True)
        assert attendance.is_deserted()


def test_a_run_waits_for_who_is_away_only_where_nobody_else_is_left(
    chronicle: Chronicle,
) -> None:
    """For so long, since he left or the run began; who is there is not counted as away."""
    enrolled(chronicle, "ada")
    roles = {name: load_role(ROLES[name]) for name in NAMES}
    patient, impatient = Attendance(chronicle, roles, 3600), Attendance(chronicle, roles, 0)
    assert not patient.is_deserted()
    assert not impatient.is_deserted()  # bob is here
    for attendance in (patient, impatient):
        attendance.take_leave("bob")
    assert not patient.is_deserted()
    assert impatient.is_deserted()
    chronicle.record(SeatTaken("ada", "policy:social"))
    assert not impatient.is_deserted()
    chronicle.record(SeatLeft("ada", "left"))
    assert impatient.is_deserted()
    assert not patient.is_deserted()
