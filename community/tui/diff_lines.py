"""A unified diff as coloured lines: signs by what they do, code by its syntax.

A patch is an agent's text: it becomes characters and nothing else.
"""

from __future__ import annotations

from functools import lru_cache

from pygments.lexers.python import PythonLexer
from pygments.token import (
    Comment,
    Keyword,
    Literal,
    Name,
    Number,
    Operator,
    String,
    _TokenType,
)
from rich.text import Text

from community.plain_text import several_lines
from community.tui.colours import GREEN, GREY, RED

DIFF_LINES = 600
"""Shown of a patch; `community export` and the copied patch have all of it."""
_CODE: tuple[tuple[_TokenType, str], ...] = (
    (Comment, f"italic {GREY}"),
    (Keyword, "#b56bd1"),
    (String, "#7fb86a"),
    (Number, "#d98b3a"),
    (Literal, "#d98b3a"),
    (Name.Function, "#4a9bd9"),
    (Name.Class, "#4a9bd9"),
    (Name.Builtin, "#2aa198"),
    (Name.Decorator, "#c77757"),
    (Operator.Word, "#b56bd1"),
)
_LEXER = PythonLexer(stripnl=False, ensurenl=False)


@lru_cache(maxsize=32)
def diff_lines(patch: str) -> tuple[Text, ...]:
    """Return the patch in colours, one `Text` a line; what is beyond `DIFF_LINES` is counted."""
    lines = several_lines(patch, limit=200_000)
    if lines and not lines[-1]:
        lines.pop()
    shown = tuple(_diff_line(line) for line in lines[:DIFF_LINES])
    if (more := len(lines) - DIFF_LINES) > 0:
        return (*shown, Text(f"… {more} more lines", style=GREY))
    return shown


def _diff_line(line: str) -> Text:
    if line.startswith(("+++", "---", "diff ", "index ")):
        return Text(line, style=f"bold {GREY}", no_wrap=True)
    if line.startswith("@@"):
        return Text(line, style="#2aa198", no_wrap=True)
    sign, code = line[:1], line[1:]
    text = Text(no_wrap=True)
    look = {"+": f"bold {GREEN}", "-": f"bold {RED}"}.get(sign, GREY)
    text.append(f"{sign or ' '}▏" if sign in "+-" else "  ", style=look)
    if sign == "-":
        return text.append(code, style=RED)
    for token, words in _LEXER.get_tokens(code):
        text.append(words, style=_code_style(token))
    return text


def _code_style(token: _TokenType) -> str:
    return next((style for kind, style in _CODE if token in kind), "")
