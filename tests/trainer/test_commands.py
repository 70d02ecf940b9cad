"""What a program of somebody else's finds behind its walls, and how it is ended, tried by programs.

Each start is a real one, of the system's own Python.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.commands.command import run_command
from trainer.commands.folders import forget_files, read_file, remove
from trainer.commands.records import Command, CommandLimits
from trainer.commands.relay import RefusedError, Relay
from trainer.commands.view import check_hidden
from trainer.errors import CommandError

PYTHON = "/usr/bin/python3"
ROOT = Path(__file__).parents[2]


def command(place: Path, script: str, **changed) -> Command:
    """Return a command that runs `script` in folders below `place`."""
    for name in ("work", "home"):
        (place / name).mkdir(exist_ok=True)
    usual = {"argv": (PYTHON, "-I", "-c", script), "stdin": b"the prompt", "environment": {}}
    return Command(**{**usual, "work": place / "work", "home": place / "home", **changed})


PROBE = """
import ctypes, json, os, socket, subprocess, sys, urllib.request
secret, port = sys.argv[1], int(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
found = {}
def probe(name, what):
    try:
        found[name] = what()
    except Exception as error:
        found[name] = type(error).__name__
def call(function, *arguments):
    return "done" if function(*arguments) >= 0 else os.strerror(ctypes.get_errno())
probe("stdin", sys.stdin.read)
probe("root", lambda: sorted(os.listdir("/")))
probe("homes", lambda: os.listdir("/home"))
probe("etc", lambda: os.path.exists("/etc/shadow"))
probe("secret", lambda: open(secret).read())
probe("write usr", lambda: open("/usr/x", "w"))
probe("write root", lambda: open("/x", "w"))
probe("work", lambda: open("/work/here", "w").write("1"))
probe("home", lambda: open(os.path.expanduser("~/here"), "w").write("1"))
probe("node", lambda: os.mknod("/work/disk", 0o60644, os.makedev(8, 0)))
probe("unshare", lambda: call(libc.unshare, 0x10000000))
probe("mount", lambda: call(libc.mount, b"x", b"/tmp", b"tmpfs", 0, None))
probe("ptrace", lambda: call(libc.ptrace, 16, 1, 0, 0))
probe("packets", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close())
probe("first", lambda: open("/proc/1/environ").read())
probe("others", lambda: sum(name.isdigit() for name in os.listdir("/proc")) <= 2)
probe("direct", lambda: socket.create_connection(("127.0.0.1", port), 5).close())
probe("proxy", lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read())
probe("tunnel", lambda: urllib.request.urlopen("https://example.invalid/", timeout=5).read())
probe("variables", lambda: sorted(os.environ))
probe("children", lambda: subprocess.run(["/bin/sh", "-c", "echo $0"], capture_output=True).stdout.decode())
print(json.dumps(found))
"""  # noqa: E501


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    """Return what one program found, with a secret and a server of ours on this machine."""
    place = tmp_path_factory.mktemp("probe")
    (place / "secret").write_text("the ledger")
    os.environ["PROBE_CANARY"] = "a key of yours"

    async def find():
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            argv = (PYTHON, "-I", "-c", PROBE, str(place / "secret"), str(port))
            # the machine's own proxy settings are not followed: there is one way out
            asked = command(place, "", argv=argv, environment={"OWN": "1", "no_proxy": ""})
            return await run_command(asked), port

    try:
        ended, port = asyncio.run(find())
    finally:
        del os.environ["PROBE_CANARY"]
    assert (ended.how, ended.code) == ("exited", 0), ended.stderr
    return json.loads(ended.stdout), ended, port


def test_it_sees_its_folders_and_the_system_and_nothing_else(probed):
    """No file of this machine but programs; no home but its own; no process but its own."""
    found, _, _ = probed
    assert found["stdin"] == "the prompt"
    assert {*found["root"]} <= {
        *("bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp"),
        *("usr", "work"),
    }
    assert found["homes"] == ["agent"]
    assert found["etc"] is False
    assert found["secret"] == "FileNotFoundError"
    assert found["others"] is not False


def test_it_writes_in_its_folders_alone(probed):
    """Work and home are its own; everything else is read-only, and devices cannot be made."""
    found, _, _ = probed
    assert (found["work"], found["home"]) == (1, 1)
    assert (found["write usr"], found["write root"]) == ("OSError", "OSError")
    assert found["node"] == "PermissionError"


def test_it_has_no_privilege_and_makes_no_namespace(probed):
    """What would change the machine, or look into our own process in there, is refused."""
    found, _, _ = probed
    no = "Operation not permitted"
    assert [found[name] for name in ("unshare", "mount", "ptrace")] == [no] * 3
    assert found["packets"] == "PermissionError"
    assert found["first"] in ("PermissionError", "FileNotFoundError")
    assert found["children"] == "/bin/sh\n"


def test_its_environment_is_what_it_was_given(probed):
    """No variable of ours gets in."""
    found, _, _ = probed
    assert "OWN" in found["variables"]
    assert "PROBE_CANARY" not in found["variables"]


def test_it_reaches_no_host_that_was_not_named(probed):
    """Not this machine's own services, directly or through the relay; what it tried is told."""
    found, ended, port = probed
    assert found["direct"] == "ConnectionRefusedError"
    assert (found["proxy"], found["tunnel"]) == ("HTTPError", "URLError")
    assert ended.turned_down == (f"127.0.0.1:{port}", "example.invalid:443")


DAEMON = """
import fcntl, os, sys, time
held = open("held", "w")
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        fcntl.flock(held, fcntl.LOCK_EX)
        open("up", "w").close()
        os.write(write, b"1")
        while True:
            time.sleep(1)
    os._exit(0)
os.read(read, 1)
"""


def is_dead(work: Path) -> bool:
    """Whether nobody holds the daemon's lock any more."""
    with (work / "held").open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return (work / "up").exists()


def wait_for(path: Path) -> None:
    """Wait until a file is there; the test's own deadline ends a wait in vain."""
    while not path.exists():
        time.sleep(0.02)


@pytest.mark.parametrize("ending", ["", "while True: time.sleep(1)"], ids=["exits", "hangs"])
async def test_what_it_has_started_dies_with_it(tmp_path, ending):
    """A daemon outlives neither the program that started it nor its deadline."""
    limits = CommandLimits(wall_s=5.0 if ending else 30.0)
    ended = await run_command(command(tmp_path, DAEMON + ending, limits=limits))
    assert ended.how == ("deadline" if ending else "exited")
    assert is_dead(tmp_path / "work")


async def test_a_caller_that_is_cancelled_leaves_nothing(tmp_path):
    """Cancelling waits until everything in there has ended."""
    hangs = DAEMON + "while True: time.sleep(1)"
    task = asyncio.create_task(run_command(command(tmp_path, hangs)))
    await asyncio.to_thread(wait_for, tmp_path / "work" / "up")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_dead(tmp_path / "work")


def test_a_caller_that_is_killed_leaves_nothing(tmp_path):
    """SIGKILL of our own process ends what it had run."""
    command(tmp_path, "")
    program = (
        "import asyncio, sys; from pathlib import Path;"
        "from trainer.commands.command import run_command;"
        "from trainer.commands.records import Command; place = Path(sys.argv[1]);"
        f"argv = ({PYTHON!r}, '-I', '-c', sys.argv[2]);"
        "asyncio.run(run_command(Command(argv, b'', {}, place / 'work', place / 'home')))"
    )
    hangs = DAEMON + "while True: time.sleep(1)"
    caller = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), hangs], cwd=ROOT)
    work = tmp_path / "work"
    wait_for(work / "up")
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    with (work / "held").open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # the test's own deadline ends a wait in vain


@pytest.mark.parametrize(
    ("script", "limits", "how"),
    [
        ("import os\nwhile True: os.write(1, b'x' * 65536)", {"output_bytes": 100_000}, "output"),
        ("kept = []\nwhile True: kept.append(bytearray(1 << 22))", {"memory_bytes": 1 << 28},
         "memory"),
        ("for n in range(10**6):\n open(f'f{n}', 'wb').write(bytes(1 << 20))",
         {"disk_bytes": 16 << 20}, "disk"),
        ("import os\nfor n in range(10**6):\n os.mkdir('d'); os.chdir('d')", {}, "disk"),
        ("import os, time\nfor n in range(40):\n if not os.fork(): time.sleep(99)\ntime.sleep(99)",
         {"processes": 20}, "processes"),
    ],
    ids=["output", "memory", "disk", "deep", "processes"],
)  # fmt: skip
async def test_what_takes_too_much_is_killed(tmp_path, script, limits, how):
    """Each limit is of all its processes together, watched from outside."""
    asked = command(tmp_path, script, limits=CommandLimits(wall_s=60.0, **limits))
    ended = await run_command(asked)
    assert (ended.how, ended.code) == (how, None)
    assert len(ended.stdout) <= asked.limits.output_bytes
    remove(asked.work)  # which pytest could not
    assert not asked.work.exists()


def test_where_the_kernel_refuses_a_wall_nothing_is_run(tmp_path):
    """In a process that may make no namespaces the answer is an error, and nothing has happened."""
    command(tmp_path, "")
    program = (
        "import asyncio, sys; from pathlib import Path;"
        "from trainer.commands import calls; from trainer.commands.command import run_command;"
        "from trainer.commands.records import Command; place = Path(sys.argv[1]); calls.restrict();"
        f"argv = ({PYTHON!r}, '-I', '-c', \"open('ran', 'w')\");"
        "asyncio.run(run_command(Command(argv, b'', {}, place / 'work', place / 'home')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, check=False
    )
    assert b"CommandError: a command's sandbox could not be set up" in done.stderr
    assert b"community doctor" in done.stderr
    assert not (tmp_path / "work" / "ran").exists()


async def test_what_must_be_hidden_is_not_shown_by_any_folder_around_it(tmp_path):
    """A folder that holds the run's own, the root, and a whole home are refused."""
    hidden = tmp_path / "runs" / "one"
    hidden.mkdir(parents=True)
    asked = command(tmp_path, "", reads=(str(tmp_path),), hidden=(hidden,))
    with pytest.raises(CommandError, match="must be hidden"):
        await run_command(asked)
    for place in ("/", str(Path.home())):
        with pytest.raises(CommandError, match="all of"):
            check_hidden([place], [])
    (tmp_path / "alias").symlink_to(tmp_path / "runs")
    with pytest.raises(CommandError, match="must be hidden"):
        check_hidden([str(tmp_path / "alias")], [hidden])


async def test_all_of_the_internet_is_not_this_machine_nor_its_neighbours():
    """``*`` is public addresses, wherever a name leads; a host that is named is reached."""
    everywhere = Relay(("*",))
    for host in ("localhost", "127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1",
                 "64:ff9b::a00:1", "0.0.0.0"):  # fmt: skip
        with pytest.raises(RefusedError):
            await everywhere._addresses(host, 443)
    assert await everywhere._addresses("1.1.1.1", 443) == ["1.1.1.1"]
    assert await Relay(("127.0.0.1:8080",))._addresses("127.0.0.1", 8080) == ["127.0.0.1"]
    some = Relay(("api.example.com", "*.example.org", "local:8080"))
    allowed = [("api.example.com", 443), ("a.example.org", 80), ("local", 8080)]
    refused = [("api.example.com", 22), ("example.org", 443), ("evilexample.org", 443),
               ("local", 443), ("api.example.com.evil", 443)]  # fmt: skip
    assert [some.allows(*each) for each in (*allowed, *refused)] == [True] * 3 + [False] * 5


def test_a_folder_of_somebody_else_is_read_without_following_it(tmp_path):
    """Links, pipes, folders and what is too long are words, not content."""
    (tmp_path / "secret").write_text("s")
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (root / "in" / "plain").write_text("text")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "out").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    assert read_file(root, "in/plain", 10) == b"text"
    for path in ("link", "out/secret", "pipe", "in", "none"):
        assert isinstance(read_file(root, path, 10), str), path
    assert "at most 3" in str(read_file(root, "in/plain", 3))


def test_files_that_hold_a_key_are_forgotten_and_no_others(tmp_path):
    """What a program wrote down of its key goes; a link to somebody else's file is left alone."""
    outside = tmp_path / "outside"
    outside.write_text("sk-key")
    home = tmp_path / "home"
    (home / "deep").mkdir(parents=True)
    (home / "deep" / "settings").write_text('{"key": "sk-key"}')
    (home / "notes").write_text("nothing")
    (home / "link").symlink_to(outside)
    assert forget_files(home, lambda content: b"sk-key" in content, 1000) == 1
    assert sorted(p.name for p in home.rglob("*")) == ["deep", "link", "notes"]
    assert outside.read_text() == "sk-key"
