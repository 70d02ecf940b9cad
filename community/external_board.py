"""A broker of the user's own on which everybody has a login (``community broker config``).

The folder with the logins names the run that topics bear, and one run at a time uses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from community.archive.file_lock import FileLock
from community.incidents import IncidentLog
from community.scenario import BoardSection
from forum.board import Board
from forum.credentials import (
    BrokerAddress,
    Credential,
    Credentials,
    load_credentials,
    write_credentials,
)
from forum.errors import CredentialError
from forum.mosquitto_files import CREDENTIALS_NAME
from forum.mosquitto_log import follow_log
from forum.topics import CLERK, OBSERVER, Topics, is_observer

_LOCK_NAME = "in_use.lock"


@asynccontextmanager
async def open_external_board(
    section: BoardSection,
    names: Sequence[str],
    guests: Sequence[str],
    folder: Path | None,
    incidents: IncidentLog | None,
) -> AsyncIterator[Board]:
    """Open a board on the broker of `section`, whose credentials lie in a folder.

    Args:
        section: Where the broker, the credentials and perhaps its log are.
        names: Agents that take their seats from within.
        guests: Who may come from outside.
        folder: Where guests and observers find their credentials, as with the embedded broker.
        incidents: Told what the log tells of.

    Raises:
        CredentialError: somebody has no credential, or another run uses them.
        TopicError: the broker's URL does not fit the credentials.
    """
    from forum.mqtt_board import MqttBoard

    home = Path(section.credentials or "")
    held = load_credentials(home / CREDENTIALS_NAME)
    missing = [name for name in (*names, *guests, CLERK, OBSERVER) if name not in held]
    if missing:
        raise CredentialError(
            f"{home} holds no credential for {', '.join(missing)}; write it anew with "
            "`community broker config`, and start the broker again"
        )
    clerk = held[CLERK]
    MqttBoard.joining(section.broker, clerk)  # refuses a URL that does not fit
    address = BrokerAddress.parse(section.broker)
    credentials = Credentials(logins={user: one.login for user, one in held.items()})
    with _taking(home):
        if folder is not None:
            out = [*guests, *filter(is_observer, held)]
            write_credentials(folder, [_at(held[name], address) for name in out])
        async with asyncio.TaskGroup() as group:
            hearing = group.create_task(_hear(section, clerk.run, incidents), name="broker's log")
            try:
                yield MqttBoard(
                    *(address.host, address.port, clerk.run, credentials, address.tls(clerk.ca))
                )
            finally:
                hearing.cancel()
                if incidents is not None:
                    incidents.close()


@contextmanager
def _taking(home: Path) -> Iterator[None]:
    """Hold the folder for one run."""
    try:
        lock = FileLock(home / _LOCK_NAME)
    except BlockingIOError:
        raise CredentialError(
            f"another run ({FileLock.note(home / _LOCK_NAME)}) uses the credentials in {home}; "
            "give this one its own"
        ) from None
    try:
        yield
    finally:
        lock.release()


async def _hear(section: BoardSection, run: str, incidents: IncidentLog | None) -> None:
    if section.log is None or incidents is None:
        return
    async for incident in follow_log(Path(section.log), Topics(run)):
        incidents.take(incident)


def _at(credential: Credential, address: BrokerAddress) -> Credential:
    """Return `credential` for the address at which the run has found the broker."""
    return Credential(
        credential.user, credential.password, credential.run, address.url, credential.ca
    )
