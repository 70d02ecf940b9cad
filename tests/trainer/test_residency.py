"""All that sandboxes may read is in memory before a program runs that has something to tell."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

import networkx
import pytest

from trainer.executor import Program
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor
from trainer.residency import read_through

PAGE = mmap.PAGESIZE


def resident(path: Path) -> int:
    """How many pages of a file the kernel holds."""
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("r+b" if os.access(path, os.W_OK) else "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        with mmap.mmap(stream.fileno(), size, mmap.MAP_PRIVATE) as held:
            pages = (ctypes.c_ubyte * (-(-size // PAGE)))()
            view = (ctypes.c_char * size).from_buffer(held)
            place = ctypes.c_void_p(ctypes.addressof(view))
            assert libc.mincore(place, ctypes.c_size_t(size), pages) == 0
            del view
    return sum(page & 1 for page in pages)


def evict(path: Path) -> None:
    """Ask the kernel to forget a file."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def test_everything_is_read_once(tmp_path: Path) -> None:
    """Files in folders and files given by name; what is no file, or gone, is left out."""
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "one").write_bytes(b"1" * 3_000_000)
    (tmp_path / "two").write_bytes(b"2" * 10)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    given = [str(tmp_path / name) for name in ("below", "two", "pipe", "link", "gone")]
    assert read_through(given) == 3_000_010
    assert read_through(given, lambda: True) == 0


@pytest.mark.asyncio(loop_scope="session")
async def test_a_cold_file_is_warm_before_a_program_runs(tmp_path: Path, lease: Lease) -> None:
    """A file of the visible code that the kernel has dropped is read before the program is."""
    cold = Path(networkx.__file__).parent / "algorithms" / "planarity.py"
    evict(cold)
    if resident(cold):
        pytest.skip("this kernel does not drop pages when asked")
    (tmp_path / "tree").mkdir()
    (tmp_path / "program.py").write_text("def main(arguments, descriptors):\n    pass\n")
    async with LocalExecutor() as executor:
        program = Program(tmp_path / "program.py", tmp_path / "tree")
        async with executor.serve(program, lease):
            size = cold.stat().st_size
            assert resident(cold) == -(-size // PAGE)
