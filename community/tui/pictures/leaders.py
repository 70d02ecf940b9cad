"""The leaderboard's three parts: contributions, researchers, how many are on each rung."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from rich.text import Text

from community.archive.leaderboard import Contribution, Researcher, each_contribution, researchers
from community.archive.queries import baseline_mean
from community.archive.state import RunState
from community.plain_text import isolation_words, one_line
from community.show.evidence_lines import skill_words
from community.tui.colours import GREY, status_look
from community.tui.scene import Line, Scene
from community.tui.wanted import Wanted

CONTRIBUTIONS = 400
"""The best so many contributions are listed."""
LADDER = (
    "measured",
    "not improved",
    "undecided",
    "improved",
    "reproduced",
    "contested",
    "retracted",
)
"""From the ground up; the last two are falls."""
BOARD_HEAD = f"{'#':>3} {'status':<14} {'score':>7} {'vs baseline':>13} {'by':<12} title"
PEOPLE_HEAD = (
    f"{'researcher':<10} {'role':<11} {'credit':>7} {'repr':>4} {'impr':>4} {'conf':>4} "
    f"{'revs':>4} {'skill':>9} {'runs':>4} {'dev-s':>6}"
)
_TITLE_CHARACTERS = 120
_LADDER_CELLS = 30


@dataclass(frozen=True, slots=True)
class LeadersPicture:
    """The three parts."""

    board: tuple[Line, ...]
    people: tuple[Line, ...]
    ladder: tuple[tuple[str, int], ...]
    """(status, hypotheses that have it now)."""


def leaders_picture(scene: Scene, wanted: Wanted) -> LeadersPicture:
    """Return contributions as far as they are wanted, researchers, and the ladder."""
    board = scene.view(_best) if wanted.is_any else each_contribution(scene.state)
    lines: list[Line] = []
    for entry in board:
        line = contribution_line(scene, entry)
        if wanted.lets(f"{line.text.plain} {entry.commit} {entry.hypothesis}", line.about):
            lines.append(line)
        if len(lines) >= CONTRIBUTIONS:
            break
    people = tuple(_researcher(scene, one) for one in scene.view(researchers))
    counts = Counter(h.status.replace("_", " ") for h in scene.state.hypotheses.values())
    ladder = tuple((status, counts[status]) for status in LADDER)
    return LeadersPicture(tuple(lines), people, ladder)


def _best(state: RunState) -> tuple[Contribution, ...]:
    """Return as many contributions as are listed: of a long run not all are kept."""
    return tuple(islice(each_contribution(state), CONTRIBUTIONS))


def contribution_line(scene: Scene, entry: Contribution) -> Line:
    """Return rank, status, score, gain over the baseline, who, title.

    The gain is in percent of the baseline's mean on the same split, with half its 95 % interval.
    Who is the proposer and, after a plus, who reproduced it.
    """
    sign, style = status_look(entry.status_said)
    walls = isolation_words(entry.isolation, entry.measured_by)
    line = Text(no_wrap=True, end="")
    line.append(f"{entry.rank:>3} ", style=GREY)
    status = f"{sign} {entry.status_said}{walls and f' ({walls})'}"
    line.append(f"{status:<14} ", style=style)
    score = "" if entry.score is None else f"{entry.score:.4f}"[:7]
    line.append(f"{score:>7} ")
    line.append(f"{_gain_words(scene, entry):>13} ")
    proposer = one_line(entry.proposer, 20)
    line.append(proposer, style=scene.colour(entry.proposer))
    taken = len(proposer)
    if entry.reproduced_by:
        other = one_line(entry.reproduced_by, 20)
        line.append(" +", style=GREY)
        line.append(other, style=scene.colour(entry.reproduced_by))
        taken += 2 + len(other)
    line.append(" " * max(1, 13 - taken))
    line.append(one_line(entry.title, _TITLE_CHARACTERS))
    return Line(entry.hypothesis, line, (entry.hypothesis, entry.proposer, entry.author))


def _gain_words(scene: Scene, entry: Contribution) -> str:
    reference = baseline_mean(scene.state, entry.split)
    gain = entry.baseline_gain if entry.estimate is None else entry.estimate
    if gain is None or not reference:
        return ""
    scale = 100 / abs(reference)
    if entry.estimate is None or entry.low is None or entry.high is None:
        return f"{scale * gain:+.1f} %"
    return f"{scale * gain:+.1f} ±{scale * (entry.high - entry.low) / 2:.1f} %"


def _researcher(scene: Scene, one: Researcher) -> Line:
    line = Text(no_wrap=True, end="")
    name = one_line(one.agent, 10)
    line.append(f"{name:<10} ", style=f"bold {scene.colour(one.agent)}")
    line.append(f"{one_line(one.role, 11):<11} ", style=GREY)
    line.append(f"{one.credit:>7.4f} {one.reproduced:>4} {one.improved:>4} {one.reproductions:>4} ")
    line.append(f"{one.reviews:>4} {skill_words(one):>9} {one.experiments:>4} ")
    line.append(f"{one.device_seconds:>6.0f}")
    return Line(one.agent, line, (one.agent,))


def ladder_lines(ladder: Sequence[tuple[str, int]]) -> list[Text]:
    """Return the ladder, the top rung first: a bar a status."""
    most = max((count for _, count in ladder), default=0) or 1
    lines = []
    for status, count in reversed(ladder):
        sign, style = status_look(status)
        line = Text(no_wrap=True, end="")
        line.append(f"{sign} {status:<13}{count:>4} ", style=style)
        line.append("█" * -(-_LADDER_CELLS * count // most), style=style)
        lines.append(line)
    return lines


def ladder_line(ladder: Sequence[tuple[str, int]]) -> Text:
    """Return the ladder on one line."""
    line = Text(no_wrap=True, end="")
    for status, count in ladder:
        sign, style = status_look(status)
        line.append(f"{sign} {count} {status}  ", style=style)
    return line
