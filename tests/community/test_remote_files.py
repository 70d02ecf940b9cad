"""Files from elsewhere arrive byte for byte, or are refused with a reason."""

from __future__ import annotations

import base64
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_script import house
from pydantic import TypeAdapter, ValidationError
from remote_script import NAMES, enrolled, far, proposal, scenario

from agents.errors import LabError
from agents.packed_files import PackedFiles, pack_files
from community.chronicle import Chronicle
from trainer.repository import Repository

TEXTS = [
    "RATE = 1.25\r\n# knob\r\nWIDTH = 4\r\n",
    "RATE = 1.5\n\x0c\n# knob\nWIDTH = 4\n",
    "RATE = 1.75\n# knób - 結び目 \U0001f9f5\nWIDTH = 4\n",
    "RATE = 2.0\n# a\u200bb\nWIDTH = 4\n",
]


async def outcome_of(answer: Awaitable[Any]) -> tuple[str, Any]:
    """Return what came of a question: its value, or what was raised."""
    try:
        return "ok", await answer
    except LabError as error:
        return type(error).__name__, str(error)


async def test_files_arrive_byte_for_byte(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Also what no screen shows: a tree from elsewhere is the tree that was sent, both ways."""
    enrolled(chronicle, *NAMES)
    made = []
    async with (
        house(chronicle, repository, tmp_path, scenario(), guests=NAMES) as home,
        far(home, "ada") as away,
    ):
        here = home.lab("ada")
        for text in TEXTS:
            asked = replace(proposal(home, 1.0), files={"train.py": text})
            kind, prepared = await outcome_of(away.prepare(asked))
            near, _ = await outcome_of(here.prepare(asked))
            assert kind == near
            if kind == "ok":
                commit = prepared.commit
                assert repository.read(commit)["train.py"] == text.encode()
                assert (await away.read_tree(commit))["train.py"] == text
                merged = await here.merge(commit, commit)
                assert await away.merge(commit, commit) == merged
                made.append(text)
    assert TEXTS[0] in made


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ({"train.py": "RATE = 2.0\n"}, "packed"),
        (pack_files({"": "x"}), "at least 1 character"),
        (pack_files({"x" * 301: "x"}), "at most 300 characters"),
        (pack_files({str(n): "x" for n in range(257)}), "at most 256 items"),
        (pack_files({"train.py": "\ud800"}), "not UTF-8"),
        (base64.b64encode(b'{"train.py": "\xff"}').decode(), "not UTF-8"),
        (base64.b64encode(b'{"a": "x", "a": "y"}').decode(), "each path once"),
        (base64.b64encode(b'{"a": 1}').decode(), "valid string"),
        (base64.b64encode(b"[" * 100_000).decode(), "packed"),
        (base64.b64encode(b"[]").decode(), "packed"),
        ("no base64", "packed"),
    ],
)
def test_what_is_not_packed_is_refused(word: object, why: str) -> None:
    """With a reason that says how files travel."""
    with pytest.raises(ValidationError, match=why):
        TypeAdapter(PackedFiles).validate_python(word)
