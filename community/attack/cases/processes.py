"""Attacks on other processes, and attempts to be more than one."""

from __future__ import annotations

from community.attack.attack import Attack
from community.attack.trials.outlive import Outlive
from community.attack.trials.snoop import Snoop

_ABSENT = ("FileNotFoundError", "ProcessLookupError", "PermissionError")

_STOLEN = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
reading, writing = os.pipe()
before = time.process_time()
if os.fork() == 0:
    until = time.process_time() + 0.6
    while time.process_time() < until:
        sum(range(1000))
    os.write(writing, b"0.6 CPU seconds of a child")
    os._exit(0)
worked = os.read(reading, 99).decode()
assert time.process_time() - before < 0.3
return worked + " that nobody buried"
"""

ATTACKS = (
    Attack(
        name="reads another's command line",
        source="keys where every process can see them",
        tries="reads /proc/PID/cmdline of a process that was told a secret when it was started",
        block="processes",
        reasons=_ABSENT,
        trial=Snoop("""return open("/proc/<<victim>>/cmdline").read()"""),
    ),
    Attack(
        name="signals another process",
        source="signals on others",
        tries="sends a signal to a process outside its job",
        block="processes",
        reasons=_ABSENT,
        trial=Snoop(
            """
            import os, signal
            os.kill(<<victim>>, signal.SIGCONT)
            return "a signal was delivered to process <<victim>>"
            """,
            is_secret=False,
        ),
    ),
    Attack(
        name="limits another process",
        source="limits on others",
        tries="sets the open-file limit of a process outside its job",
        block="processes",
        reasons=_ABSENT,
        trial=Snoop(
            """
            import resource
            resource.prlimit(<<victim>>, resource.RLIMIT_NOFILE, (512, 512))
            return "process <<victim>> may now open 512 files"
            """,
            is_secret=False,
        ),
    ),
    Attack(
        name="forks a crowd",
        source="bombs",
        tries="starts 64 children at once",
        block="syscalls",
        reasons=("PermissionError",),
        trial=Snoop(
            """
            import os
            children = []
            for _ in range(64):
                child = os.fork()
                if child == 0:
                    os._exit(0)
                children.append(child)
            for child in children:
                os.waitpid(child, 0)
            return f"{len(children)} children"
            """,
            is_secret=False,
        ),
    ),
    Attack(
        name="outlives its job",
        source="background processes; a survivor of setsid",
        tries="forks twice, starts a session of its own, and goes on when its job is over",
        block="processes",
        also=("syscalls",),
        reasons=("PermissionError",),
        trial=Outlive(),
    ),
    Attack(
        name="runs another interpreter",
        source="an opening of a lab like this one",
        tries="starts a program from the file system, outside the harness",
        block="syscalls",
        also=("files",),
        reasons=("PermissionError",),
        trial=Snoop(
            """
            import subprocess
            return subprocess.run(["/bin/sh", "-c", "cat <<ledger>>"], capture_output=True).stdout
            """
        ),
    ),
    Attack(
        name="works in a child",
        source="children with SIGCHLD ignored cost nothing",
        tries="lets a forked child do the work, whose time is in nobody's account",
        block="syscalls",
        reasons=("PermissionError",),
        trial=Snoop(_STOLEN, is_secret=False),
    ),
)
