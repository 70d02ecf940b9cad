"""Over streamable HTTP on this machine: a token says who may, and nobody else is listened to.

Loopback alone: a researcher far away runs this server beside himself and reaches the run's broker
over TLS, so no second way in from the network has to be guarded. Pages of a browser on this machine
are kept out by the token and by the SDK's check of Host and Origin.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import uvicorn
from mcp.server import Server
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from community.errors import TakingPartError
from forum.credentials import write_private

HOST: Final = "127.0.0.1"
PATH: Final = "/mcp"
TOKEN_VARIABLE: Final = "COMMUNITY_MCP_TOKEN"  # noqa: S105
LEAST_CHARACTERS: Final = 16
"""Of a token."""
BODY_BYTES: Final = 1024 * 1024
IDLE_S: Final = 300.0
"""After so long without a request a session makes room for another."""
ENDING_S: Final = 1
"""How long open requests get when the server ends."""
_FULL = (
    b"another client has this researcher's session; one at a time. Close the other client, or wait "
    b"until it was silent for five minutes"
)


def token_for(place: Path) -> tuple[str, str]:
    """Return the token and, in words, where it is from: the environment, or a file made if missing.

    Raises:
        TakingPartError: it is too short, or the file is open to others or unreadable.
    """
    if said := os.environ.get(TOKEN_VARIABLE):
        return _long_enough(said, TOKEN_VARIABLE), f"${TOKEN_VARIABLE}"
    if not place.exists():
        try:
            write_private(place, secrets.token_urlsafe(24) + "\n")
        except OSError as error:
            raise TakingPartError(
                f"cannot write a token to {place}: {error.strerror}; give another --token-file, or "
                f"set {TOKEN_VARIABLE}"
            ) from error
    try:
        with place.open(encoding="ascii") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TakingPartError(f"cannot read the token in {place}: {error}") from error
    if mode & 0o077:
        raise TakingPartError(f"{place} can be read by others; close it with: chmod 600 {place}")
    return _long_enough(text, str(place)), str(place)


def _long_enough(token: str, where: str) -> str:
    if len(token) < LEAST_CHARACTERS or not token.isprintable() or " " in token:
        raise TakingPartError(
            f"the token in {where} is no secret: give at least {LEAST_CHARACTERS} characters "
            "without blanks"
        )
    return token


class OverHttp:
    """A transport at an address of this machine.

    Args:
        port: Where; 0 for a free one.
        token: What a client shows.
        tell: Told the address once it is served.

    Raises:
        TakingPartError: the port is in use.
    """

    def __init__(self, port: int, token: str, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._token = token
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((HOST, port))
            self._socket.listen()
        except OSError as error:
            self._socket.close()
            raise TakingPartError(
                f"port {port} of {HOST} cannot be had: {error.strerror}; give another one, or "
                "--http 0 for any"
            ) from error

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://{HOST}:{self._socket.getsockname()[1]}{PATH}"

    async def __call__(self, server: Server[Any]) -> None:
        """Serve until cancelled; open requests then get `ENDING_S` seconds."""
        app = server.streamable_http_app(
            streamable_http_path=PATH,
            max_request_body_size=BODY_BYTES,
            session_idle_timeout=IDLE_S,
            max_sessions=1,
            transport_security=TransportSecuritySettings(
                allowed_hosts=["127.0.0.1:*", "localhost:*"],
                allowed_origins=["http://127.0.0.1:*", "http://localhost:*"],
            ),
            auth=AuthSettings(issuer_url=AnyHttpUrl(f"http://{HOST}"), resource_server_url=None),
            token_verifier=_Verifier(self._token),
        )
        config = uvicorn.Config(
            _saying_who_is_there(app),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=ENDING_S,
            ws="none",
        )
        served = _Quiet(config)
        self._tell(f"listening at {self.url}")
        serving = asyncio.create_task(served.serve(sockets=[self._socket]), name="http")
        try:
            await asyncio.shield(serving)
        finally:
            served.should_exit = True
            await asyncio.wait({serving})
            self._socket.close()


class _Quiet(uvicorn.Server):
    """Leaves signals to the command line."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class _Verifier:
    """Knows one token (`mcp.server.auth.provider.TokenVerifier`)."""

    def __init__(self, token: str) -> None:
        self._digest = _digest(token)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return whose it is, or None; how long that takes tells nothing of the token."""
        if not hmac.compare_digest(_digest(token), self._digest):
            return None
        return AccessToken(token=token, client_id="researcher", scopes=[])


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _saying_who_is_there(app: ASGIApp) -> ASGIApp:
    """Say in words that the one session is in use, where the SDK says that there is no room."""

    async def saying(scope: Scope, receive: Receive, send: Send) -> None:
        is_full = False

        async def send_on(message: Message) -> None:
            nonlocal is_full
            if message["type"] == "http.response.start" and message["status"] == 503:
                is_full = True
                kind = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(_FULL))]
                message = {"type": "http.response.start", "status": 409, "headers": kind}
            elif is_full:
                message = {"type": "http.response.body", "body": _FULL}
            await send(message)

        await app(scope, receive, send_on)

    return saying
