"""From what a program left in its tree, and said, to the tool calls of a turn.

The difference of the tree becomes the edits of the one `propose` that was asked for; every other
action is a call as models make them, so `agents.minds.parsing` judges both alike. Files that are
not of the commit that was checked out count for nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from difflib import unified_diff
from typing import Any

from agents.minds.cli_output import Said
from agents.minds.commands import ACTIONS_FILE, Left
from agents.minds.editing import Edit, apply_edits
from agents.minds.exchange import ToolCall

_BLOCK = re.compile(r"```(?:json)?[ \t]*\n(.*?)```", re.DOTALL)
PROPOSE = "propose"


def calls_of(
    left: Left, said: Said, tree: Mapping[str, str], base: str, *, is_proposed: bool
) -> tuple[ToolCall, ...]:
    """Return the calls of one round, in order.

    Args:
        left: what the program left behind.
        said: what it said.
        tree: the files of the commit that was checked out.
        base: that commit.
        is_proposed: whether an earlier round's proposal was accepted already.
    """
    asked = _actions(left, said)
    if isinstance(asked, str):
        return (ToolCall("actions", "wait", json.dumps(asked)),)  # any name there is will do
    changed = {path: text for path, text in left.files.items() if text != tree.get(path)}
    has_changes = bool(changed or left.odd) and not is_proposed
    calls: list[ToolCall] = []
    for number, (name, arguments) in enumerate(asked):
        if name == PROPOSE and has_changes:
            calls.append(ToolCall(f"a{number}", PROPOSE, _proposal(arguments, left, tree, base)))
            has_changes = False
        else:
            calls.append(ToolCall(f"a{number}", name, _dumped(arguments)))
    if has_changes:
        paths = ", ".join(sorted({*changed, *left.odd}))
        note = (
            f"{paths} changed and nothing proposes it; add a {PROPOSE} with title, rationale, gain "
            f"and confidence to {ACTIONS_FILE}, or undo the change"
        )
        calls.append(ToolCall("tree", PROPOSE, json.dumps(note)))
    return tuple(calls)


def _actions(left: Left, said: Said) -> Sequence[tuple[str, dict[str, Any]]] | str:
    """Return (name, arguments) of what was asked for, or why that cannot be read."""
    if left.actions is not None:
        where, data = ACTIONS_FILE, _loaded(left.actions)
    elif said.actions is not None:
        where, data = "actions", said.actions
    else:
        blocks = _BLOCK.findall(said.text)
        where, data = "the last message", _loaded(blocks[-1] if blocks else said.text)
        if data is None:
            return ()
    if isinstance(data, dict):
        data = data.get("actions", [data])
    if not isinstance(data, list):
        return f"{where} is no JSON list of actions"
    found: list[tuple[str, dict[str, Any]]] = []
    for item in data:
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str):
            return f'{where} holds an action without a "name"'
        inner = item.get("arguments")
        rest = {key: value for key, value in item.items() if key != "name"}
        found.append((name, inner if isinstance(inner, dict) and len(rest) == 1 else rest))
    return found


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _proposal(asked: Mapping[str, Any], left: Left, tree: Mapping[str, str], base: str) -> str:
    """Return the arguments of a proposal whose edits are the tree's difference, as JSON."""
    if left.odd:
        why = "; ".join(f"{path}: {reason}" for path, reason in sorted(left.odd.items()))
        return json.dumps(f"the tree cannot be taken as it is: {why}")
    edits = [
        _edit(path, tree[path], text)
        for path, text in sorted(left.files.items())
        if text != tree[path]
    ]
    return _dumped({**asked, "parent": base, "edits": edits})


def _edit(path: str, before: str, after: str) -> dict[str, str]:
    """Return one file's change as a diff; as a whole where a diff does not say all of it."""
    lines = unified_diff(before.split("\n"), after.split("\n"), "a", "b", lineterm="")
    diff = "\n".join([*lines][2:])
    edit = Edit(path, "diff", "", diff)
    same = apply_edits({path: before}, [edit]).files.get(path) == after
    if not same or len(diff) > len(after):
        return {"path": path, "how": "whole", "search": "", "text": after}
    return {"path": path, "how": "diff", "search": "", "text": diff}


def _dumped(arguments: Mapping[str, Any]) -> str:
    return json.dumps(arguments, ensure_ascii=False)
