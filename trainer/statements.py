"""A Python file as statements in a normal form: what a change does, however it is written.

Comments, docstrings, layout, annotations, imports' other names and the spelling of numbers do not
count. Names that the start binds keep their meaning; names of the change's own are forgotten: a
constant is replaced by its value, a definition by its shape, all others by the order in which a
statement names them. Hostile text is read here, in `trainer.text_process`: no recursion but where
its depth is bounded.
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from trainer.names import Definition, Home, Names, Scope

BLOCKS = ("body", "handlers", "cases", "orelse", "finalbody")
"""Fields that hold further statements."""
_UNHEARD = frozenset({"ctx", "annotation", "returns", "type_comment", "kind", "simple"})
_LARGEST_NUMBER = 1e15
_DEEPEST_NUMBER = 8
_DIGITS = 12
_Part = ast.AST | str


@dataclass(slots=True, eq=False)
class Statement:
    """A simple statement, or the head of a compound one; what is in its blocks stands alone."""

    node: ast.AST
    scope: Scope
    """The enclosing definitions, the change's own by their shape."""
    nest: tuple[str, ...]
    """The compound statements around it within its scope."""
    text: str
    """Its normal form."""
    parent: Statement | None
    """The compound statement it stands in; None at the top of the file."""
    block: str
    """In which of that statement's blocks it stands."""
    is_shown: bool
    """Whether it says anything that the rest of the file does not."""

    @property
    def key(self) -> tuple[Scope, str]:
        """What makes two statements the same."""
        return self.scope, self.text

    @property
    def words(self) -> list[str]:
        """Names and numbers in it."""
        return [word for word in self.text.split(" ") if word[0] not in "()"]


def parse(content: bytes) -> ast.Module:
    """Return a file's syntax tree.

    Raises:
        SyntaxError: it is no Python. Also ValueError, RecursionError, MemoryError, OverflowError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes and the like: the candidate's affair
        return ast.parse(content)


def statements(tree: ast.Module, start: Names) -> list[Statement]:
    """Return a file's statements in order.

    Args:
        tree: the file.
        start: what the start's file of that path binds; the file's own, if it is the start's.
    """
    return list(_Reader(Names(tree), start).read(tree))


def is_silent(node: ast.AST) -> bool:
    """Whether a statement does nothing, or nothing by itself: docstrings, pass, imports."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    return isinstance(node, ast.Pass | ast.Import | ast.ImportFrom)


class _Reader:
    """Writes statements of one file down in normal form."""

    def __init__(self, names: Names, start: Names) -> None:
        self._names = names
        self._start = start
        self._seen: dict[object, str] = {}

    def read(self, tree: ast.Module) -> Iterator[Statement]:
        Item = tuple[ast.AST, Scope, Scope, tuple[str, ...], Statement | None, str]
        stack: list[Item] = [(node, (), (), (), None, "body") for node in reversed(tree.body)]
        while stack:
            node, scope, shown, nest, parent, block = stack.pop()
            if is_silent(node):
                continue
            text = self._text(node, scope)
            said = self._is_said(node, scope, text)
            one = Statement(node, shown, nest, text, parent, block, said)
            yield one
            inside: list[Item] = []
            for name in BLOCKS:
                place: tuple[Scope, Scope, tuple[str, ...]]
                if isinstance(node, Definition):
                    home = (scope, node.name)
                    place = ((*scope, node.name), (*shown, self._definition(home)), ())
                else:
                    mark = type(node).__name__ + ("" if name == "body" else f".{name}")
                    place = (scope, shown, (*nest, mark))
                inside += [(child, *place, one, name) for child in getattr(node, name, ())]
            stack += reversed(inside)

    def _is_said(self, node: ast.AST, scope: Scope, text: str) -> bool:
        """Whether it is more than own names, or a value that stands where it is read."""
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [t.id for t in targets if isinstance(t, ast.Name)]
            homes = [(scope, name) for name in names]
            if len(names) == len(targets) and all(map(self._is_value, homes)):
                return False
        return any(word[0] not in "()?" for word in text.split(" "))

    def _is_value(self, home: Home) -> bool:
        return self._is_new(home) and self._names.literal(home) is not None

    def _is_new(self, home: Home) -> bool:
        scope, name = home
        return name not in self._start.bound.get(scope, ())

    def _text(self, node: ast.AST, scope: Scope) -> str:
        self._seen = {}
        if isinstance(node, Definition):
            inside = (*scope, node.name)  # where its parameters are bound
            head = [f"({type(node).__name__}", self._definition((scope, node.name))]
            if isinstance(node, ast.ClassDef):
                rest = [self._write(each, scope) for each in (*node.bases, *node.keywords)]
            else:
                rest = [self._write(node.args, inside)]
            rest += [self._write(each, scope) for each in node.decorator_list]
            return " ".join([*head, *rest, ")"])
        return self._write(node, scope)

    def _write(self, root: ast.AST, scope: Scope) -> str:
        out: list[str] = []
        stack: list[_Part] = [root]
        while stack:
            item = stack.pop()
            if isinstance(item, str):
                out.append(item)
            else:
                stack += reversed(self._parts(item, scope))
        return " ".join(out)

    def _parts(self, node: ast.AST, scope: Scope) -> list[_Part]:
        """Return what a node is made of, in order: words, and nodes to be taken apart in turn."""
        number = _number(node)
        if number is not None:
            return [number]
        if isinstance(node, ast.Constant):
            return [repr(node.value).replace(" ", "\\x20")]
        if isinstance(node, ast.Name):
            return self._name(node.id, scope)
        if isinstance(node, ast.Attribute):
            dotted = self._dotted(node)
            return [dotted] if dotted else ["(.", self._attribute(node.attr), node.value, ")"]
        if isinstance(node, ast.arg):
            return self._name(node.arg, scope)
        if isinstance(node, ast.Call):
            said = [self._keyword(node.func, each) for each in node.keywords]
            pairs = [
                p for k, each in zip(said, node.keywords, strict=True) for p in (k, each.value)
            ]
            return ["(Call", node.func, *node.args, *pairs, ")"]
        if isinstance(node, ast.AnnAssign):
            assert node.value is not None
            return ["(Assign", node.target, node.value, ")"]
        return [f"({type(node).__name__}", *self._fields(node, scope), ")"]

    def _fields(self, node: ast.AST, scope: Scope) -> Iterator[_Part]:
        is_binding = isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar)
        for name in node._fields:
            value = getattr(node, name, None)
            if name in _UNHEARD or (name in BLOCKS and isinstance(value, list)):
                continue
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, ast.AST):
                    yield each
                elif isinstance(each, str) and is_binding:
                    yield from self._name(each, scope)
                else:
                    yield "(-)" if each is None else str(each).replace(" ", "\\x20")

    def _name(self, name: str, scope: Scope) -> list[_Part]:
        if name in self._start.imports:
            return [self._start.imports[name]]
        home = self._names.home(name, scope)
        if name in self._names.imports and home is None:
            return [self._names.imports[name]]
        if home is None or not self._is_new(home):
            return [name]
        literal = self._names.literal(home)
        if literal is not None:
            return [literal]
        if home in self._names.definitions:
            return [self._definition(home)]
        return [self._forgotten(home)]

    def _definition(self, home: Home) -> str:
        """A definition by name if the start has it, else by its shape: it is called anything."""
        if not self._is_new(home):
            return home[1]
        node = self._names.definitions[home]
        if isinstance(node, ast.ClassDef):
            bases = [self._dotted(base) or "?" for base in node.bases]
            return "?class:" + ",".join(bases)
        return f"?def:{len(node.args.posonlyargs) + len(node.args.args)}"

    def _attribute(self, name: str) -> str:
        is_own = name in self._names.own_attributes and name not in self._start.attributes
        is_own = is_own and name not in self._start.own_attributes
        return self._forgotten(name) if is_own else name

    def _keyword(self, function: ast.expr, keyword: ast.keyword) -> str:
        if keyword.arg is None:
            return "**"
        is_own = isinstance(function, ast.Name) and function.id not in self._names.imports
        own = self._names.parameters - self._start.parameters
        word = self._forgotten(keyword.arg) if is_own and keyword.arg in own else keyword.arg
        return word + "="

    def _forgotten(self, what: object) -> str:
        return self._seen.setdefault(what, f"?{len(self._seen)}")

    def _dotted(self, node: ast.AST) -> str:
        """Return an imported thing's whole name, or an empty string."""
        attributes: list[str] = []
        while isinstance(node, ast.Attribute):
            attributes.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        imports = self._start.imports if node.id in self._start.imports else self._names.imports
        root = imports.get(node.id)
        return "" if root is None else ".".join([root, *reversed(attributes)])


def _number(node: ast.AST) -> str | None:
    """Return a number, or a sum of numbers, as one word; None for anything else."""
    value = _value(node, _DEEPEST_NUMBER)
    if value is None:
        return None
    return str(int(value)) if value == int(value) else f"{value:.{_DIGITS}g}"


def _value(node: ast.AST, depth: int) -> float | None:
    if depth == 0:
        return None
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return value if abs(value) <= _LARGEST_NUMBER else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _value(node.operand, depth - 1)
        return None if inner is None else -inner
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _value(node.left, depth - 1), _value(node.right, depth - 1)
    if left is None or right is None:
        return None
    return _calculated(node.op, left, right)


def _calculated(operator: ast.operator, left: float, right: float) -> float | None:
    """Return a sum that nobody needs a power for; None for what is no number."""
    try:
        if isinstance(operator, ast.Add):
            value = left + right
        elif isinstance(operator, ast.Sub):
            value = left - right
        elif isinstance(operator, ast.Mult):
            value = left * right
        elif isinstance(operator, ast.Div):
            value = left / right
        else:
            return None
    except (ZeroDivisionError, OverflowError):
        return None
    return value if math.isfinite(value) and abs(value) <= _LARGEST_NUMBER else None
