"""Who binds which name in a Python file, so that what a change calls its own can be forgotten.

Scopes are tuples of definition names from the module inwards. It follows Python only as far as it
must to compare two files: a wrong guess makes two alike changes look different, never worse.
Hostile text is looked at here, in `trainer.text_process`: no recursion.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator

Scope = tuple[str, ...]
Home = tuple[Scope, str]
"""A name and the scope that binds it."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_LONGEST_LITERAL = 64


class Names:
    """What one file binds, stores and imports.

    Args:
        tree: the parsed file.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.bound: defaultdict[Scope, Counter[str]] = defaultdict(Counter)
        """How often each scope binds each name."""
        self.imports: dict[str, str] = {}
        """Names bound by an import, and what they stand for: ``F`` is ``torch.nn.functional``."""
        self.attributes: set[str] = set()
        """Attributes that are read or set anywhere."""
        self.own_attributes: set[str] = set()
        """Those that are set, or defined in a class."""
        self.parameters: set[str] = set()
        self.definitions: dict[Home, Definition] = {}
        self._values: dict[Home, ast.expr] = {}
        self._loads: Counter[tuple[str, Scope]] = Counter()
        for node, scope in _walk(tree):
            self._see(node, scope)
        self._used: set[Home] = set()
        for name, scope in self._loads:
            home = self.home(name, scope)
            if home is not None:
                self._used.add(home)

    def home(self, name: str, scope: Scope) -> Home | None:
        """Return what `name` means in `scope`; None if the file does not bind it."""
        for depth in range(len(scope), -1, -1):
            if name in self.bound.get(scope[:depth], ()):
                return scope[:depth], name
        return None

    def literal(self, home: Home) -> ast.expr | None:
        """Return the literal that a name bound once stands for; None where it is more than that."""
        scope, name = home
        owner = self.definitions.get((scope[:-1], scope[-1])) if scope else None
        is_attribute = isinstance(owner, ast.ClassDef) and home not in self._used
        if self.bound[scope][name] != 1 or is_attribute:
            return None
        return self._values.get(home)

    def _see(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                self._loads[node.id, scope] += 1
            else:
                self.bound[scope][node.id] += 1
        elif isinstance(node, ast.Attribute):
            self.attributes.add(node.attr)
            if not isinstance(node.ctx, ast.Load):
                self.own_attributes.add(node.attr)
        elif isinstance(node, Definition):
            self.bound[scope][node.name] += 1
            self.definitions[scope, node.name] = node
            self.own_attributes.add(node.name)
        elif isinstance(node, ast.arg):
            self.bound[scope][node.arg] += 1
            self.parameters.add(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
            if node.name is not None:
                self.bound[scope][node.name] += 1
        elif isinstance(node, ast.Assign | ast.AnnAssign) and _is_literal(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            assert node.value is not None
            for target in targets:
                if isinstance(target, ast.Name):
                    self._values[scope, target.id] = node.value

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        above = ""
        if isinstance(node, ast.ImportFrom):
            above = "." * node.level + (node.module or "") + "."
        for alias in node.names:
            if alias.asname is not None or above:
                self.imports[alias.asname or alias.name] = above + alias.name
            else:
                first = alias.name.partition(".")[0]
                self.imports[first] = first


def _walk(tree: ast.Module) -> Iterator[tuple[ast.AST, Scope]]:
    """Yield every node with its scope; of a definition, its body and parameters are inside."""
    stack: list[tuple[ast.AST, Scope]] = [(tree, ())]
    while stack:
        node, scope = stack.pop()
        yield node, scope
        inside: list[ast.AST] = []
        if isinstance(node, Definition):
            inside = list(node.body)
            if not isinstance(node, ast.ClassDef):
                inside.append(node.args)
            stack += [(child, (*scope, node.name)) for child in inside]
        known = {id(child) for child in inside}
        stack += [(c, scope) for c in ast.iter_child_nodes(node) if id(c) not in known]


def _is_literal(value: ast.expr | None) -> bool:
    """Whether it is a number, a short string, a sign before one, or a tuple of such."""
    if isinstance(value, ast.UnaryOp):
        value = value.operand
    if isinstance(value, ast.Tuple):
        return len(value.elts) <= _LONGEST_LITERAL and all(
            isinstance(each, ast.Constant) for each in value.elts
        )
    if not isinstance(value, ast.Constant):
        return False
    return not isinstance(value.value, str | bytes) or len(value.value) <= _LONGEST_LITERAL
