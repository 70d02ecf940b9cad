"""Alarms about the yardstick: when nothing is decided, and which parents nobody can gain on.

Two things raise one. Sentinel runs that drift (`community.sentinels`): every decision waits for
fresh references. Two runs in a row of a declared parent that fail: what leads, and the baseline,
are everybody's yardstick, so their failing makes every decision wait as well; any other parent's is
its children's affair alone. They stay undecided, or a researcher whose trees fail by chance could
hold up all the others.

Functions of the folded ledger, and the one that records an alarm.
"""

from __future__ import annotations

from typing import Literal

from community.archive.queries import leader
from community.archive.state import RunState
from community.chronicle import Chronicle
from community.events import Noticed, Purpose
from community.evidence_events import AlarmRaised

FAILURES = 2
"""So many runs of a parent in a row that fail raise an alarm."""
_PARENTS: frozenset[Purpose] = frozenset({"baseline", "parent", "sentinel", "confirm_parent"})


def yardstick_commit(state: RunState) -> str:
    """Return the commit that leads, the baseline before there is one; sentinel runs are of it."""
    if (leading := leader(state)) is not None:
        return leading.commit
    assert state.opened is not None
    return state.opened.baseline_commit


def decisions_paused(state: RunState) -> bool:
    """Whether nothing may be decided now: no screen, no confirmation, no move of the frontier.

    Experiments go on meanwhile. `community.sentinels` sees to it that the pause ends.
    """
    return any(pauses(state, alarm) for alarm in state.evidence.alarms.values())


def pauses(state: RunState, alarm: AlarmRaised) -> bool:
    """Whether `alarm`, which is not cleared, concerns everybody."""
    assert state.opened is not None
    everybodys = (state.opened.baseline_commit, yardstick_commit(state))
    return alarm.what == "drift" or alarm.commit in everybodys


def has_failed(state: RunState, commit: str) -> bool:
    """Whether an alarm about `commit` as a parent is open: nothing can gain on it."""
    alarms = state.evidence.alarms.values()
    return any(alarm.what == "parent" and alarm.commit == commit for alarm in alarms)


def keeps_failing(state: RunState, tree_key: str) -> bool:
    """Whether the last runs of a tree as somebody's parent all failed, and there were enough."""
    failed = 0
    for experiment in reversed(state.by_verdict):
        queued, verdict = experiment.queued, experiment.standing_verdict
        if queued.tree_key != tree_key or queued.purpose not in _PARENTS or verdict is None:
            continue
        if verdict.outcome != "invalid":
            return False
        failed += 1
        if failed == FAILURES:
            return True
    return False


def raise_alarm(
    chronicle: Chronicle,
    what: Literal["drift", "parent"],
    detail: str,
    *,
    device_class: str,
    slot: str = "",
    commit: str = "",
) -> None:
    """Record an alarm, and tell people; once, whoever finds it first."""
    state = chronicle.state
    open_ones = state.evidence.alarms.values()
    if any((alarm.what, alarm.commit) == (what, commit) for alarm in open_ones):
        return
    alarm = AlarmRaised(
        f"a{state.evidence.alarms_raised + 1}", what, device_class, slot, detail, commit
    )
    stops = (
        "nothing is decided until fresh runs are in"
        if pauses(state, alarm)
        else ("what rests on it stays undecided")
    )
    chronicle.record(alarm, Noticed("alarm", f"{alarm.alarm_id}: {detail}; {stops}"))
