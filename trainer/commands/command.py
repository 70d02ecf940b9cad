"""Running a command: the caller's side, from the order to how it ended.

It fails closed: where the kernel lacks what the walls are made of, nothing is run. What a command
prints is bounded and comes back as bytes; what it leaves in its folders is the caller's to read.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from trainer.commands.records import HOME, PROXY_PORT, Command, Ended, How, Order
from trainer.commands.relay import Relay
from trainer.commands.view import check_hidden, is_of_system, system_view
from trainer.errors import CommandError

_BOOTSTRAP: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    " from trainer.commands.keeper import main; main(int(sys.argv[2]))"
)
_ROOT: Final = str(Path(__file__).resolve().parents[2])
_PATH: Final = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")
_GRACE_S: Final = 30.0
"""Beyond its deadline, for the keeper to have ended it."""
_BURIED_S: Final = 10.0
"""For the keeper to end once its caller is gone; then it is killed."""
Hear = Callable[[bytes], bool]
"""Takes a piece of a command's output; answers whether the command has to end for that."""
_ADVICE: Final = (
    "commands need unprivileged user namespaces, as candidates do: `community doctor` says what "
    "this machine lacks"
)


async def run_command(command: Command, hear: Hear | None = None) -> Ended:
    """Run `command` to its end behind walls.

    Args:
        command: What is run.
        hear: Told what it prints on its standard output, as it comes.

    Raises:
        CommandError: the walls cannot be built here, or it would see what is to be hidden.

    Cancellation: it is killed with all it has started, and that is waited for.
    """
    order = _order(command)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        keeper = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _BOOTSTRAP, _ROOT, str(theirs.fileno())),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            pass_fds=(theirs.fileno(),),
            env={},
            cwd="/",
        )
        theirs.close()
        try:
            async with asyncio.timeout(command.limits.wall_s + _GRACE_S):
                return await _attended(command, order, ours, keeper, hear)
        except TimeoutError as error:
            raise CommandError("a command's keeper does not answer; it was killed") from error
        finally:
            ours.close()  # the keeper kills when its caller is gone
            await asyncio.shield(_bury(keeper))


async def _attended(
    command: Command, order: Order, link: socket.socket, keeper: Process, hear: Hear | None
) -> Ended:
    """Send the order, carry its connections and hear what it says, until it has ended."""
    assert keeper.stdout is not None
    assert keeper.stderr is not None
    await asyncio.get_running_loop().sock_sendall(link, order.packed())
    relay = Relay(command.hosts)
    server = await relay.serve(await _door(link))
    most = command.limits.output_bytes
    is_stopped = False

    def heard(chunk: bytes) -> bool:
        nonlocal is_stopped
        is_stopped = is_stopped or (hear is not None and hear(chunk))
        return is_stopped

    try:
        async with asyncio.TaskGroup() as group:
            ending = group.create_task(_ending(link))
            stdout = group.create_task(_heard(keeper.stdout, most, link, heard))
            stderr = group.create_task(_heard(keeper.stderr, most, link))
    except ExceptionGroup as error:
        raise error.exceptions[0] from None
    finally:
        server.close()
        await relay.aclose()
    how, code = ending.result()
    if how == "output" and is_stopped:
        how = "stopped"
    return Ended(how, code, stdout.result(), stderr.result(), tuple(relay.turned_down))


async def _door(link: socket.socket) -> socket.socket:
    """Return the socket that listens in the command's network.

    Raises:
        CommandError: the walls could not be built.
    """
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(link, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(link)
    text, descriptors, _, _ = socket.recv_fds(link, 4096, 1)
    if not descriptors:
        raise _fault(text)
    return socket.socket(fileno=descriptors[0])


async def _ending(link: socket.socket) -> tuple[How, int | None]:
    """Return how it ended, and its exit code if it exited.

    Raises:
        CommandError: the walls could not be built, or the keeper was killed.
    """
    loop = asyncio.get_running_loop()
    told = b""
    with suppress(ConnectionResetError):  # the keeper has ended without hearing our last word
        while chunk := await loop.sock_recv(link, 4096):
            told += chunk
    records = [json.loads(line) for line in told.splitlines()]
    if not records or "fault" in records[0]:
        raise _fault(told)
    how, code = records[-1]["how"], int(records[-1]["code"])
    if how == "exited" and code < 0:  # the kernel chose its first process when memory ran out
        how = "memory"
    return how, code if how == "exited" else None


async def _heard(
    stream: asyncio.StreamReader, most: int, link: socket.socket, hear: Hear | None = None
) -> bytes:
    """Return what comes, to its end; after `most` bytes the command is killed and no more kept.

    So it is when whoever hears it says so.
    """
    kept: list[bytes] = []
    left = most
    while chunk := await stream.read(65536):
        if left > 0:
            kept.append(chunk[:left])
            left -= len(chunk)
            if left <= 0 or (hear is not None and hear(chunk)):
                with suppress(OSError):
                    link.send(b"k")
    return b"".join(kept)


async def _bury(keeper: Process) -> None:
    """Wait for the keeper, who kills first; one that does not end is killed, and its child dies."""
    try:
        async with asyncio.timeout(_BURIED_S):
            await keeper.communicate()
    except TimeoutError:
        with suppress(ProcessLookupError):
            keeper.kill()
        await keeper.wait()


def _fault(told: bytes) -> CommandError:
    try:
        what = str(json.loads(told.splitlines()[0])["fault"])
    except (ValueError, LookupError):
        what = "its keeper was killed"
    return CommandError(f"a command's sandbox could not be set up: {what}; {_ADVICE}")


def _order(command: Command) -> Order:
    """Return what the keeper is told; nothing that is to be hidden may be shown.

    Raises:
        CommandError: something of it would be.
    """
    shown, links = system_view()
    reads = [path for path in dict.fromkeys(command.reads) if not is_of_system(path)]
    missing = [path for path in reads if not os.path.exists(path)]
    if missing:
        raise CommandError(f"a command is to be shown {missing[0]}, which does not exist")
    check_hidden([*(source for source, _ in shown), *reads], command.hidden)
    proxy = f"http://127.0.0.1:{PROXY_PORT}"
    own = [] if is_of_system(command.argv[0]) else [os.path.dirname(command.argv[0])]
    usual = {
        "PATH": ":".join([*own, *_PATH]),
        "HOME": HOME,
        "USER": "agent",
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "TMPDIR": "/tmp",  # noqa: S108 - a private one
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1"),
        "NODE_USE_ENV_PROXY": "1",
    }
    limits = command.limits
    return Order(
        argv=command.argv,
        stdin=base64.b64encode(command.stdin).decode(),
        environment={**usual, **command.environment},
        work=str(command.work),
        home=str(command.home),
        shown=(*shown, *((os.path.realpath(path), path) for path in reads)),
        links=tuple(links),
        wall_s=limits.wall_s,
        memory_bytes=limits.memory_bytes,
        disk_bytes=limits.disk_bytes,
        files=limits.files,
        processes=limits.processes,
    )
