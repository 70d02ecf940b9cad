"""The report: the page's words, and what the figures are drawn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from archive_script import CHILD, OTHER, hypothesis, opened, proposed, queued, rows, run_whole
from matplotlib.figure import Figure

from community import events as ev
from community.archive.ledger import Ledger
from community.archive.state import RunState
from community.events import Row
from community.mind_events import SpendReserved, SpendSettled
from community.report import figures, write_report
from community.report.points import Lead, Worth, leads, usd_by, worths
from community.run_folder import RunFolder


def test_the_page_tells_a_gain_with_its_reference(tmp_path: Path) -> None:
    """Score, percentage and the baseline's mean in one sentence are of one split."""
    folder = RunFolder.create(tmp_path, "r1")
    with Ledger.create(folder.ledger) as ledger:
        for row in rows():
            ledger.append(row.at_us, row.event)
    page = write_report(folder).read_text()
    assert "on vault, 18.2 % better than the baseline (3.3000 on vault).<br>" in page
    assert "Baseline on dev: 3.1000 ± 0.1000, n = 2" in page
    assert "<b>2.8000</b> bits per byte, baseline 3.4000" in page
    assert "vs baseline, 95 %</th>" in page
    assert "vs parent, 95 %</th>" in page


def test_the_page_says_plainly_that_nothing_was_reproduced(tmp_path: Path) -> None:
    """Once the run has ended by a limit; not while it may go on, nor where something was."""
    told = {}
    whole = rows()
    begins = [isinstance(row.event, ev.ReproductionOpened) for row in whole].index(True)
    for why in ("experiments", "interrupted", "whole"):
        folder = RunFolder.create(tmp_path, why)
        with Ledger.create(folder.ledger) as ledger:
            for row in whole if why == "whole" else whole[:begins]:
                ledger.append(row.at_us, row.event)
            if why != "whole":
                ledger.append(whole[begins].at_us, ev.RunStopped(why))
        told[why] = "Headline: none; nothing was reproduced" in write_report(folder).read_text()
    assert told == {"experiments": True, "interrupted": False, "whole": False}


def test_the_line_of_the_best_begins_at_the_baseline_of_its_own_split() -> None:
    """A line of means on vault does not start at a mean on dev."""
    assert leads(RunState.from_rows(rows())) == (Lead(0, 3.3), Lead(3, 2.7))
    assert leads(RunState.from_rows(rows()[:10])) == ()


def _paid_rows(*costs: tuple[int, int]) -> list[Row]:
    """Return the scripted run with calls that ended at given microseconds, at given costs."""
    events = [(row.at_us, row.event) for row in rows()]
    for number, (at_us, micro_usd) in enumerate(costs, start=1):
        name, at = f"c{number:06d}", next(n for n, (t, _) in enumerate(events) if t > at_us)
        call = SpendReserved(name, "ada", "explorer", "anthropic:m", 0, 2 * micro_usd, 10)
        end = SpendSettled(name, "ada", "ok", 5, 3, 2, 0, 1, micro_usd)
        events[at:at] = [(at_us, call), (at_us, end)]
    return [Row(seq, at_us, event) for seq, (at_us, event) in enumerate(events, start=1)]


def test_progress_per_dollar_follows_what_was_spent_by_then(tmp_path: Path) -> None:
    """The best confirmed score stands at the dollars of its moment, and lasts to all that was."""
    whole = _paid_rows((25_000_000, 300_000), (45_000_000, 200_000), (75_000_000, 500_000))
    state = RunState.from_rows(whole)
    assert usd_by(state, [0, 25_000_000, 44_000_000, 100_000_000]) == [0.0, 0.3, 0.3, 1.0]
    assert worths(state) == (Worth(0.0, 3.3), Worth(0.5, 2.7), Worth(1.0, 2.7))
    folder = RunFolder.create(tmp_path, "paid")
    with Ledger.create(folder.ledger) as ledger:
        for row in whole:
            ledger.append(row.at_us, row.event)
    page = write_report(folder).read_text()
    assert "$1 for 5 experiments, 1 reproduced" in page
    assert "dollars that thinking had cost" in page
    assert "Thinking cost nothing" not in page


def test_a_run_that_cost_nothing_has_no_chart_of_dollars(tmp_path: Path) -> None:
    """It says so in a sentence."""
    folder = RunFolder.create(tmp_path, "free")
    with Ledger.create(folder.ledger) as ledger:
        for row in rows():
            ledger.append(row.at_us, row.event)
    page = write_report(folder).read_text()
    assert "Thinking cost nothing in this run" in page
    assert "dollars that thinking had cost" not in page
    assert not (folder.report / "spend.svg").exists()


def test_one_outlier_does_not_flatten_the_lineage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frame is the progress plot's; what lies beyond stands on its edge, over the grid."""
    events: list[tuple[int, ev.Event]] = [
        (0, opened()),
        (0, ev.NoiseEstimated("cpu", 3.1, 0.01, (3.09, 3.11))),
    ]
    for name, commit, score in (("p1", CHILD, 2.9), ("p2", OTHER, 900.0)):
        screen = queued(f"e-{name}", "screen", commit, f"t-{name}", hypothesis=name)
        events += [
            (1, proposed(commit, f"t-{name}", "ada")),
            (1, hypothesis(name, "ada", commit, 0)),
        ]
        events += run_whole(screen, "cpu0", 2, score)
    drawn: list[Figure] = []
    monkeypatch.setattr(figures, "svg", drawn.append)
    figures.lineage_svg(RunState.from_rows(rows(events)))
    (axes,) = drawn[0].axes
    low, high = axes.get_ylim()
    assert 2.8 < low < 2.9
    assert 3.1 < high < 3.3
    assert axes.get_axisbelow() is True
    places = [
        place for dots in axes.collections for place in np.asarray(dots.get_offsets()).tolist()
    ]
    assert [1.0, 2.9] in places
    assert [2.0, high] in places
