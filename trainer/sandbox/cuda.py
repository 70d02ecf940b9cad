"""What a CUDA slot needs beside torch: device nodes of one card and the driver's libraries.

Bound only for jobs leased such a slot. Nothing here touches the driver.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

_LIBRARY_FOLDERS: Final = (
    *("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"),
    *("/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/local/cuda/compat"),
)
_LIBRARY_NAMES: Final = (
    *("libcuda.so*", "libnvidia-ml.so*", "libnvidia-ptxjitcompiler.so*"),
    *("libnvidia-nvvm.so*", "libnvidia-gpucomp.so*"),
)
_SYSTEM: Final = ("/sys/devices/system/node", "/sys/devices/system/cpu")
"""Which processors are near which memory: without it the driver says that a call of the system has
failed (304). Facts of the machine that do not change."""
_SHARED_NODES: Final = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")


_CARDS: Final = Path("/proc/driver/nvidia/gpus")
"""A folder per card, whose file tells its UUID and the number in its node's name."""


def has_card() -> bool:
    """Whether the nodes of any card are here."""
    return any(re.fullmatch(r"nvidia\d+", path.name) for path in Path("/dev").glob("nvidia*"))


def device_nodes(index: int, uuid: str = "") -> tuple[str, ...]:
    """Device nodes of one card, those that exist.

    Args:
        index: in nvidia-smi's order, which names the node where the driver says nothing of it.
        uuid: the card's own name. In a container that shows some of a machine's cards its node
            keeps the machine's number, whatever nvidia-smi counts.
    """
    own = f"/dev/nvidia{_minor(uuid, index)}"
    return tuple(node for node in (own, *_SHARED_NODES) if Path(node).exists())


def _minor(uuid: str, otherwise: int) -> int:
    """The number in the name of a card's node."""
    for path in sorted(_CARDS.glob("*/information")):
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        said = dict(re.findall(r"^([\w ]+):\s*(\S+)", text, re.MULTILINE))
        if uuid and said.get("GPU UUID") == uuid and said.get("Device Minor", "").isdigit():
            return int(said["Device Minor"])
    return otherwise


def driver_files() -> tuple[str, ...]:
    """The driver's libraries, the loader's cache that finds them, and what they read of /sys."""
    told = [path for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if path]
    libraries = {
        str(path)
        for folder in (*_LIBRARY_FOLDERS, *told)
        for pattern in _LIBRARY_NAMES
        for path in Path(folder).glob(pattern)
        if path.exists()
    }
    others = [path for path in ("/etc/ld.so.cache", *_SYSTEM) if Path(path).exists()]
    return (*sorted(libraries), *others)
