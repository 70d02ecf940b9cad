"""Errors of the forum, all of them.

::

    ForumError
    ├── MessageRefusedError      bytes that are no message of ours, or a message too large to send
    ├── PostRefusedError         the clerk turned a draft down
    ├── TopicError               a name, topic or broker URL that is not well formed
    ├── CredentialError          a file that is no credential, or that others can read
    ├── BoardError
    │   ├── BoardClosedError     the board closed while somebody waited for it
    │   ├── BoardUnreachableError  no broker answers at the address, at first or for too long
    │   ├── LoginRefusedError    the broker refuses the credential, or a topic that belongs to it
    │   └── SeatTakenError       the seat, or the desk, is in use
    └── BrokerStartError         the embedded broker did not start
"""

from __future__ import annotations


class ForumError(Exception):
    """Root of everything the forum raises on purpose."""


class MessageRefusedError(ForumError):
    """Bytes that are not a message, or a message that may not be sent."""

    def __init__(self, reason: str, message_id: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        """What is wrong, in plain text of at most 300 characters; fit for `Receipt.reason`."""
        self.message_id = message_id
        """The message id, if one could be read, so that the author can be answered; else empty."""


class PostRefusedError(ForumError):
    """The clerk turned a draft down; repeating it unchanged is useless."""

    def __init__(self, message_id: str, reason: str) -> None:
        super().__init__(f"draft {message_id!r} was refused: {reason}")
        self.message_id = message_id
        self.reason = reason


class RequestRefusedError(ForumError):
    """The institution turned a request down."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        """A word for programs, chosen by whoever serves the requests."""
        self.reason = reason


class TopicError(ForumError):
    """A participant's name, a run id, a topic or a broker URL is not well formed."""


class CredentialError(ForumError):
    """A file is no credential, or others can read it."""


class BoardError(ForumError):
    """The board cannot do its work."""


class BoardClosedError(BoardError):
    """The board closed while somebody waited for it; its cause is what took the board away."""


class BoardUnreachableError(BoardError):
    """No broker answers at the address; it may later, so trying again is sensible."""


class LoginRefusedError(BoardError):
    """The broker refuses the credential or one of its topics; trying again is useless."""


class SeatTakenError(BoardError):
    """Somebody already sits there: one seat per agent and one desk at a time."""


class BrokerStartError(ForumError):
    """The embedded broker did not start."""
