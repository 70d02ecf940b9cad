"""Places: whose credential opens which seat, of a run at hand or over a broker's URL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from community.errors import TakingPartError
from community.run_folder import RunFolder
from community.taking_part import must_be_live
from forum.credentials import SUFFIX, Credential, credential_path, load_credential


@dataclass(frozen=True, slots=True)
class Place:
    """A seat, and what opens it."""

    url: str | None
    """Where the broker is; None: where the credential says."""
    credential: Credential
    token_file: Path
    """Where the token of clients over HTTP is by default."""


def find_place(where: str, name: str, credential: Path | None) -> Place:
    """Return what it takes to sit as `name`.

    Args:
        where: A run (folder, name, ``latest``) or a broker's URL.
        name: An agent's.
        credential: Its file; None: the one in the run's folder.

    Raises:
        TakingPartError: the run is not going on, or nobody is called so there.
        RunFolderError: there is no such run.
        CredentialError: the credential cannot be used.
    """
    is_url = "://" in where
    if credential is None and is_url:
        raise TakingPartError(
            f"a URL opens no seat by itself: give the credential of {name} with --credential; the "
            "run wrote it to RUN/credentials"
        )
    folder = None if is_url else RunFolder.open(where)
    if folder is not None:
        must_be_live(folder)
        credential = credential or _credential_in(folder, name)
    assert credential is not None
    opened = load_credential(credential)
    if opened.user != name:
        raise TakingPartError(f"{credential} is {opened.user}'s, not {name}'s; give the right one")
    if folder is not None and opened.run != folder.run_id:
        raise TakingPartError(f"{credential} is for run {opened.run}, not for {folder.run_id}")
    return Place(where if is_url else None, opened, credential.with_name(f"{name}.token"))


def _credential_in(folder: RunFolder, name: str) -> Path:
    place = credential_path(folder.credentials, name)
    if not place.is_file():
        there = sorted(
            each.name.removesuffix(SUFFIX) for each in folder.credentials.glob(f"[!~]*{SUFFIX}")
        )
        raise TakingPartError(
            f"run {folder.run_id} has no seat for {name}; seats for minds from elsewhere: "
            f'{", ".join(there) or "none"}. The scenario gives them: an agent with mind = "remote"'
        )
    return place
