"""What candidate code can see and do: each test tries something and expects the wall."""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from trainer_trials import HIDDEN, HONEST, NOTHING, SECRET, RunTrial

from trainer.errors import ExecutorError, SandboxUnavailableError
from trainer.experiment import Budget, Job
from trainer.local_executor import LocalExecutor
from trainer.sandbox import probe as probing
from trainer.sandbox.kernel import machine
from trainer.sandbox.probe import SandboxReport, probe
from trainer.sandbox.view import visible_code

pytestmark = pytest.mark.asyncio(loop_scope="session")

FUTEX = {"x86_64": 202, "aarch64": 98}[machine()]
STDLIB = Path(sysconfig.get_path("stdlib"))

PREFACE = """
def attempt(act):
    try:
        return repr(act())
    except BaseException as error:
        return type(error).__name__
"""


def exploring(expressions: dict[str, str]) -> str:
    """A candidate that prints what became of each expression, as one JSON line."""
    pairs = ", ".join(f"{name!r}: attempt(lambda: ({text}))" for name, text in expressions.items())
    return NOTHING.replace("    pass\n", f"    print(json.dumps({{{pairs}}}))\n") + PREFACE


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def partial_executor() -> AsyncIterator[LocalExecutor | None]:
    """An executor held to Landlock and seccomp, as where user namespaces are refused."""
    if not probe().allows("partial"):
        yield None
        return
    async with LocalExecutor(hidden=HIDDEN, allow=("partial",)) as warm:
        yield warm


@pytest_asyncio.fixture(params=["full", "partial"], loop_scope="session")
async def walled(
    request: pytest.FixtureRequest, executor: LocalExecutor, partial_executor: LocalExecutor | None
) -> LocalExecutor:
    """An executor of each kind of isolation that this machine gives."""
    if not probe().allows(request.param):
        pytest.skip(f"this machine gives no {request.param} isolation")
    chosen = executor if request.param == "full" else partial_executor
    assert chosen is not None
    assert await chosen.warm_up() == request.param
    return chosen


async def test_training_works_behind_either_wall(run_trial: RunTrial, walled: LocalExecutor):
    """The walls let honest training through and the result names them."""
    trial = await run_trial(HONEST, on=walled, budget=Budget("steps", 3))
    assert trial.result.outcome == "ok", trial.log
    assert trial.result.isolation == await walled.warm_up()


async def test_process_and_network_calls_are_refused(run_trial: RunTrial, walled: LocalExecutor):
    """No fork, no exec, no socket, no signal, no namespace, no way back."""
    calls = {
        "fork": "os.fork()",
        "posix_spawn": "os.posix_spawn('/bin/true', ['true'], {})",
        "subprocess": "__import__('subprocess').run([sys.executable, '-c', ''])",
        "exec": "os.execv(sys.executable, ['python'])",
        "socket": "__import__('socket').socket()",
        "unix": "__import__('socket').socketpair()",
        "kill_parent": "os.kill(os.getppid() or 1, 9)",
        "kill_group": "os.kill(0, 9)",
        "kill_all": "os.kill(-1, 9)",
        "affinity": "os.sched_setaffinity(0, range(64))",
        "nice": "os.nice(-5)",
        "chroot": "os.chroot('/')",
        "pidfd": "os.pidfd_open(1)",
        "memfd": "os.memfd_create('x')",
        "sigio": "__import__('fcntl').fcntl(1, 8, 1)",
    }
    trial = await run_trial(exploring(calls), on=walled)
    assert json.loads(trial.log) == dict.fromkeys(calls, "PermissionError")
    libc = "__import__('ctypes').CDLL(None)"
    raw = {
        "unshare": f"{libc}.unshare(0x10000000)",
        "mount": f"{libc}.mount(b'x', b'/tmp', b'tmpfs', 0, None)",
        "ptrace": f"{libc}.ptrace(0, 0, 0, 0)",
        "keep_alive": f"{libc}.prctl(1, 0, 0, 0, 0)",
        "limits": f"{libc}.setrlimit(7, b'\\x01' * 16)",
        "clone3": f"{libc}.syscall(435, None, 0)",
        "x32_getpid": f"{libc}.syscall(0x40000000 + 39)",
    }
    trial = await run_trial(exploring(raw), on=walled)
    assert json.loads(trial.log) == dict.fromkeys(raw, "-1")


async def test_files_that_two_sandboxes_see_carry_no_words(
    run_trial: RunTrial, walled: LocalExecutor
):
    """No lock, lease, time stamp, look at page cache or load of the machine, or waking of others.

    Each was, or could be, a way for the sandbox that sees whole blocks to tell the blind one.
    """
    calls = {
        "flock": "fcntl.flock(own, fcntl.LOCK_SH)",
        "lock": "fcntl.fcntl(own, fcntl.F_SETLK, lock)",
        "look": "fcntl.fcntl(own, fcntl.F_GETLK, lock)",
        "wait": "fcntl.fcntl(own, fcntl.F_SETLKW, lock)",
        "own_lock": "fcntl.fcntl(own, 37, lock)",
        "own_look": "fcntl.fcntl(own, 36, lock)",
        "lease": "fcntl.fcntl(own, fcntl.F_SETLEASE, fcntl.F_RDLCK)",
        "lockf": "os.lockf(own, os.F_TEST, 0)",
        "stamp": "os.utime('/dev/null')",
        "own_stamp": "os.utime('train.py')",
        "shared": "mmap.mmap(-1, 4096)",
    }
    raw = {
        "mincore": "libc.mincore(mmap.PAGESIZE, mmap.PAGESIZE, bytes(1))",
        "sysinfo": "libc.sysinfo(bytes(112))",
        "futex_wait": f"libc.syscall({FUTEX}, word, 0, 0, None)",
        "futex_wake": f"libc.syscall({FUTEX}, word, 1, 1)",
    }
    opening = (
        "import ctypes, fcntl, mmap, struct\n"
        "own = os.open('train.py', os.O_RDONLY)\n"
        "lock = struct.pack('hhqqi', fcntl.F_RDLCK, 0, 0, 1, 0)\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "word = ctypes.create_string_buffer(4)\n"
        "def train"
    )
    trial = await run_trial(exploring(calls | raw).replace("def train", opening), on=walled)
    assert json.loads(trial.log) == dict.fromkeys(calls, "PermissionError") | dict.fromkeys(
        raw, "-1"
    )


async def test_reading_a_file_through_memory_works(run_trial: RunTrial, walled: LocalExecutor):
    """What numpy.memmap and a library's loader do with a file is no shared memory."""
    text = "__import__('numpy').memmap('train.py', mode='r')[:4].tobytes()"
    trial = await run_trial(exploring({"read": text}), on=walled)
    assert json.loads(trial.log)["read"] == repr(b"\nimp")


async def test_threads_are_allowed(run_trial: RunTrial, walled: LocalExecutor):
    """Training may use threads of Python and of torch."""
    body = (
        "    import threading, torch\n"
        "    t = threading.Thread(target=lambda: print('thread'))\n    t.start(); t.join()\n"
        "    torch.set_num_threads(2); a = torch.randn(400, 400); (a @ a).sum(); print('two')\n"
    )
    trial = await run_trial(NOTHING.replace("    pass\n", body), on=walled)
    assert trial.log == "thread\ntwo\n"


async def test_host_files_are_out_of_reach(
    run_trial: RunTrial, job: Job, tmp_path: Path, walled: LocalExecutor
):
    """Ledger, other workspaces, the job's own folder, our code, system files: none can be read."""
    other = tmp_path / "other" / "train.py"
    other.parent.mkdir()
    other.write_text(SECRET)
    job.folder.mkdir()
    (job.folder / "verdict").write_text(SECRET)
    targets = {
        "ledger": tmp_path / "ledger.db",
        "other": other,
        "job": job.folder / "verdict",
        "ours": Path(probing.__file__),
        "passwd": Path("/etc/passwd"),
        "environ": Path(f"/proc/{os.getpid()}/environ"),
        "held_out": STDLIB / "xml" / "__init__.py",
        "nested": STDLIB / "email" / "mime" / "text.py",
        "test": STDLIB / "test" / "__init__.py",
        "cache": STDLIB / "__pycache__" / f"mailbox.{sys.implementation.cache_tag}.pyc",
    }
    expressions = {name: f"open({str(path)!r}, 'rb').read()" for name, path in targets.items()}
    expressions["listing"] = f"os.listdir({str(tmp_path)!r})"
    trial = await run_trial(exploring(expressions), on=walled)
    answers = json.loads(trial.log)
    assert set(answers.values()) <= {"FileNotFoundError", "PermissionError", "NotADirectoryError"}
    assert all(path.exists() for path in targets.values() if path != targets["cache"])


async def test_nothing_outside_scratch_can_be_written(
    run_trial: RunTrial, job: Job, walled: LocalExecutor
):
    """Workspace, data and libraries are read-only, whatever their owner."""
    expressions = {
        "tree": "open('train.py', 'a')",
        "new": "open('new.py', 'w')",
        "mkdir": "os.mkdir('folder')",
        "delete": "os.remove('train.py')",
        "root": "open('/new', 'w')",
        "library": f"open({str(STDLIB / 'json' / 'new.py')!r}, 'w')",
    }
    trial = await run_trial(exploring(expressions), on=walled)
    assert set(json.loads(trial.log).values()) <= {"OSError", "PermissionError"}
    assert sorted(path.name for path in job.workspace.iterdir()) == ["train.py"]


async def test_environment_says_nothing(
    run_trial: RunTrial, walled: LocalExecutor, monkeypatch: pytest.MonkeyPatch
):
    """Neither os.environ nor the kernel's copy nor the import path holds anything of ours."""
    monkeypatch.setenv("BOARD_PASSWORD", SECRET)
    expressions = {
        "names": "sorted(os.environ)",
        "ours": "[n for n in sys.modules if n.partition('.')[0] == 'trainer']",
        "path": "[p for p in sys.path if os.path.exists(p + '/trainer')]",
        "kernel": "'BOARD' in open('/proc/self/environ').read()",
        "stdin": "sys.stdin.read()",
        "descriptors": "[n for n in range(3, 64) if attempt(lambda: os.fstat(n)) != 'OSError']",
    }
    trial = await run_trial(exploring(expressions), on=walled)
    answers = json.loads(trial.log)
    assert answers["names"] == "['HOME', 'LOGNAME', 'OMP_NUM_THREADS', 'TMPDIR']"
    assert answers["ours"] == answers["path"] == "[]"
    assert answers["kernel"] in {"False", "PermissionError"}
    assert answers["stdin"] == "''"
    assert len(json.loads(answers["descriptors"])) == 1  # the artefact pipe


async def test_held_out_modules_cannot_be_imported(run_trial: RunTrial, executor: LocalExecutor):
    """Whole packages, single modules and nested packages are absent, the rest imports."""
    expressions = {
        name: f"__import__({name!r})" for name in ("xml", "mailbox", "email.mime", "test", "pip")
    }
    expressions["present"] = "__import__('email.header').__name__"
    trial = await run_trial(exploring(expressions))
    answers = json.loads(trial.log)
    assert answers.pop("present") == "'email'"
    assert set(answers.values()) == {"ModuleNotFoundError"}


@pytest.mark.skipif(not probe().allows("full"), reason="needs user namespaces")
async def test_namespaces_show_nothing_but_the_job(run_trial: RunTrial, job: Job):
    """Process 1 of its own world, without network or host name, with private scratch."""
    expressions = {
        "pid": "os.getpid()",
        "processes": "[n for n in os.listdir('/proc') if n.isdigit()]",
        "interfaces": "open('/proc/net/dev').read().count(':')",
        "root": "sorted(os.listdir('/'))",
        "user": "(os.getuid(), os.getgid())",
        "caps": "[l.split()[1] for l in open('/proc/self/status') if l.startswith('Cap')]",
        "host": "os.uname().nodename",
        "scratch": "open('/tmp/x', 'w').write('x'), open('/dev/shm/x', 'w').write('x')",
        "flood": "open('/tmp/y', 'wb').write(bytes(65 << 20))",
        "tree": "sorted(os.listdir('.')), os.getcwd()",
        "data": "os.listdir('/data')",
    }
    trial = await run_trial(exploring(expressions), memory_bytes=1 << 30)
    answers = json.loads(trial.log)
    assert answers["pid"] == "1"
    assert answers["processes"] == "['1']"
    assert answers["interfaces"] in {"1", "FileNotFoundError", "OSError"}
    assert {"workspace", "data", "proc", "tmp"} <= set(eval(answers["root"]))
    assert "home" not in eval(answers["root"])
    assert answers["user"] == "(1000, 1000)"
    assert set(eval(answers["caps"])) == {"0000000000000000"}
    assert answers["host"] == "'sandbox'"
    assert answers["scratch"] == "(1, 1)"
    assert answers["flood"] == "OSError"
    assert answers["tree"] == "(['train.py'], '/workspace')"
    assert answers["data"] == "['train.bin']"
    assert not Path("/tmp/x").exists()


async def test_hiding_what_does_not_exist_is_refused():
    """A misspelt hidden path would hide nothing, so it is an error."""
    with pytest.raises(ExecutorError, match="xlm"):
        visible_code(["xlm"])


async def test_missing_isolation_is_named_and_not_replaced(
    monkeypatch: pytest.MonkeyPatch, job: Job
):
    """Without acceptable isolation there is no executor, and the message says why."""
    report = SandboxReport("none", (("full", "unshare"), ("partial", "no Landlock")), 0, "x86_64")
    monkeypatch.setattr("trainer.local_executor.probe", lambda: report)
    with pytest.raises(SandboxUnavailableError, match=r"user namespaces.*no Landlock"):
        await LocalExecutor().warm_up()


async def test_no_isolation_must_be_asked_for(run_trial: RunTrial):
    """`none` runs trusted code and says so in the result."""
    async with LocalExecutor(allow=("none",)) as executor:
        trial = await run_trial(HONEST, on=executor, budget=Budget("steps", 2))
    assert (trial.result.outcome, trial.result.isolation) == ("ok", "none")


async def test_code_in_tmp_is_seen_and_cannot_be_changed(
    run_trial: RunTrial, executor: LocalExecutor, tmp_path: Path
):
    """An installation below /tmp, where every sandbox has its own: seen, read-only, alone."""
    shown, hidden = Path("/tmp") / tmp_path.name / "lib", tmp_path / "beside"
    shown.mkdir(parents=True)
    try:
        (shown / "lazy.py").write_text("WORD = 'here'\n")
        hidden.write_text("secret")
        body = (
            f"    sys.path.insert(0, {str(shown)!r})\n"
            "    import lazy\n"
            "    print(lazy.WORD)\n"
            f"    for path in ({str(shown / 'lazy.py')!r}, {str(shown / 'new.py')!r}):\n"
            "        try:\n"
            "            open(path, 'w')\n"
            "        except OSError as error:\n"
            "            print(error.strerror)\n"
            f"    print(os.path.exists({str(hidden)!r}), os.access('/tmp', os.W_OK))\n"
        )
        async with LocalExecutor(hidden=HIDDEN) as other:
            other._code[False] = (*executor._visible(cuda=False), str(shown))
            trial = await run_trial(NOTHING.replace("    pass\n", body), on=other)
    finally:
        shutil.rmtree(shown.parent)
    assert trial.log.splitlines() == ["here", *["Read-only file system"] * 2, "False True"]
