"""Messages as bytes and back: one JSON envelope, bounded before it is parsed, cleaned as it enters.

Not a judge of content (that is the clerk) and not a defence of displays. Whatever the bytes are,
decoding either returns a message or raises `MessageRefusedError` with a reason; nothing else.

The envelope is ``{"v": 1, "type": T, "message": {...}}``, where T is draft, post, receipt, notice,
request or reply.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, Literal, NoReturn, TypeVar

from pydantic import ValidationError

from forum.errors import MessageRefusedError
from forum.messages import SCHEMA_VERSION, Draft, Notice, Post, Receipt
from forum.plain_text import plain
from forum.requests import MAX_REPLY_BYTES, MAX_REQUEST_BYTES, Reply, Request

MAX_POST_BYTES: Final = 512 * 1024
"""Cap of a draft or post: a patch of 65,536 four-byte characters and three long texts still fit."""
MAX_NOTE_BYTES: Final = 8 * 1024
"""Cap of a receipt or notice: 300 characters of text and a few names."""

_MAX_DEPTH = 10  # a reply, its result, posts, one of them, its body, its forecast make seven
_MAX_DIGITS = 20  # a 64-bit integer has 19
_MAX_FLOAT_CHARACTERS = 40  # repr of a double has at most 24
_MAX_REASON_CHARACTERS = 300  # Receipt.reason

MessageType = Literal["draft", "post", "receipt", "notice", "request", "reply"]
_M = TypeVar("_M", Draft, Post, Receipt, Notice, Request, Reply)

_TYPES: Final[dict[type, tuple[MessageType, int]]] = {
    Draft: ("draft", MAX_POST_BYTES),
    Post: ("post", MAX_POST_BYTES),
    Receipt: ("receipt", MAX_NOTE_BYTES),
    Notice: ("notice", MAX_NOTE_BYTES),
    Request: ("request", MAX_REQUEST_BYTES),
    Reply: ("reply", MAX_REPLY_BYTES),
}


def encode(message: _M) -> bytes:
    """Return `message` in its envelope, UTF-8; whoever gets it can decode it.

    Raises:
        MessageRefusedError: it is larger than its cap, holds what JSON cannot, or was built past
            the models' validation and would be refused where it arrives.
    """
    return _encoded(message)[0]


def settled(draft: Draft) -> Draft:
    """Return `draft` as whoever gets its bytes will read it: bounded and its text cleaned.

    Raises:
        MessageRefusedError: as `encode`.
    """
    return _encoded(draft)[1]


def _encoded(message: _M) -> tuple[bytes, _M]:
    """Return the bytes of `message`, and it as decoded from them."""
    kind, cap_bytes = _TYPES[type(message)]
    message_id = getattr(message, "message_id", getattr(message, "request_id", ""))
    envelope = {"v": SCHEMA_VERSION, "type": kind, "message": message.model_dump()}
    try:
        text = json.dumps(envelope, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        payload = text.encode()
    except ValueError:
        reason = f"the {kind} holds text or numbers that JSON cannot carry; use plain finite values"
        raise MessageRefusedError(reason, message_id) from None
    if len(payload) > cap_bytes:
        raise MessageRefusedError(_too_large(kind, len(payload), cap_bytes), message_id)
    # A fault is the sender's to hear of, not silence at the reader.
    return payload, _decode(payload, type(message))


def decode_draft(payload: bytes) -> Draft:
    """Return the draft in `payload`, its text cleaned.

    Raises:
        MessageRefusedError: `payload` is not a draft; carries the reason and, if readable, the id.
    """
    return _decode(payload, Draft)


def decode_post(payload: bytes) -> Post:
    """Return the post in `payload`, its text cleaned.

    Raises:
        MessageRefusedError: `payload` is not a post.
    """
    return _decode(payload, Post)


def decode_receipt(payload: bytes) -> Receipt:
    """Return the receipt in `payload`, its text cleaned.

    Raises:
        MessageRefusedError: `payload` is not a receipt.
    """
    return _decode(payload, Receipt)


def decode_notice(payload: bytes) -> Notice:
    """Return the notice in `payload`, its text cleaned.

    Raises:
        MessageRefusedError: `payload` is not a notice.
    """
    return _decode(payload, Notice)


def decode_request(payload: bytes) -> Request:
    """Return the request in `payload`, its text cleaned.

    Raises:
        MessageRefusedError: `payload` is not a request; carries the reason and, if readable, the
            request's id.
    """
    return _decode(payload, Request)


def decode_reply(payload: bytes) -> Reply:
    """Return the reply in `payload`, its text cleaned.

    Raises:
        MessageRefusedError: `payload` is not a reply.
    """
    return _decode(payload, Reply)


def _decode(payload: bytes, model: type[_M]) -> _M:
    kind, cap_bytes = _TYPES[model]
    if len(payload) > cap_bytes:
        raise MessageRefusedError(_too_large(kind, len(payload), cap_bytes))
    message = _opened(_parsed(payload, kind), kind)
    message_id = _readable_id(message)
    try:
        return model.model_validate(message)
    except ValidationError as error:
        reason = f"the {kind} is malformed: {_faults(error)}"
    except (ValueError, OverflowError, RecursionError):
        reason = f"the {kind} holds values that fit no field; see the message schema"
    raise MessageRefusedError(_bounded(reason), message_id) from None


def _parsed(payload: bytes, kind: MessageType) -> Any:
    try:
        raw = json.loads(
            payload.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_finite,
            object_pairs_hook=_unique,
        )
        return _cleaned(raw, _MAX_DEPTH)
    except MessageRefusedError:
        raise
    except UnicodeDecodeError:
        reason = f"the {kind} is not UTF-8; encode it as UTF-8"
    except RecursionError:
        reason = f"the {kind} is nested too deeply; at most {_MAX_DEPTH} levels"
    except ValueError:
        reason = f"the {kind} is not JSON; send one JSON object"
    raise MessageRefusedError(reason) from None


def _opened(envelope: Any, kind: MessageType) -> dict[str, Any]:
    if not isinstance(envelope, dict) or set(envelope) != {"v", "type", "message"}:
        _refuse('the envelope must be an object with exactly "v", "type" and "message"')
    if type(envelope["v"]) is not int or envelope["v"] != SCHEMA_VERSION:
        _refuse(f"the envelope's version must be {SCHEMA_VERSION}; update the sender")
    if envelope["type"] != kind:
        _refuse(f"expected a {kind} here, not another type of message")
    if not isinstance(envelope["message"], dict):
        _refuse(f"the {kind} must be an object")
    message: dict[str, Any] = envelope["message"]
    return message


def _cleaned(value: Any, depth: int) -> Any:
    """Strip every string of a parsed document, keys included, down to `depth` levels."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict | list):
        if depth == 0:
            _refuse(f"the message is nested too deeply; at most {_MAX_DEPTH} levels")
        if isinstance(value, list):
            return [_cleaned(item, depth - 1) for item in value]
        return _unique([(plain(key), _cleaned(item, depth - 1)) for key, item in value.items()])
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("an object names a field twice; name each field once")
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        _refuse(f"an integer is too long; at most {_MAX_DIGITS} characters")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits) if len(digits) <= _MAX_FLOAT_CHARACTERS else math.inf
    if not math.isfinite(number):
        _refuse("a number is too large or too long; send finite doubles")
    return number


def _refuse_constant(name: str) -> NoReturn:
    _refuse(f"{name} is not a number that JSON knows; send finite values")


def _refuse(reason: str) -> NoReturn:
    raise MessageRefusedError(reason)


def _too_large(kind: MessageType, size_bytes: int, cap_bytes: int) -> str:
    return f"the {kind} has {size_bytes} bytes, the cap is {cap_bytes}; shorten it"


def _readable_id(message: dict[str, Any]) -> str:
    message_id = message.get("message_id", message.get("request_id"))
    return message_id if isinstance(message_id, str) and len(message_id) <= 64 else ""


def _faults(error: ValidationError) -> str:
    """Name the first faults; their text may quote the (cleaned) input, hence `_bounded`."""
    named = [
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_context=False, include_input=False)[:3]
    ]
    return "; ".join(named)


def _bounded(reason: str) -> str:
    if len(reason) <= _MAX_REASON_CHARACTERS:
        return reason
    return reason[: _MAX_REASON_CHARACTERS - 1] + "…"
