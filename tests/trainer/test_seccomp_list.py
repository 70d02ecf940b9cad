"""System calls by their raw numbers: those that carried something out when they were tried."""

from __future__ import annotations

import json

import pytest
from trainer_trials import NOTHING, RunTrial

from trainer.sandbox.kernel import machine
from trainer.sandbox.probe import probe

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(probe().isolation == "none", reason="nothing isolates here"),
]

OLD = {
    "x86_64": {
        **{"fadvise64": 221, "preadv2": 327, "mincore": 27, "inotify_init1": 294, "flock": 73},
        **{"fanotify_init": 300, "memfd_create": 319, "sched_setaffinity": 203, "keyctl": 250},
        **{"add_key": 248, "request_key": 249, "kill": 62, "tkill": 200, "process_vm_readv": 310},
        **{"ptrace": 101, "userfaultfd": 323, "bpf": 321, "perf_event_open": 298, "mount": 165},
        **{"unshare": 272, "setns": 308, "execve": 59, "execveat": 322, "fork": 57, "vfork": 58},
        **{"readahead": 187, "sync_file_range": 277, "msync": 26, "sysinfo": 99, "setrlimit": 160},
        **{"socket": 41, "splice": 275, "name_to_handle_at": 303, "seccomp": 317, "kcmp": 312},
        **{"statfs": 137, "fstatfs": 138},
    },
    "aarch64": {
        **{"fadvise64": 223, "preadv2": 286, "mincore": 232, "inotify_init1": 26, "flock": 32},
        **{"fanotify_init": 262, "memfd_create": 279, "sched_setaffinity": 122, "keyctl": 219},
        **{"add_key": 217, "request_key": 218, "kill": 129, "tkill": 130, "process_vm_readv": 270},
        **{"ptrace": 117, "userfaultfd": 282, "bpf": 280, "perf_event_open": 241, "mount": 40},
        **{"unshare": 97, "setns": 268, "execve": 221, "execveat": 281, "readahead": 213},
        **{"sync_file_range": 84, "msync": 227, "sysinfo": 179, "setrlimit": 164, "socket": 198},
        **{"splice": 76, "name_to_handle_at": 264, "seccomp": 277, "kcmp": 272},
        **{"statfs": 43, "fstatfs": 44},
    },
}
NEW = {
    **{"cachestat": 451, "io_uring_setup": 425, "pidfd_open": 434, "pidfd_getfd": 438},
    **{"futex_waitv": 449, "process_madvise": 440, "open_tree": 428, "mount_setattr": 442},
}
"""Numbered alike everywhere."""
EPERM, ENOSYS = 1, 38


async def test_calls_that_reach_beyond_the_job_are_refused(run_trial: RunTrial):
    """By number, without a wrapper that could refuse first: each fails as not permitted."""
    numbers = {**OLD[machine()], **NEW}
    body = (
        "    import ctypes\n"
        "    libc = ctypes.CDLL(None, use_errno=True)\n"
        "    def call(number):\n"
        "        ctypes.set_errno(0)\n"
        "        done = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(0)] * 6)\n"
        "        return ctypes.get_errno() if done == -1 else 'done'\n"
        f"    print(json.dumps({{name: call(n) for name, n in {numbers!r}.items()}}))\n"
    )
    trial = await run_trial(NOTHING.replace("    pass\n", body))
    assert json.loads(trial.log) == dict.fromkeys(numbers, EPERM)


async def test_calls_are_refused_for_their_arguments(run_trial: RunTrial):
    """Signals and limits for others, a fork by clone, advice that moves the page cache."""
    prlimit, tgkill, clone, madvise = {
        "x86_64": (302, 234, 56, 28),
        "aarch64": (261, 131, 220, 233),
    }[machine()]
    calls = {
        "prlimit_other": (prlimit, 2, 7, "limit", 0),
        "prlimit_own": (prlimit, 0, 7, "limit", 0),
        "tgkill_other": (tgkill, 2, 2, 0),
        "clone_process": (clone, 17, 0, 0, 0, 0),
        "clone_own_table": (clone, 0x10900, 0, 0, 0, 0),
        "madvise_willneed": (madvise, "page", 4096, 3),
        "close_range_unshare": (436, 3000, 3000, 2),
        "madvise_pageout": (madvise, "page", 4096, 21),
        "clone3": (435, 0, 0),
    }
    body = (
        "    import ctypes\n"
        "    libc = ctypes.CDLL(None, use_errno=True)\n"
        "    limit = (ctypes.c_ulong * 2)(1, 1)\n"
        "    places = {'limit': ctypes.addressof(limit),\n"
        "              'page': ctypes.cast(libc.getpid, ctypes.c_void_p).value & ~4095}\n"
        "    def call(*words):\n"
        "        ctypes.set_errno(0)\n"
        "        done = libc.syscall(*[ctypes.c_long(places.get(w, w)) for w in words])\n"
        "        return ctypes.get_errno() if done == -1 else 'done'\n"
        f"    print(json.dumps({{name: call(*words) for name, words in {calls!r}.items()}}))\n"
    )
    trial = await run_trial(NOTHING.replace("    pass\n", body))
    assert json.loads(trial.log) == dict.fromkeys(calls, EPERM) | {"clone3": ENOSYS}
