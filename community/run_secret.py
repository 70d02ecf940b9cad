"""The run's secret: 32 random bytes from which the scorer draws the held-out blocks it asks.

Whoever holds them can compute which bytes count, so they lie in a file of the run folder that only
its owner reads and no sandbox shows; the ledger begins with their SHA-256. A run that ends by
itself reveals them in its last row, so that anybody can draw the same blocks and check.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from community.archive.ledger import LedgerReader
from community.errors import RunSecretError
from community.events import RunOpened, RunStopped
from community.run_folder import RunFolder

SECRET_BYTES = 32


def secret_hash(secret: bytes) -> str:
    """Return what the ledger tells of a secret while the run goes on: its SHA-256."""
    return hashlib.sha256(secret).hexdigest()


def open_secret(folder: RunFolder, known: RunOpened | None, shared: Path | None = None) -> bytes:
    """Return the run's secret; a new run draws one and keeps it.

    Args:
        folder: The run's folder. A secret that lies there before the run begins is taken.
        known: First row of a ledger that is resumed, or None for a new run.
        shared: Ledger of a run whose secret a new run takes over, so that scores of the two
            compare to the last digit (the arms of a benchmark).

    Raises:
        RunSecretError: the resumed run's secret is lost or another one, or the file cannot be
            written.
    """
    secret = _kept(folder.secret)
    if known is not None and known.secret_hash:
        if secret is None:
            secret = _revealed(folder.ledger)
        if secret is None:
            raise RunSecretError(
                f"run {folder.run_id} cannot go on: {folder.secret} is lost, and without it no "
                "score can be drawn on the same text; put it back from a copy, or start a new run"
            )
        if secret_hash(secret) != known.secret_hash:
            raise RunSecretError(
                f"run {folder.run_id} cannot go on: {folder.secret} is not the secret it began "
                "with; put that back from a copy, or start a new run"
            )
        return secret
    if secret is None:
        taken = None if shared is None else _secret_of(shared)
        secret = secrets.token_bytes(SECRET_BYTES) if taken is None else taken
        _keep(folder.secret, secret)
    return secret


def kept_secret(folder: RunFolder) -> bytes | None:
    """Return the secret that lies in a run's folder, if one does.

    Raises:
        RunSecretError: it cannot be read.
    """
    return _kept(folder.secret)


def keep_secret(folder: RunFolder, secret: bytes) -> None:
    """Lay a secret into the folder of a run that has not begun, which then takes it.

    Raises:
        RunSecretError: the file cannot be written.
    """
    _keep(folder.secret, secret)


def _secret_of(ledger: Path) -> bytes | None:
    """Return another run's secret: its file's, or what its ledger reveals."""
    kept = _kept(RunFolder(ledger.parent).secret)
    return _revealed(ledger) if kept is None else kept


def _kept(path: Path) -> bytes | None:
    try:
        secret = bytes.fromhex(path.read_text("ascii").strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunSecretError(f"{path} cannot be read as a run's secret: {error}") from error
    if len(secret) != SECRET_BYTES:
        raise RunSecretError(f"{path} holds {len(secret)} bytes instead of {SECRET_BYTES}")
    return secret


def _revealed(ledger: Path) -> bytes | None:
    with LedgerReader(ledger) as reader:
        told = [row.event.secret for row in reader.rows() if isinstance(row.event, RunStopped)]
    return next((bytes.fromhex(secret) for secret in reversed(told) if secret), None)


def _keep(path: Path, secret: bytes) -> None:
    """Write the file so that nobody else can read it at any moment, and no half of it stays."""
    part = path.with_suffix(".part")
    try:
        part.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(part, flags, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secret.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise RunSecretError(f"cannot write {path}: {error.strerror}; make room there") from error
