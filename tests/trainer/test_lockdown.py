"""Programs that lock themselves in: what works from there on, and who does not get that far."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from trainer.executor import Lockdown, Program, RunningProgram
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor
from trainer.sandbox.probe import probe

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not probe().locks_down, reason="this kernel gives no seccomp listener"),
]

TRYING = """
import ctypes, errno, json, mmap, os, threading

libc = ctypes.CDLL(None, use_errno=True)
held = open("candidate.py", "rb")
scratch = os.open("candidate.py", os.O_RDONLY)
attempts = {
    "open": lambda: os.open("candidate.py", os.O_RDONLY),
    "stat": lambda: os.stat("candidate.py"),
    "list": lambda: os.listdir("."),
    "getcwd": os.getcwd,
    "dup": lambda: os.dup(0),
    "dup2": lambda: os.dup2(0, 9),
    "fcntl": lambda: __import__("fcntl").fcntl(PIPES[0], 1),
    "pread": lambda: os.pread(scratch, 1, 0),
    "map_file": lambda: mmap.mmap(scratch, 0, prot=mmap.PROT_READ),
    "map_shared": lambda: mmap.mmap(-1, 4096),
    "fork": os.fork,
    "thread": lambda: threading.Thread(target=print).start(),
    "import": lambda: __import__("zipapp"),
    "sleep": lambda: __import__("time").sleep(0.001),
    "kill": lambda: os.kill(os.getpid(), 9),
    "page_out": lambda: libc.madvise(libc_page, 4096, 21) == 0 or 1 / 0,
    "send": lambda: libc.sendmsg(LINK, None, 0) == 0 or 1 / 0,
}
libc_page = ctypes.cast(libc.getpid, ctypes.c_void_p).value & ~4095
PIPES, LINK = (), 0

def attempt(act):
    try:
        act()
    except BaseException as error:
        return type(error).__name__
    return "done"

def try_all():
    return {name: attempt(act) for name, act in attempts.items()}

def main(arguments, descriptors, lock):
    global PIPES, LINK
    PIPES, LINK = descriptors[1:], lock.__self__._link.fileno()
    found, go = {}, threading.Lock()
    go.acquire()
    done = threading.Lock()
    done.acquire()
    def beside():
        go.acquire()
        found["thread"] = try_all()
        done.release()
    threading.Thread(target=beside).start()
    lock()
    os.read(descriptors[1], 1)
    print("nobody reads this", flush=True)
    found["main"] = try_all()
    go.release()
    done.acquire()
    os.write(descriptors[2], json.dumps(found).encode())
    os.read(descriptors[1], 1)
"""
LOADING = """
import json, os, threading
def main(arguments, descriptors, lock):
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    import zipapp, candidate
    links = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if int(n) > 2
             and os.path.exists(f"/proc/self/fd/{n}")]
    lock()
    os.read(descriptors[1], 1)
    os.write(descriptors[2], json.dumps([candidate.VALUE, links]).encode())
    os.read(descriptors[1], 1)
"""


@dataclass
class Served:
    """A running program and our ends of its pipes."""

    running: RunningProgram
    asking: int
    answers: int

    async def ask(self) -> object:
        """Send one byte and read what comes back."""
        os.write(self.asking, b"?")
        async with asyncio.timeout(10):
            return json.loads(await asyncio.to_thread(os.read, self.answers, 1 << 16))


Serve = Callable[..., Awaitable[Served]]


@pytest_asyncio.fixture(loop_scope="session")
async def serve(executor: LocalExecutor, lease: Lease, tmp_path: Path) -> AsyncIterator[Serve]:
    """Serve a program's text that gets a file and two pipes, of which the pipes stay."""
    workspace = tmp_path / "tree"
    workspace.mkdir()
    (workspace / "candidate.py").write_text("VALUE = 42\n")
    async with AsyncExitStack() as stack:

        async def start(
            source: str, on: LocalExecutor = executor, cpu_s: float = 5.0, wall_s: float = 20.0
        ) -> Served:
            path = tmp_path / "program.py"
            path.write_text(source)
            theirs, asking = os.pipe()
            answers, replies = os.pipe()
            file = os.open(path, os.O_RDONLY)
            for descriptor in (asking, answers):
                stack.callback(os.close, descriptor)
            program = Program(
                path,
                workspace,
                descriptors=(file, theirs, replies),
                lockdown=Lockdown((1, 2), cpu_s, wall_s),
            )
            running = await stack.enter_async_context(on.serve(program, lease))
            return Served(running, asking, answers)

        yield start


async def until_dead(running: RunningProgram) -> None:
    """Wait until it has ended."""
    async with asyncio.timeout(20):
        await running.ended()


async def test_locked_program_can_only_read_write_and_compute(serve: Serve):
    """Whatever it tries fails, in its first thread and in one that it started before."""
    served = await serve(TRYING)
    assert await served.running.locked()
    found = await served.ask()
    failures = {"OSError", "PermissionError", "ModuleNotFoundError", "RuntimeError"}
    for answers in found.values():
        wrong = {name: answer for name, answer in answers.items() if answer not in failures}
        assert wrong == {"page_out": "ZeroDivisionError", "send": "ZeroDivisionError"}
    assert set(found) == {"main", "thread"}
    assert served.running.is_alive()


async def test_loading_is_free_until_then(serve: Serve):
    """Threads, imports and files work; what would undo the lock is nowhere in its descriptors."""
    served = await serve(LOADING)
    assert await served.running.locked()
    value, links = await served.ask()
    assert value == 42
    kinds = sorted(link.partition(":")[0] for link in links)
    assert kinds[1:] == ["pipe", "pipe", "socket"]
    assert kinds[0].endswith("program.py")


HOSTILE = {
    "keeps_a_file": "keep = os.open('candidate.py', 0); keep = os.dup2(keep, 40)",
    "keeps_a_copy": "keep = os.dup(descriptors[1])",
    "keeps_the_artefact": "keep = None",
    "closes_a_pipe": "os.close(descriptors[2]); os.close(descriptors[0]); os.closerange(0, 3)",
    "swaps_the_pipes": (
        "os.closerange(own + 1, 256); r, w = descriptors[1:]; os.dup2(r, 50); os.dup2(w, r);"
        " os.dup2(50, w); os.closerange(50, 51); os.close(descriptors[0]); os.closerange(0, 3)"
    ),
    "reopens_for_writing": (
        "new = os.open(f'/proc/self/fd/{descriptors[1]}', os.O_RDWR);"
        " os.dup2(new, descriptors[1]); os.close(new); os.close(descriptors[0]);"
        " os.closerange(0, 3)"
    ),
    "sends_a_byte": "lock.__self__._link.sendmsg([b'x']); import time; time.sleep(60)",
}


@pytest.mark.parametrize("how", HOSTILE.values(), ids=HOSTILE)
async def test_program_that_holds_other_descriptors_is_ended(serve: Serve, how: str):
    """Signalling while anything but the two pipes is open, as they were, ends it: protocol."""
    source = (
        "import os\n"
        "def main(arguments, descriptors, lock):\n"
        "    own = lock.__self__._link.fileno()\n"
        f"    {how}\n"
        "    os.close(own)\n"
        "    os.read(descriptors[1], 1)\n"
    )
    served = await serve(source)
    assert not await served.running.locked()
    await until_dead(served.running)
    assert served.running.overuse() == "protocol"
    assert not served.running.is_lost()


async def test_patched_functions_of_ours_do_not_help(serve: Serve):
    """Closing that closes nothing is seen from outside."""
    source = (
        "import os\n"
        "def main(arguments, descriptors, lock):\n"
        "    os.closerange = lambda low, high: None\n"
        "    lock()\n"
        "    os.read(descriptors[1], 1)\n"
    )
    served = await serve(source)
    assert not await served.running.locked()
    await until_dead(served.running)
    assert served.running.overuse() == "protocol"


@pytest.mark.parametrize(
    ("body", "limits", "overuse"),
    [
        ("while True: pass", {"cpu_s": 0.3}, "limit"),
        ("while True: os.stat('.')", {"cpu_s": 0.3}, "limit"),
        ("time.sleep(60)", {"wall_s": 0.3}, "limit"),
        (
            "own = lock.__self__._link; os.dup(own.fileno()); own.close(); time.sleep(60)",
            {"wall_s": 0.3},
            "limit",
        ),
        ("raise ValueError", {}, None),
        ("return", {}, None),
    ],
    ids=["spins", "asks the keeper", "sleeps", "holds the link", "raises", "returns"],
)
async def test_program_that_never_locks_is_bounded(
    serve: Serve, body: str, limits: dict[str, float], overuse: str | None
):
    """Loading has its own limits of processor and wall time."""
    source = f"import os, time\ndef main(arguments, descriptors, lock):\n    {body}\n"
    served = await serve(source, **limits)
    assert not await served.running.locked()
    await until_dead(served.running)
    assert served.running.overuse() == overuse


async def test_thread_with_descriptors_of_its_own_is_refused(serve: Serve):
    """Nobody could count what such a thread holds."""
    source = (
        "import ctypes, json, os, platform\n"
        "def main(arguments, descriptors, lock):\n"
        "    number = {'x86_64': 56, 'aarch64': 220}[platform.machine()]\n"
        "    libc = ctypes.CDLL(None, use_errno=True)\n"
        "    answer = libc.syscall(number, 0x10900, None, None, None, None)\n"
        "    os.write(descriptors[2], json.dumps([answer, ctypes.get_errno()]).encode())\n"
        "    os.read(descriptors[1], 1)\n"
    )
    served = await serve(source)
    assert await served.ask() == [-1, 1]


async def test_lockdown_left_out_locks_nothing(serve: Serve):
    """For the attack suite: the program goes on as before, under isolation none."""
    source = (
        "import json, os\n"
        "def main(arguments, descriptors, lock):\n"
        "    lock()\n"
        "    os.read(descriptors[1], 1)\n"
        "    text = open('candidate.py').read()\n"
        "    os.write(descriptors[2], json.dumps(text).encode())\n"
        "    os.read(descriptors[1], 1)\n"
    )
    async with LocalExecutor(without=("lockdown",)) as executor:
        served = await serve(source, on=executor)
        assert await served.running.locked()
        assert await served.ask() == "VALUE = 42\n"
        assert served.running.isolation == "none"
