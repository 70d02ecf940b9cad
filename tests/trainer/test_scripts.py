"""Scripts: what a user's own command may do in its sandbox, and what its output comes to."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from trainer.devices import find_slots
from trainer.errors import ExecutorError
from trainer.experiment import Budget, Job, TrainResult
from trainer.gpu_pool import GpuPool
from trainer.script import script_executor
from trainer.script.final_block import Block, BlockReader
from trainer.script.script_executor import ScriptExecutor
from trainer.script_table import DataTable, ScriptTable

BLOCK = """---
val_bpb:          0.997900
training_seconds: 300.1
peak_vram_mb:     45060.2
num_steps:        953
"""


def read(text: str | bytes, **options) -> Block:
    """Read `text` as a script's output, in small pieces."""
    reader = BlockReader("val_bpb:", **options)
    data = text.encode() if isinstance(text, str) else text
    for at in range(0, len(data), 7):  # pieces as a pipe may cut them
        reader.feed(data[at : at + 7])
    return reader.close()


def test_a_final_block_is_read():
    """Its number counts, its other numbers are kept; progress before it is not."""
    block = read("step 1 loss 9\rstep 2 loss 8\r\n" + BLOCK)
    assert block.value == 0.9979
    assert block.numbers == {
        "val_bpb": 0.9979,
        "training_seconds": 300.1,
        "peak_vram_mb": 45060.2,
        "num_steps": 953,
    }


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "it printed no line `val_bpb: NUMBER`"),
        ("the val_bpb: 0.9 within a line\n", "it printed no line `val_bpb: NUMBER`"),
        (BLOCK + BLOCK.replace("0.997900", "0.1"), "more than once: 0.997900 and 0.1"),
        ("val_bpb: nan\n", "`val_bpb: nan` is no finite number"),
        ("val_bpb: -inf\n", "no finite number"),
        ("val_bpb: 1e999\n", "no finite number"),
        ("val_bpb: 0x10\n", "no finite number"),
        ("val_bpb: 1_0\n", "no finite number"),
        ("val_bpb:\n", "`val_bpb: nothing` is no finite number"),
        ("val_bpb: \x1b[31m0.5\n", "no finite number"),
        (f"val_bpb: {'9' * 400}\n", "no finite number"),
        (f"{' ' * 600}val_bpb: 0.5\n", "it printed no line"),
    ],
)
def test_what_is_no_final_block_is_refused(text: str, fault: str):
    """Missing, differing, not finite, hidden: nothing counts, and it says why."""
    block = read(text)
    assert block.value is None
    assert fault in block.fault


def test_a_number_printed_again_is_one_number_and_the_last_may_be_asked_for():
    """Scripts that report as they go are read as their task says."""
    assert read(BLOCK + BLOCK).value == 0.9979
    assert read("val_bpb: 3\nval_bpb: 2\n", reports="last").value == 2
    assert read("epoch 1 | val_bpb: 2.5, lr 0.1\n", anywhere=True).value == 2.5


def test_numbers_beside_the_score_are_bounded_and_of_the_last_block():
    """Nobody fills the ledger by printing."""
    lines = "".join(f"key_{n}: {n}\n" for n in range(500))
    assert len(read("val_bpb: 1\n" + lines).numbers) == 64
    assert "early" not in read("early: 1\n---\nval_bpb: 1\n").numbers


class Bench:
    """Runs texts as train.py on one slot."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pool = GpuPool(find_slots(1, device="cpu"))
        self.runs = 0

    async def run(self, text: str, amount: float = 20, **table) -> TrainResult:
        """Run `text` once, on a tree of its own."""
        self.runs += 1
        tree = self.folder / f"tree-{self.runs}"
        tree.mkdir()
        (tree / "train.py").write_text(text)
        chosen = {"command": ["python", "train.py"], "python": sys.executable, **table}
        job = Job(
            "e1", 1, tree, self.folder, self.job, 11, Budget("device_seconds", amount),
            takes_slow=True, memory_bytes=256 << 20,
        )  # fmt: skip
        executor = ScriptExecutor(ScriptTable(**chosen), "val_bpb")
        async with executor, self.pool.lease() as lease:
            return await executor.train(job, lease)

    @property
    def job(self) -> Path:
        """Folder of the newest run."""
        return self.folder / f"job-{self.runs}"

    @property
    def log(self) -> str:
        """What it printed."""
        return (self.job / "log.txt").read_text()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give a bench in a folder of its own."""
    return Bench(tmp_path)


LOOK = """
import ctypes, json, os, socket, subprocess
found = {"env": dict(os.environ), "here": sorted(os.listdir(".")), "pid": os.getpid()}
open("written.txt", "w").write("beside the tree")
os.mkdir("deep"); open("deep/more.txt", "w").write("x")
child = subprocess.run(["/bin/sh", "-c", "echo a child"], capture_output=True)
found["child"] = child.stdout.decode()
for name, path in json.load(open("/data/paths.json")).items():
    try:
        found[name] = sorted(os.listdir(path)) if os.path.isdir(path) else open(path).read()
    except OSError as error:
        found[name] = error.strerror
for name, act in {
    "network": lambda: socket.socket(socket.AF_INET),
    "data": lambda: open("/data/new", "w"),
    "home_data": lambda: open(os.path.expanduser("~/.cache/set/a.txt"), "a"),
    "code": lambda: open(os.path.join(os.path.dirname(os.__file__), "new.py"), "w"),
}.items():
    try:
        act()
        found[name] = "done"
    except OSError as error:
        found[name] = error.strerror
libc = ctypes.CDLL(None, use_errno=True)
found["unshare"] = [libc.unshare(0x10000000), ctypes.get_errno()]
found["read"] = open(os.path.expanduser("~/.cache/set/a.txt")).read()
print(json.dumps(found))
print("val_bpb: 1.5")
"""


async def test_a_script_sees_its_tree_its_data_and_nothing_else(bench: Bench, monkeypatch):
    """It may write beside its files and start programs; nothing of that stays."""
    monkeypatch.setenv("SECRET_OF_OURS", "x")
    outer, cache = bench.folder / "outer", bench.folder / "cache"
    for folder in (outer, cache):
        folder.mkdir()
    (cache / "a.txt").write_text("shards")
    hidden = {"run": str(bench.folder), "cache": str(cache), "ours": __file__}
    (outer / "paths.json").write_text(json.dumps(hidden))
    result = await bench.run(
        LOOK,
        data=[
            DataTable(source=str(outer), target="/data"),
            DataTable(source=str(cache), target="~/.cache/set"),
        ],
        environment={"MINE": "yes"},
    )
    assert result.outcome == "ok", bench.log
    found = json.loads(bench.log.splitlines()[0])
    assert found["here"] == ["train.py"]
    assert found["child"] == "a child\n"
    assert found["read"] == "shards"
    assert found["pid"] == 1
    assert found["env"]["COMMUNITY_SEED"] == "11"
    assert (found["env"]["MINE"], found["env"]["CUDA_VISIBLE_DEVICES"]) == ("yes", "")
    assert "SECRET_OF_OURS" not in found["env"]
    for name in ("run", "cache", "ours"):
        assert found[name] == "No such file or directory", name
    assert found["network"] == "Address family not supported by protocol"
    for name in ("data", "home_data", "code"):
        assert found[name] == "Read-only file system", name
    assert found["unshare"] == [-1, 1]
    assert sorted(path.name for path in (bench.folder / "tree-1").iterdir()) == ["train.py"]
    assert (cache / "a.txt").read_text() == "shards"


NAMING = """
import os
def tried(path):
    try:
        with open(path, "w") as file:
            file.write("name")
    except OSError as error:
        return type(error).__name__
    return "done"
print("names", tried(f"/proc/self/task/{os.getpid()}/comm"), os.path.exists("/proc/sys"))
print("val_bpb: 1")
"""


async def test_beside_a_card_a_script_names_its_threads_in_a_proc_of_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    """As the driver does, or gives up; nothing of the machine is there to be written."""
    assert (await bench.run(NAMING)).outcome == "ok"
    assert "names done" not in (bench.job / "log.txt").read_text()
    monkeypatch.setattr(script_executor, "device_nodes", lambda index, uuid: ("/dev/full",))
    slot = replace(find_slots(1, device="cpu")[0], cuda_index=0, cuda_uuid="GPU-0")
    bench.pool = GpuPool([slot])
    assert (await bench.run(NAMING)).outcome == "ok"
    assert "names done False" in (bench.job / "log.txt").read_text()


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("print('val_bpb: 1')\nraise SystemExit(3)", "crash", "exit code 3; val_bpb: 1"),
        ("import nowhere", "crash", "No module named 'nowhere'"),
        ("print('done')", "report", "no line `val_bpb: NUMBER`; its last line: done"),
        ("print('val_bpb: nan')", "report", "no finite number"),
        ("import time\nprint('val_bpb: 1')\ntime.sleep(60)", "limit", "not over after 1 seconds"),
        ("x = bytearray(400 << 20)", "crash", "MemoryError"),
    ],
)
async def test_how_scripts_fail(bench: Bench, text: str, reason: str, detail: str):
    """Each way of failing has its word, and a line that helps."""
    result = await bench.run(text, amount=1 if reason == "limit" else 20)
    assert (result.outcome, result.reason) == ("invalid", reason)
    assert detail in result.detail
    assert result.artefact is None


MANY = """
import os, time
for n in range(4):
    if os.fork() == 0:
        held = bytearray(120 << 20)
        for at in range(0, len(held), 4096):
            held[at] = 1
        time.sleep(60)
time.sleep(60)
"""


async def test_what_all_its_processes_hold_together_is_bounded(bench: Bench):
    """Memory is counted over all that it starts."""
    result = await bench.run(MANY)
    assert (result.outcome, result.reason) == ("invalid", "memory")


async def test_whatever_it_started_ends_with_it(bench: Bench):
    """A script leaves nothing behind."""
    mark = f"left-over-{os.getpid()}"
    text = f"""
import subprocess
subprocess.Popen(["/bin/sh", "-c", "sleep 600 # {mark}"], start_new_session=True)
print("val_bpb: 2")
"""
    assert (await bench.run(text)).outcome == "ok"
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _holds(path, mark)]
    assert left == []


def _holds(path: Path, text: str) -> bool:
    try:
        return text.encode() in path.read_bytes()
    except OSError:
        return False


async def test_of_a_long_output_both_ends_are_kept_and_an_endless_one_is_ended(bench: Bench):
    """A log is bounded, and its end is what is read."""
    long = "print('first')\nfor n in range(40_000): print('x' * 60)\nprint('val_bpb: 3')"
    assert (await bench.run(long)).outcome == "ok"
    assert bench.log.startswith("first\n")
    assert bench.log.endswith("val_bpb: 3\n")
    assert "bytes are left out here" in bench.log
    assert len(bench.log) < (1 << 20) + (1 << 17)
    result = await bench.run("while True: print('y' * 100_000)")
    assert (result.outcome, result.reason) == ("invalid", "report")


async def test_cancelling_an_attempt_ends_it(bench: Bench):
    """So does Ctrl-C."""
    running = asyncio.create_task(
        bench.run("import time\nprint('on', flush=True)\ntime.sleep(600)")
    )
    while not (bench.job / "log.txt").exists() or "on" not in bench.log:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not any(_holds(path, "train.py") for path in _children())


def _children() -> list[Path]:
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [Path(f"/proc/{pid}/cmdline") for pid in listed]


async def test_a_budget_that_is_no_time_of_a_device_is_refused(bench: Bench):
    """A script is charged by the wall."""
    job = Job("e", 1, bench.folder, bench.folder, bench.folder, 1, Budget("steps", 3))
    executor = ScriptExecutor(ScriptTable(command=["python"]), "m")
    async with executor, bench.pool.lease() as lease:
        with pytest.raises(ExecutorError, match="device_seconds"):
            await executor.train(job, lease)
