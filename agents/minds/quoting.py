"""Quoting: text that somebody else wrote, put into a prompt as data that cannot end its quotation.

Each quotation is closed by a mark that does not occur in it: the mark derives from the text, so it
is the same in every prompt (caches hold) and nobody can write a text that holds its own. What a
terminal or a reader would not see is taken out. This is no defence against a mind that believes
what it reads; rights and the lab are.
"""

from __future__ import annotations

import hashlib
import unicodedata

from forum.plain_text import plain

BYTES_PER_TOKEN = 3
"""Of UTF-8, fewer than code or prose come to with any tokenizer in use: an upper guess."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories: controls, invisible formatting (bidi overrides), surrogates, unassigned."""
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/+,@~ ")
_FACT_CHARACTERS = 120


def tokens_of(text: str) -> int:
    """Return an upper guess at how many tokens `text` comes to."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def seen(text: str) -> str:
    """Return `text` without what a reader would not see; new lines and tabs stay."""
    text = plain(text.replace("\r\n", "\n").replace("\r", "\n"))
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(
        letter if letter in "\n\t" or unicodedata.category(letter) not in _UNSEEN else " "
        for letter in text
    )


def shortened(text: str, tokens: int) -> str:
    """Return `text`, its middle left out where it comes to more than `tokens`."""
    limit = max(0, tokens) * BYTES_PER_TOKEN
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit:
        return text
    note = f"\n[... {len(raw) - limit} bytes left out ...]\n"
    head, tail = 2 * limit // 3, limit - 2 * limit // 3
    return (
        raw[:head].decode("utf-8", "ignore")
        + note
        + (raw[-tail:].decode("utf-8", "ignore") if tail else "")
    )


def quoted(what: str, text: str, **facts: str | int) -> str:
    """Return `text` as a quotation.

    Args:
        what: a word of ours for what it is.
        text: anybody's; shown with nothing invisible in it.
        facts: what is on record about it, names and ids; other characters become ``?``.
    """
    body = seen(text).strip("\n")
    mark = _mark(body)
    known = "".join(f' {name}="{_fact(value)}"' for name, value in facts.items())
    return f'<{what}{known} mark="{mark}">\n{body}\n</{what} {mark}>'


def _mark(body: str) -> str:
    salt = 0
    while True:
        mark = hashlib.sha256(f"{salt}\0{body}".encode("utf-8", "replace")).hexdigest()[:12]
        if mark not in body:
            return mark
        salt += 1


def _fact(value: str | int) -> str:
    text = str(value)[:_FACT_CHARACTERS]
    return "".join(letter if letter in _PLAIN else "?" for letter in text)
