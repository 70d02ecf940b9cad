"""What header, leaderboard and slots say of a run, as plain records and coloured lines.

Pure functions of the folded ledger. Text of agents becomes characters of a `Text`, never markup.
Next: the widgets show it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

from community.archive.finals import finals
from community.archive.leaderboard import Contribution
from community.archive.queries import (
    Best,
    PoolUse,
    baseline_mean,
    best_commit,
    experiment_limit,
    isolation_note,
)
from community.archive.state import ExperimentState, RunState
from community.cli.lines import LAB_WORK, VERBS, run_time
from community.plain_text import isolation_words, one_line
from community.tui.colours import AMBER, GREEN, GREY, RED, status_look
from community.tui.forum_lines import author_style

BOARD_ROWS = 200
"""The best so many contributions are listed."""
TITLE_CHARACTERS = 120


def header_lines(state: RunState, at_us: int, *, is_live: bool) -> tuple[Text, Text]:
    """Return what run this is and how it goes, in two lines."""
    opened = state.opened
    if opened is None:
        return Text("no run yet", style=GREY), Text()
    first = Text(no_wrap=True)
    first.append(one_line(opened.run_id, 40), style="bold")
    first.append(f"  {one_line(opened.task, 40)}  seed {opened.seed}  {run_time(at_us)}  ")
    if state.stopped is not None:
        first.append(f"■ ended: {one_line(state.stopped.why, 40)}", style=AMBER)
    elif is_live:
        first.append("● live", style=f"bold {GREEN}")
    else:
        first.append("■ not running; `community run --resume` goes on", style=RED)
    for alarm in state.evidence.alarms.values():
        first.append(f"  ! {one_line(alarm.what, 20)} alarm", style=f"bold {RED}")
    if note := isolation_note(state):
        first.append(f"  ! {note}", style=f"bold {RED}")
    return first, _numbers(state)


def _numbers(state: RunState) -> Text:
    limit = experiment_limit(state)
    line = Text(no_wrap=True)
    line.append("experiments ", style=GREY)
    line.append(f"{state.experiments_done}{f'/{limit}' if limit else ''}")
    best = best_commit(state)
    if last := _headline(state, best):
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


def _headline(state: RunState, best: Best | None) -> Text | None:
    """Return the gain on seal, once the last runs are in; what vault had said beside it."""
    found = next((final.headline for final in finals(state) if final.headline), None)
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


def plot_title(state: RunState) -> Text:
    """Return what the plot shows: metric, unit, direction."""
    if state.opened is None:
        return Text("Best so far")
    opened = state.opened
    words = f"Best so far: {opened.metric} ({opened.unit}, {opened.direction} is better)"
    return Text(one_line(words, 120))


def board_rows(state: RunState, board: Sequence[Contribution]) -> list[tuple[Text, ...]]:
    """Return the cells of `board`: rank, status, score, gain, who, title.

    The gain is over the baseline, in percent of its mean on the same split, with half its 95 %
    interval. Who is the proposer and, after a plus, who reproduced it.
    """
    rows: list[tuple[Text, ...]] = []
    for entry in board[:BOARD_ROWS]:
        sign, style = status_look(entry.status_said)
        walls = isolation_words(entry.isolation)
        rows.append(
            (
                Text(str(entry.rank), justify="right"),
                Text(f"{sign} {entry.status_said}{walls and f' ({walls})'}", style=style),
                Text("" if entry.score is None else f"{entry.score:.4f}"[:7], justify="right"),
                Text(_gain_words(entry, state), justify="right"),
                _who(entry, state),
                _cut(one_line(entry.title, TITLE_CHARACTERS)),
            )
        )
    return rows


def _gain_words(entry: Contribution, state: RunState) -> str:
    reference = baseline_mean(state, entry.split)
    gain = entry.baseline_gain if entry.estimate is None else entry.estimate
    if gain is None or not reference:
        return ""
    scale = 100 / abs(reference)
    if entry.estimate is None or entry.low is None or entry.high is None:
        return f"{scale * gain:+.1f} %"
    return f"{scale * gain:+.1f} ±{scale * (entry.high - entry.low) / 2:.1f} %"


def _who(entry: Contribution, state: RunState) -> Text:
    who = _cut(one_line(entry.proposer, 32), author_style(entry.proposer, state))
    if entry.reproduced_by:
        who.append(" +", style=GREY)
        who.append(one_line(entry.reproduced_by, 32), author_style(entry.reproduced_by, state))
    return who


def _cut(words: str, style: str = "") -> Text:
    """Return a cell whose words end in an ellipsis where the column ends."""
    return Text(words, style=style, no_wrap=True, overflow="ellipsis")


def slot_lines(state: RunState, use: PoolUse, at_us: int) -> list[Text]:
    """Return what runs on each slot, and below what waits.

    Args:
        state: The run.
        use: How busy its slots were.
        at_us: Run time now, in microseconds.
    """
    running = {e.attempts[-1].slot: e for e in state.running()}
    shares = {slot.slot: slot.busy_share for slot in use.slots}
    names = list(dict.fromkeys([*(state.opened.slots if state.opened else ()), *running]))
    cells = max((len(name) for name in names), default=0)
    lines = []
    for name in names:
        line = Text(no_wrap=True, end="")
        line.append(f"{one_line(name, 20):<{min(cells, 20)}} ", style="bold")
        line.append(f"{shares.get(name, 0.0):>4.0%} ", style=GREY)
        _append_work(line, state, running.get(name), at_us)
        lines.append(line)
    waiting = len(state.pending()) - len(running)
    last = Text(no_wrap=True, end="", style=GREY)
    last.append(f"queue {waiting}  busy {use.busy_share:.1%}  training {use.train_share:.1%}")
    if state.lost_attempts:
        last.append(f"  lost attempts {state.lost_attempts}", style=AMBER)
    if state.cut_off_attempts:
        last.append(f"  cut off by a stop {state.cut_off_attempts}")
    return [*lines, last]


def _append_work(
    line: Text, state: RunState, experiment: ExperimentState | None, at_us: int
) -> None:
    if experiment is None:
        line.append("idle", style=GREY)
        return
    queued = experiment.queued
    seconds = max(0, at_us - experiment.attempts[-1].started_us) // 1_000_000
    line.append(f"{one_line(queued.experiment_id, 12)} {seconds:>3} s  ")
    if queued.purpose in LAB_WORK:
        line.append(LAB_WORK[queued.purpose], style=GREY)
        return
    name = one_line(queued.requested_by, 32)
    line.append(name, style=author_style(queued.requested_by, state))
    hypothesis = state.hypotheses.get(queued.hypothesis)
    title = one_line(hypothesis.title, TITLE_CHARACTERS) if hypothesis else ""
    line.append(f" {VERBS[queued.purpose]}: {title}")
