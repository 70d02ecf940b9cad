"""Constants: where a text binds a name to a literal, found without parsing it.

The text may be anybody's, and a parser can be made to take seconds, gigabytes or the process with
it. So this reads tokens in one pass, keeps no tree, and gives up on what is not plain. It takes
code for what it is as long as it is written as people write; who sets out to mislead it can, and
gains nothing: the knobs of a tree are only what its neighbours believe of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, zip_longest

from forum.messages import KnobValue

TEXT_CHARACTERS = 64 * 1024
"""Longer texts have no constants for us; the largest tree a task allows by default has 40 KiB."""
_LONGEST_NUMBER = 60
_LONGEST_STRING = 200

_TOKEN = re.compile(
    r"""
      (?P<blank>   [ \t]+ | \\\r?\n | \#[^\n]* )
    | (?P<newline> \r?\n )
    | (?P<string>  (?i:[rbfu]{0,2}) (?:
          '''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''
        | \"\"\"[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*\"\"\"
        | '(?!'')[^'\\\n]*(?:\\.[^'\\\n]*)*'
        | "(?!"")[^"\\\n]*(?:\\.[^"\\\n]*)*" ) )
    | (?P<broken>  ['"] )
    | (?P<name>    [^\W\d]\w* )
    | (?P<number>  \.?\d(?:[eE][+-]?\d|[\w.])* )
    | (?P<assign>  :=|[-+*/%@&|^]=|(?:\*\*|//|<<|>>)=|=(?!=) )
    | (?P<other>   [=!<>]=|->|[^\s] )
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENS, _CLOSES = ("(", "[", "{"), (")", "]", "}")
_SCOPES = ("def", "class", "async", "@")
"""What begins a statement whose body binds names of its own."""
_BINDING_WORDS = ("def", "class", "as", "import", "del")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a constant's literal stands."""

    value: KnobValue
    begin: int
    """Offset of its first character."""
    end: int


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    begin: int
    depth: int
    """How many brackets are open around it."""


@lru_cache(maxsize=2048)
def find_constants(text: str) -> tuple[Mapping[str, Place], Mapping[str, str]]:
    """Return the literals bound exactly once at top level, and why other names are not usable."""
    # Python and splitlines must agree on what a line is; a form feed, say, parts only the latter.
    if len(text.splitlines()) != text.count("\n") + (not text.endswith("\n") and text != ""):
        return {}, {}
    places: dict[str, Place] = {}
    why: dict[str, str] = {}
    seen: set[str] = set()
    for name, place in _bindings(text) if len(text) <= TEXT_CHARACTERS else ():
        if name in seen:
            places.pop(name, None)
            why[name] = "it is bound more than once"
            continue
        seen.add(name)
        if place is None:
            why[name] = "it is bound to something other than a literal"
        else:
            places[name] = place
    return places, why


def without_comments(text: str) -> str:
    """Return `text` without comments, empty lines and blanks at line ends; broken text as it is."""
    parts: list[str] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match["broken"]:
            return text
        if not match[0].startswith("#"):
            parts.append(match[0])
        at = match.end()
    lines = (line.rstrip() for line in "".join(parts).splitlines())
    return "\n".join(line for line in lines if line)


def _bindings(text: str) -> list[tuple[str, Place | None]]:
    """Return the names bound outside functions and classes; none where brackets do not close."""
    found: list[tuple[str, Place | None]] = []
    in_scope = False
    for statement, column in _statements(text):
        if not statement:
            return []
        if column == 0:
            in_scope = statement[0].text in _SCOPES
            found += _bound(statement, is_scope=in_scope, is_top=True)
        elif not in_scope:
            found += _bound(statement, is_scope=statement[0].text in _SCOPES, is_top=False)
    return found


def _statements(text: str) -> Iterator[tuple[list[_Token], int]]:
    """Yield each statement's tokens and the column of its line; an empty one if all is broken."""
    tokens: list[_Token] = []
    at = line = column = depth = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match["broken"]:
            yield [], 0  # a string without an end; looking for it again and again takes for ever
            return
        kind, word = match.lastgroup or "", match[0]
        if not tokens and not depth and kind not in ("blank", "newline"):
            column = at - line if text[line:at].isspace() or at == line else column
        if word in _CLOSES:
            depth -= 1
        if depth < 0:
            yield [], 0
            return
        if not depth and (kind == "newline" or word == ";"):
            if tokens:
                yield tokens, column
            tokens = []
        elif kind not in ("blank", "newline"):
            tokens.append(_Token(kind, word, at, depth))
        depth += word in _OPENS
        at = match.end()
        line = at if kind == "newline" else line
    if tokens:
        yield ([] if depth else tokens), column


def _bound(
    statement: Sequence[_Token], *, is_scope: bool, is_top: bool
) -> list[tuple[str, Place | None]]:
    """Return the names that a statement binds, each with its literal where it is a plain one."""
    if is_scope:
        after = [two.text for one, two in _pairs(statement) if one.text in ("def", "class")]
        return [(name, None) for name in after[:1]]
    assigns = [i for i, t in enumerate(statement) if t.kind == "assign" and not t.depth]
    first = statement[0]
    is_plain = [statement[i].text for i in assigns] == ["="] and first.kind == "name"
    is_annotated = is_plain and statement[1].text == ":"
    if is_top and is_plain and (assigns[0] == 1 or is_annotated):
        return [(first.text, _literal(statement[assigns[0] + 1 :]))]
    targets = statement[: assigns[-1]] if assigns else ()
    names = _targets(targets)
    names += [two.text for one, two in _pairs(statement) if one.text in _BINDING_WORDS]
    names += [one.text for one, two in _pairs(statement) if two.text == ":=" and one.depth]
    names += _looped(statement)
    if first.kind == "name" and len(statement) > 1 and statement[1].text == ":":
        names.append(first.text)
    return [(name, None) for name in dict.fromkeys(names)]


def _pairs(tokens: Sequence[_Token]) -> list[tuple[_Token, _Token]]:
    return list(pairwise(tokens))


def _targets(tokens: Sequence[_Token]) -> list[str]:
    """Return the names that an assignment to `tokens` binds: not those it looks into or up."""
    names: list[str] = []
    hidden: int | None = None  # how deep the brackets of an item or a call stand
    before = ""
    for token, after in zip_longest(tokens, tokens[1:]):
        if hidden is not None:
            if token.text in _CLOSES and token.depth == hidden:
                hidden = None
        elif token.text in ("[", "(") and (before.isidentifier() or before in _CLOSES):
            hidden = token.depth
        elif token.kind == "name" and before != "." and _ends(after):
            names.append(token.text)
        before = token.text
    return names


def _ends(after: _Token | None) -> bool:
    """Whether a name that this follows is a name and not the beginning of an item or attribute."""
    return after is None or after.text not in (".", "[", "(")


def _looped(statement: Sequence[_Token]) -> list[str]:
    """Return the names between ``for`` and ``in``."""
    names: list[str] = []
    is_open = False
    for token in statement:
        if token.text in ("for", "in"):
            is_open = token.text == "for"
        elif is_open and token.kind == "name":
            names.append(token.text)
    return names


def _literal(value: Sequence[_Token]) -> Place | None:
    """Return the literal that some tokens are, brackets around it left out; None if they do not."""
    while len(value) > 2 and value[0].text == "(" and value[-1].text == ")":
        value = value[1:-1]
    signs = [token.text for token in value[:-1]]
    if not value or len(signs) > 1 or not set(signs) <= {"+", "-"}:
        return None
    last = value[-1]
    read = _read(last)
    if read is None or (signs and (isinstance(read, (bool, str)))):
        return None
    if signs == ["-"]:
        read = -read  # type: ignore[operator]  # a number, as it has a sign
    return Place(read, value[0].begin, last.begin + len(last.text))


def _read(token: _Token) -> KnobValue | None:
    """Return the value of one token, or None if it is no plain literal."""
    text = token.text
    if token.kind == "name":
        return {"True": True, "False": False}.get(text)
    if token.kind == "string":
        quote = text[:3] if text[:3] in ("'''", '"""') else text[:1]
        inner = text[len(quote) : -len(quote)]
        is_plain = quote[0] in "'\"" and "\\" not in text and len(text) <= _LONGEST_STRING
        return inner if is_plain else None
    if token.kind != "number" or len(text) > _LONGEST_NUMBER:
        return None
    try:
        return int(text, 0)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None
