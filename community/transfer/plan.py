"""What is measured at another size: start, leader, and these without or with each change.

A run's leading commit is taken apart into the changes that one commit held first, as for credit
(`community.crediting`). Of each group two trees are made: the leader without it (leave one out) and
the start with nothing else (add one in). Candidate text is read by `trainer.texts` alone. Nothing
is measured here; next: `community.transfer.measuring`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from agents.constants import Place, find_constants
from community.archive.credit import CreditLedger
from community.archive.state import RunState
from community.crediting import grouped
from community.errors import TransferError
from forum.messages import KnobValue
from trainer.errors import HunksInseparableError
from trainer.texts import Texts, Tree

Part = Literal["start", "leader", "without", "only"]
MOST_GROUPS: Final = 8
"""Groups of changes that are measured each for itself; of more, those with least at stake share."""


@dataclass(frozen=True, slots=True)
class Group:
    """Changes of the leading commit that are taken out, or put in, together."""

    commits: tuple[str, ...]
    """Who held them first."""
    title: str
    """Of the first of these commits, with its author."""
    hunks: tuple[str, ...]
    credit: float
    """The gain that the run put down to it along its path, in the task's unit."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One tree that is measured."""

    part: Part
    group: int
    """Index of the group; -1 for the start and the leader."""
    files: Mapping[str, bytes]

    @property
    def key(self) -> tuple[Part, int]:
        """Its name among all of a plan."""
        return self.part, self.group


@dataclass(frozen=True, slots=True)
class Plan:
    """All trees, at the size they had in the run."""

    run_id: str
    leader: str
    title: str
    groups: tuple[Group, ...]
    variants: tuple[Variant, ...]
    inseparable: tuple[str, ...]
    """What could not be made, and why; one line each."""


async def plan_of(
    state: RunState, texts: Texts, start: Tree, leader_files: Tree, most: int = MOST_GROUPS
) -> Plan:
    """Take the leading commit of a run apart.

    Args:
        state: The run.
        texts: Reads what candidates wrote.
        start: The task's start tree.
        leader_files: The tree of the commit that leads.
        most: Groups at most.

    Raises:
        TransferError: nothing leads.
    """
    ledger = CreditLedger(state)
    leader = ledger.leader
    if leader is None:
        raise TransferError(
            "nothing was reproduced in this run, so there is no gain that could carry over; give a "
            "run whose headline tells one"
        )
    held = ledger.groups(leader)
    stakes = {holder: ledger.path.by_commit.get(holder, 0.0) for holder in held}
    groups = tuple(
        Group(
            commits=tuple(holders),
            title=_title(state, holders),
            hunks=tuple(sorted({hunk for holder in holders for hunk in held[holder]})),
            credit=sum(stakes[holder] for holder in holders),
        )
        for holders in grouped(stakes, most)
    )
    variants = [Variant("start", -1, start), Variant("leader", -1, leader_files)]
    refused = []
    everything = {hunk for group in groups for hunk in group.hunks}
    parts: tuple[tuple[Part, bool], ...] = (("without", False), ("only", True))
    for at, group in enumerate(groups):
        for part, is_kept in parts:
            taken = everything - set(group.hunks) if is_kept else set(group.hunks)
            try:
                files = await texts.without(start, leader_files, taken) if taken else leader_files
            except HunksInseparableError as error:
                refused.append(f"{part} {group.title}: cannot be made: {error}")
                continue
            variants.append(Variant(part, at, files))
    return Plan(
        state.opened.run_id if state.opened else "",
        leader,
        state.proposals[leader].title,
        groups,
        tuple(variants),
        tuple(refused),
    )


def resized(files: Tree, changes: Mapping[str, KnobValue], what: str) -> Tree:
    """Return `files` with some constants set, wherever each of them is bound.

    Args:
        files: A tree.
        changes: New values by name.
        what: What the tree is called, for messages.

    Raises:
        TransferError: a name is bound in no file, or in several, or to something other than one
            literal.
    """
    made = dict(files)
    for name, value in changes.items():
        path, place = _place(made, name, what)
        text = made[path].decode()
        made[path] = (text[: place.begin] + repr(value) + text[place.end :]).encode()
    return made


def value_of(files: Tree, name: str, what: str) -> KnobValue:
    """Return what a tree sets a constant to.

    Raises:
        TransferError: as for `resized`.
    """
    return _place(files, name, what)[1].value


def _place(files: Tree, name: str, what: str) -> tuple[str, Place]:
    """Return the one file that binds a constant, and where in it."""
    found: list[tuple[str, Place]] = []
    reasons: list[str] = []
    known: set[str] = set()
    for path, content in files.items():
        if not path.endswith(".py"):
            continue
        try:
            places, why = find_constants(content.decode())
        except UnicodeDecodeError:
            continue
        known |= set(places)
        if name in places:
            found.append((path, places[name]))
        elif name in why:
            reasons.append(f"in {path} {why[name]}")
    if len(found) == 1 and not reasons:
        return found[0]
    if not found and not reasons:
        reasons.append(f"no file binds it once, at top level, to a literal; {_known(known)}")
    reasons += [f"it is bound in {path}" for path, _ in found]
    raise TransferError(f"{what} cannot be set to another {name}: {'; '.join(reasons)}")


def _known(names: Collection[str]) -> str:
    return f"such are {', '.join(sorted(names)[:40])}" if names else "there is no such constant"


def _title(state: RunState, holders: Sequence[str]) -> str:
    first = state.proposals.get(holders[0])
    if first is None:
        return holders[0][:10]
    more = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
    return f"{first.title} ({first.author}){more}"
