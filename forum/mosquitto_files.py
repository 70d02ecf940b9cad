"""Files with which Mosquitto keeps the same walls as the embedded broker.

A configuration, a password for each participant, and the rights of `forum.topics` as an access
list. Written for Mosquitto 2.0; tests/forum/test_hostile_client.py attacks the real one. What it
cannot do as the embedded broker does:

- A subscription beyond one's own topics is granted, and filtered at each delivery.
- A forbidden publication is acknowledged, and dropped.
- It has no rights by client id, so ``use_username_as_clientid`` gives each user one connection,
  which nobody else can take over. Several observers need several logins: ``observer.2`` and so on.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from forum.certificates import Certificate, is_loopback, reached_at
from forum.credentials import (
    BrokerAddress,
    Credential,
    Login,
    make_passwords,
    write_credentials,
    write_private,
)
from forum.errors import CredentialError, TopicError
from forum.topics import CLERK, OBSERVER, Topics, participant_name

LOG_NAME: Final = "mosquitto.log"
CREDENTIALS_NAME: Final = "credentials"
_CONFIGURATION: Final = "mosquitto.conf"
_ITERATIONS: Final = 101
"""Mosquitto's own number. The passwords are 192 random bits: stretching adds nothing."""
_SALT_BYTES = 12


@dataclass(frozen=True, slots=True)
class MosquittoPlan:
    """What a Mosquitto for one run is told."""

    run: str
    """Part of every topic."""
    participants: Sequence[str]
    """Agents and people."""
    address: BrokerAddress
    """Where it listens."""
    observers: int = 4
    """How many may watch at once."""
    certificate: Certificate | None = None
    """With it Mosquitto speaks TLS; without it, it listens on loopback only."""
    ca: str | None = None
    """What participants verify it against; None: what their system trusts."""

    @property
    def url(self) -> str:
        """Where participants find it."""
        return replace(self.address, host=reached_at(self.address.host)).url

    def users(self) -> list[str]:
        """Return everybody who gets a login."""
        extra = [f"{OBSERVER}.{n}" for n in range(2, self.observers + 1)]
        return [*map(participant_name, self.participants), CLERK, OBSERVER, *extra]


def take_folder(folder: Path) -> Path:
    """Make a folder ready to be written to, and closed to others, and return its absolute path.

    Raises:
        CredentialError: it holds something else, which would be replaced and closed, or it cannot
            be made.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = sorted(path.name for path in folder.iterdir())
        if held and _CONFIGURATION not in held:
            raise CredentialError(
                f"{folder} holds something else ({held[0]}); name a folder that is new or empty"
            )
        folder.chmod(0o700)
    except OSError as error:
        raise CredentialError(f"cannot write to {folder}: {error.strerror}") from None
    return folder


def write_mosquitto(folder: Path, plan: MosquittoPlan) -> Path:
    """Write everything into `folder` (mode 0700, files 0600) and return the configuration's path.

    Logins that lie there from an earlier call are replaced.

    Raises:
        TopicError: a name is malformed, or TLS is missing off loopback.
        OSError: it cannot be written.
    """
    if plan.certificate is None and not is_loopback(plan.address.host):
        raise TopicError(f"plain text off loopback is refused: {plan.address.host} needs TLS")
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    logins = make_passwords(plan.users())
    write_private(folder / "passwd", "".join(map(password_line, logins)))
    write_private(folder / "acl", access_list(Topics(plan.run), [login.user for login in logins]))
    write_private(folder / _CONFIGURATION, configuration(folder, plan))
    write_private(folder / "README.md", _readme(folder, plan))
    write_credentials(
        folder / CREDENTIALS_NAME,
        [Credential(one.user, one.password, plan.run, plan.url, plan.ca) for one in logins],
    )
    return folder / _CONFIGURATION


def password_line(login: Login) -> str:
    """Return a line of a password file: PBKDF2 with HMAC-SHA512, as mosquitto_passwd writes it."""
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", login.password.encode(), salt, _ITERATIONS)
    words = [base64.b64encode(part).decode() for part in (salt, digest)]
    return f"{login.user}:$7${_ITERATIONS}${words[0]}${words[1]}\n"


def access_list(topics: Topics, users: Sequence[str]) -> str:
    """Return the rights of `users` as an access list; whoever is not named has none."""
    blocks = []
    for user in users:
        rights = [f"topic write {topic}" for topic in topics.writable(user)]
        rights += [f"topic read {topic}" for topic in topics.readable(user)]
        blocks.append("\n".join([f"user {user}", *rights]))
    return "\n\n".join(blocks) + "\n"


def configuration(folder: Path, plan: MosquittoPlan) -> str:
    """Return mosquitto.conf for files in `folder`."""
    tls = plan.certificate
    secured = [] if tls is None else [f"certfile {tls.chain}", f"keyfile {tls.key}"]
    lines = [
        "# Written by `community broker config`; see README.md beside it.",
        f"user {getpass.getuser()}",  # as root it would become a user that cannot read these files
        f"listener {plan.address.port} {plan.address.host}",
        *secured,
        "set_tcp_nodelay true",
        "use_username_as_clientid true",  # nobody takes over anybody's connection
        "max_qos 1",
        "allow_anonymous false",
        f"password_file {folder / 'passwd'}",
        f"acl_file {folder / 'acl'}",
        "retain_available false",
        "persistence false",
        "persistent_client_expiration 1h",
        "max_packet_size 1048576",
        "max_keepalive 600",
        "max_queued_messages 10000",
        "max_queued_bytes 8388608",
        "sys_interval 0",
        f"log_dest file {folder / LOG_NAME}",
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
        # Denied publications are told of at the level of debug only; a run that is given the log
        # as `log` keeps it short.
        *(f"log_type {kind}" for kind in ("error", "warning", "notice", "information", "debug")),
    ]
    return "\n".join(lines) + "\n"


def _readme(folder: Path, plan: MosquittoPlan) -> str:
    return f"""# A Mosquitto for run `{plan.run}`

Start it, as the user who owns this folder:

    mosquitto -c {folder / _CONFIGURATION}

and let the scenario use it:

    [board]
    broker = "{plan.url}"
    credentials = "{folder}"
    log = "{folder / LOG_NAME}"

`credentials/` holds one file per participant. Whoever has a file is that participant: hand
`credentials/NAME.json` to the one it is for, over a channel you trust, and keep the rest. Each
observer needs a file of his own (observer.json, observer.2.json, ...); each user has one
connection at a time. Calling `community broker config` again makes new passwords.
"""
