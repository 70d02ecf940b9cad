"""Where a broker is and how participants log in there.

Not who may do what (`forum.topics`). Passwords never appear in a repr, an argument list or an
environment; they travel to the embedded broker over its standard input.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from forum.errors import LoginRefusedError, TopicError
from forum.topics import CLERK, OBSERVER, agent_name

DEFAULT_PORT: Final = 1883
"""MQTT without TLS, as registered with IANA."""
_PASSWORD_BYTES = 24


@dataclass(frozen=True, slots=True)
class Login:
    """One user of a broker."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Logins by participant, or one that all share."""

    logins: Mapping[str, Login] = field(default_factory=dict, repr=False)
    """By participant: agents' names, ``clerk`` and ``observer``."""
    shared: Login | None = field(default=None, repr=False)
    """Used by everybody else. The broker then cannot tell participants apart, so who reads what
    rests on the clerk's routing alone."""
    is_anonymous_allowed: bool = False
    """Whether participants without a login connect without one."""

    @classmethod
    def generate(cls, agents: Iterable[str]) -> Credentials:
        """Make a fresh login for each of `agents`, the clerk and the observer.

        Raises:
            TopicError: a name is not one an agent may bear.
        """
        names = [*map(agent_name, agents), CLERK, OBSERVER]
        fresh = {name: Login(name, secrets.token_urlsafe(_PASSWORD_BYTES)) for name in names}
        return cls(logins=fresh)

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
                "name it among the agents when the broker is started"
            )
        return login


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """What ``mqtt://[user:password@]host[:port]`` says."""

    host: str
    port: int = DEFAULT_PORT
    login: Login | None = None

    @classmethod
    def parse(cls, url: str) -> BrokerAddress:
        """Read a broker's URL.

        Raises:
            TopicError: it is not of that form; the message leaves the password out.
        """
        try:
            parts = urlsplit(url)
            port = DEFAULT_PORT if parts.port is None else parts.port
        except ValueError:
            raise TopicError(_malformed("its host or port is not valid")) from None
        if parts.scheme != "mqtt":
            raise TopicError(_malformed(f"its scheme is {parts.scheme!r}"))
        if not parts.hostname or port == 0:
            raise TopicError(_malformed("it names no host or port 0"))
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise TopicError(_malformed("something follows the port"))
        return cls(parts.hostname, port, _login(parts))


def _login(parts: SplitResult) -> Login | None:
    if parts.username is None:
        return None
    return Login(unquote(parts.username), unquote(parts.password or ""))


def _malformed(why: str) -> str:
    return f"broker URL refused: {why}; write mqtt://[user:password@]host[:port]"
