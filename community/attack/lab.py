"""The lab: opens benches for one task, with all blocks in place or with some of them off.

What all benches share is made once: bait, slots, training data, the run secret, the process that
scores without a lock. Scorer and warm parent of the full lock live as long as the lab; those of a
weaker bench end with it.
"""

from __future__ import annotations

import asyncio
import itertools
import runpy
import secrets
import shutil
import statistics
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from sysconfig import get_paths

from community.attack.attack import TwinFinding
from community.attack.bait import (
    PAGES_NAMES,
    Bait,
    forgets_pages,
    laid_out,
    lay_pages,
    share_keyring,
)
from community.attack.bench import HASTY_S, PUBLIC_SECRET, SEED, STEPS, Bench
from community.attack.blocks import Block
from community.attack.trees import start_of
from community.attack.weak.parts import Weakness, together
from community.attack.weak.unlocked import Unlocked
from scoring.block_draw import draw, generator
from scoring.grader import Division, Grader
from scoring.language_model import ByteLanguageModel
from scoring.scorer import Scorer
from trainer.devices import find_slots
from trainer.gpu_pool import GpuPool
from trainer.local_executor import LocalExecutor
from trainer.task import ENTRY, Task
from trainer.text_process import TextProcess
from trainer.texts import Texts, TrustedTexts

_SPREAD_SEEDS = 4
"""Seeds of the start, at the suite's few steps, from which sigma is taken."""


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every bench of a lab stands on."""

    task: Task
    folder: Path
    bait: Bait
    pool: GpuPool
    source: Path
    data: Path
    run_secret: bytes
    unlocked: Unlocked
    sigma: float
    numbers: itertools.count[int]
    texts: Texts
    dev: tuple[bytes, ...]
    """Held-out texts, as a mind may know them by heart."""
    grader: Grader
    twins: dict[str, asyncio.Task[TwinFinding]]


class Lab:
    """One task, ready to be attacked; made by `open_lab`."""

    def __init__(self, ground: _Ground, scorer: Scorer, executor: LocalExecutor) -> None:
        self._ground = ground
        self._scorer = scorer
        self._executor = executor
        self._copies = 0

    @property
    def task(self) -> Task:
        """Whose lock is attacked."""
        return self._ground.task

    @property
    def production(self) -> Bench:
        """A bench with every block in place."""
        return _bench(self._ground, Weakness(), self._scorer, self._executor)

    @asynccontextmanager
    async def bench(self, off: Iterable[Block]) -> AsyncIterator[Bench]:
        """Open a bench on which the blocks `off` are replaced by weak parts."""
        weakness = together(off)
        async with AsyncExitStack() as stack:
            scorer, executor, ground = self._scorer, self._executor, self._ground
            if not weakness.has_secret:
                ground = replace(ground, run_secret=PUBLIC_SECRET)
            if weakness.grade or not weakness.has_secret:
                scorer = await _scorer(ground, self._weak_copy(weakness.grade), stack)
            if weakness.without or weakness.executor is not LocalExecutor:
                hidden = scorer.corpus.hidden
                executor = weakness.executor(hidden=hidden, without=weakness.without)
                await stack.enter_async_context(executor)
            yield _bench(ground, weakness, scorer, executor)

    def _weak_copy(self, change: str) -> Path:
        """Copy the task's locked folder and append `change` to its grade.py."""
        self._copies += 1
        locked = self._ground.folder / f"weak-{self._copies}" / "locked"
        shutil.copytree(self.task.locked, locked)
        with (locked / "grade.py").open("a") as stream:
            stream.write(change)
        return locked


def _bench(ground: _Ground, weakness: Weakness, scorer: Scorer, executor: LocalExecutor) -> Bench:
    """Put a bench together."""
    return Bench(
        task=ground.task,
        folder=ground.folder,
        data=ground.data,
        bait=ground.bait,
        pool=ground.pool,
        policy=weakness.policy(**{**asdict(ground.task.policy), **weakness.caps}),
        texts=ground.texts if weakness.has_text_process else TrustedTexts(),
        write=weakness.write,
        read=weakness.read,
        start_scorer=partial(_scorer_of, ground),
        heldout=b"\n".join(ground.dev),
        drawn=partial(_drawn, ground),
        forgets_pages=forgets_pages(ground.data / PAGES_NAMES[0]),
        has_seed_gate=weakness.has_seed_gate,
        has_manifest=weakness.has_manifest,
        executor=executor,
        phase=weakness.phase(executor, scorer, ground.task, STEPS),
        hasty_phase=weakness.phase(executor, scorer, ground.task, STEPS, HASTY_S),
        unlocked=ground.unlocked,
        sigma=ground.sigma,
        numbers=ground.numbers,
        twins=ground.twins,
    )


@asynccontextmanager
async def open_lab(task: Task, folder: Path) -> AsyncIterator[Lab]:
    """Open a lab for `task` in the empty folder `folder`.

    Raises:
        SandboxUnavailableError: this machine gives no isolation worth attacking.
        ScorerStartError, CorpusError: the task's own grader cannot be used.
    """
    source, data, run_secret = Path(get_paths()["stdlib"]), folder / "data", secrets.token_bytes(32)
    unlocked = Unlocked(task.locked, source, data, run_secret)
    dev, grader = await asyncio.to_thread(_read_dev, task, source)
    async with AsyncExitStack() as stack:
        ground = _Ground(
            task=task,
            folder=folder,
            bait=stack.enter_context(laid_out(folder)),
            pool=GpuPool(find_slots("auto", device="cpu")),
            source=source,
            data=data,
            run_secret=run_secret,
            unlocked=unlocked,
            sigma=1.0,
            numbers=itertools.count(),
            dev=dev,
            grader=grader,
            twins={},
            texts=await stack.enter_async_context(TextProcess()),
        )
        scorer = await _scorer(ground, task.locked, stack)
        (data / "answers.txt").write_text("val_bpb: 0.03\n")
        lay_pages(data)
        share_keyring()
        stack.push_async_callback(unlocked.aclose)
        executor = await stack.enter_async_context(LocalExecutor(hidden=scorer.corpus.hidden))
        ground = replace(ground, sigma=await _spread(task, unlocked))
        yield Lab(ground, scorer, executor)


async def _scorer(ground: _Ground, locked: Path, stack: AsyncExitStack) -> Scorer:
    """Start a scorer, to be ended with `stack`."""
    scorer = await _scorer_of(ground, locked)
    stack.push_async_callback(scorer.aclose)
    return scorer


async def _scorer_of(ground: _Ground, locked: Path) -> Scorer:
    return await Scorer.start(locked, ground.source, ground.data, ground.run_secret)


def _read_dev(task: Task, source: Path) -> tuple[tuple[bytes, ...], Grader]:
    """Return the texts of ``dev`` as a scorer sorts them, and the task's grader."""
    grade = runpy.run_path(str(task.locked / "grade.py"))
    division: Division = grade["prepare"](source)
    files = division.heldout["dev"]
    texts = tuple(files[path] for path in sorted(files, key=lambda path: path.split("/")))
    return texts, grade["GRADER"]


def _drawn(ground: _Ground, secret: bytes | None) -> bytes:
    """Return what `secret` draws from ``dev``, block by block."""
    grader = ground.grader
    assert isinstance(grader, ByteLanguageModel)  # attacks on what is drawn are on text alone
    chance = generator(secret or ground.run_secret, "blocks/dev")
    drawn = draw(ground.dev, grader.blocks, grader.block, grader.rows, chance)
    return b"".join(request.blocks.tobytes() for request in drawn)


async def _spread(task: Task, unlocked: Unlocked) -> float:
    """Return sigma: the spread of the start's scores over seeds."""
    tree = {**task.start, ENTRY: start_of(task).encode()}
    seeds = range(SEED, SEED + _SPREAD_SEEDS)
    scores = [await unlocked.score(tree, seed, int(STEPS.amount), "dev") for seed in seeds]
    return statistics.stdev(score for score in scores if score is not None)
