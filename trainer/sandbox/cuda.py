"""What a CUDA slot needs beside torch: device nodes of one card and the driver's libraries.

Bound only for jobs leased such a slot. Nothing here touches the driver.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_LIBRARY_FOLDERS: Final = (
    *("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"),
    *("/usr/local/nvidia/lib64", "/usr/local/cuda/compat"),
)
_LIBRARY_NAMES: Final = ("libcuda.so*", "libnvidia-ml.so*", "libnvidia-ptxjitcompiler.so*")
_SHARED_NODES: Final = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")


def device_nodes(index: int) -> tuple[str, ...]:
    """Device nodes of card `index`, those that exist."""
    return tuple(node for node in (f"/dev/nvidia{index}", *_SHARED_NODES) if Path(node).exists())


def driver_files() -> tuple[str, ...]:
    """The driver's libraries, and the loader's cache that finds them."""
    libraries = {
        str(path)
        for folder in _LIBRARY_FOLDERS
        for pattern in _LIBRARY_NAMES
        for path in Path(folder).glob(pattern)
        if path.exists()
    }
    cache = Path("/etc/ld.so.cache")
    return (*sorted(libraries), *((str(cache),) if cache.exists() else ()))
