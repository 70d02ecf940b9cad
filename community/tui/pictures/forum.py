"""The forum: its threads, newest on top, and what was said last, oldest on top."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from rich.text import Text

from community.cli.lines import run_time
from community.events import Posted, StatusChanged
from community.plain_text import one_line
from community.tui.colours import AMBER, GREY, status_look
from community.tui.forum_lines import forum_line
from community.tui.scene import Line, Scene
from community.tui.wanted import Wanted

THREADS = 400
"""Threads listed; a filter finds older ones."""
_TITLE_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class ForumPicture:
    """What the forum's lists show."""

    threads: tuple[Line, ...]
    feed: tuple[Line, ...]
    count: int
    """How many threads there are; those wanted, where a filter is set."""


def forum_picture(scene: Scene, wanted: Wanted) -> ForumPicture:
    """Return threads and feed, as far as they are wanted."""
    found: list[str] = []
    count = 0
    threads = scene.told.threads
    if wanted.is_any:
        found, count = [*islice(threads.newest(), THREADS)], threads.total
    for root in () if wanted.is_any else threads.newest():
        if wanted.lets(*_searched(scene, root, wanted)):
            count += 1
            if len(found) < THREADS:
                found.append(root)
    return ForumPicture(tuple(_thread(scene, root) for root in found), feed(scene, wanted), count)


def feed(scene: Scene, wanted: Wanted) -> tuple[Line, ...]:
    """Return the feed's lines, oldest first; new ones are made for rows since the last call."""
    told = scene.told
    while told.recent:
        row = told.recent.popleft()
        if (text := forum_line(row, scene)) is None:
            continue
        event = row.event
        about: tuple[str, ...] = ()
        if isinstance(event, Posted):
            about = (event.post_id, event.author)
        elif isinstance(event, StatusChanged):
            about = (event.hypothesis, event.by)
        else:
            names = ("hypothesis", "agent", "experiment_id", "lead", "who", "by", "person")
            about = tuple(str(getattr(event, n)) for n in names if getattr(event, n, ""))
        told.feed.append(Line(str(row.seq), text, about))
    if wanted.is_any:
        return tuple(told.feed)
    return tuple(line for line in told.feed if wanted.lets(line.text.plain, line.about))


def _searched(scene: Scene, root: str, wanted: Wanted) -> tuple[str, set[str]]:
    """Return all that a filter looks at of a thread: words and names."""
    records = [scene.state.posts[post_id].posted for post_id in scene.told.threads.posts(root)]
    names = {record.author for record in records}
    if not wanted.words:
        return "", names
    parts = [root, *names, status_of(scene, root)]
    for record in records:
        body = record.body
        parts += (str(body.get(n) or "") for n in ("kind", "title", "text", "rationale", "commit"))
        parts += body.get("knobs") or ()
    return " ".join(parts), names


def status_of(scene: Scene, root: str) -> str:
    """Return what came of what a thread is about, for people; a kind of post where nothing can."""
    claim = scene.state.hypotheses.get(root)
    if claim is None:
        return _lead_status(scene, root)
    if claim.status == "measured":
        served = [scene.state.experiments[name] for name in claim.experiments]
        if any(e.is_running for e in served):
            return "running"
        if any(e.is_retracted for e in served):
            return "open again"
        return "queued" if any(not e.is_done for e in served) else "measured" if served else "new"
    return claim.status.replace("_", " ")


def _lead_status(scene: Scene, root: str) -> str:
    forum, kind = scene.state.forum, str(scene.state.posts[root].posted.body.get("kind"))
    if kind != "lead":
        return kind
    if root in forum.leads_done:
        return "lead done"
    return f"lead: {forum.leases[root].by}" if root in forum.leases else "open lead"


def _thread(scene: Scene, root: str) -> Line:
    """Return ``sign id time status author (role) posts title`` of a thread."""
    state = scene.state
    record = state.posts[root]
    posted, count = record.posted, scene.told.threads.count(root)
    status = status_of(scene, root)
    sign, style = status_look(status)
    line = Text(no_wrap=True, end="")
    line.append(f"{sign} ", style=style)
    line.append(f"{one_line(root, 8):<5}", style=GREY)
    line.append(f"{status:<13} ", style=style)
    author = one_line(posted.author, 20)
    line.append(f"{author:<8} ", style=f"bold {scene.colour(posted.author)}")
    line.append(f"{_role(scene, posted.author):<11} ", style=GREY)
    boosts = state.forum.boosts.get(root, 0)
    mark = f"{boosts:+d}" if boosts else ""
    line.append(f"{mark:>2}", style=AMBER)
    line.append(f"{count - 1:>3}↳ " if count > 1 else "     ", style=GREY)
    body = posted.body
    line.append(one_line(str(body.get("title") or body.get("text") or ""), _TITLE_CHARACTERS))
    line.append(f"  {run_time(record.at_us)}", style=GREY)
    return Line(root, line, (root, posted.author))


def _role(scene: Scene, name: str) -> str:
    if name in scene.state.forum.people:
        return "person"
    agent = scene.state.agents.get(name)
    return one_line(agent.role, 11) if agent else ""
