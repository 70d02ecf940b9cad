"""Text that cannot act on a reader: no control characters, no bidi overrides, nothing invisible.

Not escaping for a particular display, and no judgement of content. `forum.codec` applies it to all
text that comes in; whoever shows other people's text (logs, file names) should as well.
"""

from __future__ import annotations

import re

_UNWANTED = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1: terminals obey them
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"  # fillers, blanks: invisible
    "\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, separators, bidi
    "\ud800-\udfff"  # lone surrogates: cannot be encoded
    "\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ufffe\uffff"  # selectors, marks, non-characters
    "\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # notation's own controls
    "\U000e0000-\U000e0fff"  # tags: invisible letters that a language model reads
    "]"
)


def plain(text: str) -> str:
    r"""Return `text` without the characters that steer a terminal or hide from a person.

    Tabs and newlines stay; carriage returns go, so ``\r\n`` becomes ``\n``.

    Example:
        >>> plain("a\x1b[31mb\u202ec\r\n")
        'a[31mbc\n'
    """
    return _UNWANTED.sub("", text)
