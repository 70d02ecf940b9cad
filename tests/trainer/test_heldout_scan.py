"""Everything a train-phase sandbox can read, files and memory, is searched for held-out text.

What counts: 48 bytes of a held-out file that is scored, of which neither the first nor the last 24
occur in the training text, and which are no part of a licence. Two authors may write the same line
of Python: in other packages' sources a run of up to 63 such bytes is taken for that (16 windows of
a file); anywhere else, in compiled code, data and memory, there may be none.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sysconfig
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import heldout_windows
import numpy as np
import pytest
import pytest_asyncio
from heldout_windows import PART, STEP, WINDOW, at_every_byte, counted, covered

from scoring.grader import Division
from trainer.experiment import Budget, Job
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor
from trainer.sandbox.probe import probe

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(900),  # a gigabyte is read; 20 s of processor time
    pytest.mark.skipif(not probe().allows("full"), reason="needs user namespaces"),
]

STDLIB = Path(sysconfig.get_path("stdlib"))
GRADE = Path(__file__).parents[2] / "scenarios" / "tasks" / "nanolm" / "locked" / "grade.py"
AN_IDIOM = 16
"""Windows of one Python file that may be chance: together 63 bytes."""

SCANNING = r"""
import json, os, stat
import numpy as np
from torch import nn
from heldout_windows import CHUNK, STEP, WINDOW, Table

table = Table(np.load("/data/table.npy"))
planted = open("planted.txt", "rb").read()  # so that it lies in memory, for control
hits, unread, sizes, executed = [], [], {}, []

def look(name, content, start):
    for at in table.find(content):
        around = content[max(0, at - STEP) : at + WINDOW]
        hits.append([name, start + at, around.hex()])

def scan_memory():
    for line in open("/proc/self/maps"):
        span, rights, *_, name = (line.rstrip("\n") + " ").split(" ", 5)
        begin, end = (int(part, 16) for part in span.split("-"))
        if rights[0] != "r" or name.strip() in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
            continue
        for start in range(begin, end, CHUNK):
            look("memory " + name.strip(), os.pread(memory, min(CHUNK + 64, end - start), start), 0)
        sizes["memory"] = sizes.get("memory", 0) + end - begin

def scan_file(path):
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        unread.append([path, repr(error)])
        return
    sizes[path] = len(content)
    for start in range(0, len(content), CHUNK):
        look(path, content[start : start + CHUNK + 64], start)

def run(path):
    try:
        os.execv(path, [path])
    except OSError as error:
        return type(error).__name__

def build_model():
    return nn.Linear(1, 1)

def train(model, job):
    global memory
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    scan_memory()  # first: it is to hold nothing of the files
    for folder, names, files in os.walk("/"):
        if folder == "/":
            names.remove("proc")
        for name in files:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode):
                scan_file(path)
                if mode & 0o111:
                    executed.append([path, run(path)])
    mounts = [line.split() for line in open("/proc/self/mountinfo")]
    print(json.dumps({"hits": hits, "unread": unread, "sizes": sizes, "executed": executed,
                      "mounts": [(words[4], words[5]) for words in mounts]}))
"""


@dataclass(frozen=True)
class Scan:
    """What one candidate saw, and what is to be compared with it."""

    division: Division
    windows: frozenset[bytes]
    """All that count."""
    planted: bytes
    job: Job
    seen: dict[str, Any]

    def found(self) -> dict[str, set[bytes]]:
        """The windows that are really there, by file (or part of memory)."""
        found: dict[str, set[bytes]] = defaultdict(set)
        for name, _, text in self.seen["hits"]:
            around = bytes.fromhex(text)
            windows = {around[at : at + WINDOW] for at in range(len(around) - WINDOW + 1)}
            if there := windows & self.windows:
                found[name] |= there
        return found


def _divide() -> Division:
    """The real corpus of nanolm."""
    spec = importlib.util.spec_from_file_location("nanolm_grade", GRADE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    division: Division = module.prepare(STDLIB)
    return division


def _tabulate(division: Division) -> tuple[frozenset[bytes], heldout_windows.Fingerprints]:
    """The windows that count, and the fingerprints that a scan may meet in them."""
    public = np.sort(at_every_byte(division.train, PART // STEP))
    windows: set[bytes] = set()
    parts = []
    for files in division.heldout.values():
        for text in files.values():
            if len(text) >= WINDOW:
                counts = counted(text, public)
                parts.append(covered(text, counts))
                windows.update(text[at : at + WINDOW] for at in np.flatnonzero(counts))
    return frozenset(windows), np.unique(np.concatenate(parts))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scan(tmp_path_factory: pytest.TempPathFactory, lease: Lease) -> Scan:
    """Run the searching candidate once, with the real hidden list and the real training text."""
    folder = tmp_path_factory.mktemp("scan")
    division = _divide()
    windows, table = _tabulate(division)
    for name in ("tree", "data"):
        (folder / name).mkdir()
    text = max(division.heldout["dev"].values(), key=len)
    planted = next(
        text[at : at + 2 * WINDOW]
        for at in range(0, len(text), WINDOW)
        if text[at : at + WINDOW] in windows and text[at + WINDOW : at + 2 * WINDOW] in windows
    )
    (folder / "data" / "train.bin").write_bytes(division.train)
    np.save(folder / "data" / "table.npy", table)
    (folder / "tree" / "train.py").write_text(SCANNING)
    (folder / "tree" / "planted.txt").write_bytes(planted)
    shutil.copy(heldout_windows.__file__, folder / "tree")
    for path in (folder / "data" / "train.bin", folder / "tree" / "planted.txt"):
        os.utime(path, ns=(0, path.stat().st_mtime_ns))  # so old that any reading would renew it
    job = Job(
        "e1", 1, folder / "tree", folder / "data", folder / "job", 1, Budget("cpu_seconds", 250)
    )
    async with LocalExecutor(hidden=division.corpus.hidden) as executor:
        result = await executor.train(replace(job, log_bytes=64 << 20), lease)
    log = (job.folder / "log.txt").read_text()
    assert result.outcome == "ok", (result.detail, log[-500:])
    return Scan(division, windows, planted, job, json.loads(log))


async def test_the_scan_finds_what_was_planted(scan: Scan):
    """Two held-out windows in the workspace, and so in memory, are both found."""
    wanted = {scan.planted[:WINDOW], scan.planted[WINDOW:]}
    found = scan.found()
    assert found.get("/workspace/planted.txt", set()) >= wanted
    in_memory = set().union(*(there for name, there in found.items() if name.startswith("memory")))
    assert in_memory >= wanted


async def test_everything_was_searched(scan: Scan):
    """No file resisted reading, and torch, the training text and the memory were among them."""
    sizes = scan.seen["sizes"]
    assert scan.seen["unread"] == []
    assert sizes["/data/train.bin"] == len(scan.division.train)
    assert any(path.endswith("/libtorch_cpu.so") for path in sizes)
    assert sizes["memory"] > 200 << 20
    assert len(scan.windows) > 300_000


async def test_no_held_out_text_can_be_read(scan: Scan):
    """Not in the standard library, torch, other packages, the data or what the fork left behind."""
    licences = _licences()
    leaks = {}
    for name, windows in scan.found().items():
        left = {
            window
            for window in windows
            if window not in scan.planted and _plain(window).strip() not in licences
        }
        if len(left) > (AN_IDIOM if name.endswith((".py", ".pyi")) else 0):
            leaks[name] = sorted(left)[:3]
    assert leaks == {}


def _plain(text: bytes) -> bytes:
    """`text` without what comments and line ends do to it."""
    return re.sub(rb"[\s#*/]+", b" ", text)


def _licences() -> bytes:
    """All licence texts that are installed here."""
    site = Path(sysconfig.get_path("purelib"))
    paths = [path for path in site.rglob("*LICEN[CS]E*") if path.is_file()]
    return b"\n".join(_plain(path.read_bytes()) for path in sorted(paths))


async def test_no_installer_no_tests_no_interpreter(scan: Scan):
    """Installers, the standard library's tests and caches, any python: absent."""
    paths = [Path(path) for path in scan.seen["sizes"] if path != "memory"]
    site = Path(sysconfig.get_path("purelib"))
    tops = {path.relative_to(site).parts[0] for path in paths if path.is_relative_to(site)}
    assert not tops & {"pip", "setuptools", "pkg_resources", "wheel", "_distutils_hack"}
    assert {"torch", "numpy"} <= tops
    library = [
        path.relative_to(STDLIB)
        for path in paths
        if path.is_relative_to(STDLIB) and not path.is_relative_to(site)
    ]
    assert len(library) > 300
    unwanted = {"test", "tests", "ensurepip", "pydoc_data", "__pycache__", "distutils", "venv"}
    assert [path for path in library if unwanted & set(path.parts)] == []
    assert [
        path for path in paths if re.fullmatch(r"(python|pypy|perl|sh|bash)[\d.]*", path.name)
    ] == []


async def test_nothing_can_be_executed(scan: Scan):
    """Every file with an executable bit was tried."""
    assert {answer for _, answer in scan.seen["executed"]} <= {"PermissionError"}
    assert scan.seen["executed"]


async def test_mounts_are_read_only_and_reading_leaves_no_time_stamp(scan: Scan):
    """All but scratch, devices and /proc; and a file that was read keeps its time of access."""
    writable = {path for path, options in scan.seen["mounts"] if "ro" not in options.split(",")}
    assert writable <= {"/tmp", "/dev/shm", "/proc", "/dev/null", "/dev/urandom"}
    assert {path for path, _ in scan.seen["mounts"]} >= {"/", "/data", "/workspace"}
    for path in (scan.job.data / "train.bin", scan.job.workspace / "planted.txt"):
        assert path.stat().st_atime_ns == 0, path
