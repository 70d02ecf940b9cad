"""Whether this machine can run the quick start: one check per thing it needs, each with advice.

It starts nothing that outlives it and changes nothing; the scorer's check splits the corpus into a
temporary folder, by the very code a run uses. Next: `community.cli.machine_commands` prints it.
"""

from __future__ import annotations

import importlib.metadata
import os
import runpy
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from sysconfig import get_paths
from typing import Literal

import psutil

from community.loading import load_scenario
from scoring.errors import ScoringError
from scoring.grader import Corpus, Division
from trainer.devices import find_gpus, find_slots, usable_cpus
from trainer.errors import TrainerError
from trainer.sandbox.probe import probe
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
        _sandbox,
        _corpus,
        _git,
        _loopback,
        _broker,
    )
    return tuple(check() for check in checks)


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
    return Check("gpus", "ok", f'{models}; not for the quick start, but for budget kind "auto"')


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


def _sandbox() -> Check:
    """Try the sandbox as a run would; the quick start accepts full isolation only."""
    try:
        report = probe()
    except (OSError, subprocess.SubprocessError) as error:
        return Check("sandbox", "fail", f"the probe failed: {error}", "see the message; then retry")
    lockdown = "lockdown" if report.locks_down else "no lockdown"
    landlock = f"Landlock ABI {report.landlock_version or 'none'}"
    finding = f"{report.isolation} isolation, {landlock}, {lockdown}"
    needed = load_scenario("quickstart").lab.isolation
    advice = "; ".join(report.advice())
    if not report.allows(needed):
        weaker = f'or accept less for code you trust: lab = {{ isolation = "{report.isolation}" }}'
        return Check("sandbox", "fail", f"{finding}; {needed} is needed", f"{advice}; {weaker}")
    return Check("sandbox", "warn" if advice else "ok", finding, advice)


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
