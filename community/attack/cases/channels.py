"""Attacks that pass words between jobs over what they share, and calls that nobody needs.

What two jobs share is the training data and the library, both read-only. Each of these carried a
byte from one job to the next in a first version of this sandbox.
"""

from __future__ import annotations

from textwrap import dedent

from community.attack.attack import Attack
from community.attack.kernel import has_call
from community.attack.trials.snoop import Relay, Snoop

_REFUSED = ("PermissionError", "OSError")

_CALL = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
answer = libc.syscall({arguments})
if answer < 0:
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
return "the kernel answered " + str(answer)
"""


def _call(name: str, source: str, tries: str, arguments: str) -> Attack:
    """An attack that makes one system call by its number on x86-64, and is glad of any answer."""
    look = _CALL.format(arguments=arguments)
    return Attack(name, source, tries, "syscalls", _REFUSED, Snoop(look, is_secret=False))


_SPELL = """
import os
data = os.open("<<pages>>-{number}.bin", os.O_RDONLY)
for advice in (os.POSIX_FADV_RANDOM, os.POSIX_FADV_DONTNEED):
    os.posix_fadvise(data, 0, 0, advice)
bits = "".join(format(byte, "08b") for byte in b"<<secret>>")
for page, bit in enumerate(bits):
    if bit == "1":
        os.pread(data, 1, page * 4096)
"""
_LOOK_UP = """
import ctypes, os, struct
data, pages = os.open("<<pages>>-{number}.bin", os.O_RDONLY), 8 * len("<<secret>>")
size = pages * 4096
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
{held}
bits = "".join(str(min(1, count)) for count in held)
return bytes(int(bits[at : at + 8], 2) for at in range(0, pages, 8)).decode(errors="replace")
"""


def _cached(number: int, name: str, call: str, held: str) -> Attack:
    """One job has pages held that spell the secret, the next asks which are: a list, `held`.

    Args:
        number: of the file, which nobody else uses.
        name: of the attack.
        call: that tells.
        held: lines that make the list, a number for each page.
    """
    tries = f"one job reads pages that spell the secret, the next asks which are held: {call}"
    hear = _LOOK_UP.format(number=number, held=dedent(held).strip())
    trial = Relay(tell=_SPELL.format(number=number), hear=hear, needs_forgetting=True)
    source = f"page-cache residency ({call})"
    return Attack(name, source, tries, "syscalls", _REFUSED, trial)


ATTACKS = (
    Attack(
        name="locks a shared file",
        source="file locks",
        tries="one job locks bytes of the training data, its neighbour looks which",
        block="syscalls",
        reasons=_REFUSED,
        trial=Relay(
            is_at_once=True,
            tell="""
            import fcntl, struct, time
            data = open("<<data>>", "rb")
            for at, letter in enumerate(b"<<secret>>"):
                lock = struct.pack("hhqqi", fcntl.F_RDLCK, 0, at * 256 + letter, 1, 0)
                fcntl.fcntl(data, fcntl.F_SETLK, lock)
            time.sleep(3)
            """,
            hear="""
            import fcntl, struct, time
            data = open("<<data>>", "rb")
            for _ in range(40):
                heard = ""
                for at in range(len("<<secret>>")):
                    lock = struct.pack("hhqqi", fcntl.F_WRLCK, 0, at * 256, 256, 0)
                    answer = fcntl.fcntl(data, fcntl.F_GETLK, lock)
                    kind, _, start, _, _ = struct.unpack("hhqqi", answer[:28])
                    heard += "" if kind == fcntl.F_UNLCK else chr(start - at * 256)
                if len(heard) == len("<<secret>>"):
                    return heard
                time.sleep(0.05)
            return "nothing"
            """,
        ),
    ),
    _cached(
        0,
        "looks into the page cache",
        "mincore",
        """
        at = libc.mmap(None, size, 1, 2, data, ctypes.c_long(0))
        found = ctypes.create_string_buffer(pages)
        if libc.mincore(ctypes.c_void_p(at), size, found):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        held = [byte & 1 for byte in found.raw]
        """,
    ),
    _cached(
        1,
        "asks for cached pages only",
        "preadv2 with RWF_NOWAIT",
        """
        os.posix_fadvise(data, 0, 0, os.POSIX_FADV_RANDOM)
        held = []
        for page in range(pages):
            try:
                held.append(os.preadv(data, [bytearray(1)], page * 4096, os.RWF_NOWAIT))
            except BlockingIOError:
                held.append(0)
        """,
    ),
    *(
        _cached(
            2,
            "counts cached pages",
            "cachestat",
            """
            held = []
            for page in range(pages):
                asked, told = struct.pack("QQ", page * 4096, 4096), ctypes.create_string_buffer(40)
                if libc.syscall(451, data, asked, told, 0):
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
                held.append(struct.unpack("Q", told.raw[:8])[0])
            """,
        )
        for _ in range(has_call(451, -1, 0, 0, 0))
    ),
    Attack(
        name="drops pages from the cache",
        source="fadvise64",
        tries="has the kernel forget pages of the shared data: the writing end of that channel",
        block="syscalls",
        reasons=_REFUSED,
        trial=Snoop(
            """
            import os
            data = os.open("<<data>>", os.O_RDONLY)
            os.posix_fadvise(data, 0, 1 << 20, os.POSIX_FADV_DONTNEED)
            return "the kernel forgot a MiB"
            """,
            is_secret=False,
        ),
    ),
    Attack(
        name="watches a shared file",
        source="inotify",
        tries="one job opens a library file so many times, its neighbour is told of each",
        block="syscalls",
        reasons=_REFUSED,
        trial=Relay(
            is_at_once=True,
            tell="""
            import os, time, torch
            shared = os.path.join(os.path.dirname(torch.__file__), "py.typed")
            time.sleep(3)  # until the neighbour watches, on a busy machine too
            for _ in range(1 + int("<<secret>>"[-1], 16)):
                open(shared).close()
            """,
            hear="""
            import ctypes, os, select, torch
            shared = os.path.join(os.path.dirname(torch.__file__), "py.typed")
            libc = ctypes.CDLL(None, use_errno=True)
            watch = libc.inotify_init1(0)
            if watch < 0 or libc.inotify_add_watch(watch, shared.encode(), 0x30) < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            events = b""
            while select.select([watch], [], [], 6)[0]:
                events += os.read(watch, 4096)
            opened = sum(events[at + 4] == 0x20 for at in range(0, len(events), 16))
            return "<<secret>>"[:-1] + format(opened - 1, "x")
            """,
        ),
    ),
    Attack(
        name="keeps memory in a nameless file",
        source="memfd_create",
        tries="writes 256 MiB into memfds, which neither limit nor resident size counts",
        block="syscalls",
        reasons=_REFUSED,
        trial=Snoop(
            """
            import os
            held = [os.memfd_create("more") for _ in range(8)]
            size = sum(os.write(memory, bytes(32 << 20)) for memory in held)
            return f"{size >> 20} MiB that nobody counts"
            """,
            is_secret=False,
            memory_bytes=1 << 30,
        ),
    ),
    Attack(
        name="takes other processors",
        source="sched_setaffinity",
        tries="leaves the processor of its slot for its neighbour's",
        block="syscalls",
        reasons=_REFUSED,
        trial=Snoop(
            """
            import os
            os.sched_setaffinity(0, range(64))
            return f"runs on {sorted(os.sched_getaffinity(0))}"
            """,
            is_secret=False,
        ),
    ),
    Attack(
        name="shares memory with a child",
        source="memory that no limit counts",
        tries="maps memory shared and without a file, which no limit of a process counts",
        block="syscalls",
        reasons=_REFUSED,
        trial=Snoop(
            """
            import mmap
            held = mmap.mmap(-1, 64 << 20)
            held.write(bytes(64 << 20))
            return f"{len(held) >> 20} MiB shared"
            """,
            is_secret=False,
        ),
    ),
    *(
        _call(
            "watches whole file systems",
            "fanotify",
            "asks for a queue on which the kernel tells of every file that anybody opens",
            "300, 0x200, 0",
        )
        for _ in range(has_call(300, 0x200, 0))
    ),
    *(
        _call(
            "sets up io_uring",
            "io_uring",
            "asks for a ring, whose calls seccomp would not see",
            "425, 4, ctypes.create_string_buffer(120)",
        )
        for _ in range(has_call(425, 0, 0))
    ),
    *(
        Attack(
            name="leaves a key in a keyring",
            source="keyctl",
            tries="one job adds a key to the keyring of their session, the next one reads it",
            block="syscalls",
            reasons=_REFUSED,
            trial=Relay(
                tell=_CALL.format(arguments="248, b'user', b'<<note>>', b'<<secret>>', 21, -3"),
                hear="""
                import ctypes, os
                libc = ctypes.CDLL(None, use_errno=True)
                key = libc.syscall(250, 10, -3, b"user", b"<<note>>", 0)
                found = ctypes.create_string_buffer(64)
                if key < 0 or libc.syscall(250, 11, key, found, 64) < 0:
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
                return found.value.decode()
                """,
            ),
        )
        for _ in range(has_call(250, 9999))
    ),
    _call(
        "creates namespaces",
        "container helpers",
        "unshares a user namespace, to be root in it and mount things",
        "272, 0x10000000",
    ),
)
