"""Attacks that take more of the machine than a job may."""

from __future__ import annotations

from community.attack.attack import Attack
from community.attack.trials.flood import Flood
from community.attack.trials.snoop import Snoop

ATTACKS = (
    Attack(
        name="reserves more memory than it may",
        source="bombs",
        tries="allocates 256 MiB more than its limit and waits with using them",
        block="limits",
        reasons=("MemoryError", "RuntimeError"),
        trial=Snoop(
            """
            import numpy
            held = numpy.empty((1 << 30) + (256 << 20), numpy.uint8)
            return f"{held.nbytes >> 20} MiB of 1024"
            """,
            is_secret=False,
            memory_bytes=1 << 30,
        ),
    ),
    Attack(
        name="opens a thousand files",
        source="an opening of a lab like this one",
        tries="fills the table of open files, which the whole machine shares",
        block="limits",
        reasons=("OSError",),
        trial=Snoop(
            """
            held = [open("train.py") for _ in range(1000)]
            return f"{len(held)} open files"
            """,
            is_secret=False,
        ),
    ),
    Attack(
        name="starts 300 threads",
        source="a huge thread count",
        tries="starts more threads than a job may have, and has them wait",
        block="limits",
        also=("watchdog",),
        reasons=("RuntimeError",),
        trial=Snoop(
            """
            import threading
            enough = threading.Event()
            for _ in range(300):
                threading.Thread(target=enough.wait, daemon=True).start()
            enough.set()
            return "300 threads"
            """,
            is_secret=False,
        ),
    ),
    Attack(
        name="fills the disk",
        source="bombs",
        tries="writes a file of 128 MiB into /tmp",
        block="limits",
        also=("files",),
        reasons=("OSError", "limit"),
        trial=Snoop(
            """
            import os, signal
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            file = os.open("/tmp/<<note>>", os.O_CREAT | os.O_WRONLY)
            os.remove("/tmp/<<note>>")
            for _ in range(16):
                os.write(file, bytes(8 << 20))
            os.lseek(file, 120 << 20, os.SEEK_SET)
            os.write(file, b"the end")
            return "128 MiB"
            """,
            is_secret=False,
        ),
    ),
    Attack(
        name="holds memory by mapping files",
        source="memory that no limit counts",
        tries="maps the library's files and touches every page; no kernel limit counts those",
        block="watchdog",
        reasons=("memory",),
        trial=Snoop(
            """
            import mmap, os, time, torch
            folder, held, size = os.path.join(os.path.dirname(torch.__file__), "lib"), [], 0
            for name in sorted(os.listdir(folder)):
                if not name.endswith(".so"):
                    continue
                file = open(os.path.join(folder, name), "rb")
                held.append(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
                size += sum(1 for at in range(0, len(held[-1]), 4096) if held[-1][at] >= 0) * 4096
            time.sleep(0.5)
            return f"{size >> 20} MiB of 320"
            """,
            is_secret=False,
            memory_bytes=320 << 20,
        ),
    ),
    Attack(
        name="floods its log",
        source="log flood",
        tries="prints 16 MiB, to fill the disk of the run folder",
        block="streams",
        reasons=("cut off",),
        trial=Flood(
            """
            for _ in range(256):
                print("x" * (1 << 16))
            """
        ),
    ),
)
