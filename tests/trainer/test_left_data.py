"""What programs leave as data: each format from a sandbox, and what of it does not pass."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from trainer.experiment import Budget, Job, TrainResult
from trainer.gpu_pool import Lease
from trainer.left_data import FORMATS, artefact_name
from trainer.local_executor import LocalExecutor

STEPS = Budget("steps", 3)
PROGRAM = """
import numpy as np, torch
def solve(run):
    steps = sum(1 for _ in run.steps())
    {body}
"""


async def left(
    executor: LocalExecutor, job: Job, lease: Lease, leaves: str, body: str
) -> TrainResult:
    """Run a program in a sandbox."""
    this = replace(job, leaves=leaves, budget=STEPS, artefact_bytes=4096)
    (this.workspace / "solve.py").write_text(PROGRAM.format(body=body))
    return await executor.train(this, lease)


@pytest.mark.asyncio(loop_scope="session")
async def test_a_program_leaves_data_in_its_format(
    executor: LocalExecutor, job: Job, lease: Lease
) -> None:
    """Plain data, arrays and numbers of numpy as JSON; text as it is; an array; named tensors."""

    async def content(leaves: str, body: str) -> Path:
        result = await left(executor, job, lease, leaves, body)
        assert (result.outcome, result.detail) == ("ok", "")
        assert result.artefact is not None
        assert result.artefact.name == artefact_name(leaves)
        assert result.artefact.stat().st_mode & 0o777 == 0o400
        return result.artefact

    path = await content(
        "json", 'return {"a": np.arange(2.0), "s": np.int64(steps), "n": run.seed}'
    )
    assert json.loads(path.read_text()) == {"a": [0.0, 1.0], "s": 3, "n": job.seed}
    path = await content("json", 'return "[0.10]"')
    assert path.read_text() == "[0.10]"
    path = await content("npy", "return [[1, 2], [3, steps]]")
    assert np.load(path, allow_pickle=False).tolist() == [[1, 2], [3, 3]]
    path = await content("safetensors", 'return {"w": torch.ones(2), "v": np.arange(3)}')
    assert load_file(path)["v"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("leaves", "body", "reason"),
    [
        ("json", "raise RuntimeError('no')", "crash"),
        ("json", "return None", "artefact"),
        ("json", "return {'a': float('nan')}", "artefact"),
        ("json", "return {'a': object()}", "artefact"),
        ("json", "return '[' + '1,' * 5000 + '1]'", "artefact"),
        ("json", "return b'\\xff'", "artefact"),
        ("npy", "return np.array([object()])", "artefact"),
        ("npy", "return np.array([np.inf])", "artefact"),
        ("safetensors", "return {'w': 'x'}", "artefact"),
    ],
)
@pytest.mark.asyncio(loop_scope="session")
async def test_what_is_no_data_is_the_candidates_fault(
    executor: LocalExecutor, job: Job, lease: Lease, leaves: str, body: str, reason: str
) -> None:
    """It crashes, leaves too much, or what its format does not hold."""
    result = await left(executor, job, lease, leaves, body)
    assert (result.outcome, result.reason, result.artefact) == ("invalid", reason, None)
    assert [path.name for path in job.folder.iterdir()] == ["log.txt"]


def npy(array: Any, **changes: Any) -> bytes:
    """Return what numpy saves."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=True, **changes)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("leaves", "content", "told"),
    [
        ("json", b"", "no artefact"),
        ("json", b"17", "no JSON array or object"),
        ("json", b'{"a": 1', "cut off"),
        ("json", b'["\xff"]', "UTF-8"),
        ("npy", b"", "no artefact"),
        ("npy", b"PK\x03\x04" + bytes(99), "version 1.0"),
        ("npy", npy([1.0], version=(2, 0)), "version 1.0"),
        ("npy", npy([object()]), "header"),
        ("npy", npy(np.array(["text"])), "header"),
        ("npy", npy(np.ones(2, ">f8")), "header"),
        ("npy", npy(np.ones(2, "f2")), "numbers are f2"),
        ("npy", npy(np.ones(2, "c16")), "header"),
        ("npy", npy(np.zeros((), [("a", "f8")])), "header"),
        ("npy", npy(np.ones((2, 3)))[:-1], "fill"),
        ("npy", npy(np.ones((2, 3))) + b"x", "fill"),
        ("npy", npy(np.array([1.0, np.nan])), "finite"),
        ("safetensors", b"\x80\x04", "no complete artefact"),
    ],
)
def test_bytes_that_do_not_pass(tmp_path: Path, leaves: str, content: bytes, told: str) -> None:
    """Judged from outside, without loading any of it."""
    path = tmp_path / "left"
    path.write_bytes(content)
    found = FORMATS[leaves].form_fault(path) or FORMATS[leaves].content_fault(path)
    assert told in found


@pytest.mark.parametrize("kind", ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])
def test_arrays_of_numbers_pass(tmp_path: Path, kind: str) -> None:
    """Of every width, of no dimension, empty, and in Fortran's order."""
    for array in (np.ones((2, 3), kind), np.ones((), kind), np.ones((0, 2), kind),
                  np.asfortranarray(np.ones((2, 3), kind))):  # fmt: skip
        path = tmp_path / "left"
        path.write_bytes(npy(array, version=(1, 0)))
        assert FORMATS["npy"].form_fault(path) == FORMATS["npy"].content_fault(path) == ""
