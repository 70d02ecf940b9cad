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
diff            also the values of knobs, parents, commit and patch
everything      also log tails and reviews
==============  =========================================================================

A hypothesis has no score, so a ``score`` edge does not carry it. Claims travel on every edge: they
carry no content, and without them two researchers would confirm the same thing. Reviews come last
because they are what a community adds to bare results, which makes them a variable to study.
Commits named in the texts of a hypothesis, finding or failure are blanked below ``diff``; what
people tell one another in comments and leads is theirs, and the lab asks for the post anyway.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar

from forum.messages import (
    Body,
    Carries,
    Claim,
    Comment,
    Failure,
    Finding,
    Hypothesis,
    Lead,
    Post,
    Review,
)

_RANK: Final[dict[Carries, int]] = {"score": 0, "summary": 1, "diff": 2, "everything": 3}
_HEX = re.compile(r"[0-9a-fA-F]{7,64}")
_Result = TypeVar("_Result", Finding, Failure)
_Patched = TypeVar("_Patched", Hypothesis, Finding, Failure)


def carries_diff(carries: Carries) -> bool:
    """Say whether an edge gives access to the commit: it may be read, copied and merged."""
    return _RANK[carries] >= _RANK["diff"]


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
    commits = tuple(commit.lower() for commit in (body.commit, *body.parents) if commit)
    update: dict[str, object] = {"knobs": {}, "parents": (), "commit": "", "patch": ""}
    if isinstance(body, Hypothesis):
        update["title"] = _blanked(body.title, commits)
        update["rationale"] = _blanked(body.rationale, commits)
    else:
        update["text"] = _blanked(body.text, commits)
    return body.model_copy(update=update)


def _blanked(text: str, commits: tuple[str, ...]) -> str:
    """Replace (abbreviated) names of `commits` in `text`."""

    def blank(found: re.Match[str]) -> str:
        name = found[0].lower()
        is_known = any(commit.startswith(name) for commit in commits)
        return "[commit]" if is_known else found[0]

    return _HEX.sub(blank, text)
