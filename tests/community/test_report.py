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
from community.report import figures, write_report
from community.report.points import Lead, leads
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
