"""A hostile candidate's ten minutes at the artefact pipe, seeded and cut to a few seconds.

Whatever comes, the readers neither raise nor hang nor grow: they say what is wrong.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import tracemalloc
from pathlib import Path

import pytest
import torch
from artefact_bytes import artefact, entry
from safetensors.torch import save

from trainer.artefact import HEADER_BYTES, content_fault, form_fault
from trainer.streams import ArtefactStream

HONEST = save({"a": torch.randn(40, 5), "b": torch.arange(7), "c": torch.randn(9).bfloat16()})
CAP_BYTES = 1 << 16
WORDS = [
    b"{", b"}", b"[", b"]", b":", b",", b'"', b'"a"', b'"dtype"', b'"shape"', b'"data_offsets"',
    b"0", b"-1", b"4", b"1e999", b"NaN", b"-Infinity", b"null", b"true", b'"F32"', b'"BOOL"',
    b"18446744073709551616", b"\xff", b"\\ud800", b'"__metadata__"', b"[" * 3000,
]  # fmt: skip


def mutated(chance: random.Random) -> bytes:
    """An honest artefact with a few bytes, a length or its end changed."""
    content = bytearray(HONEST)
    for _ in range(chance.randrange(1, 4)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    if chance.randrange(3) == 0:
        content[:8] = chance.choice([0, 1, 7, 2**63, chance.randrange(1 << 20)]).to_bytes(
            8, "little"
        )
    return bytes(content[: chance.randrange(len(content))] if chance.randrange(3) == 0 else content)


def invented(chance: random.Random) -> bytes:
    """Random bytes, words of a header in any order, or entries with any numbers."""
    kind = chance.randrange(3)
    if kind == 0:
        return chance.randbytes(chance.randrange(200))
    if kind == 1:
        return artefact(b"".join(chance.choices(WORDS, k=chance.randrange(60))), bytes(16))
    numbers = [0, 1, 3, 4, 8, 2**31, 2**48, 2**70, -4]
    header = {
        f"t{n}": entry(
            chance.choice(["F32", "BF16", "I64", "U8", "BOOL", "F64", "", "x" * 999]),
            chance.choices(numbers, k=chance.randrange(10)),
            chance.choice(numbers),
            chance.choice(numbers),
        )
        for n in range(chance.randrange(6))
    }
    return artefact(header, chance.randbytes(chance.randrange(64)))


@pytest.mark.parametrize("make", [mutated, invented])
def test_no_bytes_break_the_reader(tmp_path: Path, make):
    """A thousand broken artefacts: a text each, never an exception; what passes, both pass."""
    chance = random.Random(3)
    path = tmp_path / "artefact"
    refused = 0
    for _ in range(1000):
        path.write_bytes(make(chance))
        form, content = form_fault(path), content_fault(path)
        assert len(form) < 400
        assert form.isprintable()
        assert content or not form
        refused += bool(content)
    assert refused > 500


def test_what_passes_can_be_loaded(tmp_path: Path):
    """Among mutations that our reader lets through there is none that safetensors refuses."""
    from safetensors.torch import load

    chance = random.Random(4)
    path = tmp_path / "artefact"
    passed = 0
    for _ in range(1000):
        content = mutated(chance)
        path.write_bytes(content)
        if not content_fault(path):
            passed += 1
            assert all(bool(tensor.isfinite().all()) for tensor in load(content).values())
    assert passed > 50


def test_a_huge_header_costs_no_memory(tmp_path: Path):
    """A length of 2^64 - 1 before a sparse gigabyte is refused without reading or allocating it."""
    path = tmp_path / "artefact"
    path.write_bytes(b"\xff" * 8)
    os.truncate(path, 1 << 30)
    tracemalloc.start()
    try:
        assert form_fault(path)
        path.write_bytes(HEADER_BYTES.to_bytes(8, "little"))
        os.truncate(path, 1 << 30)
        assert content_fault(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


class Writer(threading.Thread):
    """Writes pieces into a pipe in its own time; a reader that has gone ends it."""

    def __init__(self, descriptor: int, pieces: list[bytes]) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._pieces = pieces
        self.was_refused = False

    def run(self) -> None:
        """Write everything and close."""
        try:
            for piece in self._pieces:
                os.write(self._descriptor, piece)
        except BrokenPipeError:
            self.was_refused = True
        finally:
            os.close(self._descriptor)


async def received(folder: Path, pieces: list[bytes]) -> tuple[ArtefactStream, bool]:
    """Send `pieces` through a pipe; the stream at its end, and whether the writer was cut off."""
    reading, writing = os.pipe()
    changed = asyncio.Event()
    stream = ArtefactStream(reading, folder / "artefact", CAP_BYTES, changed.set)
    writer = Writer(writing, pieces)
    writer.start()
    async with asyncio.timeout(30):
        while not stream.is_ended:
            await changed.wait()
            changed.clear()
    await asyncio.to_thread(writer.join)
    return stream, writer.was_refused


async def test_streams_in_any_pieces_arrive_whole_or_are_cut(tmp_path: Path):
    """Single bytes, bursts, nothing, or more than the cap: the file holds what came, up to it."""
    chance = random.Random(5)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(60):
        content = chance.randbytes(chance.choice([0, 1, 8, 300, CAP_BYTES, CAP_BYTES + 1, 1 << 20]))
        step = chance.choice([1, 7, 4096, 1 << 20]) if len(content) <= 300 else 1 << 15
        pieces = [content[at : at + step] for at in range(0, len(content), step)]
        stream, _ = await received(tmp_path, pieces)
        assert stream.is_too_large == (len(content) > CAP_BYTES)
        kept = stream.partial.read_bytes()
        assert len(kept) <= CAP_BYTES
        assert kept == content or stream.is_too_large
        assert form_fault(stream.partial)
        stream.discard()
        assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


async def test_an_endless_writer_is_cut_off(tmp_path: Path):
    """A stream without end is closed at the cap: the writer finds a dead pipe, nothing grows."""
    tracemalloc.start()
    try:
        stream, was_refused = await received(tmp_path, [bytes(1 << 16)] * 1000)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert (stream.is_too_large, was_refused) == (True, True)
    stream.discard()
