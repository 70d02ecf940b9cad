"""Attacks that read what is not theirs: other files, other workspaces, held-out text."""

from __future__ import annotations

from community.attack.attack import Attack
from community.attack.kernel import has_call
from community.attack.trials.snoop import Relay, Snoop

_NO_FILE = ("FileNotFoundError", "PermissionError", "NotADirectoryError")

ATTACKS = (
    Attack(
        name="reads the ledger",
        source="an opening of a lab like this one",
        tries="opens a file of the run by its absolute path, through /proc and with ../",
        block="files",
        reasons=_NO_FILE,
        trial=Snoop(
            """
            path, error = "<<ledger>>", None
            for way in (path, "/proc/self/root" + path, "/proc/self/cwd/../../../../.." + path):
                try:
                    return open(way).read()
                except OSError as refused:
                    error = refused
            raise error
            """
        ),
    ),
    Attack(
        name="reads a neighbour's workspace",
        source="CORAL #136",
        tries="lists the other jobs' folders and reads their trees",
        block="files",
        reasons=_NO_FILE,
        trial=Snoop(
            """
            import os
            return open(os.path.join("<<neighbour>>", os.listdir("<<neighbour>>")[0])).read()
            """
        ),
    ),
    Attack(
        name="leaves a note in /tmp",
        source="an opening of a lab like this one",
        tries="one job writes into /tmp and /dev/shm, the next one looks there",
        block="files",
        reasons=_NO_FILE,
        trial=Relay(
            tell="""
            for place in ("/tmp/", "/dev/shm/"):
                open(place + "<<note>>", "w").write("<<secret>>")
            """,
            hear="""
            import os
            for place in ("/tmp/", "/dev/shm/"):
                if os.path.exists(place + "<<note>>"):
                    print(open(place + "<<note>>").read())
            raise FileNotFoundError("<<note>>")
            """,
        ),
    ),
    Attack(
        name="searches what the parent left",
        source="freed buffers of the warm parent",
        tries="searches all of its own memory for the tree of the job that ran before it",
        block="parent",
        reasons=("nothing",),
        trial=Relay(
            tell="""
            return "secrets may stand in a comment: <<secret>>"
            """,
            hear="""
            import re
            for line in open("/proc/self/maps").readlines():
                span, rights, *_, name = (line + " ").split(" ", 5)
                if rights[0] != "r" or "[v" in name:
                    continue
                begin, end = (int(part, 16) for part in span.split("-"))
                with open("/proc/self/mem", "rb", 0) as memory:
                    for at in range(begin, end, 1 << 20):
                        memory.seek(at)
                        held = memory.read(min((1 << 20) + 99, end - at))
                        found = re.search(rb"in a comment: (bait-[0-9a-f]{16})", held)
                        if found:
                            return found[1].decode()
            return "searched"
            """,
        ),
    ),
    Attack(
        name="calls home",
        source="Cursor, ZeroDayBench",
        tries="connects to a listener on the host's loopback and reads what it says",
        block="network",
        reasons=("PermissionError",),
        trial=Snoop(
            """
            import socket
            line = socket.socket()
            line.settimeout(5)
            line.connect(("127.0.0.1", <<port>>))
            return line.recv(99).decode()
            """
        ),
    ),
    Attack(
        name="asks by datagram",
        source="Landlock knows TCP alone",
        tries="sends a datagram to the host's loopback and reads the answer",
        block="network",
        reasons=("PermissionError",),
        trial=Snoop(
            """
            import socket
            line = socket.socket(type=socket.SOCK_DGRAM)
            line.settimeout(5)
            line.sendto(b"?", ("127.0.0.1", <<udp_port>>))
            return line.recv(99).decode()
            """
        ),
    ),
    *(
        Attack(
            name="calls home in IPv6",
            source="an opening of a lab like this one",
            tries="connects to the same listener by a mapped address of the other family",
            block="network",
            reasons=("PermissionError",),
            trial=Snoop(
                """
                import socket
                line = socket.socket(socket.AF_INET6)
                line.settimeout(5)
                line.connect(("::ffff:127.0.0.1", <<port>>))
                return line.recv(99).decode()
                """
            ),
        )
        for _ in range(has_call(41, 10, 1, 0))
    ),
    Attack(
        name="calls a neighbour",
        source="abstract unix sockets",
        tries="connects to a unix socket that has a name and no file",
        block="network",
        reasons=("PermissionError",),
        trial=Snoop(
            """
            import socket
            line = socket.socket(socket.AF_UNIX)
            line.settimeout(5)
            line.connect("\\0<<note>>")
            return line.recv(99).decode()
            """
        ),
    ),
)
