"""What passes as an artefact, and what a researcher is told of one that does not."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from artefact_bytes import artefact, entry, lone
from safetensors.torch import save

from trainer.artefact import HEADER_BYTES, MOST_TENSORS, content_fault, form_fault

FOUR = entry("F32", [1], 0, 4)


def faults(folder: Path, content: bytes) -> tuple[str, str]:
    """What both steps say of `content`."""
    path = folder / "artefact"
    path.write_bytes(content)
    return form_fault(path), content_fault(path)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"scalar": torch.tensor(3), "empty": torch.zeros(0, 3)},
        {"blocks.0.a-b": torch.randn(5), "mask": torch.ones(3, dtype=torch.bool)},
        {"half": torch.randn(3).bfloat16(), "counts": torch.arange(9, dtype=torch.int16)},
        {"most": torch.tensor([-(2**31), 2**31]), "bytes": torch.arange(256).to(torch.uint8)},
        {"large": torch.randn(1 << 20), "extreme": torch.tensor([3.4e38, -3.4e38, 1e-45, 0.0])},
    ],
    ids=["nothing", "scalar", "truth", "half", "integers", "large"],
)
def test_plain_tensors_pass(tmp_path: Path, state: dict[str, torch.Tensor]):
    """Whatever safetensors writes of float32, bfloat16, integers and truth values is accepted."""
    assert faults(tmp_path, save(state)) == ("", "")


@pytest.mark.parametrize(
    ("header", "body", "told"),
    [
        ({"a": entry("F64", [1], 0, 8)}, bytes(8), "dtype 'F64': make it one of I64, F32"),
        ({"a": entry("F16", [2], 0, 4)}, bytes(4), "dtype 'F16'"),
        ({"a": FOUR, "__metadata__": {"x": "y"}}, bytes(4), "metadata"),
        ({"a\n": FOUR}, bytes(4), "tensor name 'a\\n': use up to 128 visible ASCII"),
        ({"é": FOUR}, bytes(4), "visible ASCII"),
        ({"": FOUR}, bytes(4), "visible ASCII"),
        ({"a" * 129: FOUR}, bytes(4), "up to 128"),
        ({"a": FOUR | {"more": 1}}, bytes(4), "data_offsets alone"),
        ({"a": {}}, b"", "data_offsets alone"),
        ({"a": 3}, b"", "data_offsets alone"),
        ({"a": entry("F32", [2], 0, 4)}, bytes(4), "does not take 4 B"),
        ({"a": entry("F32", [-1], 0, 4)}, bytes(4), "whole numbers"),
        ({"a": entry("F32", [True], 0, 4)}, bytes(4), "whole numbers"),
        ({"a": entry("F32", [1.0], 0, 4)}, bytes(4), "whole numbers"),
        ({"a": entry("F32", [1] * 9, 0, 4)}, bytes(4), "at most 8 whole numbers"),
        ({"a": entry("F32", [1 << 60], 0, 4)}, bytes(4), "whole numbers"),
        ({"a": FOUR | {"data_offsets": [0, 4, 4]}}, bytes(4), "two whole numbers"),
        ({"a": FOUR | {"data_offsets": [0]}}, bytes(4), "two whole numbers"),
        ({"a": FOUR, "b": entry("F32", [1], 2, 6)}, bytes(6), "at a multiple"),
        ({"a": FOUR, "b": FOUR}, bytes(4), "where the one before it ends"),
        ({"a": FOUR, "b": entry("F32", [1], 8, 12)}, bytes(12), "where the one before it ends"),
        ({"a": entry("F32", [1], 4, 8)}, bytes(8), "where the one before it ends"),
        ({"a": entry("U8", [3], 0, 3), "b": entry("F32", [1], 3, 7)}, bytes(7), "at a multiple"),
        ({"a": FOUR}, bytes(5), "do not fill the file"),
        ({"a": FOUR}, bytes(3), "do not fill the file"),
        ({f"t{n}": FOUR for n in range(MOST_TENSORS + 1)}, b"", "1025 tensors"),
    ],
)
def test_headers_that_do_not_pass(tmp_path: Path, header: dict[str, Any], body: bytes, told: str):
    """Each fault of a header is told in words one can act on, by both steps alike."""
    form, content = faults(tmp_path, artefact(header, body))
    assert told in form
    assert form == content


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no complete artefact"),
        (b"1234567", "no complete artefact"),
        (b"\xff" * 64, "longer than"),
        ((HEADER_BYTES + 1).to_bytes(8, "little") + b"{}" * HEADER_BYTES, "longer than"),
        ((100).to_bytes(8, "little") + b"{}", "ends within its header"),
        (artefact(b"[]"), "not the JSON of safetensors"),
        (artefact(b'{"a":'), "not the JSON of safetensors"),
        (artefact(b"\xff\xfe"), "not the JSON of safetensors"),
        (artefact(b'{"a":' + b"[" * 100_000), "not the JSON of safetensors"),
        (artefact(b'{"a":' + b"9" * 100_000 + b"}"), "not the JSON of safetensors"),
        (artefact(b'{"a":NaN}'), "holds NaN"),
        (
            artefact(b'{"a":%(x)s,"a":%(x)s}' % {b"x": json.dumps(FOUR).encode()}, bytes(4)),
            "same name twice",
        ),
    ],
    ids=range(12),
)
def test_bytes_that_are_no_header(tmp_path: Path, content: bytes, told: str):
    """Lengths, JSON and doubled names are refused before anything is allocated for them."""
    assert told in faults(tmp_path, content)[0]


@pytest.mark.parametrize(
    ("dtype", "values", "told"),
    [
        ("F32", struct.pack("<3f", 0, float("nan"), 1), "not finite"),
        ("F32", struct.pack("<3f", 0, 1, float("-inf")), "not finite"),
        ("F32", struct.pack("<3I", 0, 0xFFFF_FFFF, 0), "not finite"),
        ("BF16", b"\x00\x00\x80\x7f", "not finite"),
        ("BF16", b"\xc1\xff\x00\x00", "not finite"),
        ("I64", struct.pack("<2q", 0, 2**31 + 1), "beyond +-2**31"),
        ("I64", struct.pack("<2q", -(2**63), 0), "beyond +-2**31"),
        ("BOOL", b"\x01\x02", "other than 0 and 1"),
        ("F32", bytes(4 << 20) + struct.pack("<f", float("inf")), "not finite"),
    ],
    ids=["nan", "inf", "payload", "half inf", "half nan", "above", "below", "truth", "late"],
)
def test_values_that_do_not_pass(tmp_path: Path, dtype: str, values: bytes, told: str):
    """Infinities, NaN with any payload, huge integers and odd truth values are found anywhere."""
    width = {"F32": 4, "BF16": 2, "I64": 8, "BOOL": 1}[dtype]
    form, content = faults(tmp_path, lone(dtype, values, [len(values) // width]))
    assert form == ""
    assert told in content
    assert "tensor 'a'" in content
