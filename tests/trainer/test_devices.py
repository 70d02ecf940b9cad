"""Slots come from what the machine has; GPUs are seen through nvidia-smi alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trainer import devices
from trainer.devices import (
    Gpu,
    Slot,
    check_memory,
    device_class,
    find_gpus,
    find_slots,
    shared_cpus,
    usable_cpus,
    usable_memory_bytes,
)
from trainer.errors import DeviceError

SMI = """#!/bin/sh
echo "0, GPU-aaaa-1, NVIDIA H200"
echo "1, GPU-bbbb-2, NVIDIA H200"
"""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Make a machine of four processors, a CUDA build of torch, and no GPU yet."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {7, 2, 4, 6})
    monkeypatch.setattr(devices, "_CPU_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(devices, "_torch_version", lambda: "2.13.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return monkeypatch


def add_tool(folder: Path, script: str = SMI) -> None:
    """Put a program called nvidia-smi where the machine will find it."""
    tool = folder / "nvidia-smi"
    tool.write_text(script)
    tool.chmod(0o755)


def test_this_machine_has_slots_and_a_class():
    """Whatever runs the suite can run a pool, each slot on processors of its own."""
    slots = find_slots(device="cpu")
    assert [slot.cpus for slot in slots] == [frozenset({cpu}) for cpu in usable_cpus()]
    assert shared_cpus(slots) == ()
    assert f"{len(slots)} slot" in device_class(slots)


@pytest.mark.usefixtures("machine")
def test_auto_without_a_gpu_gives_one_pinned_slot_per_usable_processor():
    """Affinity decides, in order, one processor each."""
    assert find_slots() == tuple(
        Slot(name=f"cpu{i}", device="cpu", cpus=frozenset({cpu}))
        for i, cpu in enumerate((2, 4, 6, 7))
    )


@pytest.mark.usefixtures("machine")
def test_a_number_of_slots_is_taken_at_its_word_and_sharing_is_told():
    """More slots than processors share them in turn; `shared_cpus` names those."""
    assert [min(slot.cpus) for slot in find_slots(2)] == [2, 4]
    slots = find_slots(6)
    assert [min(slot.cpus) for slot in slots] == [2, 4, 6, 7, 2, 4]
    assert len({slot.name for slot in slots}) == 6
    assert shared_cpus(slots) == (2, 4)
    assert len(find_slots(12)) == 12


@pytest.mark.usefixtures("machine")
def test_slots_that_would_starve_one_another_are_refused():
    """More than three to a processor is no pool, and the message says what would be one."""
    with pytest.raises(DeviceError, match=r"64 slots on 4 usable processors.*at most 12"):
        find_slots(64)


@pytest.mark.parametrize("slots", [0, -1, True, 10**9])
def test_impossible_numbers_are_refused(slots: int):
    """A pool has at least one slot and not a million."""
    with pytest.raises(DeviceError, match="from 1 to"):
        find_slots(slots)


@pytest.mark.parametrize(
    ("quota", "count"),
    [("200000 100000", 2), ("50000 100000", 1), ("max 100000", 4), ("900000 100000", 4), ("?", 4)],
)
@pytest.mark.usefixtures("machine")
def test_a_container_quota_cuts_the_processors(tmp_path: Path, quota: str, count: int):
    """A container that may use two processors of many gets two slots."""
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert len(find_slots()) == count


@pytest.mark.usefixtures("machine")
def test_gpus_become_slots_with_their_share_of_processors(tmp_path: Path):
    """Every GPU is one slot; inside the sandbox each is cuda:0."""
    add_tool(tmp_path)
    assert find_slots() == (
        Slot("cuda0", "cuda:0", frozenset({2, 6}), 0, "NVIDIA H200", "GPU-aaaa-1"),
        Slot("cuda1", "cuda:0", frozenset({4, 7}), 1, "NVIDIA H200", "GPU-bbbb-2"),
    )
    (only,) = find_slots(1)
    assert (only.cuda_index, only.cpus) == (0, frozenset({2, 4, 6, 7}))
    assert {slot.device for slot in find_slots(device="cpu")} == {"cpu"}


@pytest.mark.usefixtures("machine")
def test_more_gpus_than_there_are_is_refused(tmp_path: Path):
    """A GPU is never shared, and wanting CUDA without one says what to check."""
    with pytest.raises(DeviceError, match="0 usable GPUs found"):
        find_slots(device="cuda")
    add_tool(tmp_path)
    with pytest.raises(DeviceError, match="3 CUDA slots asked for, 2 usable"):
        find_slots(3)


@pytest.mark.parametrize(
    ("visible", "indices"),
    [
        ("0,1", [0, 1]),
        ("1,0", [1, 0]),
        ("1", [1]),
        ("GPU-bbbb", [1]),
        ("GPU-", []),
        ("", []),
        ("-1", []),
        ("0,9,1", [0]),
        ("0,0", [0]),
    ],
)
def test_cuda_visible_devices_is_obeyed_as_cuda_does(
    machine: pytest.MonkeyPatch, tmp_path: Path, visible: str, indices: list[int]
):
    """Order, UUID prefixes and the stop at the first unknown name are CUDA's own."""
    add_tool(tmp_path)
    machine.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [gpu.index for gpu in find_gpus()] == indices


@pytest.mark.parametrize(
    "script", ["#!/bin/sh\necho No devices were found\nexit 6\n", "#!/bin/sh\necho rubbish\n", ""]
)
@pytest.mark.usefixtures("machine")
def test_a_driver_without_a_gpu_means_processors(tmp_path: Path, script: str):
    """A broken or idle nvidia-smi does not stop a laptop."""
    add_tool(tmp_path, script)
    assert find_gpus() == ()
    assert find_slots()[0].device == "cpu"


@pytest.mark.usefixtures("machine")
def test_a_lost_gpu_does_not_hide_the_others(tmp_path: Path):
    """nvidia-smi that fails and still lists a device is believed about that device."""
    add_tool(tmp_path, "#!/bin/sh\necho 'Unable to reach 0'\necho '1, GPU-b, NVIDIA'\nexit 15\n")
    assert find_gpus() == (Gpu(1, "NVIDIA", "GPU-b"),)


def test_a_cpu_build_of_torch_cannot_use_the_gpu(machine: pytest.MonkeyPatch, tmp_path: Path):
    """What torch cannot use is no slot."""
    add_tool(tmp_path)
    machine.setattr(devices, "_torch_version", lambda: "2.13.0+cpu")
    assert find_gpus() == ()


CPUINFO = """processor : 0
model name\t: AMD EPYC 9654
flags\t\t: fpu avx avx2 avx512f amx
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CPUINFO, "AMD EPYC 9654, avx512f, torch 2.13.0, 1 thread, 2 slots"),
        (CPUINFO.replace(" avx512f", ""), "AMD EPYC 9654, avx2, torch 2.13.0, 1 thread, 2 slots"),
        ("processor : 0\nFeatures : fp asimd\n", "aarch64, asimd, torch 2.13.0, 1 thread, 2 slots"),
        ("", "aarch64, none, torch 2.13.0, 1 thread, 2 slots"),
    ],
)
def test_the_device_class_is_what_timings_depend_on(
    machine: pytest.MonkeyPatch, tmp_path: Path, text: str, expected: str
):
    """Processor, instruction set, torch, threads and concurrency, in one readable line."""
    (tmp_path / "cpuinfo").write_text(text)
    machine.setattr(devices, "_CPU_INFO", tmp_path / "cpuinfo")
    machine.setattr("platform.machine", lambda: "aarch64")
    assert device_class(find_slots(2)) == expected


def test_the_device_class_of_gpus_names_their_model():
    """The host's processor does not make another class of a GPU."""
    gpu = Gpu(0, "NVIDIA H200", "GPU-a")
    slot = Slot("cuda0", "cuda:0", frozenset({1, 2}), gpu.index, gpu.model)
    assert device_class([slot]).startswith("NVIDIA H200, torch ")
    assert device_class([slot]).endswith(", 1 slot")


def test_no_slots_have_no_class():
    """An empty pool is refused here too."""
    with pytest.raises(DeviceError, match="no slots"):
        device_class([])


def test_finding_slots_never_imports_torch():
    """CUDA must not be initialised in the community's process, so torch is not even loaded."""
    code = (
        "import sys; from trainer.devices import *; device_class(find_slots(device='cpu'));"
        "find_gpus(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(("limit", "advice"), [(5 << 30, "at most 2, or"), (1 << 30, "MiB: set")])
def test_jobs_that_memory_would_not_last_for_are_refused(
    machine: pytest.MonkeyPatch, tmp_path: Path, limit: int, advice: str
):
    """The cgroup's limit counts where it is lower; the message tells what to do."""
    machine.setattr(devices, "_MEMORY_LIMIT", tmp_path / "memory.max")
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    slots = find_slots(3, device="cpu")
    with pytest.raises(DeviceError, match=rf"3 slots .* 2048 MiB .* 6144 MiB .*{advice}") as found:
        check_memory(slots, 2 << 30)
    assert "memory_bytes" in str(found.value)
    (tmp_path / "memory.max").write_text("max\n")
    assert usable_memory_bytes() > 1 << 30
    check_memory(slots, usable_memory_bytes() // 4)
