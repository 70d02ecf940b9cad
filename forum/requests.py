"""Questions to the institution and its answers, as they travel beside the posts.

Neither is believed: an operation is a word and its arguments are bounded JSON, which whoever serves
it validates. A request is named by its asker; asked again under the same name it is the same
request, so it may be repeated until the reply comes, over lost connections too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from forum.errors import RequestRefusedError
from forum.messages import Name, ShortText

MAX_REQUEST_BYTES: Final = 512 * 1024
"""Cap of a request: a proposal's files are in one, and their patch has to fit into a post."""
MAX_REPLY_BYTES: Final = 832 * 1024
"""Cap of a reply: one post of any size, or a page of them, and room for a packet's head."""
PAGE_BYTES: Final = 256 * 1024
"""What a reply of many items should hold at most; the next ones are another request."""

JsonObject = dict[str, Any]


def _small_name(name: str) -> str:
    if not name.isascii() or not name.isprintable():
        raise ValueError("use printable ASCII")
    return name


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Request(_Message):
    """What somebody asks; who asks follows from the credential."""

    schema_version: Literal[1] = 1
    request_id: Annotated[Name, AfterValidator(_small_name)]
    """Unique per asker; a repeat gets the same answer."""
    op: Annotated[Name, AfterValidator(_small_name)]
    args: JsonObject = Field(default_factory=dict)


class Reply(_Message):
    """The institution's answer to one request."""

    schema_version: Literal[1] = 1
    request_id: Name
    ok: bool
    result: JsonObject = Field(default_factory=dict)
    error_kind: Annotated[str, Field(max_length=64)] = ""
    """A word for programs; empty when `ok`."""
    reason: ShortText = ""
    """Why it was turned down, for people."""


def refusal(request_id: str, kind: str, reason: str) -> Reply:
    """Return the reply that turns a request down; a long reason is cut."""
    short = reason if len(reason) <= 300 else reason[:299] + "…"
    return Reply(request_id=request_id, ok=False, error_kind=kind, reason=short)


def granted(reply: Reply) -> JsonObject:
    """Return what was asked for.

    Raises:
        RequestRefusedError: it was turned down.
    """
    if not reply.ok:
        raise RequestRefusedError(reply.error_kind, reply.reason or "no reason was given")
    return reply.result


def plain_json(args: Mapping[str, Any]) -> JsonObject:
    """Return `args` as JSON would carry it: tuples as lists, names as text.

    Raises:
        RequestRefusedError: it holds what JSON cannot.
    """
    try:
        copied: JsonObject = json.loads(json.dumps(args, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise RequestRefusedError("malformed", f"arguments must be plain JSON: {error}") from None
    return copied
