"""The report of a study and its command: a page that stands alone, figures, table, kept runs."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from study_script import TEXT, made_up
from test_study_analysis import runs_of
from typer.testing import CliRunner

from community.cli.application import application
from community.report import study_figures
from community.study.report import Written, keep, write_report
from community.study.table import unpack_records

RUNNER = CliRunner()
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Give the report of the made-up study under a hostile title."""
    text = TEXT.replace("What is a graph worth?", "<script>alert(1)</script>")
    design = made_up(text)
    folder = tmp_path_factory.mktemp("report")
    return write_report(design, runs_of(design), folder, "community study made_up.toml")


def test_the_page_stands_alone_and_says_how_it_was_made(written: Written):
    """Figures within, nothing loaded, text escaped; command, hashes and seeds."""
    page = written.page.read_text()
    assert page.count("<svg") == 6
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!#)[^"]', page)
    for words in ("community study made_up.toml", "c0de", "Study seed 3", "ring is better than"):
        assert words in page
    assert "lone: the first of its agents that may propose" in page


def test_every_figure_is_there_as_svg_and_png(written: Written):
    """Curves, curves over time, ends, differences, controls, graphs."""
    names = {path.stem for path in written.figures}
    assert names == {
        "curves", "curves_time", "ends", "differences", "against_controls", "graphs",
    }  # fmt: skip
    for path in written.figures:
        head = path.read_bytes()[:8]
        assert head == PNG if path.suffix == ".png" else head.startswith(b"<svg")


def test_the_table_has_a_row_per_run_and_the_levels_of_its_cell(written: Written):
    """Of a control only those levels that all cells beside it share."""
    with written.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 * 10
    ring = next(row for row in rows if row["arm"] == "ring, reviews off")
    assert (ring["factor topology"], ring["factor reviews"]) == ("ring", "off")
    lone = next(row for row in rows if row["arm"].startswith("lone"))
    assert lone["factor topology"] == ""
    assert float(ring["found"]) <= float(ring["best"])
    assert len(unpack_records(written.records)) == len(rows)


def test_what_is_kept_in_a_repository_is_small_and_makes_the_report_again(
    written: Written, tmp_path: Path
):
    """Runs, table, PNGs and the sentences; no page."""
    design = made_up(TEXT)
    keep(design, unpack_records(written.records), written, tmp_path / "kept")
    names = {path.name for path in (tmp_path / "kept").iterdir()}
    assert {"README.md", "results.csv", "records.jsonl.gz", "curves.png"} <= names
    assert "index.html" not in names
    text = (tmp_path / "kept" / "README.md").read_text()
    assert "ring is better than isolated" in text
    assert "Where nothing is shown" in text
    assert "| arm | at the end |" in text
    assert [line for line in text.splitlines() if line.startswith("| ring | ")]
    again = unpack_records(tmp_path / "kept" / "records.jsonl.gz")
    assert again == unpack_records(written.records)


def test_the_same_runs_give_the_same_report(written: Written, tmp_path: Path):
    """Byte for byte, figures as well."""
    design = made_up(TEXT.replace("What is a graph worth?", "<script>alert(1)</script>"))
    again = write_report(design, runs_of(design), tmp_path, "community study made_up.toml")
    assert again.page.read_bytes() == written.page.read_bytes()
    assert again.records.read_bytes() == written.records.read_bytes()


def test_many_contrasts_with_controls_become_a_table(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The figure still tells every difference."""
    monkeypatch.setattr(study_figures, "FOREST_ROWS", 3)
    design = made_up(TEXT.replace("replicates = 12", "replicates = 4"))
    other = write_report(design, runs_of(design), tmp_path, "x")
    figure = next(p for p in other.figures if p.name == "against_controls.svg")
    assert (
        figure.read_bytes()
        != next(p for p in written.figures if p.name == "against_controls.svg").read_bytes()
    )


def test_the_command_lists_arms_and_refuses_what_it_does_not_know(tmp_path: Path):
    """Without running anything; a wrong arm names those there are; a wrong file its faults."""
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    listed = RUNNER.invoke(application(), ["study", str(path), "--list", "--replicates", "2"])
    assert listed.exit_code == 0
    assert "10 arms x 2 landscapes: 20 runs" in listed.stdout
    wrong = RUNNER.invoke(application(), ["study", str(path), "--list", "--only", "rung"])
    assert wrong.exit_code == 2
    assert "ring, reviews on" in wrong.stderr
    path.write_text(TEXT.replace("replicates", "replicate"))
    broken = RUNNER.invoke(application(), ["study", str(path)])
    assert broken.exit_code == 2
    assert 'did you mean "replicates"' in broken.stderr


def test_a_report_is_made_again_from_kept_runs(written: Written, tmp_path: Path):
    """Nothing runs; runs of another study are refused."""
    path = tmp_path / "made_up.toml"
    path.write_text(TEXT.replace('task = "nanolm"', 'task = "nanolm", time = "real"'))
    out = tmp_path / "again"
    arguments = ["study", str(path), "--records", str(written.records), "--out", str(out)]
    done = RUNNER.invoke(application(), arguments)
    assert done.exit_code == 0, done.output
    assert "ring is better than isolated" in done.stdout
    assert (out / "index.html").is_file()
    path.write_text(TEXT.replace("experiments = 40", "experiments = 41"))
    refused = RUNNER.invoke(application(), arguments)
    assert refused.exit_code == 2
    assert "another study file" in refused.stderr


def test_a_small_study_runs_from_the_command_line_and_goes_on(tmp_path: Path):
    """Two virtual arms on two landscapes; the second time nothing is left to run."""
    path = tmp_path / "tiny.toml"
    path.write_text(
        "study = { replicates = 2 }\nbudget = { experiments = 12 }\ncontrols = []\n"
        'scenario = "virtual"\n[set]\n"model.n" = 8\n"model.k" = 2\n'
        '[factors]\ntopology = ["isolated", "complete"]\n'
    )
    out = tmp_path / "out"
    done = RUNNER.invoke(application(), ["study", str(path), "--out", str(out), "--jobs", "2"])
    assert done.exit_code == 0, done.output
    assert "4 of 4 runs" in done.stderr
    assert "complete against isolated" in done.stdout or "complete is" in done.stdout
    again = RUNNER.invoke(application(), ["study", str(path), "--out", str(out)])
    assert again.stderr.count("runs") == 1
    assert again.stdout == done.stdout
