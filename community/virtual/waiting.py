"""Who waits, and where: what is said when a virtual world can never go on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import FrameType
from typing import Any

from community.errors import WaitsForEverError

MOST_NAMED = 40
_LIBRARY = str(Path(asyncio.__file__).parent)
_ROOT = Path(__file__).resolve().parent.parent.parent


def waits_for_ever(loop: asyncio.AbstractEventLoop) -> WaitsForEverError:
    """Return the error that names every unfinished task of `loop`, oldest first."""
    tasks = sorted((t for t in asyncio.all_tasks(loop) if not t.done()), key=hash)
    return WaitsForEverError(
        loop.time(), [f"{task.get_name()}: {_place(task)}" for task in tasks[:MOST_NAMED]]
    )


def _place(task: asyncio.Task[Any]) -> str:
    """Return the two innermost places outside asyncio at which a task waits, innermost first."""
    frames: list[FrameType] = []
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = next(
            (f for kind in ("cr", "ag", "gi") if (f := getattr(awaited, f"{kind}_frame", None))),
            None,
        )
        if frame is not None:
            frames.append(frame)
        awaited = next(
            (a for kind in ("cr", "ag", "gi") if (a := _awaited(awaited, kind)) is not None), None
        )
    ours = [frame for frame in frames if not frame.f_code.co_filename.startswith(_LIBRARY)]
    return ", in ".join(_told(frame) for frame in reversed((ours or frames)[-2:])) or "somewhere"


def _awaited(awaited: Any, kind: str) -> Any:
    name = f"{kind}_yieldfrom" if kind == "gi" else f"{kind}_await"
    return getattr(awaited, name, None)


def _told(frame: FrameType) -> str:
    path = Path(frame.f_code.co_filename)
    place = path.relative_to(_ROOT) if path.is_relative_to(_ROOT) else path.name
    return f"{frame.f_code.co_name} at {place}:{frame.f_lineno}"
