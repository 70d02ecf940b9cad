"""The lab: each slot's time, what runs, what waits and why in that order, use and spend."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache

from rich.text import Text

from community.archive.queries import PoolUse, experiment_limit, pool_use
from community.archive.state import ExperimentState, RunState
from community.cli.lines import LAB_WORK, VERBS, run_time
from community.plain_text import one_line
from community.tui.cells import line_of
from community.tui.colours import AMBER, GREY
from community.tui.pictures.queue_order import Turn, queue_order
from community.tui.scene import Line, Scene
from community.tui.wanted import Wanted

WINDOW_US = 600_000_000
"""Ten minutes: what the timeline shows unless all of the run is wanted."""
QUEUE = 200
"""Waiting experiments listed."""
_TITLE_CHARACTERS = 120
_BAR = 16


@dataclass(frozen=True, slots=True)
class Span:
    """A time during which a slot was held."""

    begin_us: int
    end_us: int
    colour: str
    sign: str


@dataclass(frozen=True, slots=True)
class SlotPicture:
    """One slot."""

    name: str
    busy_share: float
    spans: tuple[Span, ...]
    work: Text
    """What runs on it."""


@dataclass(frozen=True, slots=True)
class LabPicture:
    """All of the lab."""

    slots: tuple[SlotPicture, ...]
    from_us: int
    to_us: int
    queue: tuple[Line, ...]
    waiting: int
    spend: tuple[Text, ...]


def lab_picture(scene: Scene, wanted: Wanted, *, is_whole: bool) -> LabPicture:
    """Return the lab.

    Args:
        scene: The run.
        wanted: What is wanted of the queue.
        is_whole: Whether the timeline shows all of the run, not its last ten minutes.
    """
    state = scene.state
    to_us = max(scene.at_us, state.opened_us + 1)
    from_us = state.opened_us if is_whole else max(state.opened_us, to_us - WINDOW_US)
    use = scene.view(pool_use)
    turns = scene.view(_turns)
    queue: list[Line] = []
    for place, turn in enumerate(turns, start=1):
        line = _turn(scene, place, turn)
        if len(queue) < QUEUE and wanted.lets(line.text.plain, line.about):
            queue.append(line)
    slots = _slots(scene, use, from_us, to_us)
    return LabPicture(slots, from_us, to_us, tuple(queue), len(turns), tuple(_spend(scene, use)))


def _turns(state: RunState) -> tuple[Turn, ...]:
    return queue_order(state, state.last_us)


def _slots(scene: Scene, use: PoolUse, from_us: int, to_us: int) -> tuple[SlotPicture, ...]:
    state = scene.state
    running = {e.attempts[-1].slot: e for e in state.running()}
    shares = {slot.slot: slot.busy_share for slot in use.slots}
    names = list(dict.fromkeys([*(state.opened.slots if state.opened else ()), *running]))
    spans: dict[str, list[Span]] = {name: [] for name in names}
    for experiment in state.experiments.values():
        for attempt in experiment.attempts:
            end_us = to_us if attempt.ended_us is None else attempt.ended_us
            if end_us < from_us or attempt.slot not in spans:
                continue
            colour, sign = _span_look(scene, experiment)
            spans[attempt.slot].append(Span(attempt.started_us, end_us, colour, sign))
    return tuple(
        SlotPicture(
            name, shares.get(name, 0.0), tuple(spans[name]), _work(scene, running.get(name), name)
        )
        for name in names
    )


def _span_look(scene: Scene, experiment: ExperimentState) -> tuple[str, str]:
    queued = experiment.queued
    if queued.purpose in LAB_WORK or queued.purpose == "parent":
        return GREY, "▒"
    sign = "█" if queued.purpose == "screen" else "▓"
    return scene.colour(queued.requested_by), sign


def _work(scene: Scene, experiment: ExperimentState | None, slot: str) -> Text:
    line = _what_runs(scene, experiment)
    _, node = scene.state.evidence.placed.get(slot, (0, ""))
    return line.append(f"  on {one_line(node, 40)}", style=GREY) if node else line


def _what_runs(scene: Scene, experiment: ExperimentState | None) -> Text:
    if experiment is None:
        return Text("idle", style=GREY)
    queued = experiment.queued
    seconds = max(0, scene.at_us - experiment.attempts[-1].started_us) // 1_000_000
    line = Text(f"{one_line(queued.experiment_id, 12)} {seconds:>3} s  ")
    return line.append_text(_what(scene, experiment))


def _what(scene: Scene, experiment: ExperimentState) -> Text:
    """Return who does what: ``ada tries: a wider window``."""
    queued = experiment.queued
    if queued.purpose in LAB_WORK:
        return Text(LAB_WORK[queued.purpose], style=GREY)
    words = Text()
    name = one_line(queued.requested_by, 32)
    words.append(name, style=scene.colour(queued.requested_by))
    hypothesis = scene.state.hypotheses.get(queued.hypothesis)
    title = one_line(hypothesis.title, _TITLE_CHARACTERS) if hypothesis else ""
    return words.append(f" {VERBS[queued.purpose]}: {title}")


def _turn(scene: Scene, place: int, turn: Turn) -> Line:
    queued = turn.experiment.queued
    waits_s = max(0, scene.at_us - turn.experiment.queued_at_us) // 1_000_000
    line = Text(no_wrap=True, end="")
    line.append(f"{place:>3} {one_line(queued.experiment_id, 12):<6} ")
    line.append(f"{waits_s:>4} s  ", style=GREY)
    line.append(one_line(queued.requested_by, 20), style=scene.colour(queued.requested_by))
    line.append(f" {VERBS.get(queued.purpose, queued.purpose)} ")
    line.append(f"{one_line(queued.hypothesis, 12)}  ", style="bold")
    line.append(f"{turn.reason}  ", style=AMBER)
    claim = scene.state.hypotheses.get(queued.hypothesis)
    line.append(one_line(claim.title, _TITLE_CHARACTERS) if claim else "", style=GREY)
    about = (queued.hypothesis or queued.experiment_id, queued.requested_by, queued.charged_to)
    return Line(queued.experiment_id, line, about)


def _spend(scene: Scene, use: PoolUse) -> list[Text]:
    """Return use of the pool, spend against each cap, and who spent it."""
    state = scene.state
    caps = _caps(state.opened.scenario if state.opened else "")
    lines = [Text("Pool", style="bold")]
    pool = Text(f" busy {use.busy_share:.1%}, training {use.train_share:.1%}")
    pool.append(" of 10 % to 90 % of the run", style=GREY)
    lines.append(pool)
    for count, words in (
        (state.lost_attempts, "lost attempts"),
        (state.cut_off_attempts, "cut off by a stop"),
    ):
        if count:
            lines.append(Text(f" {words} {count}", style=AMBER))
    lines.append(Text("Spent", style="bold"))
    run_s = (scene.at_us - state.opened_us) / 1e6
    limit = experiment_limit(state)
    lines.append(_bar("experiments", float(state.experiments_admitted), limit, ""))
    lines.append(_bar("device-s", state.device_seconds, caps.get("device_seconds"), ""))
    lines.append(_bar("run time", run_s, caps.get("wall_s"), " s"))
    apart = f" apart: baseline {state.baseline_device_seconds:.0f} s"
    lines.append(
        Text(f"{apart}, last runs and credit {state.final_device_seconds:.0f} s", style=GREY)
    )
    lines.append(Text("Device-seconds by account", style="bold"))
    spent = sorted(state.spend.items(), key=lambda pair: -pair[1].device_seconds)
    most = max((spend.device_seconds for _, spend in spent), default=0.0) or 1.0
    for name, spend in spent:
        line = Text(f" {one_line(name, 10):<10} ", style=scene.colour(name))
        line.append("█" * max(1, round(_BAR * spend.device_seconds / most)) + " ")
        line.append(f"{spend.device_seconds:.0f} s, {spend.experiments} runs", style=GREY)
        lines.append(line)
    return lines


def _bar(what: str, value: float, cap: float | None, unit: str) -> Text:
    line = Text(f" {what:<11} ", style=GREY)
    if cap:
        full = min(_BAR, round(_BAR * value / cap))
        line.append("█" * full + "░" * (_BAR - full), style=AMBER if value > 0.9 * cap else "")
        return line.append(f" {value:.0f} of {cap:.0f}{unit}")
    return line.append(f"{value:.0f}{unit}, no cap")


@lru_cache(maxsize=4)
def _caps(scenario: str) -> dict[str, float]:
    """Return the scenario's limits."""
    try:
        stop = tomllib.loads(scenario).get("stop", {})
    except tomllib.TOMLDecodeError:
        return {}
    pairs = stop.items() if isinstance(stop, dict) else ()
    return {name: float(value) for name, value in pairs if isinstance(value, int | float)}


def timeline(slot: SlotPicture, picture: LabPicture, width: int) -> Text:
    """Return a slot's time as `width` cells: who held it; the longest in a cell is seen."""
    span_us = picture.to_us - picture.from_us
    cells: list[tuple[int, str, str]] = [(0, "·", GREY)] * width
    for span in slot.spans:
        begin = max(0.0, (span.begin_us - picture.from_us) / span_us) * width
        end = min(1.0, (span.end_us - picture.from_us) / span_us) * width
        for cell in range(int(begin), min(width, int(end) + 1)):
            share = round(1_000 * (min(end, cell + 1) - max(begin, cell)))
            if share > cells[cell][0]:
                cells[cell] = (share, span.sign, span.colour)
    return line_of((sign, colour) for _, sign, colour in cells)


def time_axis(picture: LabPicture, width: int) -> Text:
    """Return the timeline's ends."""
    first, last = run_time(picture.from_us), run_time(picture.to_us)
    return Text(f"{first}{'':<{max(1, width - len(first) - len(last))}}{last}", style=GREY)
