"""What people see of the evidence: the record, the lines, the page and the figures' numbers."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from archive_script import rows
from evidence_script import commit_of, whole
from matplotlib.figure import Figure

from community import events as ev
from community.archive.ledger import Ledger
from community.archive.progress import confirmed
from community.archive.queries import baseline_mean
from community.archive.state import RunState
from community.report import drift_figure, progress_figure, write_report
from community.report.points import frame, leads, points
from community.run_folder import RunFolder
from community.show import Shown, leaderboard_text, shown


@pytest.fixture(scope="module")
def state() -> RunState:
    """The scripted run, folded."""
    return RunState.from_rows(whole())


@pytest.fixture(scope="module")
def record(state: RunState) -> Shown:
    """What is said of it."""
    return shown(state, "")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its report."""
    folder = RunFolder.create(tmp_path_factory.mktemp("runs"), "r1")
    with Ledger.create(folder.ledger) as ledger:
        for row in whole():
            ledger.append(row.at_us, row.event)
    return write_report(folder).read_text()


def test_every_reproduced_row_names_two_people(record: Shown) -> None:
    """Proposer and reproducer are two, or the lab reproduced; each has interval, q and pairs."""
    kept = [entry for entry in record.leaderboard if entry.status == "reproduced"]
    assert {entry.hypothesis for entry in kept} == {"p1", "p4", "p7", "p22"}
    for entry in kept:
        assert entry.reproduced_by not in (None, entry.proposer)
        assert entry.pairs >= 2
        assert entry.q_value is not None
        assert entry.estimate is not None
        assert entry.low is not None
        assert entry.high is not None
        assert entry.low < entry.estimate < entry.high
        assert entry.gain_low is not None
        assert entry.gain is not None
        assert entry.gain_low < entry.gain
    assert "lab" in {entry.reproduced_by for entry in kept}


def test_what_fell_is_told_apart(record: Shown) -> None:
    """Contested, retracted, open again and invalid: four words, none of them reproduced."""
    said = {entry.hypothesis: entry.status_said for entry in record.leaderboard}
    assert [said[name] for name in ("p8", "p9", "p3", "p5")] == [
        "contested", "retracted", "open again", "invalid",
    ]  # fmt: skip
    text = leaderboard_text(record, top=30)
    for words in ("contested", "retracted", "open again", "invalid"):
        assert re.search(rf"^ *\d+ {words} ", text, re.MULTILINE)


def test_the_headline_is_of_seal_alone(record: Shown, state: RunState) -> None:
    """Its gain is the difference of means on seal; dev and vault stand beside it, not in it."""
    found = record.headline
    key, opened = f"t-{found.hypothesis}", state.opened
    assert opened is not None
    own, base = (state.mean_score(tree, "seal") for tree in (key, opened.baseline_tree_key))
    assert own is not None
    assert base is not None
    assert found.gain == pytest.approx(base - own)
    assert (found.commit, found.runs, found.baseline_runs) == (commit_of("p22"), 4, 4)
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < found.gain < found.high
    assert found.dev_gain != pytest.approx(found.gain)
    (line,) = (li for li in leaderboard_text(record).splitlines() if li.startswith("headline"))
    for number in (found.gain, found.low, found.high, found.dev_gain, found.vault_gain):
        assert f"{number:+.4f}" in line


def test_the_json_has_the_evidence(record: Shown) -> None:
    """Names that benchmarks and scripts read; every prefix of a run has all of them."""
    said = json.loads(record.as_json())
    assert said["yardstick"]["dev_looks"] == 22
    assert said["yardstick"]["references"] == 46
    assert said["yardstick"]["sentinels"] == 14
    assert 0.2 < said["yardstick"]["reference_share"] < 0.5
    assert [alarm["alarm_id"] for alarm in said["yardstick"]["alarms"]] == ["a1"]
    assert [final["hypothesis"] for final in said["finals"]] == ["", "p22", "p7", "p4"]
    assert said["finals"][1]["headline"]["low"] == said["headline"]["low"]
    first = said["leaderboard"][0]
    assert {"estimate", "low", "high", "q_value", "pairs", "proposer", "gain_low"} <= set(first)
    before = json.loads(shown(RunState.from_rows(whole(until="calibrated")), "").as_json())
    assert set(before["headline"]) == set(said["headline"])
    assert set(before["headline"].values()) == {None}


def test_credit_adds_up_and_says_how_it_was_found(record: Shown, page: str) -> None:
    """In the record, in the text and on the page."""
    credit = record.credit
    shared = sum(one.credit for one in record.agents)
    assert shared > 0
    assert shared + credit.unattributed == pytest.approx(credit.total)
    assert credit.kind == "leave-one-out"
    assert "credit: leave-one-out; " in leaderboard_text(record)
    assert "by leave-one-out: the leader ran again without each change" in page
    for one in record.agents:
        assert f'<td class="n">{one.credit:.4f}</td>' in page
        assert f"credit {one.credit:.4f}" in leaderboard_text(record)


def test_an_alarm_is_told_while_it_lasts() -> None:
    """Its line says since when, where, and that nothing is decided; afterwards it is counted."""
    text = leaderboard_text(shown(RunState.from_rows(whole(until="alarm")), ""))
    assert "alarm a1 since 18:09: drift on cpu1: the CUSUM passed 5 sigma; nothing is" in text
    after = leaderboard_text(shown(RunState.from_rows(whole()), ""))
    assert "alarm a1" not in after
    assert "; 1 alarm\n" in after


def test_intervals_are_drawn_on_the_axis_of_scores(state: RunState) -> None:
    """A bar is the baseline's mean on vault less the gain; a screen's is set about its score."""
    start = baseline_mean(state, "vault")
    assert start is not None
    entries = {entry.hypothesis: entry for entry in shown(state, "").leaderboard}
    bars = {bar.hypothesis: bar for bar in confirmed(state)}
    assert set(bars) == {"p1", "p4", "p6", "p7", "p8", "p9", "p22"}
    for name, bar in bars.items():
        entry = entries[name]
        assert entry.estimate is not None
        assert entry.low is not None
        assert entry.high is not None
        assert bar.centre == pytest.approx(start - entry.estimate)
        assert (bar.low, bar.high) == pytest.approx((start - entry.high, start - entry.low))
    for point in points(state):
        if point.score is not None and point.low is not None and point.high is not None:
            assert point.low < point.score < point.high
    assert [p.score for p in points(state) if p.low is None] == [None]  # the invalid one


def test_the_frame_shows_the_whole_band_and_the_best(state: RunState) -> None:
    """Whatever lies far beyond; and nothing is framed where there is no number."""
    scores = [p.score for p in points(state) if p.score is not None]
    assert state.noise is not None
    low, high = frame(state, [*scores, 900.0], leads(state))
    assert low < min(scores)
    assert state.noise.mean + 2 * state.noise.sigma < high < 4
    assert frame(RunState(), ()) == (0.0, 0.0)


@pytest.mark.parametrize("until", ["calibrated", "research", "alarm", "end"])
def test_figures_draw_what_was_computed(until: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A panel for the run, one for its end; one of drift for each device class; no empty legend."""
    drawn: list[Figure] = []
    for module in (progress_figure, drift_figure):
        monkeypatch.setattr(module, "svg", lambda figure: drawn.append(figure) or "drawn")
    state = RunState.from_rows(whole(until=until))
    progress_figure.progress_svg(state)
    is_drift = bool(drift_figure.drift_svg(state))
    assert len(drawn[0].axes) == (2 if until == "end" else 1)
    assert is_drift == (until != "calibrated")
    for figure in drawn:
        (legend,) = figure.legends
        labels = [text.get_text() for text in legend.get_texts()]
        assert labels
        assert len(set(labels)) == len(labels)
    if until == "end":
        end = drawn[0].axes[1]
        names = [label.get_text().splitlines()[0] for label in end.get_xticklabels()]
        assert names == ["p22", "p7", "p4"]


def test_the_page_has_the_numbers(page: str, record: Shown) -> None:
    """Headline with interval, looks, spend, alarms, intervals and q-values, who did what."""
    found = record.headline
    for number in (found.gain, found.low, found.high, found.dev_gain, found.vault_gain):
        assert f"{number:+.4f}" in page
    assert f"Headline: <b>{found.percent:+.1f} %</b> over the baseline on seal" in page
    assert "22 trees had a look" in page
    assert f"{100 * record.yardstick.reference_share:.1f} % of all device-seconds" in page
    assert "alarm a1 from 18:09 to" in page
    for entry in record.leaderboard:
        if entry.estimate is not None and entry.low is not None and entry.high is not None:
            assert f"{entry.estimate:+.4f} ±{(entry.high - entry.low) / 2:.4f}" in page
    for words in ("two more pairs refuted it", "measured beside a compiler", "How to read"):
        assert words in page
    assert page.count("<svg") == 4


def test_hostile_words_do_not_leave_their_cell(tmp_path: Path) -> None:
    """Titles, reasons and details of alarms are escaped in the page and one line in the text."""
    told = whole()
    title = "<script>alert(1)</script>\x1b[2J\nnew line"
    found = []
    for row in told:
        event = row.event
        if isinstance(event, ev.Posted) and event.post_id == "p22":
            event = dataclasses.replace(event, body={**event.body, "title": title})
        found.append(dataclasses.replace(row, event=event))
    record = shown(RunState.from_rows(found), "")
    assert "\x1b" not in leaderboard_text(record)
    folder = RunFolder.create(tmp_path, "r1")
    with Ledger.create(folder.ledger) as ledger:
        for row in found:
            ledger.append(row.at_us, row.event)
    page = write_report(folder).read_text()
    assert "<script>" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_an_old_ledger_has_all_views(tmp_path: Path) -> None:
    """Without intervals, references, sentinels or last runs: dashes, and no figure of drift."""
    folder = RunFolder.create(tmp_path, "r1")
    with Ledger.create(folder.ledger) as ledger:
        for row in rows():
            ledger.append(row.at_us, row.event)
    page = write_report(folder).read_text()
    assert "Headline" not in page
    assert "No sentinel has run." in page
    assert not (folder.report / "drift.svg").exists()


def test_every_row_of_the_page_has_a_cell_under_each_heading(page: str) -> None:
    """No table is shifted, whatever is missing in it."""
    tables = re.findall(r"<table>(.*?)</table>", page, re.DOTALL)
    assert len(tables) >= 5
    for table in tables:
        counts = [len(re.findall(r"<t[hd][ >]", row)) for row in re.split(r"<tr[ >]", table)[1:]]
        assert len(set(counts)) == 1, table[:200]


def test_a_gain_of_two_device_classes_is_told_with_their_heterogeneity(record: Shown) -> None:
    """How much of its spread is between them; nothing of the kind where there is one class."""
    assert {entry.i2 for entry in record.leaderboard} == {None}
    told = whole()
    moved = {
        row.event.experiment_id
        for row in told
        if isinstance(row.event, ev.ExperimentQueued)
        and (row.event.hypothesis, row.event.pair > 2) == ("p6", True)
    }
    for place, row in enumerate(told):
        if isinstance(row.event, ev.VerdictGiven) and row.event.experiment_id in moved:
            event = dataclasses.replace(row.event, device_class="another")
            told[place] = dataclasses.replace(row, event=event)
    mixed = shown(RunState.from_rows(told), "")
    entry = next(entry for entry in mixed.leaderboard if entry.hypothesis == "p6")
    assert entry.classes == 2
    assert entry.i2 is not None
    assert 0 <= entry.i2 <= 1
    words = f"p6: measured in 2 device classes, {entry.i2:.0%} of the gain's spread is between"
    assert words in leaderboard_text(mixed, top=30)
