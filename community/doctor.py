"""Whether this machine can run the quick start: one check per thing it needs, each with advice.

It starts nothing that outlives it and changes nothing; the scorer's check splits the corpus into a
temporary folder, by the very code a run uses. Next: `community.cli.machine_commands` prints it.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import runpy
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from sysconfig import get_paths
from typing import Literal

import psutil

import scoring
from agents.minds.catalogue import KEYS
from community.loading import load_scenario
from scoring.errors import ScoringError
from scoring.grader import Corpus, Division
from trainer.devices import find_gpus, find_slots, usable_cpus
from trainer.errors import TrainerError
from trainer.sandbox.probe import SandboxReport, probe
from trainer.task import Task, find_task, load_task

Level = Literal["ok", "warn", "fail"]

SLOT_BYTES = 700 << 20
"""What one slot of the quick start takes: a warm fork, a small model, two answering processes."""
LEAST_MEMORY_BYTES = 1200 << 20
"""The warm parent, the scorer and ourselves, with one slot."""
RUN_DISK_BYTES = 500 << 20
"""A quick start's artefacts, logs and ledger, with room to spare."""
LEAST_DISK_BYTES = 100 << 20
_MIB = 1 << 20
_WITHDRAW = (
    "import os, sys; sys.path.insert(0, sys.argv[1]); from scoring import own_user;"
    " own_user.withdraw(); print('own' if os.geteuid() == own_user.SCORER_ID else 'same')"
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    level: Level
    """ok; warn: it runs, with less; fail: the quick start cannot run."""
    finding: str
    advice: str = ""
    """What to do; empty when there is nothing to do."""


def examine(place: Path | None = None) -> tuple[Check, ...]:
    """Return every check, in the order in which a run would need them.

    Args:
        place: Folder below which runs would be written; the current one by default.
    """
    where = Path.cwd() if place is None else place
    checks: tuple[Callable[[], Check], ...] = (
        _python,
        _torch,
        _processors,
        _slots,
        _gpus,
        _memory,
        lambda: _disk(where),
        *_walls(),
        _scorer_user,
        _corpus,
        _git,
        _loopback,
        _broker,
        _models,
    )
    return tuple(check() for check in checks)


def _models() -> Check:
    """Say which models could be asked; none is needed."""
    missing = [name for name in ("anthropic", "openai") if find_spec(name) is None]
    if missing:
        advice = "for minds that ask a model: pip install 'research-community[minds]'"
        return Check("models", "ok", f"no package {', '.join(missing)}; none is needed", advice)
    keys = [key for key in KEYS.values() if os.environ.get(key, "").strip()]
    finding = f"keys in the environment: {', '.join(keys) or 'none'}; none is needed"
    return Check("models", "ok", f"anthropic and openai are installed; {finding}")


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.implementation.name != "cpython":
        advice = "torch and the sandbox are only known to work with CPython"
        return Check("python", "warn", f"{sys.implementation.name} {version}", advice)
    return Check("python", "ok", f"{version} at {sys.executable}")


def _torch() -> Check:
    try:
        import torch  # takes seconds; nothing else here needs it

        torch.ones(2, 2).sum().item()
    except (ImportError, OSError, RuntimeError) as error:
        advice = "reinstall it: pip install --force-reinstall torch"
        return Check("torch", "fail", f"cannot be used: {error}", advice)
    return Check("torch", "ok", torch.__version__)


def _processors() -> Check:
    count = len(usable_cpus())
    if count == 1:
        advice = "the quick start takes twice as long as on two; nothing else changes"
        return Check("processors", "warn", "1 core", advice)
    return Check("processors", "ok", f"{count} cores this process may use")


def _slots() -> Check:
    """Cut the quick start's slots: its budget is processor time, so they are processors."""
    try:
        slots = find_slots(load_scenario("quickstart").pool.slots, device="cpu")
    except TrainerError as error:
        return Check("slots", "fail", str(error), "set slots in [pool] to a number that fits")
    return Check("slots", "ok", f"{len(slots)}: {' '.join(slot.name for slot in slots)}")


def _gpus() -> Check:
    """List what budgets of device_seconds would run on."""
    models = ", ".join(gpu.model for gpu in find_gpus())
    if not models:
        return Check("gpus", "ok", "none that this torch can use; none is needed")
    use = 'for nanolm-gpu and budgets in device_seconds (or "auto"); not for the quick start'
    return Check("gpus", "ok", f"{models}; {use}")


def _memory() -> Check:
    free = psutil.virtual_memory().available
    wanted = LEAST_MEMORY_BYTES + SLOT_BYTES * (len(usable_cpus()) - 1)
    finding = f"{free // _MIB} MiB free"
    if free < LEAST_MEMORY_BYTES:
        advice = f"close other programs; one slot needs about {LEAST_MEMORY_BYTES // _MIB} MiB"
        return Check("memory", "fail", finding, advice)
    if free < wanted:
        slots = 1 + (free - LEAST_MEMORY_BYTES) // SLOT_BYTES
        advice = f"give pool = {{ slots = {slots} }} in your scenario, or close other programs"
        return Check("memory", "warn", f"{finding}, a slot per core wants {wanted // _MIB}", advice)
    return Check("memory", "ok", finding)


def _disk(place: Path) -> Check:
    if not os.access(place, os.W_OK | os.X_OK):
        advice = "change to a folder you may write, or give community run --run-dir"
        return Check("disk", "fail", f"{place} cannot be written", advice)
    free = shutil.disk_usage(place).free
    finding = f"{free // _MIB} MiB free in {place}"
    advice = "make room, or give community run --run-dir on another disk"
    if free < LEAST_DISK_BYTES:
        return Check("disk", "fail", finding, advice)
    if free < RUN_DISK_BYTES:
        return Check("disk", "warn", finding, advice)
    return Check("disk", "ok", finding)


def _walls() -> tuple[Callable[[], Check], Callable[[], Check]]:
    """Return what looks at the sandbox and at the lockdown; both go by one probe."""
    probed = functools.cache(probe)

    def sandbox() -> Check:
        try:
            return _sandbox(probed())
        except (OSError, subprocess.SubprocessError) as error:
            advice = "see the message; then retry"
            return Check("sandbox", "fail", f"the probe failed: {error}", advice)

    def lockdown() -> Check:
        try:
            return _lockdown(probed())
        except (OSError, subprocess.SubprocessError):
            return Check("lockdown", "warn", "unknown, as the probe failed")

    return sandbox, lockdown


def _sandbox(report: SandboxReport) -> Check:
    """Judge what a run would get; the quick start accepts full isolation only."""
    landlock = f"Landlock ABI {report.landlock_version or 'none'}"
    finding = f"{report.isolation} isolation, {landlock}"
    needed = load_scenario("quickstart").lab.isolation
    advice = "; ".join(report.advice())
    if not report.allows(needed):
        weaker = f'or accept less for code you trust: lab = {{ isolation = "{report.isolation}" }}'
        return Check("sandbox", "fail", f"{finding}; {needed} is needed", f"{advice}; {weaker}")
    return Check("sandbox", "warn" if advice else "ok", finding, advice)


def _lockdown(report: SandboxReport) -> Check:
    """Say whether an answering sandbox is locked in before it is sent held-out text."""
    if report.locks_down:
        finding = "answering sandboxes are locked in from outside, by seccomp user notification"
        return Check("lockdown", "ok", finding)
    advice = (
        "needs Linux 5.12 and a place where this program may listen to system calls: not below "
        "another listener (run a container without its seccomp profile: docker run "
        "--security-opt seccomp=unconfined)"
    )
    finding = "answering sandboxes keep the calls of training; isolation is partial at best"
    return Check("lockdown", "warn", finding, advice)


def _scorer_user() -> Check:
    """Try, in a process of its own, to become whom the scorer's process becomes."""
    name, root = "scorer's user", str(Path(scoring.__file__).parent.parent)
    command = [sys.executable, "-I", "-c", _WITHDRAW, root]
    try:
        done = subprocess.run(
            command, env={}, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, timeout=20,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return Check(name, "warn", f"could not be tried: {error}", "see the message; then retry")
    if done.returncode:
        last = (done.stderr.decode(errors="replace").splitlines() or ["no message"])[-1]
        return Check(name, "fail", f"the scorer cannot close itself to others: {last}", "see there")
    if done.stdout.strip() == b"own":
        return Check(name, "ok", "one of its own, which owns nothing")
    if os.geteuid() != 0:
        finding = "yours; its memory is closed to your other programs, its files are not"
        return Check(name, "ok", finding, "started as root, it gets a user of its own")
    advice = (
        "grant CAP_SETUID, CAP_SETGID and CAP_DAC_READ_SEARCH, and map more than one user where "
        "this root is a user namespace's"
    )
    return Check(name, "warn", "root: it may not become another user here", advice)


def _corpus() -> Check:
    """Split the corpus as a run would."""
    try:
        task = _quickstart_task()
        corpus = _split(task)
    except TrainerError as error:
        return Check("held-out text", "fail", str(error), "reinstall the project")
    except ScoringError as error:
        advice = (
            "use a Python whose standard library comes with its sources (python.org, pyenv, uv)"
        )
        return Check("held-out text", "fail", str(error), advice)
    held = corpus.dev_bytes + corpus.vault_bytes + corpus.seal_bytes
    finding = f"{held // 1000} kB held out, {corpus.train_bytes // 1000} kB to train on"
    return Check("held-out text", "ok", f"{finding}, corpus {corpus.hash[:12]}")


def _quickstart_task() -> Task:
    return load_task(find_task(load_scenario("quickstart").run.task, Path.cwd()))


def _split(task: Task) -> Corpus:
    """Run the task's own ``prepare`` on this interpreter's standard library."""
    grade = runpy.run_path(str(task.locked / "grade.py"))
    division: Division = grade["prepare"](Path(get_paths()["stdlib"]))
    return division.corpus


def _git() -> Check:
    version = importlib.metadata.version("pygit2")
    if shutil.which("git") is None:
        advice = "runs do not need it; install git to read a run's lineage with git log --graph"
        return Check("git", "warn", f"pygit2 {version}, no git command", advice)
    return Check("git", "ok", f"pygit2 {version}, {shutil.which('git')}")


def _loopback() -> Check:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                pass
    except OSError as error:
        advice = 'the board needs loopback; without it set board = { broker = "memory" }'
        return Check("loopback", "fail", f"127.0.0.1 cannot be used: {error}", advice)
    return Check("loopback", "ok", "a free port on 127.0.0.1 can be opened")


def _broker() -> Check:
    try:
        versions = [f"{name} {importlib.metadata.version(name)}" for name in ("amqtt", "aiomqtt")]
    except importlib.metadata.PackageNotFoundError as error:
        return Check("broker", "fail", f"{error.name} is not installed", "pip install it")
    return Check("broker", "ok", ", ".join(versions))
