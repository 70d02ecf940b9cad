"""Incidents at the broker become few rows of the ledger, however many there are."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiomqtt
from archive_script import opened

from community.archive.ledger import Ledger
from community.board_opening import open_board
from community.chronicle import Chronicle
from community.cli.lines import row_line
from community.clock import RunClock
from community.events import Refused, Row
from community.incidents import IncidentLog
from community.scenario import BoardSection
from community.show import shown, summary_lines
from forum.credentials import BrokerAddress, load_credential
from forum.incidents import UNKNOWN, Incident, IncidentTally


def rows(chronicle: Chronicle) -> list[Refused]:
    """Return what the ledger has of connections."""
    return [refused for _, refused in chronicle.state.refusals if refused.what == "connection"]


def chronicle_in(folder: Path) -> Chronicle:
    """Begin a ledger."""
    chronicle = Chronicle(Ledger.create(folder / "ledger.db"), RunClock())
    chronicle.record(opened())
    return chronicle


async def test_a_flood_adds_a_handful_of_rows_and_its_total(tmp_path: Path) -> None:
    """A row for the first, the tenth, the hundredth ... and one in the end; each kind by itself."""
    chronicle = chronicle_in(tmp_path)
    log = IncidentLog(chronicle)
    for n in range(25_000):
        log.take(Incident("bob", "publish", f"wrote to {n}"))
    log.take(Incident("bob", "subscribe", "wanted to read '#'"))
    log.take(Incident("ada", "publish", "wrote to x", count=7))
    log.close()
    log.close()
    reasons = [
        row.reason for row in rows(chronicle) if (row.who, row.message_id) == ("bob", "publish")
    ]
    assert reasons == [
        "wrote to 0",
        *(f"wrote to 0 ({10**n:,} times so far)" for n in range(1, 5)),
        "wrote to 0 (25,000 times so far)",
    ]
    others = [
        (r.who, r.message_id, r.reason)
        for r in rows(chronicle)
        if r.who != "bob" or r.message_id != "publish"
    ]
    assert others == [
        ("bob", "subscribe", "wanted to read '#'"),
        ("ada", "publish", "wrote to x (7 times so far)"),
    ]
    lines = summary_lines(shown(chronicle.state, "hash"))
    told = [line for line in lines if line.startswith("incident")]
    assert told[0] == "incident at the broker: bob: wrote to 0 (25,000 times so far)"
    assert len(told) == 3
    line = row_line(Row(9, 0, rows(chronicle)[0]), chronicle.state)
    assert line == "incident at the broker: bob: wrote to 0"


def test_a_tally_holds_one_record_per_user_and_kind() -> None:
    """Text is cleaned and cut; what could not be told is counted on."""
    tally = IncidentTally()
    for n in range(10_000):
        tally.note("", "login", f"\x1b[31m{n}\u202e" + "x" * 1000)
    [taken] = tally.take()
    assert (taken.user, taken.count) == (UNKNOWN, 10_000)
    assert taken.detail.startswith("[31m0xxx")
    assert len(taken.detail) <= 160
    assert tally.take() == []
    tally.note("", "login", "later")
    tally.give_back([taken])
    assert [(one.count, one.detail) for one in tally.take()] == [(10_001, taken.detail)]


async def test_what_the_embedded_broker_turns_away_is_recorded(tmp_path: Path) -> None:
    """Under the user who proved who he is, without the content; also what comes at the very end."""
    chronicle, folder = chronicle_in(tmp_path), tmp_path / "credentials"
    async with open_board(
        *(BoardSection(), "r1", ["ada"]),
        guests=["~anna"],
        folder=folder,
        incidents=IncidentLog(chronicle),
    ):
        anna = load_credential(folder / "~anna.json")
        where = BrokerAddress.parse(anna.url)
        client = aiomqtt.Client(
            *(where.host, where.port),
            username=anna.user,
            password=anna.password,
            identifier=anna.user,
        )
        async with client:
            for _ in range(12):
                await client.publish("rc/r1/feed/ada", b"forged content", qos=1)
        async with asyncio.timeout(10):
            await chronicle.wait_until(lambda state: bool(state.refusals))
    told = rows(chronicle)
    assert {(row.who, row.message_id) for row in told} == {("~anna", "publish")}
    assert told[-1].reason == ("wrote to 'rc/r1/feed/ada', which is not his (12 times so far)")
    assert "content" not in str(told)
