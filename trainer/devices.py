"""Which devices this machine has, cut into slots, and the class their timings belong to.

Found without torch, since CUDA must never be initialised in the community's own process: GPUs
through ``nvidia-smi``, processors through the scheduler's affinity. Slots go to `trainer.gpu_pool`.
"""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainer.errors import DeviceError

DeviceKind = Literal["auto", "cpu", "cuda"]

_QUERY_S = 10.0
"""nvidia-smi answers in well under a second, but may need several where a driver wakes up."""
_MOST_SLOTS = 1024
_MOST_PER_CPU = 3
"""Jobs that share a processor stretch one another; the wall cap is three budgets and a little."""
_CPU_INFO = Path("/proc/cpuinfo")
_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
_INSTRUCTION_SETS = ("avx512f", "avx2", "avx", "sve", "asimd")
"""Best first: torch picks its kernels, and so its speed, by the first one present."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of a device that runs one job at a time."""

    name: str
    """For people and the ledger: ``cpu0``, ``cuda0``."""
    device: str
    """torch's name of the device inside the sandbox: ``cpu`` or ``cuda:0``."""
    cpus: frozenset[int]
    """Processors a job on this slot is pinned to."""
    cuda_index: int | None = None
    """Index of the CUDA device on the host in PCI order, or None for a processor slot."""
    model: str = ""
    """The GPU's model name; empty for a processor slot."""
    cuda_uuid: str = ""
    """The GPU's own name, whatever the order it is counted in; empty for a processor slot."""
    node: str = ""
    """Of a cluster, the node that serves it at present; empty on this machine."""
    machine: str = ""
    """What timings on that node depend on (`machine_class`); empty for this machine's."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One CUDA device of the host, as nvidia-smi lists it."""

    index: int
    """In PCI order, which names its device node; CUDA is told the UUID instead."""
    model: str
    uuid: str


def find_slots(
    slots: Literal["auto"] | int = "auto", *, device: DeviceKind = "auto"
) -> tuple[Slot, ...]:
    """Cut this machine's devices into slots, one job each.

    Args:
        slots: ``auto`` for one per GPU, or else one per usable processor; or how many. More slots
            than processors share them in turn, three to one at most (`shared_cpus` names those); a
            GPU is never shared.
        device: ``auto`` takes GPUs where there are any that the installed torch can use.

    Raises:
        DeviceError: GPUs are asked for and too few are usable, or `slots` is out of range.
    """
    if isinstance(slots, bool) or (isinstance(slots, int) and not 1 <= slots <= _MOST_SLOTS):
        raise DeviceError(f"pool of {slots} slots: give 'auto' or a number from 1 to {_MOST_SLOTS}")
    gpus = () if device == "cpu" else find_gpus()
    if gpus or device == "cuda":
        return _cuda_slots(gpus, slots)
    cpus = usable_cpus()
    count = len(cpus) if slots == "auto" else slots
    if count > _MOST_PER_CPU * len(cpus):
        raise DeviceError(
            f"pool of {count} slots on {len(cpus)} usable processors: they would starve each other;"
            f" set slots in [pool] to 'auto' or at most {_MOST_PER_CPU * len(cpus)}"
        )
    return tuple(
        Slot(name=f"cpu{i}", device="cpu", cpus=frozenset({cpus[i % len(cpus)]}))
        for i in range(count)
    )


def usable_cpus() -> tuple[int, ...]:
    """Return the processors this process may use: its affinity, cut to its cgroup's quota."""
    cpus = sorted(os.sched_getaffinity(0))
    quota = _cpu_quota()
    return tuple(cpus if quota is None else cpus[: max(1, math.floor(quota))])


def usable_memory_bytes() -> int:
    """Return the memory that processes here can have: the machine's, cut to the cgroup's limit."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(machine, int(_MEMORY_LIMIT.read_text()))
    except (OSError, ValueError):  # no cgroup of version 2, or "max"
        return machine


def check_memory(slots: Sequence[Slot], job_bytes: int) -> None:
    """Refuse more slots than memory would last for, if each job took all that it may.

    Raises:
        DeviceError: with what there is, what could be taken, and what to change.
    """
    usable, wanted = usable_memory_bytes(), len(slots) * job_bytes
    if wanted >= usable:
        fits = (usable - 1) // job_bytes
        advice = f"set slots in [pool] to at most {fits}, or" if fits else "set"
        raise DeviceError(
            f"{len(slots)} slots whose jobs may each take {job_bytes >> 20} MiB could take"
            f" {wanted >> 20} MiB together, and there are {usable >> 20} MiB: {advice} memory_bytes"
            " in the task's [limits] lower"
        )


def shared_cpus(slots: Sequence[Slot]) -> tuple[int, ...]:
    """Return the processors that more than one of `slots` is pinned to; jobs there run slower."""
    counts = Counter(cpu for slot in slots for cpu in slot.cpus)
    return tuple(sorted(cpu for cpu, count in counts.items() if count > 1))


def find_gpus() -> tuple[Gpu, ...]:
    """Return the GPUs that the installed torch can use and CUDA_VISIBLE_DEVICES leaves visible."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    tool = shutil.which("nvidia-smi")
    if tool is None or "+cpu" in _torch_version() or (visible is not None and not visible.strip()):
        return ()
    try:
        answer = subprocess.run(
            [tool, "--query-gpu=index,uuid,name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_QUERY_S,
            check=False,  # one lost GPU among many makes it fail, and still lists the others
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()  # a driver without its device: the machine has no usable GPU
    rows = re.findall(r"^\s*(\d+)\s*,\s*(GPU-[\w-]+)\s*,\s*(.*?)\s*$", answer, re.MULTILINE)
    gpus = tuple(Gpu(int(index), model, uuid) for index, uuid, model in rows)
    return gpus if visible is None else _visible(gpus, visible)


def device_class(slots: Sequence[Slot]) -> str:
    """Return in one line what timings depend on; scores of different classes do not compare.

    For example ``AMD EPYC, avx512f, torch 2.13.0+cpu, 1 thread, 2 slots``.

    Args:
        slots: all slots of the pool; how many run beside one another is part of the class.

    Raises:
        DeviceError: there are no slots.
    """
    if not slots:
        raise DeviceError("no slots: a pool needs at least one; see find_slots")
    machines = sorted({slot.machine for slot in slots if slot.machine}) or [machine_class(slots)]
    count = "1 slot" if len(slots) == 1 else f"{len(slots)} slots"
    return f"{' + '.join(machines)}, {count}"


def machine_class(slots: Sequence[Slot]) -> str:
    """Return what timings on one machine depend on, however many of its slots there are."""
    models = sorted({slot.model for slot in slots if slot.model})
    if models:
        return f"{' + '.join(models)}, torch {_torch_version()}"
    model, instructions = _processor()
    threads = max(len(slot.cpus) for slot in slots)
    told = "1 thread" if threads == 1 else f"{threads} threads"
    return f"{model}, {instructions}, torch {_torch_version()}, {told}"


def _cuda_slots(gpus: Sequence[Gpu], slots: Literal["auto"] | int) -> tuple[Slot, ...]:
    """One slot per GPU, the processors dealt out evenly among them."""
    count = len(gpus) if slots == "auto" else slots
    if count > len(gpus) or count == 0:
        raise DeviceError(
            f"{max(count, 1)} CUDA slots asked for, {len(gpus)} usable GPUs found: ask for fewer,"
            " check CUDA_VISIBLE_DEVICES and nvidia-smi, install a CUDA build of torch, or use cpu"
        )
    cpus = usable_cpus()
    return tuple(
        Slot(
            name=f"cuda{gpu.index}",
            device="cuda:0",
            cpus=frozenset(cpus[i::count] or cpus),
            cuda_index=gpu.index,
            model=gpu.model,
            cuda_uuid=gpu.uuid,
        )
        for i, gpu in enumerate(gpus[:count])
    )


def _visible(gpus: Sequence[Gpu], visible: str) -> tuple[Gpu, ...]:
    """Apply CUDA_VISIBLE_DEVICES as CUDA does: in its order, up to the first name it lacks."""
    chosen: list[Gpu] = []
    for word in (part.strip() for part in visible.split(",")):
        found = [
            gpu
            for gpu in gpus
            if word == str(gpu.index) or (word.startswith("GPU-") and gpu.uuid.startswith(word))
        ]
        if len(found) != 1 or found[0] in chosen:
            break
        chosen.append(found[0])
    return tuple(chosen)


def _processor() -> tuple[str, str]:
    """Return the processor's model name and its best instruction set, ``none`` without vectors."""
    try:
        text = _CPU_INFO.read_text(errors="replace")
    except OSError:
        text = ""
    model = re.search(r"^model name\s*:\s*(.+?)\s*$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    present = set(flags.group(1).split()) if flags else set()
    best = next((name for name in _INSTRUCTION_SETS if name in present), "none")
    return (model.group(1) if model else platform.machine() or "unknown processor"), best


def _cpu_quota() -> float | None:
    """Return how many processors the cgroup grants, or None without a limit (or without v2)."""
    try:
        quota, period = _CPU_QUOTA.read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _torch_version() -> str:
    """Return torch's version from its metadata; importing it would take seconds."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return "none"
