"""What stories of who hears what are played on: a clock that jumps, a network, and trees."""

from __future__ import annotations

import asyncio
import selectors
from contextlib import suppress
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


class Wires:
    """A way to a broker on this machine that can be cut."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it begins."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def lay(self) -> None:
        """Listen, and pass on what comes."""
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)

    def cut(self) -> None:
        """Break every connection at once."""
        for writer in list(self._open):
            writer.transport.abort()

    def close(self) -> None:
        """Take it away."""
        assert self._server is not None
        self._server.close()
        self.cut()

    async def _join(self, near: asyncio.StreamReader, near_end: asyncio.StreamWriter) -> None:
        far, far_end = await asyncio.open_connection("127.0.0.1", self._broker_port)
        ends = {near_end, far_end}
        self._open |= ends

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await source.read(65_536):
                    target.write(data)
                    await target.drain()
            target.transport.abort()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(pump(near, far_end))
                group.create_task(pump(far, near_end))
        finally:
            self._open -= ends


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
