"""Whatever has an id, as a page: threads, experiments, verdicts, commits, agents, people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from rich.text import Text

from community.archive.leaderboard import researchers
from community.archive.state import ExperimentState
from community.cli.lines import run_time
from community.plain_text import one_line
from community.tui.colours import GREEN, GREY, RED
from community.tui.pictures.thread import ThreadPicture, thread_picture
from community.tui.scene import Line, Scene
from community.tui.wanted import Wanted

FOUND = 200
"""Things listed that a search found."""


def page_of(scene: Scene, name: str) -> ThreadPicture:
    """Return what an id stands for as a page; one that says so where it stands for nothing."""
    state = scene.state
    if scene.told.threads.root(name):
        return thread_picture(scene, name)
    if name in state.experiments:
        lines = _experiment(scene, state.experiments[name])
    elif name in state.verdicts:
        lines = _experiment(scene, state.experiments[state.verdicts[name].experiment_id])
    elif name in state.agents:
        lines = _agent(scene, name)
    elif name in state.forum.people:
        lines = _person(scene, name)
    elif claim := _commit(scene, name):
        return thread_picture(scene, claim)
    else:
        lines = iter([Text(f"Nothing in this run is called {one_line(name, 80)}.", style=GREY)])
    return ThreadPicture("", one_line(name, 80), tuple(lines), "")


def found(scene: Scene, typed: str) -> tuple[Line, ...]:
    """Return what a search finds: ids that begin so, and whatever has all the words."""
    state, text, wanted = scene.state, typed.strip(), Wanted.of(typed)
    lines: list[Line] = []

    def add(name: str, kind: str, words: str) -> None:
        is_id = bool(text) and name.casefold().startswith(text.casefold())
        if len(lines) < FOUND and (is_id or wanted.lets(f"{name} {kind} {words}")):
            line = Text(no_wrap=True, end="")
            line.append(f"{one_line(name, 12):<12} ", style="bold")
            line.append(f"{kind:<11} ", style=GREY)
            line.append(one_line(words, 160))
            lines.append(Line(name, line, (name,)))

    for name, agent in state.agents.items():
        add(name, "agent", f"{agent.role} {agent.mind}")
    for name in state.forum.people:
        add(name, "person", "")
    for post_id, record in reversed(state.posts.items()):
        body = record.posted.body
        words = str(body.get("title") or body.get("text") or body.get("hypothesis") or "")
        commit = str(body.get("commit") or "")[:10]
        add(post_id, str(body.get("kind")), f"{record.posted.author} {commit} {words}")
    for experiment in reversed(state.experiments.values()):
        queued, verdict = experiment.queued, experiment.verdict
        words = f"{queued.purpose} {queued.hypothesis} by {queued.requested_by}"
        score = "" if verdict is None or verdict.score is None else f" {verdict.score:.4f}"
        add(queued.experiment_id, "experiment", f"{words}{score}")
        if verdict is not None:
            add(verdict.verdict_id, "verdict", f"{verdict.outcome}{score} on {verdict.split}")
    folded = text.casefold()
    first = {folded: 0}
    return tuple(
        sorted(
            lines,
            key=lambda line: first.get(
                line.key.casefold(), 1 if line.key.casefold().startswith(folded) else 2
            ),
        )
    )


def _commit(scene: Scene, name: str) -> str:
    """Return the hypothesis of the commit that begins so; nothing where it is not one alone."""
    if len(name) < 4:
        return ""
    commits = [c for c in scene.state.hypotheses_by_commit if c.startswith(name.casefold())]
    return scene.state.hypotheses_by_commit[commits[0]][0] if len(commits) == 1 else ""


def _pairs(record: object, skipped: tuple[str, ...] = ()) -> Iterator[Text]:
    """One line per field of a record."""
    for each in fields(record):  # type: ignore[arg-type]
        value = getattr(record, each.name)
        if each.name in skipped or value in ("", None, ()):
            continue
        line = Text(f"  {each.name.replace('_', ' '):<18} ", style=GREY)
        line.append(one_line(f"{value:.5g}" if isinstance(value, float) else str(value), 300))
        yield line


def _experiment(scene: Scene, experiment: ExperimentState) -> Iterator[Text]:
    queued = experiment.queued
    yield Text(f"Experiment {one_line(queued.experiment_id, 20)}", style="bold")
    yield from _pairs(queued, ("experiment_id",))
    yield Text(f"  queued at          {run_time(experiment.queued_at_us)}", style=GREY)
    for attempt in experiment.attempts:
        yield Text()
        yield Text(f"Attempt {attempt.attempt} on {one_line(attempt.slot, 20)}", style="bold")
        since = run_time(attempt.started_us)
        if attempt.is_running:
            yield Text(f"  runs since {since}", style=GREEN)
        elif attempt.is_lost:
            yield Text(
                f"  from {since}, lost with the run; charged {attempt.lost_s:.1f} s", style=RED
            )
        elif attempt.ended is not None:
            yield from _pairs(attempt.ended, ("experiment_id", "attempt", "slot"))
    if experiment.verdict is not None:
        yield Text()
        yield Text(f"Verdict {one_line(experiment.verdict.verdict_id, 20)}", style="bold")
        yield from _pairs(experiment.verdict, ("verdict_id", "experiment_id"))
    if experiment.is_retracted:
        yield Text("  taken back: it counts nowhere", style=RED)


def _agent(scene: Scene, name: str) -> Iterator[Text]:
    state = scene.state
    agent = state.agents[name]
    yield Text(one_line(name, 64), style=f"bold {scene.colour(name)}")
    yield Text(f"  {one_line(agent.role, 40)}, {one_line(agent.mind, 80)}", style=GREY)
    hears = ", ".join(one_line(other, 32) for other in agent.hears) or "nobody"
    yield Text(f"  hears {hears}", style=GREY)
    if name in state.forum.paused:
        yield Text("  is paused by a person", style=RED)
    if name in state.minds.thinking:
        yield Text("  its model is asked now")
    if (spent := state.minds.by_agent.get(name)) is not None:
        usd = (spent.micro_usd + spent.doubt_micro_usd) / 1e6
        yield Text(f"  thinking: {spent.calls} calls, {spent.tokens} tokens, ${usd:.4f}")
    if one := next((r for r in scene.view(researchers) if r.agent == name), None):
        yield from _pairs(one, ("agent", "role", "mind"))
    yield from _last_posts(scene, name)


def _person(scene: Scene, name: str) -> Iterator[Text]:
    yield Text(f"{one_line(name, 64)}, a person", style=f"bold {scene.colour(name)}")
    for at_us, act in scene.state.forum.acts[-50:]:
        if act.person == name:
            why = f": {one_line(act.why, 200)}" if act.why else ""
            yield Text(f"  {run_time(at_us):>6} {act.action} {one_line(act.target, 64)}{why}")
    yield from _last_posts(scene, name)


def _last_posts(scene: Scene, name: str) -> Iterator[Text]:
    own = [r for r in scene.state.posts.values() if r.posted.author == name][-40:]
    if own:
        yield Text()
        yield Text("Posts, newest first", style="bold")
    for record in reversed(own):
        body = record.posted.body
        line = Text(f"  {run_time(record.at_us):>6} {record.posted.post_id:<6} ", style=GREY)
        line.append(f"{one_line(str(body.get('kind')), 12):<11} ", style=GREY)
        line.append(one_line(str(body.get("title") or body.get("text") or ""), 200))
        yield line
