"""The codec: what goes out comes back; hostile bytes are refused with a reason, nothing else."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from forum.codec import (
    MAX_NOTE_BYTES,
    MAX_POST_BYTES,
    decode_draft,
    decode_notice,
    decode_post,
    decode_receipt,
    encode,
)
from forum.errors import MessageRefusedError
from forum.messages import Comment, Draft, Notice, Receipt


def wire(message: Any, kind: str = "draft", version: Any = 1) -> bytes:
    """Make an envelope by hand."""
    return json.dumps({"v": version, "type": kind, "message": message}).encode()


def comment(**changes: Any) -> dict[str, Any]:
    """Make a draft's JSON by hand."""
    return {"message_id": "m1", "body": {"kind": "comment", "text": "hi"}} | changes


def test_every_message_survives_the_wire(bodies: dict[str, Any], make_post: Any) -> None:
    """Encoding and decoding give back equal drafts, posts, receipts and notices."""
    for body in bodies.values():
        draft = Draft(message_id="m1", thread="p3", body=body)
        assert decode_draft(encode(draft)) == draft
        assert decode_post(encode(make_post(body))) == make_post(body)
    for receipt in (Receipt(message_id="m", post_id="p1", seq=9), Receipt(message_id="m")):
        assert decode_receipt(encode(receipt)) == receipt
    notice = Notice(kind="stop", text="done")
    assert decode_notice(encode(notice)) == notice


def test_knob_values_keep_their_types(bodies: dict[str, Any], make_post: Any) -> None:
    """An int stays an int, a bool a bool, a float a float, a word a word."""
    knobs = {"A": 3, "B": True, "C": 3.0, "D": "adamw", "E": 1e-9}
    lead = bodies["lead"].model_copy(update={"knobs": knobs})
    decoded = decode_post(encode(make_post(lead))).body
    assert {name: type(value) for name, value in decoded.knobs.items()} == {
        "A": int,
        "B": bool,
        "C": float,
        "D": str,
        "E": float,
    }
    assert decoded.knobs == knobs


def test_the_largest_allowed_patch_fits(bodies: dict[str, Any]) -> None:
    """A patch at its cap in four-byte characters stays below the envelope's cap."""
    body = bodies["finding"].model_copy(update={"patch": "😀" * 65_536, "text": "é" * 4_000})
    draft = Draft(message_id="m1", body=body)
    assert decode_draft(encode(draft)) == draft


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("a\x1b[31mb", "a[31mb"),
        ("safe\u202etxt.exe", "safetxt.exe"),
        ("a\u2066b\u2069c\u200bd\ufeffe", "abcde"),
        ("line\r\n\ttab\x00\x07\x7f\x9b", "line\n\ttab"),
        ("x\ud800y\udfffz", "xyz"),
        ("tag\U000e0041\U000e0042", "tag"),
        ("a\u034f\u17b4\u2800\U00013431\U0001bca0\U0001d173b", "ab"),
        ("naïve 日本 😀 ≤", "naïve 日本 😀 ≤"),
    ],
)
def test_text_is_cleaned_on_the_way_in(dirty: str, clean: str) -> None:
    """Control characters, bidi overrides, surrogates and invisible tags do not get in."""
    assert decode_draft(wire(comment(body={"kind": "comment", "text": dirty}))).body == Comment(
        text=clean
    )


def test_knob_names_and_ids_are_cleaned_too() -> None:
    """Keys and identifiers are text as well."""
    body = {"kind": "lead", "title": "t", "knobs": {"DE\u202ePTH": "a\x1bb"}}
    draft = decode_draft(wire(comment(message_id="m\x1b1", body=body)))
    assert draft.message_id == "m1"
    assert draft.body.knobs == {"DEPTH": "ab"}


NESTED = b'{"v":1,"type":"draft","message":' + b"[" * 100_000
HOSTILE = {
    "empty": b"",
    "not utf-8": b"\xff\xfe\x00",
    "utf-8 surrogate": b'{"v":1,"type":"draft","message":{"message_id":"\xed\xa0\x80"}}',
    "byte order mark": b"\xef\xbb\xbf" + wire(comment()),
    "not json": b"{",
    "not an object": b"[1]",
    "null": b"null",
    "a number": b"1",
    "unclosed nesting": NESTED,
    "closed nesting": NESTED + b"]" * 100_000 + b"}",
    "nested objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "moderate nesting": wire(comment(body=[[[[[[[[[[1]]]]]]]]]])),
    "huge int": b'{"v":1,"type":"draft","message":{"x":' + b"9" * 400_000 + b"}}",
    "long int": b'{"v":1,"type":"draft","message":{"x":' + b"9" * 4_000 + b"}}",
    "long int in a knob": wire(
        comment(body={"kind": "lead", "title": "t", "knobs": {"A": 10**30}})
    ),
    "long int in a float": wire(
        comment(body={"kind": "review", "hypothesis": "p1", "forecast": {"gain": [0, 0, 10**400]}})
    ),
    "huge float": b'{"v":1,"type":"draft","message":{"x":1e999}}',
    "endless float": b'{"v":1,"type":"draft","message":{"x":0.' + b"1" * 400_000 + b"}}",
    "nan": b'{"v":1,"type":"draft","message":{"x":NaN}}',
    "infinity": b'{"v":1,"type":"draft","message":{"x":-Infinity}}',
    "duplicate field": b'{"v":1,"type":"draft","type":"post","message":{}}',
    "keys equal once cleaned": wire(
        comment(body={"kind": "lead", "title": "t", "knobs": {"A": 1, "A\u200b": 2}})
    ),
    "extra in the envelope": b'{"v":1,"type":"draft","message":{},"more":1}',
    "wrong version": wire(comment(), version=2),
    "version true": wire(comment(), version=True),
    "unhashable type": b'{"v":1,"type":["draft"],"message":{}}',
    "wrong type": wire(comment(), kind="post"),
    "message is a list": wire([]),
    "unknown field": wire(comment(author="clerk")),
    "unknown kind": wire(comment(body={"kind": "verdict"})),
    "missing body": wire({"message_id": "m1"}),
    "empty id": wire(comment(message_id="")),
    "id empty once cleaned": wire(comment(message_id="\u200b")),
    "long text": wire(comment(body={"kind": "comment", "text": "x" * 4_001})),
    "text is a number": wire(comment(body={"kind": "comment", "text": 5})),
    "long knob name": wire(comment(body={"kind": "lead", "title": "t", "knobs": {"A" * 65: 1}})),
    "long knob value": wire(
        comment(body={"kind": "lead", "title": "t", "knobs": {"A": "x" * 301}})
    ),
    "too large": wire(comment(body={"kind": "comment", "text": "x" * MAX_POST_BYTES})),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused_with_a_bounded_reason(name: str) -> None:
    """Each attack ends in MessageRefusedError whose reason fits a receipt and shows nothing raw."""
    with pytest.raises(MessageRefusedError) as caught:
        decode_draft(HOSTILE[name])
    reason = caught.value.reason
    assert 0 < len(reason) <= 300
    assert Receipt(message_id="m", reason=reason)
    assert all(character.isprintable() for character in reason)


def test_size_is_checked_before_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is above the cap never reaches the parser."""
    monkeypatch.setattr("forum.codec.json.loads", lambda *_, **__: pytest.fail("it was parsed"))
    for decode, cap in ((decode_draft, MAX_POST_BYTES), (decode_receipt, MAX_NOTE_BYTES)):
        with pytest.raises(MessageRefusedError, match="the cap is"):
            decode(b" " * (cap + 1))


def test_a_refusal_names_the_draft_when_it_can() -> None:
    """The author of a malformed draft can be answered by its message id."""
    with pytest.raises(MessageRefusedError) as caught:
        decode_draft(wire(comment(body={"kind": "comment", "text": "x" * 4_001})))
    assert caught.value.message_id == "m1"
    assert "text" in caught.value.reason
    with pytest.raises(MessageRefusedError) as caught:
        decode_draft(wire(comment(message_id=["m1"])))
    assert caught.value.message_id == ""


def test_mutated_messages_never_raise_anything_else(bodies: dict[str, Any]) -> None:
    """Thousands of damaged drafts decode or are refused; no other exception exists."""
    chance = random.Random(5)
    originals = [encode(Draft(message_id="m1", body=body)) for body in bodies.values()]
    decoded = refused = 0
    for _ in range(3_000):
        damaged = bytearray(chance.choice(originals))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(damaged))
            damaged[place : place + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        try:
            decode_draft(bytes(damaged))
            decoded += 1
        except MessageRefusedError:
            refused += 1
    assert decoded > 50
    assert refused > 50


def test_what_json_cannot_carry_is_refused_on_the_way_out(
    bodies: dict[str, Any], make_post: Any
) -> None:
    """A message built past validation cannot put a surrogate or NaN on the wire."""
    finding = bodies["finding"]
    not_a_number = finding.evidence.model_copy(update={"score": float("nan")})
    for update in ({"text": "\ud800"}, {"evidence": not_a_number}):
        with pytest.raises(MessageRefusedError, match="JSON cannot carry"):
            encode(make_post(finding.model_copy(update=update)))


def test_what_a_reader_would_refuse_is_refused_on_the_way_out(
    bodies: dict[str, Any], make_post: Any
) -> None:
    """A message built past validation is the sender's error, not silence at the reader."""
    long = bodies["hypothesis"].model_copy(update={"title": "x" * 301})
    with pytest.raises(MessageRefusedError, match=r"post is malformed: body.*title") as caught:
        encode(make_post(long))
    assert caught.value.message_id == "m"
    with pytest.raises(MessageRefusedError, match="receipt is malformed"):
        encode(Receipt.model_construct(message_id="", reason=""))
