"""Messages between the scorer's client and its worker process, over one SOCK_SEQPACKET socket.

One packet is one JSON message; pipe ends travel beside it as SCM_RIGHTS. Both ends are ours, so
this is framing, not validation. Used by `scoring.worker_process` (client) and `scoring.worker`.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from typing import Any

from scoring.grader import Corpus
from scoring.verdict import Score, Split

_PACKET_BYTES = 64 << 10
"""Largest message: the manifest and the list of hidden paths need about 4 KiB."""
_DESCRIPTORS = 2


@dataclass(frozen=True, slots=True)
class Prepare:
    """Client to worker, first: build the corpus and get ready.

    One descriptor goes with it, which gets the training data.
    """

    locked: str
    """The task's locked folder."""
    source: str
    """The folder whose text is split."""
    run_secret: str
    """Hexadecimal; goes through the socket because others can read arguments and environments."""
    judging: dict[str, Any] | None = None
    """`scoring.judging.Judging` of a task whose artefacts are data; None where models answer."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Client to worker: score what sits behind two pipe ends, of requests and of replies."""

    number: int
    split: Split
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Blind:
    """Client to worker: the pipe ends of the blind sandbox for the `Ask` of the same number.

    Without any: there will be none, and nobody waits for the answer any more.
    """

    number: int


@dataclass(frozen=True, slots=True)
class Grade:
    """Client to worker: grade the data behind the descriptor that goes with it."""

    number: int
    split: Split
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Ready:
    """Worker to client: the corpus is in memory."""

    corpus: Corpus
    manifest: dict[str, str]
    asked: dict[Split, int]
    """`scoring.grader.Grader.asked` of every split."""


@dataclass(frozen=True, slots=True)
class TooSmall:
    """Worker to client: the source does not suffice (fields of `CorpusTooSmallError`)."""

    part: str
    size_bytes: int
    least_bytes: int
    source: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Worker to client: it cannot get ready, for another reason."""

    message: str


@dataclass(frozen=True, slots=True)
class Scored:
    """Worker to client: the answer to the `Ask` or `Grade` of the same number."""

    number: int
    score: Score


@dataclass(frozen=True, slots=True)
class Broken:
    """Worker to client: nothing was scored, the lock is broken."""

    number: int
    name: str
    change: str


Message = Prepare | Ask | Blind | Grade | Ready | TooSmall | Refused | Scored | Broken
_KINDS: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (Prepare, Ask, Blind, Grade, Ready, TooSmall, Refused, Scored, Broken)
}


def send(control: socket.socket, message: Message, descriptors: tuple[int, ...] = ()) -> None:
    """Send one packet.

    Raises:
        BlockingIOError: the socket does not block and its buffer is full.
        OSError: the other end is gone.
    """
    packet = json.dumps({"kind": type(message).__name__, **asdict(message)}).encode()
    socket.send_fds(control, [packet], list(descriptors))


def receive(control: socket.socket) -> tuple[Message, tuple[int, ...]] | None:
    """Receive one packet with its descriptors; None when the other end is gone.

    Raises:
        BlockingIOError: the socket does not block and nothing has come.
    """
    try:
        packet, descriptors, flags, _ = socket.recv_fds(
            control, _PACKET_BYTES, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionResetError:
        return None
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        for descriptor in descriptors:
            os.close(descriptor)
        raise OSError(f"control message above {_PACKET_BYTES} bytes or {_DESCRIPTORS} descriptors")
    return (_decode(packet), tuple(descriptors)) if packet else None


def _decode(packet: bytes) -> Message:
    fields = json.loads(packet)
    kind = _KINDS[fields.pop("kind")]
    if kind is Ready:
        corpus = fields["corpus"]
        fields["corpus"] = Corpus(**{**corpus, "hidden": tuple(corpus["hidden"])})
    if kind is Scored:
        fields["score"] = Score(**fields["score"])
    return kind(**fields)
