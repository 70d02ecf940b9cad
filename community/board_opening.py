"""Opening the board a scenario asks for: in memory, on our own broker, or on somebody else's."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from community.incidents import IncidentLog
from community.scenario import BoardSection
from forum.board import Board
from forum.certificates import Certificate, certificate_for, is_loopback, reached_at
from forum.credentials import (
    SUFFIX,
    BrokerAddress,
    Credential,
    Credentials,
    load_credential,
    write_credentials,
)
from forum.errors import BrokerStartError, CredentialError
from forum.memory_board import MemoryBoard
from forum.topics import OBSERVER

if TYPE_CHECKING:
    from forum.broker import EmbeddedBroker, Secured

PASSWORD_VARIABLE = "COMMUNITY_BROKER_PASSWORD"  # noqa: S105 - the name of one, not one
"""Where the password of an external broker's user comes from: a scenario is kept in the ledger."""
BROKER_LIVES = 25
SHORT_LIFE_S = 0.5
"""A broker that ends so often in a row, each time so soon after it listened, will not be cured by
starting it again. One that is killed now and then, however often, loses nothing: drafts are
repeated, and readers catch up."""
START_PAUSE_S = 0.2
"""After a start that failed; a port that somebody else holds may be free again."""

_LAST_WORDS_S = 2.0

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_board(
    section: BoardSection,
    run_id: str,
    names: Sequence[str],
    *,
    guests: Sequence[str] = (),
    folder: Path | None = None,
    incidents: IncidentLog | None = None,
) -> AsyncIterator[Board]:
    """Open a board with a seat for each of `names`, and close it with everything it started.

    Args:
        section: Which board, and where.
        run_id: Part of every topic.
        names: Agents that take their seats from within.
        guests: Agents and people who may come from outside.
        folder: Where guests and the observer find their credentials, one file each. What lies there
            from an earlier life of the run stays valid.
        incidents: Told what the broker turned away.

    Raises:
        BrokerStartError: the embedded broker cannot start, for example because its port is in use.
        BoardUnreachableError: nobody answers at the broker's address.
    """
    if section.broker == "memory":
        yield MemoryBoard()
        return
    from forum.mqtt_board import MqttBoard  # the network's libraries only where a network is used

    if section.broker == "embedded":
        # Entered here: a keeper that is cancelled before its first step closes nothing.
        async with (
            await _start(section, run_id, [*names, *guests], folder) as broker,
            asyncio.TaskGroup() as group,
        ):
            if folder is not None:
                _hand_out(folder, broker, [*guests, OBSERVER])
            keeping = group.create_task(_keep_up(broker, incidents), name="broker")
            try:
                yield MqttBoard(broker.host, broker.port, run_id, broker.credentials)
            finally:
                keeping.cancel()
        return
    if section.credentials is not None:
        from community.external_board import open_external_board

        async with open_external_board(section, names, guests, folder, incidents) as board:
            yield board
        return
    yield MqttBoard.at(section.broker, run_id, os.environ.get(PASSWORD_VARIABLE))


async def _start(
    section: BoardSection, run_id: str, participants: Sequence[str], folder: Path | None
) -> EmbeddedBroker:
    """Start our own broker, as far as possible where and as its guests know it."""
    from forum.broker import EmbeddedBroker

    known = {} if folder is None else _handed_out(folder, run_id)
    words = {name: credential.password for name, credential in known.items()}
    credentials = Credentials.generate(participants, words)
    port, secured = _place(section, folder)
    start = partial(EmbeddedBroker.start, run_id, (), credentials=credentials, secured=secured)
    if not port and secured is None and OBSERVER in known:
        earlier = BrokerAddress.parse(known[OBSERVER].url).port
        try:
            return await start(port=earlier)
        except BrokerStartError:
            _log.warning(
                "port %d of the run's earlier life is taken; guests need a new one", earlier
            )
    return await start(port=port)


def _place(section: BoardSection, folder: Path | None) -> tuple[int, Secured | None]:
    """Return the port on loopback, and where to listen with TLS for those elsewhere.

    Raises:
        BrokerStartError: there is no certificate for it: others are never served in plain text.
    """
    from forum.broker import Secured

    if section.listen is None:
        return section.port or 0, None
    address = BrokerAddress.parse(f"mqtts://{section.listen}", allow_port_zero=True)
    named = None
    if section.tls_cert is not None and section.tls_key is not None:
        named = Certificate(Path(section.tls_cert), Path(section.tls_key))
    elif folder is None and not is_loopback(address.host):
        raise BrokerStartError("a run without a folder cannot make a certificate; name tls_cert")
    certificate, ca = certificate_for(address.host, (folder or Path()) / "tls", named)
    if certificate is None:
        return address.port, None
    return 0, Secured(address.host, address.port, certificate, ca)


def _handed_out(folder: Path, run_id: str) -> dict[str, Credential]:
    """Return the credentials of an earlier life that nobody else can have read."""
    found = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            credential = load_credential(path)
        except CredentialError as error:
            _log.warning("%s; its holder gets a new one", error)
        else:
            if credential.run == run_id:
                found[credential.user] = credential
    return found


def _hand_out(folder: Path, broker: EmbeddedBroker, guests: Sequence[str]) -> None:
    address, ca = BrokerAddress(broker.host, broker.port), None
    if (secured := broker.secured) is not None:
        address = BrokerAddress(reached_at(secured.host), secured.port, is_tls=True)
        ca = secured.ca
    logins = broker.credentials.logins
    write_credentials(
        folder,
        [
            Credential(name, logins[name].password, broker.run_id, address.url, ca)
            for name in guests
        ],
    )


async def _keep_up(broker: EmbeddedBroker, incidents: IncidentLog | None = None) -> None:
    """Start the broker again, where its clients look for it, when it ends unasked.

    Meanwhile hear what it turns away.

    Raises:
        BrokerStartError: it does not come back, or had `BROKER_LIVES` short lives in a row.

    Cancellation: the broker is ended.
    """
    loop = asyncio.get_running_loop()
    short = 0
    try:
        while True:
            began_s = loop.time()
            await _hear(broker, incidents)
            code = await broker.wait()
            short = short + 1 if loop.time() - began_s < SHORT_LIFE_S else 0
            why = f"it ended, the last time with code {code}"
            _log.warning("the embedded broker ended with code %d; it is started again", code)
            while short < BROKER_LIVES:
                try:
                    broker = await broker.again()
                    break
                except BrokerStartError as error:  # ended while it started: the same once more
                    short, why = short + 1, str(error)
                    await asyncio.sleep(START_PAUSE_S)
            if short == BROKER_LIVES:
                raise BrokerStartError(
                    f"the embedded broker ended {BROKER_LIVES} times in a row within "
                    f"{SHORT_LIFE_S:g} s of its start ({why}); see whether memory is short, then "
                    "go on with `community run --resume`"
                )
    finally:
        await broker.aclose()
        with suppress(TimeoutError):
            await asyncio.wait_for(_hear(broker, incidents), _LAST_WORDS_S)
        if incidents is not None:
            incidents.close()


async def _hear(broker: EmbeddedBroker, incidents: IncidentLog | None) -> None:
    """Take in what the broker turns away, until it has ended."""
    async for incident in broker.incidents():
        if incidents is not None:
            incidents.take(incident)
