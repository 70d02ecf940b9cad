"""What a script and all that it has started hold at a moment, read from outside.

Whatever is orphaned in a PID namespace becomes a child of its process 1, so the tree below that is
everything there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MOST: Final = 4096
"""Processes that are looked at; the kernel's own limit on them is far lower."""
_HELD: Final = (b"VmRSS", b"VmSwap", b"VmPTE")


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """Sums over a tree of processes."""

    held_bytes: int
    """Resident or swapped out, with page tables; what several share counts for each."""
    processes: tuple[int, ...]
    """Their ids."""


def tree_usage(root: int) -> TreeUsage:
    """Return what the process `root` and its descendants hold; nothing once it has ended."""
    held = 0
    found: list[int] = []
    waiting = [root]
    while waiting and len(found) < _MOST:
        pid = waiting.pop()
        try:
            lines = Path(f"/proc/{pid}/status").read_bytes().splitlines()
            children = [
                int(word)
                for task in Path(f"/proc/{pid}/task").iterdir()
                for word in (task / "children").read_bytes().split()
            ]
        except (OSError, ValueError):
            continue  # it has just ended
        said = {name: words.split() for name, _, words in (line.partition(b":") for line in lines)}
        held += sum(int(said[name][0]) << 10 for name in _HELD if name in said)
        found.append(pid)
        waiting += children
    return TreeUsage(held, tuple(found))


def shared_out_bytes(processes: tuple[int, ...]) -> int | None:
    """Return what processes hold together, each shared page counted once; None if not readable."""
    total = 0
    for pid in processes:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines()
        except ProcessLookupError:
            continue
        except OSError:
            return None
        for line in lines:
            if line.startswith((b"Pss:", b"SwapPss:")):
                total += int(line.split()[1]) << 10
    return total
