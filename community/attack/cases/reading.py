"""Attacks that read what is not theirs: other files, other workspaces, held-out text."""

from __future__ import annotations

from community.attack.attack import Attack
from community.attack.trials.snoop import Relay, Snoop

_NO_FILE = ("FileNotFoundError", "PermissionError", "NotADirectoryError")

ATTACKS = (
    Attack(
        name="reads the ledger",
        source="catalogue 11, 18",
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
        source="catalogue 30 (CORAL #136)",
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
        source="catalogue 29, 31",
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
        name="calls home",
        source="catalogue 28 (Cursor, ZeroDayBench)",
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
)
