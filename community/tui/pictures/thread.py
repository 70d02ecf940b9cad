"""One thread: what is claimed, how it stands, who reviewed it and how right he was, what was said.

Then the diff. Everything is a paragraph that the page wraps; a diff's lines are cut instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from community.archive.state import HypothesisState, PostRecord, RunState
from community.cli.lines import run_time
from community.events import StatusChanged
from community.plain_text import one_line, several_lines
from community.reviewing import settlements
from community.tui.colours import AMBER, GREEN, GREY, RED, status_look
from community.tui.diff_lines import diff_lines
from community.tui.pictures.forum import status_of
from community.tui.scene import Scene
from scoring.evidence.reviewing import Settlement

POSTS = 200
"""The newest posts of a thread that are shown."""


@dataclass(frozen=True, slots=True)
class ThreadPicture:
    """A thread as a page."""

    root: str
    """Post id; empty where there is none."""
    title: str
    lines: tuple[Text, ...]
    patch: str
    """What `y` copies; empty where the thread has no diff."""


def thread_picture(scene: Scene, post_id: str) -> ThreadPicture:
    """Return the thread that a post belongs to."""
    root = scene.told.threads.root(post_id)
    if not root:
        return ThreadPicture("", "", (), "")
    record = scene.state.posts[root]
    body = record.posted.body
    patch, why = str(body.get("patch") or ""), ""
    if not patch and body.get("kind") == "hypothesis" and body.get("parents"):
        fetched = scene.patch_of(str(body["parents"][0]), str(body["commit"]))
        patch, why = fetched.text, fetched.why
    lines = [*_head(scene, root, record)]
    if claim := scene.state.hypotheses.get(root):
        lines += [*_standing(scene, claim), *_reviews(scene, claim)]
    lines += _talk(scene, root)
    if patch:
        lines += [Text(), Text("Diff against its first parent (y copies it)", style="bold")]
        lines += diff_lines(patch)
    elif why:
        lines += [Text(), Text(one_line(why, 500), style=GREY)]
    title = one_line(str(body.get("title") or body.get("kind")), 120)
    return ThreadPicture(root, f"{root} {title}", tuple(lines), patch)


def _head(scene: Scene, root: str, record: PostRecord) -> Iterator[Text]:
    """The claim: title, who, when, on what it builds, what it expects, why."""
    posted, state = record.posted, scene.state
    body = posted.body
    status = status_of(scene, root)
    sign, style = status_look(status)
    yield Text(one_line(str(body.get("title") or body.get("text") or ""), 300), style="bold")
    who = Text(f"{sign} {status}", style=style)
    who.append("  by ", style=GREY)
    who.append(one_line(posted.author, 32), style=f"bold {scene.colour(posted.author)}")
    agent = state.agents.get(posted.author)
    role = f", {one_line(agent.role, 20)} ({one_line(agent.mind, 40)})" if agent else ""
    who.append(f"{role} at {run_time(record.at_us)}", style=GREY)
    if boosts := state.forum.boosts.get(root, 0):
        who.append(f"  people: {boosts:+d}", style=AMBER)
    yield who
    if body.get("kind") == "hypothesis":
        expected = body["prediction"]
        line = Text("expects ", style=GREY)
        line.append(f"{expected['gain']:+.4f}", style="")
        line.append(f", {expected['confidence']:.0%} sure of a gain; commit ", style=GREY)
        line.append(str(body["commit"])[:10])
        parents = ", ".join(one_line(str(p), 10).rstrip("…")[:10] for p in body["parents"])
        line.append(f" on {parents or 'nothing'}", style=GREY)
        yield line
    yield from _knobs(body)
    said = body.get("rationale") or (body.get("title") and body.get("text"))
    if said:
        yield from (Text(line) for line in several_lines(str(said)))


def _knobs(body: dict[str, Any]) -> Iterator[Text]:
    if knobs := body.get("knobs"):
        pairs = ", ".join(
            f"{one_line(str(k), 40)}={one_line(str(v), 40)}" for k, v in knobs.items()
        )
        yield Text(f"knobs {pairs}", style=GREY)


def _standing(scene: Scene, claim: HypothesisState) -> Iterator[Text]:
    """What was measured: every change of status with its gain and the verdicts it cites."""
    state = scene.state
    served = [state.experiments[name] for name in claim.experiments]
    if not claim.changes and not served:
        return
    yield Text()
    yield Text("What came of it", style="bold")
    for at_us, change in claim.changes:
        yield _change(scene, at_us, change, claim)
    for experiment in served:
        if experiment.is_done and (experiment.verdict and experiment.verdict.outcome == "ok"):
            continue
        queued = experiment.queued
        line = Text(f"  {queued.experiment_id} {queued.purpose.replace('_', ' ')}: ", style=GREY)
        if experiment.verdict is not None:
            line.append(f"invalid: {one_line(experiment.verdict.reason, 200)}", style=RED)
        else:
            line.append("runs" if experiment.is_running else "waits", style=AMBER)
        yield line


def _change(scene: Scene, at_us: int, change: StatusChanged, claim: HypothesisState) -> Text:
    status = "open again" if change.status == "measured" else change.status.replace("_", " ")
    sign, style = status_look(status)
    line = Text(f"  {run_time(at_us):>6} ", style=GREY)
    line.append(f"{sign} {status}", style=style)
    if change.gain is not None:
        line.append(f" {change.gain:+.4f}")
        if change.low is not None and change.high is not None:
            line.append(f" ({change.low:+.4f} to {change.high:+.4f})", style=GREY)
    if change.pairs:
        line.append(f", {change.pairs} pair{'' if change.pairs == 1 else 's'}", style=GREY)
    line.append(" by ", style=GREY)
    line.append(one_line(change.by, 32), style=scene.colour(change.by))
    if change.verdicts:
        cited = ", ".join(_cited(scene.state, v) for v in change.verdicts[:6])
        more = len(change.verdicts) - 6
        line.append(f"  [{cited}{f', {more} more' if more > 0 else ''}]", style=GREY)
    if claim.taken_back.intersection(change.verdicts):
        line.append("  taken back", style=RED)
    return line


def _cited(state: RunState, verdict_id: str) -> str:
    verdict = state.verdicts.get(verdict_id)
    score = "" if verdict is None or verdict.score is None else f" {verdict.score:.4f}"
    return f"{one_line(verdict_id, 20)}{score}"


def _reviews(scene: Scene, claim: HypothesisState) -> Iterator[Text]:
    """Each review's prediction against what came of it; who was asked and has not answered."""
    state = scene.state
    reviews = state.reach.reviews.get(claim.post_id, {})
    asked = state.evidence.assigned.get(claim.post_id, ())
    if not reviews and not asked:
        return
    yield Text()
    yield Text("Reviews: predicted, and what came of it", style="bold")
    settled = scene.view(settlements).get(claim.post_id)
    for author, post_id in reviews.items():
        yield from _review(scene, claim, author, state.posts[post_id], settled)
    for name in asked:
        if name not in reviews:
            line = Text("  ")
            line.append(one_line(name, 32), style=f"bold {scene.colour(name)}")
            late = claim.post_id in state.reach.begun
            yield line.append(" was asked and did not answer" if late else " is asked", style=GREY)


def _review(
    scene: Scene,
    claim: HypothesisState,
    author: str,
    record: PostRecord,
    settled: Settlement | None,
) -> Iterator[Text]:
    body = record.posted.body
    line = Text("  ")
    line.append(one_line(author, 32), style=f"bold {scene.colour(author)}")
    opinion = str(body.get("opinion"))
    style = {"support": GREEN, "reject": RED}.get(opinion, AMBER)
    line.append(f" {one_line(opinion, 20)}", style=style)
    said = body.get("forecast")
    if said is not None:
        low, middle, high = said["gain"]
        line.append(
            f": {middle:+.4f} ({low:+.4f} to {high:+.4f}), {said['reproduced']:.0%} to hold"
        )
    yield line
    if said is not None:
        yield _outcome(scene.state, claim, said, settled)
    for words in several_lines(str(body.get("text") or ""), 2_000):
        if words:
            yield Text(f"    {words}", style=GREY)


def _outcome(
    state: RunState, claim: HypothesisState, said: dict[str, Any], settled: Settlement | None
) -> Text:
    """What a forecast came to: the confirmation, else the screen, else nothing yet."""
    line = Text("    → ", style=GREY)
    low, _, high = said["gain"]
    if settled is not None:
        gain = None
        if settled.gain is not None and state.noise is not None:
            gain = settled.gain * state.noise.sigma
        held = settled.is_reproduced
        line.append("reproduced" if held else "not reproduced", style=GREEN if held else RED)
        is_right = held == (said["reproduced"] >= 0.5)
        line.append(" ✓" if is_right else " ✗", style=GREEN if is_right else RED)
    else:
        gain = claim.screened_gain
        line.append("not confirmed yet", style=GREY)
    if gain is not None:
        where = "inside" if low <= gain <= high else "below" if gain < low else "above"
        what = "measured" if settled is not None else "screened"
        line.append(f", {what} {gain:+.4f}, {where} what was expected", style=GREY)
    return line


def _talk(scene: Scene, root: str) -> Iterator[Text]:
    """Findings, failures, comments, claims: whoever said what after the first post."""
    ids = [i for i in scene.told.threads.posts(root) if i != root]
    posts = [scene.state.posts[i] for i in ids]
    shown = [p for p in posts if p.posted.body.get("kind") != "review"][-POSTS:]
    if not shown:
        return
    yield Text()
    yield Text("Said", style="bold")
    for record in shown:
        yield from _post(scene, record)


def _post(scene: Scene, record: PostRecord) -> Iterator[Text]:
    posted = record.posted
    body = posted.body
    line = Text(f"  {run_time(record.at_us):>6} ", style=GREY)
    line.append(one_line(posted.author, 32), style=f"bold {scene.colour(posted.author)}")
    line.append(
        f" {one_line(str(body.get('kind')), 20)} {one_line(posted.post_id, 12)}", style=GREY
    )
    evidence = body.get("evidence")
    if isinstance(evidence, dict):
        status = str(evidence.get("status", "")).replace("_", " ")
        sign, style = status_look(status)
        line.append(f" {sign} {one_line(status, 20)}", style=style)
        line.append(f" [{_cited(scene.state, str(evidence.get('verdict_id')))}]", style=GREY)
    yield line
    words = body.get("text") or body.get("title") or ""
    for said in several_lines(str(words), 4_000):
        if said:
            yield Text(f"         {said}")
