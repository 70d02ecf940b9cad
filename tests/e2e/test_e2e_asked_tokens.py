"""A whole run of a model that tells whatever it is shown: held-out text comes out of it nowhere.

The start tree prints, writes, warns of and raises the bytes it is asked, in training and while it
is scored. What it says of training text is found in its logs, in each of three spellings, which
shows that the same search would have found held-out text.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from sysconfig import get_paths
from typing import Any

import numpy as np
import pytest
from e2e_scenarios import lock_again, scenario_text, small_task
from numpy.typing import NDArray

import community.run
from community.archive.codec import encode_event
from community.archive.state import RunState
from community.events import Row
from community.loading import parse_scenario
from community.run import run_community
from community.run_folder import RunFolder
from forum.board import Board, Desk
from forum.memory_board import MemoryBoard
from scoring.grader import Division

PIECE = 16
AGENTS = ("ada explorer random", "marie reproducer verify")
ELSEWHERE = Path("/tmp/told-by-a-model")
TELLING = f"""

import os, sys, warnings

_build = build_model

def _tell(tokens):
    rows = tokens.tolist()
    raw = bytes(rows[0])
    for number in (1, 2):
        try:
            os.write(number, b"\\1" + raw + b"\\1" + raw.hex().encode() + b"\\n")
        except OSError:
            pass
    for stream in (sys.stdout, sys.stderr, sys.__stdout__):
        try:
            print("TOLD", rows[0], file=stream, flush=True)
        except (OSError, ValueError):
            pass
    try:
        with open("{ELSEWHERE}", "ab") as file:
            file.write(raw)
    except OSError:
        pass
    warnings.warn(str(rows[0]))
    if "hosted_program" in sys.modules and any(rows[0]) and HEAD_LR != 0.002:
        raise ValueError(raw, rows, raw.decode("latin-1"))

def build_model():
    model = _build()
    answer = model.forward

    def forward(tokens, *more):
        _tell(tokens)
        return answer(tokens, *more)

    model.forward = forward
    return model
"""
"""Honest in what it answers; every child of it, which has another HEAD_LR, raises instead."""

Fingerprints = NDArray[np.uint64]


def _fingerprints(content: bytes) -> Fingerprints:
    """Of every `PIECE` bytes, at every offset."""
    count = len(content) - PIECE + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    eights = np.empty(count + 8, np.uint64)
    for start in range(8):
        part = np.frombuffer(content, "<u8", (len(content) - start) // 8, start)
        eights[start::8] = part[: len(eights[start::8])]
    first, second = eights[:count], eights[8:]
    mixed = first * np.uint64(0x9E3779B97F4A7C15) ^ (second >> np.uint64(31))
    return mixed * np.uint64(0xD1B54A32D192ED03) ^ second * np.uint64(0xBF58476D1CE4E5B9)


def _is_in(found: Fingerprints, table: Fingerprints) -> NDArray[np.bool_]:
    return table[np.minimum(np.searchsorted(table, found), len(table) - 1)] == found


@dataclass(frozen=True)
class Texts:
    """Sorted fingerprints of what is public, and of what is held out and not public."""

    public: Fingerprints
    secret: Fingerprints

    @classmethod
    def of(cls, division: Division, tree: bytes) -> Texts:
        """Read the real corpus of the task; what stands in the start tree is nobody's secret.

        Nor is what public text looks like in a row's JSON: an indent with a backslash behind it.
        """
        escaped = json.dumps(division.train.decode("latin-1")).encode()
        public = np.unique(_fingerprints(division.train + tree + escaped))
        texts = (t for files in division.heldout.values() for t in files.values())
        held = np.unique(np.concatenate([_fingerprints(text) for text in texts]))
        return cls(public, held[~_is_in(held, public)])


def _spellings(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Give `content`, and the bytes that it spells as numbers or in hexadecimal."""
    yield "raw", content
    for found in re.finditer(rb"\d{1,3}(?:,\s?\d{1,3}){15,}", content):
        numbers = [int(number) for number in re.findall(rb"\d+", found[0])]
        yield "numbers", bytes(n for n in numbers if n < 256)
    for found in re.finditer(rb"(?:[0-9a-f]{2}){16,}", content):
        yield "hex", bytes.fromhex(found[0].decode())


def _told(content: bytes, table: Fingerprints) -> set[str]:
    """Return in which spellings `content` has a piece of what `table` is made of."""
    return {way for way, plain in _spellings(content) if _is_in(_fingerprints(plain), table).any()}


class _HeardDesk:
    """The clerk's desk; keeps whatever goes out by it."""

    def __init__(self, desk: Desk, heard: list[str]) -> None:
        self._desk = desk
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        """Pass on what is called, and note what with."""
        method = getattr(self._desk, name)

        def noted(*arguments: Any) -> Any:
            self._heard.append(repr(arguments))
            return method(*arguments)

        return noted


class _HeardBoard(MemoryBoard):
    """A board with a subscriber to everything."""

    def __init__(self, heard: list[str]) -> None:
        super().__init__()
        self._heard = heard

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[Any]:
        """Take the desk as usual."""
        async with super().desk() as desk:
            yield _HeardDesk(desk, self._heard)


@dataclass(frozen=True)
class Ran:
    """What a run left, wherever it left it."""

    state: RunState
    rows: list[Row]
    heard: list[str]
    files: dict[str, bytes]
    texts: Texts


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run the task of that tree to its end."""
    where = tmp_path_factory.mktemp("told")
    task = small_task(where)
    train, knobs = task / "start" / "train.py", task / "knobs.toml"
    train.write_text(train.read_text() + TELLING)
    tables = re.split(r"(?m)^(?=\[)", knobs.read_text())
    knobs.write_text("".join(table for table in tables if table.startswith("[HEAD_LR]")))
    lock_again(task)
    text = scenario_text(task, AGENTS, stop={"experiments": 3})
    folder, heard, rows = RunFolder.create(where, "run"), [], []

    @asynccontextmanager
    async def open_board(*_: Any, **__: Any) -> AsyncIterator[Board]:
        yield _HeardBoard(heard)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(community.run, "open_board", open_board)
        scenario = parse_scenario(text, where / "mine.toml").scenario
        asyncio.run(run_community(scenario, text, folder, on_row=rows.append))
    spec = importlib.util.spec_from_file_location("told_grade", task / "locked" / "grade.py")
    assert spec is not None
    assert spec.loader is not None
    grade = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(grade)
    files = {
        str(path.relative_to(folder.path)): path.read_bytes()
        for path in folder.path.rglob("*")
        if path.is_file()
    }
    texts = Texts.of(grade.prepare(Path(get_paths()["stdlib"])), train.read_bytes())
    return Ran(RunState.from_rows(rows), rows, heard, files, texts)


def test_the_model_told_what_it_could_and_raised_it_where_it_should(ran: Ran) -> None:
    """The baseline was scored, every child broke off, and logs hold training text as it says."""
    verdicts = ran.state.verdicts.values()
    baseline = [v for v in verdicts if v.experiment_id.startswith("b")]
    others = [v for v in verdicts if not v.experiment_id.startswith("b")]
    assert [v.outcome for v in baseline] == ["ok", "ok"]
    assert {(v.outcome, v.reason) for v in others} == {("invalid", "short")}
    assert any(record.posted.body["kind"] == "failure" for record in ran.state.posts.values())
    logs = [content for name, content in ran.files.items() if name.endswith("log.txt")]
    assert len(logs) == len(verdicts)
    for log in logs:
        assert _told(log, ran.texts.public) == {"raw", "numbers", "hex"}


def test_no_piece_of_held_out_text_is_anywhere(ran: Ran) -> None:
    """Not in the run's folder, in no row of the ledger, and in nothing that the board carried."""
    assert len(ran.texts.secret) > 100_000
    assert not ELSEWHERE.exists()
    assert {"ledger.db", "data/train.bin", "results.tsv"} <= set(ran.files)
    for name, content in ran.files.items():
        assert _told(content, ran.texts.secret) == set(), name
    for row in ran.rows:
        assert _told(encode_event(row.event).encode(), ran.texts.secret) == set(), row
    assert len(ran.heard) > len(ran.state.posts)
    for words in ran.heard:
        assert _told(words.encode(), ran.texts.secret) == set(), words


def test_the_search_would_find_it(ran: Ran) -> None:
    """One piece, in any spelling, at any offset."""
    spec = ran.texts.secret
    import html.parser

    text = Path(html.parser.__file__).read_bytes()
    at = int(np.flatnonzero(_is_in(_fingerprints(text), spec))[7])
    piece = text[at : at + PIECE]
    assert _told(b"a word" + piece + b"x", spec) == {"raw"}
    assert _told(f"ValueError({list(piece)})".encode(), spec) == {"numbers"}
    assert _told(b"0x" + piece.hex().encode(), spec) == {"hex"}
    assert _told(b"a word" + piece[:-1], spec) == set()
