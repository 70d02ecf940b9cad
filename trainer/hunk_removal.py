"""A tree with some of its hunks taken back: what was put in taken out, what was taken out put back.

For measuring what a change is worth beside the others. The result is written anew from the syntax,
without comments, and looked at again: if hunks cannot be told apart (one names what another
defines, or stands inside it), that is said instead of guessed. Hostile text is read here: call it
from `trainer.text_process`.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from trainer.errors import HunksInseparableError
from trainer.hunks import Comparison, Hunk, compare, folded, hunks
from trainer.names import Definition
from trainer.statements import BLOCKS, Statement, is_silent, parse


def without(
    start: Mapping[str, bytes], tree: Mapping[str, bytes], group: Collection[str]
) -> dict[str, bytes]:
    """Return `tree` with the hunks of `group` taken back to `start`.

    Args:
        start: content by path.
        tree: content by path.
        group: ids as `trainer.hunks.hunk_ids` gives them.

    Raises:
        HunksInseparableError: they cannot be taken back alone.
    """
    found = hunks(start, tree)
    recorded = folded(hunk.id for hunk in found)
    chosen = [hunk for hunk in found if recorded[hunk.id] in group]
    if not chosen:
        raise HunksInseparableError("the tree has none of them")
    files = dict(tree)
    for path in sorted({hunk.path for hunk in chosen}):
        ids = {hunk.id for hunk in chosen if hunk.path == path}
        files[path] = _file(path, start.get(path, b""), tree.get(path, b""), ids, found)
    _look_again(start, files, {hunk.id for hunk in chosen})
    return files


def _file(path: str, older: bytes, newer: bytes, ids: set[str], found: Iterable[Hunk]) -> bytes:
    if ids >= {hunk.id for hunk in found if hunk.path == path}:
        return older
    compared = compare(path, older, newer)
    if compared is None:
        raise HunksInseparableError(f"{path} is read line by line, and holds others as well")
    _Editor(compared).take_back([hunk for hunk in compared.hunks if hunk.id in ids])
    return (ast.unparse(compared.tree) + "\n").encode()


def _look_again(
    start: Mapping[str, bytes], files: Mapping[str, bytes], taken: Collection[str]
) -> None:
    for path, content in files.items():
        if path.endswith(".py") and content != start.get(path):
            try:
                parse(content)
            except (SyntaxError, ValueError) as error:
                raise HunksInseparableError(f"{path} would be no Python without them") from error
    left = {hunk.id for hunk in hunks(start, files)}
    if not left.isdisjoint(taken):
        raise HunksInseparableError("something in their place comes to the same")


class _Editor:
    """Changes one file's syntax tree in place.

    Args:
        compared: The file beside the start's; its tree is used up.
    """

    def __init__(self, compared: Comparison) -> None:
        self._compared = compared
        self._blocks = _blocks(compared.tree)
        self._places: dict[Statement, ast.AST] = {
            old: new.node for old, new in compared.kept.items()
        }

    def take_back(self, chosen: list[Hunk]) -> None:
        """Take back `chosen`, then what served nothing else."""
        gone = {hunk.new for hunk in chosen if hunk.op == "added"}
        dead = self._served_only(gone)
        for hunk in chosen:
            if hunk.op == "added" and hunk.new is not None and hunk.old is not None:
                self._replace(hunk.new, hunk.old)
        for one in reversed(self._compared.new):
            has_old = any(h.new is one and h.old is not None and h.op == "added" for h in chosen)
            if (one in gone or one in dead) and not has_old:
                self._remove(one)
        moved = {hunk.old: hunk.new for hunk in chosen if hunk.op == "moved"}
        missing = {hunk.old for hunk in chosen if hunk.op == "removed"}
        for one in self._compared.old:
            if one in missing:
                self._put_back(one, _head(one.node))
            elif (there := moved.get(one)) is not None:
                self._take(there.node)
                self._put_back(one, there.node)
        for block in self._blocks.values():
            if not block.statements and block.is_needed:
                block.statements.append(ast.Pass())

    def _served_only(self, gone: Collection[Statement | None]) -> set[Statement]:
        """Return added statements that only say names of what goes: in scopes without a rest.

        In the start's own scopes; what is left of a new definition does no harm if nothing calls
        it, and may be needed if something does.
        """
        kept = set(self._compared.kept.values())
        added = [one for one in self._compared.new if one not in kept]
        alive = {one.scope for one in added if one.is_shown and one not in gone}
        touched = {one.scope for one in added if one in gone}
        return {
            one
            for one in added
            if not one.is_shown
            and not isinstance(one.node, Definition)
            and one.scope in touched - alive
            and one.scope
            and not any(name.startswith("?") for name in one.scope)
        }

    def _replace(self, new: Statement, old: Statement) -> None:
        """Put the start's statement where the new one stands; blocks stay as they are."""
        head = _head(old.node)
        for name in BLOCKS:
            if hasattr(head, name) and hasattr(new.node, name):
                setattr(head, name, getattr(new.node, name))
        at = self._take(new.node)
        block = self._blocks[id(new.node)]
        block.statements.insert(at, head)
        self._blocks[id(head)] = block
        self._adopt(head)
        self._places[old] = head

    def _remove(self, one: Statement) -> None:
        """Take a statement out; what stands in its blocks and is not its own moves up."""
        node = one.node
        inside = [each for each in getattr(node, "body", []) if not is_silent(each)]
        others = [name for name in BLOCKS[1:] if getattr(node, name, None)]
        if others or (inside and not isinstance(node, ast.stmt)):
            raise HunksInseparableError("other changes stand in branches of theirs")
        if inside and isinstance(node, Definition):
            raise HunksInseparableError("other changes stand in a definition of theirs")
        at = self._take(node)
        block = self._blocks[id(node)]
        block.statements[at:at] = inside
        for each in inside:
            self._blocks[id(each)] = block

    def _take(self, node: ast.AST) -> int:
        """Take a node out of its block; returns where it stood."""
        statements = self._blocks[id(node)].statements
        at = next((at for at, each in enumerate(statements) if each is node), None)
        if at is None:
            raise HunksInseparableError("they stand in one another's place")
        del statements[at]
        return at

    def _put_back(self, old: Statement, node: ast.AST) -> None:
        """Put a statement of the start behind the one it stood behind there."""
        above: ast.AST | None = self._compared.tree
        if old.parent is not None:
            above = self._places.get(old.parent)
        statements = getattr(above, old.block, None)
        if above is None or statements is None:
            raise HunksInseparableError("what they stood in is not there any more")
        at = 0
        while at < len(statements) and is_silent(statements[at]):
            at += 1
        for sibling in self._compared.old:
            if sibling is old:
                break
            place = self._places.get(sibling)
            if (sibling.parent, sibling.block) == (old.parent, old.block) and place is not None:
                around = [n for n, each in enumerate(statements) if place in ast.walk(each)]
                at = around[0] + 1 if around else at
        statements.insert(at, node)
        self._blocks[id(node)] = _Block(statements, old.block == "body")
        self._adopt(node)
        self._places[old] = node

    def _adopt(self, node: ast.AST) -> None:
        for name in BLOCKS:
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                block = _Block(statements, name == "body")
                self._blocks[id(statements)] = block
                for each in statements:
                    self._blocks[id(each)] = block


@dataclass(frozen=True, slots=True)
class _Block:
    """A list of statements in a tree."""

    statements: list[ast.AST]
    is_needed: bool
    """Whether it must hold at least one."""


def _blocks(tree: ast.Module) -> dict[int, _Block]:
    """Return the block that each statement stands in, by the id of its node or of its list."""
    found: dict[int, _Block] = {}
    for node in ast.walk(tree):
        for name in BLOCKS:
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                is_needed = name == "body" and not isinstance(node, ast.Module)
                block = found[id(statements)] = _Block(statements, is_needed)
                found |= {id(each): block for each in statements}
    return found


def _head(node: ast.AST) -> ast.AST:
    """Return a copy of a statement with empty blocks."""
    blocks = [name for name in BLOCKS if isinstance(getattr(node, name, None), list)]
    shallow = copy.copy(node)
    for name in blocks:
        setattr(shallow, name, [])
    return copy.deepcopy(shallow)
