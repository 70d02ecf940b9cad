"""The two lines on top of every screen: which run this is, and how it goes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.text import Text

from community.archive.finals import finals
from community.archive.queries import Best, best_commit, experiment_limit, isolation_note
from community.cli.lines import run_time
from community.plain_text import one_line
from community.tui.colours import AMBER, GREEN, GREY, RED
from community.tui.scene import Scene


@dataclass(frozen=True, slots=True)
class Header:
    """What every screen has on top."""

    first: Text
    second: Text
    is_begun: bool
    """Whether there is a run to show."""


def header(scene: Scene) -> Header:
    """Return what run this is and how it goes."""
    state = scene.state
    if state.opened is None:
        return Header(Text("no run yet", style=GREY), Text(), is_begun=False)
    first = Text(no_wrap=True)
    first.append(one_line(state.opened.run_id, 40), style="bold")
    first.append(f"  {one_line(state.opened.task, 40)}  seed {state.opened.seed}  ")
    first.append(f"{run_time(scene.at_us)}  ")
    first.append_text(_how_it_goes(scene))
    for alarm in state.evidence.alarms.values():
        first.append(f"  ! {one_line(alarm.what, 20)} alarm", style=f"bold {RED}")
    if note := isolation_note(state):
        first.append(f"  ! {note}", style=f"bold {RED}")
    if state.forum.paused:
        paused = ", ".join(one_line(name, 32) for name in sorted(state.forum.paused))
        first.append(f"  ‖ {paused}", style=AMBER)
    return Header(first, _numbers(scene), is_begun=True)


def _how_it_goes(scene: Scene) -> Text:
    state = scene.state
    if scene.is_held:
        return Text(f"‖ held still, {scene.waiting} new rows (space)", style=f"bold {AMBER}")
    if scene.is_replay:
        return Text("» replay", style=AMBER)
    if state.stopped is not None:
        return Text(f"■ ended: {one_line(state.stopped.why, 40)}", style=AMBER)
    if scene.is_live:
        return Text("● live", style=f"bold {GREEN}")
    return Text("■ not running (--resume goes on)", style=RED)


def _numbers(scene: Scene) -> Text:
    state = scene.state
    limit = experiment_limit(state)
    line = Text(no_wrap=True)
    line.append("experiments ", style=GREY)
    line.append(f"{state.experiments_done}{f'/{limit}' if limit else ''}")
    best = scene.view(best_commit)
    if last := _headline(scene, best):
        return line.append_text(last)
    if best is None or best.reference is None:
        line.append("  baseline ", style=GREY)
        noise = state.noise
        line.append(f"{noise.mean:.4f} ± {noise.sigma:.4f}" if noise else "not measured yet")
        return line
    # one split for all three numbers, or the percentage is not theirs
    line.append(f"  {best.split}: baseline ", style=GREY)
    line.append(f"{best.reference:.4f}")
    line.append("" if best.reference_split == best.split else f" ({best.reference_split})")
    is_reproduced = best.hypothesis.status == "reproduced"
    line.append("  best reproduced " if is_reproduced else "  best, not reproduced ", style=GREY)
    line.append(f"{best.score:.4f}", style=f"bold {GREEN}" if is_reproduced else AMBER)
    if best.gain_percent is not None:
        line.append(f" ({best.gain_percent:+.1f} %)")
    return line


def _headline(scene: Scene, best: Best | None) -> Text | None:
    """Return the gain on seal, once the last runs are in; what vault had said beside it."""
    found = next((final.headline for final in scene.view(finals) if final.headline), None)
    if found is None:
        return None
    words = Text("  on seal ", style=GREY)
    if math.isfinite(found.percent):
        half = (found.percent_high - found.percent_low) / 2
        words.append(f"{found.percent:+.1f} ±{half:.1f} %", style=f"bold {GREEN}")
    else:
        words.append(
            f"{found.gain:+.4f} ±{(found.high - found.low) / 2:.4f}", style=f"bold {GREEN}"
        )
    words.append(" over the baseline", style=GREY)
    if best is not None and best.gain_percent is not None:
        words.append(f" ({best.split} {best.gain_percent:+.1f} %)", style=GREY)
    return words
