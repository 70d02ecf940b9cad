"""One coloured line per ledger row that belongs in the feed, and None for the rest.

What agents wrote is data: it becomes the characters of a `Text`, never markup, and control
characters are gone by then. Next: `community.tui.pictures.forum` lists the lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.text import Text

from community.archive.queries import best_commit
from community.cli import lines
from community.events import (
    AttemptStarted,
    Event,
    ExperimentQueued,
    FrontierMoved,
    Noticed,
    Posted,
    Refused,
    Row,
    RunStopped,
    StatusChanged,
    VerdictGiven,
)
from community.evidence_events import ClaimRetracted, VerdictRetracted
from community.plain_text import one_line
from community.tui.colours import AMBER, GREEN, GREY, RED, status_look
from community.tui.scene import Scene

LINE_CHARACTERS = 400
"""What is kept of a line."""
_NAME_CELLS = 8
_KIND_CELLS = 10
_ELSEWHERE = (VerdictGiven, ExperimentQueued, AttemptStarted)
"""Rows that plot, leaderboard and slots show."""
_KINDS = {"hypothesis": "bold", "failure": RED, "lead": AMBER}


def has_line(event: Event) -> bool:
    """Whether the feed may have a line for it."""
    if isinstance(event, StatusChanged):
        return event.status != "not_improved"  # its author's failure post says it
    return lines.has_line(event) and not isinstance(event, _ELSEWHERE)


def forum_line(row: Row, scene: Scene) -> Text | None:
    """Return the line for `row`, which the run of `scene` has already taken in."""
    event = row.event
    if isinstance(event, Posted):
        return _post(row, event, scene)
    if isinstance(event, FrontierMoved):
        words: str | None = _new_best(event, scene)
    else:
        words = lines.row_line(row, scene.state)
    if not words:
        return None
    sign, style = "·", GREY
    if isinstance(event, StatusChanged):
        sign, style = status_look(event.status)
    elif isinstance(event, FrontierMoved):
        sign, style = "★", f"bold {GREEN}"
    elif isinstance(event, RunStopped):
        sign, style = "■", "bold"
    elif isinstance(event, Refused) or (isinstance(event, Noticed) and event.notice == "alarm"):
        sign, style = "!", RED
    elif isinstance(event, VerdictRetracted | ClaimRetracted):
        sign, style = status_look("retracted")
    line = _time(row)
    line.append(f"{sign} {one_line(words, LINE_CHARACTERS)}", style=style)
    return line


def _new_best(event: FrontierMoved, scene: Scene) -> str:
    best = scene.view(best_commit)
    gain = best.gain_percent if best is not None and best.score == event.score else None
    hypothesis = scene.state.hypotheses.get(event.hypothesis)
    whose = f' by {hypothesis.author}: "{one_line(hypothesis.title, 120)}"' if hypothesis else ""
    return f"new best {event.score:.4f}{'' if gain is None else f' ({gain:+.1f} %)'}{whose}"


def _time(row: Row) -> Text:
    return Text(f"{lines.run_time(row.at_us):>7}  ", style=GREY, no_wrap=True, end="")


def _post(row: Row, event: Posted, scene: Scene) -> Text:
    body = event.body
    kind = str(body.get("kind"))
    line = Text(no_wrap=True, end="")
    line.append_text(_time(row))
    author = one_line(event.author, 32)
    line.append(f"{author:<{_NAME_CELLS}} ", style=f"bold {scene.colour(event.author)}")
    line.append(f"{one_line(kind, 20):<{_KIND_CELLS}} ", style=_KINDS.get(kind, GREY))
    line.append(f"{one_line(event.post_id, 12):<4} ", style=GREY)
    words = _SAID.get(kind, _said_text)(body)
    line.append(one_line(words, LINE_CHARACTERS))
    return line


def _said_hypothesis(body: dict[str, Any]) -> str:
    return f"{body['title']}  (expects {_expected(body)})"


def _said_result(body: dict[str, Any]) -> str:
    evidence = body["evidence"]
    score = "no score" if evidence.get("score") is None else f"{evidence['score']:.4f}"
    status = str(evidence.get("status", "")).replace("_", " ")
    return f"on {body['hypothesis']}: {score}, {status}{_after(body)}"


def _said_review(body: dict[str, Any]) -> str:
    said = body.get("forecast")  # absent in older ledgers
    words = f", expects {said['gain'][1]:+.3f}, {said['reproduced']:.0%} to hold" if said else ""
    return f"on {body['hypothesis']}: {body['opinion']}{words}{_after(body)}"


def _said_claim(body: dict[str, Any]) -> str:
    return f"takes on {body['target']}{_after(body)}"


def _said_text(body: dict[str, Any]) -> str:
    title, text = str(body.get("title") or ""), str(body.get("text") or "")
    return f"{title}: {text}" if title and text else title or text


def _expected(body: dict[str, Any]) -> str:
    prediction = body["prediction"]
    return f"{prediction['gain']:+.3f}, {prediction['confidence']:.0%} sure"


def _after(body: dict[str, Any]) -> str:
    return f": {body['text']}" if body.get("text") else ""


_SAID: dict[str, Callable[[dict[str, Any]], str]] = {
    "hypothesis": _said_hypothesis,
    "finding": _said_result,
    "failure": _said_result,
    "review": _said_review,
    "claim": _said_claim,
}
