"""What stands in for the patch policy: any path is taken, and written where it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainer.patch_policy import PatchPolicy


@dataclass(frozen=True, slots=True)
class AnyPath(PatchPolicy):
    """A policy that takes whatever names come."""

    def apply(self, parent: Mapping[str, bytes], changed: Mapping[str, bytes]) -> dict[str, bytes]:
        """Lay `changed` over `parent`."""
        return {**parent, **changed}


def write_anywhere(files: Mapping[str, bytes], folder: Path) -> Path:
    """Write `files` below `folder`, or wherever their names lead."""
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder
