"""What an edge of the topology carries of a post.

Not the routing (which edges there are) and not the lab's permission to read a commit, although the
lab follows `carries_diff`. The clerk thins a post once per edge and delivers the copy.

==============  =========================================================================
an edge carries what reaches the reader
==============  =========================================================================
score           findings and failures: their hypothesis' post id, status, verdict id and
                number; claims without their text
summary         also hypotheses, leads and comments; titles, texts, predictions and the
                *names* of knobs
diff            also the values of knobs, parents, commit and patch; what a failure was tried
                under
everything      also log tails and reviews
==============  =========================================================================

A hypothesis has no score, so a ``score`` edge does not carry it. Claims travel on every edge: they
carry no content, and without them two researchers would confirm the same thing. Reviews come last
because they are what a community adds to bare results, which makes them a variable to study.

Below ``diff`` the texts of a hypothesis, finding or failure are blanked where they name its
commits, or values of its knobs in the style of the built-in minds (``raise DEPTH 3 -> 4``,
``DEPTH=4``, ``DEPTH to 4``). Free prose (``four layers``) cannot be policed, and what people tell
one another in comments and leads is theirs; the lab asks for the post anyway. Blanking never
lengthens a text, so that what was within its bounds still is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeVar

from forum.messages import (
    Body,
    Carries,
    Claim,
    Comment,
    Failure,
    Finding,
    Hypothesis,
    KnobValue,
    Lead,
    Post,
    Review,
)

_RANK: Final[dict[Carries, int]] = {"score": 0, "summary": 1, "diff": 2, "everything": 3}
_BLANK = "…"
"""Stands for what an edge does not carry; no longer than the shortest of it."""
_HEX = re.compile(r"[0-9a-fA-F]{7,64}")
# Whole words only at their start, which also keeps the search linear. An arrow counts whatever
# stands before it: minds name knobs which their own claim leaves out, as it has the parent's value.
_ARROW = re.compile(r"(?<![^\s,;])[^\s,;]+?(\s?(?:->|→)\s?)[^\s,;]+")
_NUMBER = r"[-+]?\.?\d[\w.+-]*"
_Result = TypeVar("_Result", Finding, Failure)
_Patched = TypeVar("_Patched", Hypothesis, Finding, Failure)


def carries_diff(carries: Carries) -> bool:
    """Say whether an edge gives access to the commit: it may be read, copied and merged."""
    return _RANK[carries] >= _RANK["diff"]


def is_carried(body: Body, carries: Carries) -> bool:
    """Say whether the edge lets anything of a post with `body` through."""
    return _thinned(body, _RANK[carries]) is not None


def thin(post: Post, carries: Carries) -> Post | None:
    """Return the copy of `post` that the edge lets through, or None if it carries none of it."""
    body = _thinned(post.body, _RANK[carries])
    return None if body is None else post.model_copy(update={"body": body})


def _thinned(body: Body, rank: int) -> Body | None:
    has_text = rank >= _RANK["summary"]
    match body:
        case Hypothesis():
            return _patch_thinned(_named(body), rank) if has_text else None
        case Finding():
            return _result(body, rank)
        case Failure():
            return _result(body, rank)
        case Lead():
            return _lead(body, rank) if has_text else None
        case Comment():
            return body if has_text else None
        case Claim():
            return body if has_text else body.model_copy(update={"text": ""})
        case Review():
            return body if rank >= _RANK["everything"] else None


def _result(body: _Result, rank: int) -> _Result:
    if rank < _RANK["summary"]:
        return type(body)(hypothesis=body.hypothesis, evidence=body.evidence)
    thinned = _patch_thinned(_named(body), rank)
    if rank < _RANK["everything"]:
        thinned = thinned.model_copy(update={"log_tail": ""})
    return thinned


def _lead(body: Lead, rank: int) -> Lead:
    update: dict[str, object] = {"knob_names": tuple(body.knobs)}
    if rank < _RANK["diff"]:
        update["knobs"] = {}
    return body.model_copy(update=update)


def _named(body: _Patched) -> _Patched:
    return body.model_copy(update={"knob_names": tuple(body.knobs)})


def _patch_thinned(body: _Patched, rank: int) -> _Patched:
    """Take away what ``diff`` adds, unless the edge carries it."""
    if rank >= _RANK["diff"]:
        return body
    update: dict[str, object] = {"knobs": {}, "parents": (), "commit": "", "patch": ""}
    if isinstance(body, Failure):
        update["conditions"] = None
    words = ("title", "rationale") if isinstance(body, Hypothesis) else ("text",)
    for name in words:
        text = _without_values(getattr(body, name), body.knobs)
        update[name] = _without_commits(text, (body.commit, *body.parents))
    return body.model_copy(update=update)


def _without_commits(text: str, commits: tuple[str, ...]) -> str:
    """Blank (abbreviated) names of `commits` in `text`."""
    known = tuple(commit.lower() for commit in commits if commit)

    def blank(found: re.Match[str]) -> str:
        name = found[0].lower()
        return _BLANK if any(commit.startswith(name) for commit in known) else found[0]

    return _HEX.sub(blank, text)


def _without_values(text: str, knobs: Mapping[str, KnobValue]) -> str:
    """Blank in `text` the values around arrows, and those that follow the names of `knobs`.

    A name that is no identifier is no constant of a program. Of such names, and of spaces without
    bound, an author could make a search that takes the square of the text's length.
    """
    text = _ARROW.sub(rf"{_BLANK}\1{_BLANK}", text)
    names = "|".join(name for name in knobs if name.isidentifier())
    if not names:
        return text
    words = "|".join(re.escape(str(value)) for value in knobs.values() if str(value).strip())
    value = rf"(?:{_NUMBER}|(?:{words})(?!\w))" if words else _NUMBER
    gap = r"\s{1,8}"
    link = rf"(?:\s{{0,8}}[=:]\s{{0,8}}|{gap}(?:(?:from|to|at|of|is|by){gap})?)"
    told = rf"(?<!\w)((?:{names}){link}){value}(?:({gap}to{gap}){value})?"

    def blank(found: re.Match[str]) -> str:
        return f"{found[1]}{_BLANK}" + (f"{found[2]}{_BLANK}" if found[2] else "")

    return re.sub(told, blank, text)
