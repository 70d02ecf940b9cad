"""What stories of who hears what are played on: a clock that jumps, and some trees to speak of."""

from __future__ import annotations

import asyncio
import selectors
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.repository import Repository


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still while anybody works and jumps when all wait."""

    def __init__(self) -> None:
        super().__init__(selectors.SelectSelector())
        self._now_s = 0.0
        look = self._selector.select  # type: ignore[attr-defined]

        def jump(timeout: float | None = None) -> Any:
            if timeout is None:
                raise RuntimeError("everybody waits for ever")
            self._now_s += timeout
            return look(0)

        self._selector.select = jump  # type: ignore[attr-defined]

    def time(self) -> float:
        """Return virtual seconds."""
        return self._now_s


@dataclass(frozen=True)
class Trees:
    """A repository with a start and some proposals, shared by all stories."""

    repository: Repository
    baseline: str
    commits: tuple[str, ...]

    @classmethod
    def grow(cls, folder: Path, count: int = 30) -> Trees:
        """Commit a start tree and `count` changes of it."""
        repository = Repository.create(folder / "repo.git")
        start = {"train.py": b"RATE = 0\n"}
        baseline = repository.commit(start, (), "lab <lab@a>", "start\n", 0)
        commits = [
            repository.commit(
                {"train.py": f"RATE = {n}\n".encode()}, (baseline,), "a <a@a>", f"{n}\n", 0
            )
            for n in range(1, count + 1)
        ]
        return cls(repository, baseline, tuple(commits))
