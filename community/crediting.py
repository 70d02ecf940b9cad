"""Leave-one-out: what the leading commit loses without each of its changes, measured at the end.

When everybody has left, the lab takes the changes of the commit that leads back, one group of them
at a time, and runs what is left beside the whole, on fresh seeds of vault. Groups are the changes
that one commit held first; where there are more than `MOST_GROUPS`, those with least at stake share
one. It is done only if it fits into a share of what the run has spent: else credit stays that of
the path. `community.archive.credit` says what it came to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from community.archive.credit import CreditLedger, Omission, omissions
from community.archive.state import BASELINE, RunState
from community.chronicle import Chronicle
from community.events import Noticed, Proposed
from community.lab import signature
from community.scheduler import Bench, Request, Scheduler
from community.screening import tree_of
from scoring.evidence.credit import quiet
from trainer.errors import HunksInseparableError

MOST_GROUPS = 8
SEEDS = 4
"""Runs of every tree; as many of the whole beside them on each slot."""


async def measure_credit(
    chronicle: Chronicle, scheduler: Scheduler, bench: Bench, share: float
) -> None:
    """Measure what the changes of the leading commit are worth, if that is affordable.

    Goes on where a restart left it; does nothing that was done before.

    Args:
        chronicle: The ledger and its fold.
        scheduler: Serves the last runs.
        bench: What they are run with.
        share: Of the device-seconds of the run's experiments, the most that this may take.

    Cancellation: running attempts end with the scheduler; the next life goes on.
    """
    state = chronicle.state
    ledger = CreditLedger(state)
    leader = ledger.leader
    if leader is None:
        return
    made = omissions(state, leader)
    if not made:
        held = ledger.groups(leader)
        stakes = {holder: ledger.path.by_commit.get(holder, 0.0) for holder in held}
        groups = grouped(stakes, MOST_GROUPS)
        count = affordable(state, leader, share, len(groups), len(bench.pool.names))
        if count < 2:
            why = "has one author's commit to go to" if len(groups) < 2 else "would cost too much"
            _notice(chronicle, f"credit: path; measuring what each change is worth {why}")
            return
        await _omit(
            chronicle,
            bench,
            leader,
            [{hunk for one in group for hunk in held[one]} for group in grouped(stakes, count)],
        )
        made = omissions(state, leader)
    await _run(chronicle, scheduler, leader, _singles(made), bench.pool.names)
    await _run_together(chronicle, scheduler, bench, leader)


def grouped(stakes: Mapping[str, float], most: int) -> list[list[str]]:
    """Return the holders in at most `most` groups; those with least at stake share the last."""
    order = sorted(stakes, key=lambda holder: (-stakes[holder], list(stakes).index(holder)))
    alone = order if len(order) <= most else order[: most - 1]
    rest = order[len(alone) :]
    return [[holder] for holder in alone] + ([rest] if rest else [])


def affordable(state: RunState, leader: str, share: float, groups: int, slots: int) -> int:
    """Return how many of `groups` fit into `share` of the run's device-seconds; below 2 none do.

    Every group costs `SEEDS` runs, every slot that is used as many of the whole; as many again of
    each are kept for taking out together what alone seems to be worth nothing.
    """
    each_s = _run_s(state, leader)
    spent_s = sum(
        attempt.charge_s
        for experiment in state.experiments.values()
        if experiment.queued.purpose == "credit"
        for attempt in experiment.attempts
    )
    runs = (share * state.device_seconds - spent_s) / each_s if each_s else 0.0
    for count in range(groups, 1, -1):
        if SEEDS * (count + _slots_used(count, slots) + 2) <= runs:
            return count
    return 0


def _slots_used(groups: int, slots: int) -> int:
    """Each slot has its own runs of the whole: no more slots than have four groups each."""
    return max(1, min(slots, groups // 4))


def _run_s(state: RunState, leader: str) -> float:
    """Return what a run of the leading commit on vault is charged."""
    tree = tree_of(state, leader)
    charges = [
        experiment.attempts[-1].charge_s
        for experiment in state.experiments.values()
        if experiment.queued.tree_key == tree and experiment.queued.split == "vault"
        if experiment.attempts
    ]
    return sum(charges) / len(charges) if charges else 0.0


def _singles(made: Sequence[Omission]) -> list[Omission]:
    """Return the trees that lack one group each; another lacks several of those together."""
    covered: set[str] = set()
    found = []
    for one in made:
        if covered.isdisjoint(one.hunks):
            found.append(one)
            covered |= one.hunks
    return found


async def _omit(
    chronicle: Chronicle, bench: Bench, leader: str, groups: Sequence[Collection[str]]
) -> None:
    """Commit `leader` without each group of its changes, and record all of that at once."""
    made = [await _without(chronicle, bench, leader, group) for group in groups]
    events = {one.commit: one for one in made if one is not None}
    if events:
        chronicle.record(*events.values())


async def _without(
    chronicle: Chronicle, bench: Bench, leader: str, hunks: Collection[str]
) -> Proposed | None:
    """Commit `leader` without some changes; note it where they cannot be told apart."""
    repository, start = bench.repository, bench.task.start
    short = f"{leader[:7]} without {len(hunks)} of its changes"
    try:
        files = await bench.texts.without(start, repository.read(leader), hunks)
    except HunksInseparableError as error:
        _notice(chronicle, f"credit: {short} cannot be made: {error}")
        return None
    key = await bench.texts.tree_key(
        files, lock_hash=bench.lock_hash, budget=bench.budget, device_class=bench.device_class
    )
    commit = repository.commit(
        files,
        parents=(leader,),
        author=signature(BASELINE),
        message=f"{short}\n\n" + "\n".join(sorted(hunks)) + "\n",
        at_s=bench.epoch_s + chronicle.clock.now_us() // 1_000_000,
    )
    repository.set_ref(f"refs/heads/credit/{commit[:10]}", commit)
    left = await bench.texts.hunks(start, files)
    taken = {"without": sorted(hunks)}
    return Proposed(commit, (leader,), key, BASELINE, short, taken, left)


async def _run(
    chronicle: Chronicle,
    scheduler: Scheduler,
    leader: str,
    made: Sequence[Omission],
    slots: Sequence[str],
    first_pair: int = 1,
) -> None:
    """Run each tree `SEEDS` times, in blocks on one slot, the leading commit in each block.

    The order within a block moves on by one from block to block.
    """
    state = chronicle.state
    known = {
        (e.queued.commit, e.queued.pair): e.queued.experiment_id
        for e in state.experiments.values()
        if e.queued.purpose == "credit" and e.queued.commit != leader
    }
    beside = {
        (e.queued.slot, e.queued.pair): e.queued.experiment_id
        for e in state.experiments.values()
        if e.queued.purpose == "credit" and e.queued.commit == leader
    }
    waiting = []
    used = slots[: _slots_used(len(made), len(slots))]
    for pair in range(first_pair, first_pair + SEEDS):
        for place, slot in enumerate(used):
            block = [one.commit for one in made[place :: len(used)]] + [leader]
            turn = pair % len(block)
            for commit in block[turn:] + block[:turn]:
                found = beside.get((slot, pair)) if commit == leader else known.get((commit, pair))
                waiting.append(found or scheduler.admit(_request(state, commit, pair, slot)))
    for experiment_id in waiting:
        await scheduler.verdict(experiment_id)


def _request(state: RunState, commit: str, pair: int, slot: str) -> Request:
    return Request(
        commit=commit,
        tree_key=tree_of(state, commit),
        hypothesis="",
        purpose="credit",
        split="vault",
        charged_to=BASELINE,
        requested_by=BASELINE,
        pair=pair,
        slot=slot,
    )


async def _run_together(
    chronicle: Chronicle, scheduler: Scheduler, bench: Bench, leader: str
) -> None:
    """Take out together what alone is not above noise, where there are two or more of it."""
    state = chronicle.state
    made = omissions(state, leader)
    singles = _singles(made)
    joint = [one for one in made if one not in singles]
    if not joint:
        ledger = CreditLedger(state)
        owners, parts = ledger.parts(leader)
        silent = {holder for at in quiet(parts, ledger.spread) for holder in owners[at]}
        if len(quiet(parts, ledger.spread)) < 2:
            return
        held = ledger.groups(leader)
        await _omit(chronicle, bench, leader, [{h for one in silent for h in held[one]}])
        joint = [one for one in omissions(state, leader) if one not in singles]
    if joint:
        await _run(chronicle, scheduler, leader, joint[-1:], bench.pool.names, SEEDS + 1)


def _notice(chronicle: Chronicle, text: str) -> None:
    """Tell people, once."""
    if all(noticed.text != text for _, noticed in chronicle.state.notices):
        chronicle.record(Noticed("credit", text))
