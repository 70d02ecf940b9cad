"""What runs on a node: the local executor of that machine, behind calls from the institution.

The same sandbox, the same clocks, the same limits as on one machine. A node holds its slots on a
lease: without a word from the institution for long enough, all that runs here is killed, since then
somebody else has been given it. Nothing here knows Ray; `trainer.cluster.ray_cluster` makes an
actor of `Node`.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import platform
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import trainer
from trainer.cluster.records import (
    Blob,
    Fault,
    NodeFacts,
    NodeWish,
    ServeAsk,
    Told,
    TrainAnswer,
    TrainAsk,
)
from trainer.cluster.served import Served
from trainer.cluster.store import Store
from trainer.devices import Slot, check_memory, find_slots, machine_class, usable_cpus
from trainer.errors import ExecutorError, TrainerError
from trainer.executor import Executor
from trainer.experiment import Isolation
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor
from trainer.reference_kernel import machine_s
from trainer.script.script_executor import ScriptExecutor
from trainer.train_phase import LOG_NAME

_PREFIX: Final = "community-node-"
_MARK: Final = "lives"
_Answer = TypeVar("_Answer")


class Node:
    """One node; all calls are made in one event loop.

    Args:
        wish: What it is asked to be.
    """

    def __init__(self, wish: NodeWish) -> None:
        self._wish = wish
        self._root, self._mark = own_folder()
        self._store = Store(self._root)
        self._executor: LocalExecutor | ScriptExecutor | None = None
        self._slots: dict[str, Slot] = {}
        self._running: dict[str, asyncio.Task[TrainAnswer]] = {}
        self._served: dict[str, tuple[Served, asyncio.Task[None]]] = {}
        self._storing = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        self._lease_ends_s = 0.0

    async def open(self) -> NodeFacts | Fault:
        """Find the slots and build the first sandbox; a fault says why this node cannot be used."""
        wish = self._wish
        if wish.code != code_hash():
            await self.close()
            return Fault("another version of research-community, Python or torch is installed here")
        try:
            slots = _slots(wish)
            check_memory(slots, wish.job_bytes)
            self._executor = self._made()
            isolation: Isolation = await self._executor.warm_up()
        except TrainerError as error:
            await self.close()
            return Fault(str(error))
        self._slots = {slot.name: slot for slot in slots}
        self._renew()
        self._watch = asyncio.create_task(self._watch_lease(), name="lease of the node")
        return NodeFacts(slots, isolation, machine_class(slots))

    async def renew(self) -> None:
        """Go on holding the slots for another while."""
        self._renew()

    async def machine_s(self) -> float:
        """Return how fast this machine is, as `trainer.reference_kernel.machine_s`."""
        return await machine_s(slot.cpus for slot in self._slots.values())

    async def missing(self, digests: list[str]) -> list[str]:
        """Return those contents that are not here."""
        self._renew()
        return self._store.missing(digests)

    async def take(self, digest: str, piece: bytes, at: int, is_last: bool) -> Fault | None:
        """Take a piece of a content."""
        self._renew()
        async with self._storing:
            return await _told_fault(
                asyncio.to_thread(self._store.take, digest, piece, at, is_last=is_last)
            )

    async def train(self, ask: TrainAsk) -> TrainAnswer | Fault | None:
        """Run a job; None if it was cancelled, or killed when the lease ran out."""
        self._renew()
        task = asyncio.create_task(self._train(ask), name=f"train {ask.key}")
        self._running[ask.key] = task
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            del self._running[ask.key]
        if task.cancelled():
            return None
        return await _told_fault(_result(task))

    async def cancel(self, key: str) -> None:
        """Kill what runs under this name and return when nothing of it does any more."""
        if (task := self._running.get(key)) is not None:
            task.cancel()
            await asyncio.wait([task])
        if key in self._served:
            await self.end(key)

    async def serve(self, ask: ServeAsk) -> Told | Fault:
        """Begin to run a program."""
        self._renew()
        return await _told_fault(self._serve(ask))

    async def told(self, key: str) -> Told:
        """Return what a program has written since, and how it is; ended, if it is not here."""
        self._renew()
        found = self._served.get(key)
        return await found[0].told() if found is not None else _GONE

    async def hear(self, key: str, position: int, data: bytes, is_last: bool) -> bool:
        """Write to a program; False if it reads no more."""
        self._renew()
        found = self._served.get(key)
        return found is not None and await found[0].hear(position, data, is_last=is_last)

    async def end(self, key: str) -> Told:
        """Kill a program; return its last words."""
        found = self._served.pop(key, None)
        if found is None:
            return _GONE
        served, task = found
        served.end()
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            return _GONE
        return served.last_words()

    async def close(self) -> None:
        """End everything that runs here and remove what was stored."""
        if self._watch is not None:
            self._watch.cancel()
        await self._kill_all()
        if self._executor is not None:
            await self._executor.aclose()
        await asyncio.to_thread(shutil.rmtree, self._root, ignore_errors=True)
        self._mark.close()

    def _made(self) -> LocalExecutor | ScriptExecutor:
        wish = self._wish
        if wish.script is not None:
            return ScriptExecutor(wish.script, wish.metric)
        return LocalExecutor(hidden=wish.hidden, allow=wish.allow)

    def _ready(self) -> Executor:
        if self._executor is None:
            raise ExecutorError(f"node {self._wish.name} is not open")
        return self._executor

    async def _train(self, ask: TrainAsk) -> TrainAnswer:
        executor = self._ready()
        folder = self._root / "jobs" / ask.key
        try:
            async with self._storing:
                workspace = await asyncio.to_thread(self._store.folder, ask.workspace)
                data = await asyncio.to_thread(self._store.folder, ask.data)
            job = replace(ask.job, workspace=workspace, data=data, folder=folder)
            result = await executor.train(job, Lease(self._slots[ask.slot]))
            artefact = None
            if result.artefact is not None:
                async with self._storing:  # it is asked for again when it is scored
                    await asyncio.to_thread(self._store.adopt, result.artefact)
                artefact = await asyncio.to_thread(result.artefact.read_bytes)
            log = await asyncio.to_thread(_read, folder / LOG_NAME)
            return TrainAnswer(result, log, artefact)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _serve(self, ask: ServeAsk) -> Told:
        executor = self._ready()
        async with self._storing:
            path = await asyncio.to_thread(self._store.file, ask.program)
            workspace = await asyncio.to_thread(self._store.folder, ask.workspace)
            files = {end.digest: self._store.file(end) for end in ask.ends if isinstance(end, Blob)}
        served = Served(ask, path, workspace, files)
        run = served.run(executor, Lease(self._slots[ask.slot]))
        task = asyncio.create_task(run, name=f"serve {ask.key}")
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        self._served[ask.key] = served, task
        try:
            return await served.begun()
        except BaseException:
            await self.end(ask.key)
            raise

    def _renew(self) -> None:
        self._lease_ends_s = asyncio.get_running_loop().time() + self._wish.lease_s

    async def _watch_lease(self) -> None:
        """Kill everything whenever the lease has run out; a word renews it."""
        loop = asyncio.get_running_loop()
        while True:
            left_s = self._lease_ends_s - loop.time()
            if left_s <= 0:
                await self._kill_all()
                left_s = self._wish.lease_s
            await asyncio.sleep(left_s)

    async def _kill_all(self) -> None:
        for key in (*self._running, *self._served):
            await self.cancel(key)


_GONE: Final = Told(is_alive=False, is_lost=True)


def code_hash() -> str:
    """Return what both sides of a cluster have to agree on: our code, Python, torch."""
    root = Path(trainer.__file__).parent
    digest = hashlib.sha256(f"{platform.python_version()} {version('torch')}".encode())
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def own_folder() -> tuple[Path, BinaryIO]:
    """Make this node's folder, and remove those of nodes that were killed.

    Returns:
        The folder, and a file in it whose lock says that its node lives; the kernel lets go of it.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_MARK}"):
        with suppress(OSError), left.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent, ignore_errors=True)
    root = Path(tempfile.mkdtemp(prefix=_PREFIX))
    mark = (root / _MARK).open("wb")
    fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return root, mark


def _slots(wish: NodeWish) -> tuple[Slot, ...]:
    """Cut this node's slots: those that Ray has set aside, on processors that are still free.

    Raises:
        DeviceError: they are not here.
    """
    if wish.device == "cpu":
        cpus = usable_cpus()
        slots = find_slots(wish.count, device="cpu")
        return tuple(
            replace(slot, cpus=frozenset({cpus[(wish.first + number) % len(cpus)]}))
            for number, slot in enumerate(slots)
        )
    gpus = find_slots(-(-wish.count // wish.slots_per_gpu), device="cuda")
    shared = [
        replace(gpu, name=gpu.name if part == 0 else f"{gpu.name}-{part + 1}")
        for gpu in gpus
        for part in range(wish.slots_per_gpu)
    ]
    return tuple(shared[: wish.count])


async def _told_fault(doing: Coroutine[Any, Any, _Answer]) -> _Answer | Fault:
    """Return what comes of it, or a fault in words: our errors need not travel as they are."""
    try:
        return await doing
    except (TrainerError, OSError, ValueError, TypeError, LookupError) as error:
        return Fault(str(error) or repr(error))


async def _result(task: asyncio.Task[TrainAnswer]) -> TrainAnswer:
    return task.result()


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
