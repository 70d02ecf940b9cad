"""Where a broker is, how participants log in there, and one participant's credential as a file.

Not who may do what (`forum.topics`). Passwords never appear in a repr, an argument list or an
environment; they travel to the embedded broker over its standard input, and to participants
outside as files of mode 0600: whoever holds one is that participant, so a file that others could
have read is not believed in.
"""

from __future__ import annotations

import json
import os
import secrets
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from forum.errors import CredentialError, LoginRefusedError, TopicError
from forum.topics import CLERK, OBSERVER, Topics, is_observer, participant_name

DEFAULT_PORT: Final = 1883
"""MQTT without TLS, as registered with IANA."""
DEFAULT_TLS_PORT: Final = 8883
"""MQTT with TLS."""
SUFFIX: Final = ".json"
"""What the name of a credential's file ends with."""
_PASSWORD_BYTES = 24
_MAX_FILE_BYTES = 256 * 1024  # a credential with a chain of certificates is a tenth of that


@dataclass(frozen=True, slots=True)
class Login:
    """One user of a broker."""

    user: str
    password: str = field(repr=False)


def make_passwords(users: Iterable[str]) -> list[Login]:
    """Return a login with a fresh password, 192 random bits, for each of `users`, once."""
    return [Login(user, secrets.token_urlsafe(_PASSWORD_BYTES)) for user in dict.fromkeys(users)]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Logins by participant, or one that all share."""

    logins: Mapping[str, Login] = field(default_factory=dict, repr=False)
    """By participant: names of agents and people, ``clerk`` and ``observer``."""
    shared: Login | None = field(default=None, repr=False)
    """Used by everybody else. The broker then cannot tell participants apart, so who reads what
    rests on the clerk's routing alone."""
    is_anonymous_allowed: bool = False
    """Whether participants without a login connect without one."""

    @classmethod
    def generate(
        cls, participants: Iterable[str], known: Mapping[str, str] | None = None
    ) -> Credentials:
        """Make a login for each of `participants`, the clerk and the observer.

        Args:
            participants: Agents and people.
            known: Passwords by name that stay as they are; the others are fresh.

        Raises:
            TopicError: a name is neither an agent's nor a person's.
        """
        names = [*map(participant_name, participants), CLERK, OBSERVER]
        kept = {name: Login(name, word) for name, word in (known or {}).items() if name in names}
        return cls(logins={login.user: login for login in make_passwords(names)} | kept)

    @classmethod
    def of_broker(cls, login: Login | None) -> Credentials:
        """Let everybody use `login`, or none at all, as given in a broker's URL."""
        return cls(shared=login, is_anonymous_allowed=login is None)

    def of(self, participant: str) -> Login | None:
        """Return the login of `participant`; None means to connect without one.

        Raises:
            LoginRefusedError: it has none and needs one.
        """
        login = self.logins.get(participant, self.shared)
        if login is None and not self.is_anonymous_allowed:
            raise LoginRefusedError(
                f"{participant!r} has no credential at this broker; "
                "name it among the participants when the broker is started"
            )
        return login


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """What ``mqtt[s]://[user:password@]host[:port][/run]`` says."""

    host: str
    port: int = DEFAULT_PORT
    login: Login | None = None
    is_tls: bool = False
    run: str = ""
    """The run whose board is meant; empty if the URL leaves it open."""

    @classmethod
    def parse(cls, url: str, *, allow_port_zero: bool = False) -> BrokerAddress:
        """Read a broker's URL; port 0 is for a listener alone, to which a free one is given.

        Raises:
            TopicError: it is not of that form; the message leaves the password out.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise TopicError(_malformed("its host or port is not valid")) from None
        if parts.scheme not in ("mqtt", "mqtts"):
            raise TopicError(_malformed(f"its scheme is {parts.scheme!r}"))
        if not parts.hostname or (port == 0 and not allow_port_zero):
            raise TopicError(_malformed("it names no host or port 0"))
        run = parts.path.strip("/")
        if "/" in run or parts.query or parts.fragment:
            raise TopicError(_malformed("something follows the run"))
        is_tls = parts.scheme == "mqtts"
        if port is None:
            port = DEFAULT_TLS_PORT if is_tls else DEFAULT_PORT
        return cls(parts.hostname, port, _login(parts), is_tls, run)

    @property
    def url(self) -> str:
        """The URL again, without login and run."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.is_tls else 'mqtt'}://{host}:{self.port}"

    def tls(self, ca: str | None = None) -> ssl.SSLContext | None:
        """Return what verifies the broker's certificate and name; None where there is no TLS.

        Args:
            ca: Certificates (PEM) to verify it against, in place of those the system trusts.

        Raises:
            CredentialError: `ca` is none.
        """
        if not self.is_tls:
            return None
        try:
            context = ssl.create_default_context(cadata=ca)
        except ssl.SSLError as error:
            raise CredentialError(f"its ca is no certificate: {error.reason}") from None
        context.sslsocket_class = _TidySocket
        return context


class _TidySocket(ssl.SSLSocket):
    """Closed when its handshake fails, which paho forgets."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except BaseException:
            self.close()
            raise


def _login(parts: SplitResult) -> Login | None:
    if parts.username is None:
        return None
    return Login(unquote(parts.username), unquote(parts.password or ""))


def _malformed(why: str) -> str:
    return f"broker URL refused: {why}; write mqtt[s]://[user:password@]host[:port][/run]"


@dataclass(frozen=True, slots=True)
class Credential:
    """What it takes to connect as one participant."""

    user: str
    """The participant's name, which is its user name at the broker too."""
    password: str = field(repr=False)
    run: str
    """The run whose topics it opens."""
    url: str
    """Where the broker is: ``mqtt[s]://host:port``."""
    ca: str | None = field(default=None, repr=False)
    """Certificates (PEM) the broker's is verified against; None: those the system trusts."""

    @property
    def login(self) -> Login:
        """User and password."""
        return Login(self.user, self.password)


def credential_path(folder: Path, name: str) -> Path:
    """Return where the credential of `name` lies in `folder`."""
    return folder / f"{name}{SUFFIX}"


def write_credentials(folder: Path, credentials: Iterable[Credential]) -> None:
    """Put a file ``<user>.json`` into `folder`, which is made if missing, for each credential.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for credential in credentials:
        text = json.dumps(asdict(credential), indent=1) + "\n"
        write_private(credential_path(folder, credential.user), text)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def load_credentials(folder: Path) -> dict[str, Credential]:
    """Read all credentials in `folder`, by participant.

    Raises:
        CredentialError: there is none, or one of them is not to be believed in.
    """
    found = [load_credential(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]
    if not found:
        raise CredentialError(f"{folder} holds no credentials; make some: community broker config")
    return {credential.user: credential for credential in found}


def load_credential(path: Path | str) -> Credential:
    """Read one participant's credential.

    Raises:
        CredentialError: the file is missing, open to others, or no credential; it says what to do.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CredentialError(f"cannot read credential {path}: {error.strerror}") from None
    if mode & 0o077:
        raise CredentialError(
            f"{path} can be read by others, who could take part in your name; "
            f"close it with: chmod 600 {path}"
        )
    try:
        return _believed(json.loads(data) if len(data) <= _MAX_FILE_BYTES else None)
    except (ValueError, TopicError) as error:
        raise CredentialError(
            f"{path} is no credential: {error}; take the file that the run wrote"
        ) from None


def _believed(said: Any) -> Credential:
    if not isinstance(said, dict) or said.keys() != Credential.__dataclass_fields__.keys():
        raise ValueError("it does not hold user, password, run, url and ca")
    texts = [said[key] for key in ("user", "password", "run", "url")]
    if not all(isinstance(text, str) for text in texts) or not isinstance(said["ca"], str | None):
        raise ValueError("its values are not text")
    credential = Credential(**said)
    if credential.user != CLERK and not is_observer(credential.user):
        participant_name(credential.user)
    Topics(credential.run)
    BrokerAddress.parse(credential.url)
    return credential
