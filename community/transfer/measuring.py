"""Measures every tree of a plan at one size: a run in which nobody takes part.

It is a run like any other, with a folder, a ledger and a lock of its own: killed at any moment it
goes on, and every view can show it. Trees are run side by side, all of them on one slot under one
pair number (a block), in an order that moves on from block to block, so that neither a slow slot
nor a slow hour falls on one of them alone. Next: `community.transfer.findings`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from community.archive.state import BASELINE, RunState
from community.calibration import calibrate
from community.chronicle import Chronicle
from community.clock import RunClock
from community.events import Proposed, Row, RunResumed, RunStopped
from community.lab import signature
from community.queueing import Queue
from community.run_folder import RunFolder
from community.scenario import Scenario
from community.scheduler import Bench, Request, Scheduler
from community.transfer.plan import Part, Plan, Variant, resized
from community.world import open_ledger, open_world
from forum.messages import KnobValue
from trainer.texts import Tree

DONE: Final = "measured"
"""Why such a run ends in order."""
CALIBRATION: Final = 2
"""Runs of the start before; what answering costs is told against them."""

Name = tuple[Part, int]


@dataclass(frozen=True, slots=True)
class Size:
    """One size at which a plan is measured."""

    label: str
    changes: Mapping[str, KnobValue]
    scenario: Scenario
    text: str
    """The scenario's, for the ledger."""
    folder: RunFolder


async def measure(
    plan: Plan,
    size: Size,
    seeds: int,
    *,
    is_resumed: bool,
    on_row: Callable[[Row], None] | None = None,
) -> RunState:
    """Run every tree of `plan` under `seeds` seeds at one size.

    Args:
        plan: What is run, at the size that it had.
        size: Where, and what the trees are set to.
        seeds: Runs of each tree.
        is_resumed: Go on where the folder's ledger ends.
        on_row: Told of every new row.

    Raises:
        CommunityError: it cannot start or go on; nothing that was recorded is lost.
        TransferError: a tree does not bind what is to be set.

    Cancellation: what runs is killed and recorded as interrupted; `is_resumed` takes it up again.
    """
    ledger, clock = open_ledger(size.folder, is_resumed=is_resumed)
    try:
        chronicle = Chronicle(ledger, clock)
        if on_row is not None:
            ledger.subscribe(on_row)
        known = chronicle.state.opened
        async with open_world(size.scenario, size.text, size.folder, known) as opening:
            chronicle.clock = RunClock(offset_us=chronicle.state.last_us)
            if known is not None:
                lost = tuple(e.queued.experiment_id for e in chronicle.state.running())
                chronicle.record(
                    RunResumed(lost, dict(opening.host), None, opening.bench.life_class)
                )
            else:
                chronicle.record(opening.opened)
            why = "interrupted"
            try:
                await _measure(plan, size, chronicle, opening.bench, seeds)
                why = DONE
            except Exception:
                why = "failed"
                raise
            finally:
                chronicle.record(RunStopped(why, opening.secret.hex() if why == DONE else ""))
        return chronicle.state
    finally:
        ledger.close()


async def _measure(plan: Plan, size: Size, chronicle: Chronicle, bench: Bench, seeds: int) -> None:
    queue = Queue(lambda: chronicle.clock.now_us() / 1e6, lambda _: 1.0)
    scheduler = Scheduler(chronicle, queue, bench)
    scheduler.requeue_unfinished()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(scheduler.serve(), name="scheduler")
        await calibrate(chronicle, scheduler, bench, CALIBRATION)
        await _commit(plan, size, chronicle, bench)
        await _run_blocks(chronicle, scheduler, bench, seeds)
        serving.cancel("everything is measured")


async def _commit(plan: Plan, size: Size, chronicle: Chronicle, bench: Bench) -> None:
    """Commit every tree at its size and record all of them at once, unless that was done."""
    if commits_of(chronicle.state):
        return
    made: dict[str, Proposed] = {}
    for variant in plan.variants:
        what = describe(plan, variant)
        files = resized(variant.files, size.changes, what)
        one = await _proposed(plan, variant, files, what, chronicle, bench)
        first = made.setdefault(one.tree_key, one)  # who is the same at this size is run once
        first.knobs["names"].append([variant.part, variant.group])
    chronicle.record(*made.values())


async def _proposed(
    plan: Plan, variant: Variant, files: Tree, what: str, chronicle: Chronicle, bench: Bench
) -> Proposed:
    opened = chronicle.state.opened
    assert opened is not None
    key = await bench.texts.tree_key(
        files, lock_hash=bench.lock_hash, budget=bench.budget, device_class=bench.device_class
    )
    if variant.part == "start":
        commit = opened.baseline_commit
    else:
        commit = bench.repository.commit(
            files,
            parents=(opened.baseline_commit,),
            author=signature(BASELINE),
            message=f"{what}\n\nof {plan.leader} of run {plan.run_id}\n",
            at_s=bench.epoch_s + chronicle.clock.now_us() // 1_000_000,
        )
        bench.repository.set_ref(f"refs/heads/transfer/{commit[:10]}", commit)
    knobs: dict[str, Any] = {"names": []}
    hunks = await bench.texts.hunks(bench.task.start, files)
    return Proposed(commit, (opened.baseline_commit,), key, BASELINE, what, knobs, hunks)


def describe(plan: Plan, variant: Variant) -> str:
    """Return a tree's name in words."""
    if variant.part in ("start", "leader"):
        return f"the {variant.part}"
    title = plan.groups[variant.group].title
    return f"the leader without {title}" if variant.part == "without" else f"the start with {title}"


def commits_of(state: RunState) -> dict[Name, str]:
    """Return the commit of each tree that was made, by its name; of equal trees the same one."""
    return {
        (part, group): commit
        for commit, proposal in state.proposals.items()
        if proposal.author == BASELINE
        for part, group in proposal.knobs.get("names", ())
    }


async def _run_blocks(chronicle: Chronicle, scheduler: Scheduler, bench: Bench, seeds: int) -> None:
    """Admit what was not admitted in an earlier life, and wait for every verdict."""
    state, slots = chronicle.state, bench.pool.names
    known = {
        (e.queued.commit, e.queued.pair): e.queued.experiment_id
        for e in state.experiments.values()
        if e.queued.purpose == "transfer"
    }
    names = list(dict.fromkeys(commits_of(state).values()))
    wanted = []
    for pair in range(1, seeds + 1):
        turn = (pair - 1) * max(1, len(names) // seeds) % len(names)
        wanted += [(commit, pair) for commit in names[turn:] + names[:turn]]
    requests = [
        Request(
            commit=commit,
            tree_key=state.proposals[commit].tree_key,
            hypothesis="",
            purpose="transfer",
            split="vault",
            charged_to=BASELINE,
            requested_by=BASELINE,
            pair=pair,
            slot=slots[pair % len(slots)],
        )
        for commit, pair in wanted
        if (commit, pair) not in known
    ]
    waiting = [*known.values(), *(scheduler.admit_all(requests) if requests else ())]
    for experiment_id in waiting:
        await scheduler.verdict(experiment_id)
