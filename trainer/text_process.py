"""Candidate text is read here: by a child process with 2 s and 512 MiB, replaced when it breaks.

Parsers meet hostile text in it: a file can take seconds and gigabytes to parse, or end the
interpreter that tries. Whatever happens there, a request comes back in bounded time with something
true: a refusal, a key by bytes, a patch that shows files whole. The limits are the child's
processor time, read from outside, and the address space it gives itself (`trainer.text_program`).
One child answers everybody in turn and lives for the whole run, so that an ordinary request costs
little more than the parsing itself; one that broke a limit, or broke, is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from trainer.errors import (
    ExecutorError,
    HunksInseparableError,
    PatchRefusedError,
    TextLimitError,
)
from trainer.experiment import Budget
from trainer.hunks import MOST_HUNKS, coarse_ids
from trainer.patch_policy import PatchPolicy
from trainer.text_wire import LENGTHS, Trees, WireError, lengths, pack, unpack
from trainer.texts import Tree
from trainer.tree_key import byte_key
from trainer.tree_text import DIFF_BYTES, MergedTree, diff_trees

CPU_S: Final = 2.0
"""Processor time of one request; an ordinary one needs some 20 ms."""
WALL_S: Final = 20.0
"""On a machine so busy that 2 s of processor time take longer than this, text is not read."""
_LOOK_S: Final = 0.1
_SPARE_S: Final = 2
"""Beyond `CPU_S` the kernel ends the child, should nobody be left to look."""
_END_S: Final = 5.0
_ROOT: Final = str(Path(__file__).parents[1])
_LAUNCH: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from trainer.text_program import main; main()"
)
_CPU_CLOCK: Final = 2
"""Of the three clocks of a process the one the scheduler keeps, in nanoseconds."""
_KEY: Final = re.compile("[0-9a-f]{64}")
_HUNK: Final = re.compile("[0-9a-f]{16}")
_RULES: Final = ("text", "syntax", "literals", "novelty")
_ANSWER_BYTES: Final = 1 << 20
"""Beyond twice what it was asked, the longest answer."""

_Answer = tuple[dict[str, Any], list[dict[str, bytes]]]


class TextProcess:
    """`trainer.texts.Texts` by a child process; an async context manager.

    Args:
        cpu_s: processor seconds of one request.
        wall_s: wall seconds of one request, waiting for its turn not counted.
    """

    def __init__(self, *, cpu_s: float = CPU_S, wall_s: float = WALL_S) -> None:
        self._cpu_s = cpu_s
        self._wall_s = wall_s
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Start the child.

        Raises:
            ExecutorError: it does not start, or does not answer.
        """
        try:
            await self._ask({"ask": "diff", "cap_bytes": 0}, ({}, {}))
        except TextLimitError as error:
            raise ExecutorError(
                "the process that reads candidate text does not answer; see whether"
                f" {sys.executable} can be started with -I -S, and whether 512 MiB are free"
            ) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the child."""
        await self._end()

    @property
    def pid(self) -> int | None:
        """Process id of the child that answers next, or None if one has to be started first."""
        return self._process.pid if self._process is not None else None

    async def check(
        self, policy: PatchPolicy, tree: Tree, parents: Sequence[Tree], start: Tree
    ) -> None:
        """Refuse a tree for what its text holds; what cannot be read is refused by rule ``time``.

        Raises:
            PatchRefusedError: see `PatchPolicy.read`.
        """
        try:
            head, _ = await self._ask(
                {"ask": "check", "policy": asdict(policy)}, (tree, start, *parents)
            )
            refused = head["refused"]
            if refused is None:
                return
            path, rule, advice = map(str, refused)
            if rule not in _RULES:
                raise WireError("an unknown rule")
        except (TextLimitError, WireError, KeyError, TypeError, ValueError):
            advice = f"cannot be read within {self._cpu_s:g} s and 512 MiB; write it plainer"
            raise PatchRefusedError("", "time", advice) from None
        raise PatchRefusedError(path[:200], rule, advice[:400])

    async def tree_key(
        self, files: Tree, *, lock_hash: str, budget: Budget, device_class: str
    ) -> str:
        """Return the tree's key; what cannot be read counts as bytes."""
        head = {
            "ask": "key",
            "lock_hash": lock_hash,
            "kind": budget.kind,
            "amount": budget.amount,
            "device_class": device_class,
        }
        try:
            said, _ = await self._ask(head, (files,))
            if _KEY.fullmatch(key := str(said.get("key"))):
                return key
        except TextLimitError:
            pass
        return byte_key(files, lock_hash=lock_hash, budget=budget, device_class=device_class)

    async def diff(self, older: Tree, newer: Tree, *, cap_bytes: int = DIFF_BYTES) -> str:
        """Return the unified patch; where lines cannot be compared, files are shown whole."""
        try:
            _, trees = await self._ask({"ask": "diff", "cap_bytes": cap_bytes}, (older, newer))
            return trees[0]["patch"].decode("utf-8", "replace")
        except (TextLimitError, LookupError):
            return diff_trees(older, newer, cap_bytes=cap_bytes, compare=False)

    async def merge(self, base: Tree, ours: Tree, theirs: Tree) -> MergedTree:
        """Merge two trees three ways.

        Raises:
            TextLimitError: that is too much for the limits.
        """
        head, trees = await self._ask({"ask": "merge"}, (base, ours, theirs))
        known = {*base, *ours, *theirs}
        try:
            (files,), conflicts = trees, tuple(map(str, head["conflicts"]))
        except (KeyError, TypeError, ValueError) as error:
            raise TextLimitError("merge") from error
        if not known.issuperset(files) or not known.issuperset(conflicts):
            raise TextLimitError("merge")
        return MergedTree(files, conflicts)

    async def hunks(self, start: Tree, tree: Tree) -> tuple[str, ...]:
        """Return the ids of what `tree` changes of `start`; of unreadable texts one for a file."""
        try:
            head, _ = await self._ask({"ask": "hunks"}, (start, tree))
            ids = [str(each) for each in head["hunks"]]
        except (TextLimitError, KeyError, TypeError):
            return coarse_ids(start, tree)
        if len(ids) > MOST_HUNKS or not all(map(_HUNK.fullmatch, ids)):
            return coarse_ids(start, tree)
        return tuple(sorted(set(ids)))

    async def without(self, start: Tree, tree: Tree, group: Collection[str]) -> Tree:
        """Return `tree` with some of its hunks taken back.

        Raises:
            HunksInseparableError: they cannot be taken back alone, or not within limits.
        """
        try:
            head, trees = await self._ask({"ask": "without", "group": list(group)}, (start, tree))
        except TextLimitError as error:
            raise HunksInseparableError("that takes too long or too much memory") from error
        if len(trees) != 1 or not {*start, *tree}.issuperset(trees[0]):
            raise HunksInseparableError(str(head.get("inseparable"))[:200])
        return trees[0]

    async def _ask(self, head: Mapping[str, Any], trees: Trees) -> _Answer:
        """Return the child's answer.

        Raises:
            TextLimitError: there is none within limits. A child that died is replaced and asked
                once more, since somebody else may have killed it.

        Cancellation: the child is killed; the next request starts another.
        """
        what = str(head["ask"])
        try:
            message = pack(head, trees)
        except WireError as error:
            raise TextLimitError(what) from error
        async with self._turn:
            for _ in range(2):
                try:
                    answer = await self._exchange(message)
                except (OSError, EOFError, WireError):
                    await self._end()
                    continue
                except TimeoutError as error:
                    await self._end()
                    raise TextLimitError(what) from error
                except BaseException:
                    await self._end()
                    raise
                if answer[0].get("failed"):
                    await self._end()  # what a full memory has done to it nobody knows
                    break
                return answer
        raise TextLimitError(what)

    async def _exchange(self, message: bytes) -> _Answer:
        """Send one message and wait for the answer.

        Raises:
            TimeoutError: the child has used more than its time, and still computes.
            OSError: it cannot be started, or is gone. Also EOFError.
            WireError: what it says is no answer.
        """
        if self._process is None:
            self._process = await self._start()
        process = self._process
        loop = asyncio.get_running_loop()
        began_s, began_cpu_s = loop.time(), _cpu_s(process.pid)
        _arm(process.pid, began_cpu_s + self._cpu_s)
        talking = asyncio.create_task(_talk(process, message), name="text process")
        try:
            while not (await asyncio.wait((talking,), timeout=_LOOK_S))[0]:
                used_s = _cpu_s(process.pid) - began_cpu_s
                if used_s > self._cpu_s or loop.time() - began_s > self._wall_s:
                    raise TimeoutError
            return talking.result()
        finally:
            talking.cancel()
            await asyncio.wait((talking,))  # nobody else may read meanwhile

    async def _start(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _LAUNCH, _ROOT),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )

    async def _end(self) -> None:
        """Kill the child, if there is one, and reap it."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(_END_S):
                await process.stdout.read()  # asyncio takes a process for ended after its pipes
                await process.wait()
        except TimeoutError:
            return  # it hangs in the kernel; it is nobody's any more


async def _talk(process: Process, message: bytes) -> _Answer:
    """Write a message and read one."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(message)
    await process.stdin.drain()
    head, body = lengths(await process.stdout.readexactly(LENGTHS.size))
    if head + body > 2 * len(message) + _ANSWER_BYTES:
        raise WireError("too long an answer")
    return unpack(await process.stdout.readexactly(head), await process.stdout.readexactly(body))


def _cpu_s(pid: int) -> float:
    """Return the processor seconds a child of ours has used.

    Raises:
        OSError: it has ended.
    """
    return time.clock_gettime((~pid << 3) | _CPU_CLOCK)


def _arm(pid: int, until_cpu_s: float) -> None:
    """Have the kernel end the child some time after the moment we would.

    Raises:
        OSError: it has ended.
    """
    limit = int(until_cpu_s) + _SPARE_S
    resource.prlimit(pid, resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
