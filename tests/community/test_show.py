"""What `community show` prints: the JSON record and the tables."""

from __future__ import annotations

import dataclasses
import io
import json

import pytest
from archive_script import CHILD, S, ended, hypothesis, opened, proposed, queued, rows, verdict
from rich.console import Console

from community import events as ev
from community.archive.ledger import ledger_hash
from community.archive.state import RunState
from community.plain_text import one_line
from community.show import Shown, leaderboard_text, rendered, shown, summary_lines


@pytest.fixture
def record() -> Shown:
    """The record of the scripted run."""
    return shown(RunState.from_rows(rows()), ledger_hash(rows()))


def test_json_has_the_keys_that_scripts_read(record: Shown) -> None:
    """Names and values that benchmarks and users rely on."""
    said = json.loads(record.as_json())
    assert said["run_id"] == "r1"
    assert (said["task"], said["seed"], said["stop"]) == ("nanolm", 7, "experiments")
    assert said["baseline"]["mean"] == 3.1
    assert said["baseline"]["sigma"] == 0.1
    assert said["baseline"]["n"] == 2
    assert said["baseline"]["vault_mean"] == 3.3
    best = said["best"]
    assert (best["score"], best["status"], best["commit"]) == (2.7, "reproduced", CHILD)
    assert (best["hypothesis"], best["author"], best["split"]) == ("p1", "ada", "vault")
    assert best["gain_percent"] == pytest.approx(100 * 0.6 / 3.3)
    assert said["seal"] == {
        "score": 2.8, "baseline": 3.4, "commit": CHILD, "hypothesis": "p1", "reason": "",
        "runs": 1,
    }  # fmt: skip
    assert (said["experiments"], said["lost_attempts"]) == (5, 1)
    assert said["pool"]["busy_share"] == pytest.approx(60 / 160)
    assert 0 < said["pool"]["train_share"] < said["pool"]["busy_share"]
    assert said["spend"]["device_seconds"] == 50.0
    assert said["spend"]["by_agent"] == {"ada": 16.0, "ben": 34.0, "lab": 16.0}
    assert [entry["hypothesis"] for entry in said["leaderboard"]] == ["p1", "p2", "p3"]
    assert [agent["agent"] for agent in said["agents"]] == ["ada", "ben"]
    assert said["ledger_hash"] == ledger_hash(rows())


def test_the_seal_is_told_with_its_baseline_or_with_what_went_wrong(record: Shown) -> None:
    """Score and neighbour; who led then, where another leads now; else the reason."""

    def line(**changes: object) -> str:
        changed = dataclasses.replace(record, seal=dataclasses.replace(record.seal, **changes))  # type: ignore[arg-type]
        (found,) = (one for one in summary_lines(changed) if one.startswith("seal: "))
        return found

    whole = f"seal: 2.8000 bits per byte, asked once, of {CHILD[:7]}"
    assert line() == f"{whole}; the baseline has 3.4000"
    assert line(baseline=None) == f"{whole}; the baseline has no score"
    assert "ddd, which led when the run first ended; " in line(commit="d" * 40)
    assert line(score=None, reason="lost").endswith("and got no score: lost")
    earlier = [row for row in rows() if not isinstance(row.event, ev.SealScored)]
    told = [dataclasses.replace(row, seq=seq) for seq, row in enumerate(earlier, 1)]
    assert "seal" not in leaderboard_text(shown(RunState.from_rows(told), ""))


def test_every_prefix_of_a_run_can_be_shown() -> None:
    """A run that just began, or was killed anywhere, has a record with all the keys."""
    told = rows()
    keys = {field.name for field in dataclasses.fields(Shown)}
    for end in range(1, len(told) + 1):
        record = shown(RunState.from_rows(told[:end]), "")
        assert set(json.loads(record.as_json())) == keys
        assert leaderboard_text(record)
    with pytest.raises(ValueError, match="never opened"):
        shown(RunState(), "")


def test_text_names_baseline_best_and_contributions(record: Shown) -> None:
    """The plain leaderboard says what counts, one line each."""
    text = leaderboard_text(record)
    assert "baseline: 3.1000 bits per byte on dev ± 0.1000 between seeds (n = 2)" in text
    assert (
        "best: 2.7000 on vault, 18.2 % better than the baseline (3.3000 on vault), reproduced, "
        "ccccccc by ada: turn p1" in text
    )
    assert "5 of 5 admitted are done, 1 attempts lost" in text
    assert "stopped: experiments" in text
    lines = text.splitlines()
    heading = (
        "  # status        val_bpb     vs baseline       vs parent     q pairs commit  by: title"
    )
    assert heading in lines
    row = lines[lines.index(heading) + 1]
    assert row.startswith("  1 reproduced     2.7000 +0.6000 ±")
    assert row.endswith("+0.6000     -     1 ccccccc ada +ben: turn p1")
    assert "looks: 3 on dev" in lines
    assert "ben, reproducer: 3 runs, 2 posts, 0 improved, 0 reproduced, 1 confirmed" in text
    assert len(leaderboard_text(record, top=1).splitlines()) == len(lines) - 2


@pytest.mark.parametrize(
    ("stop", "is_live", "words"),
    [
        ("nobody left to propose", False, "stopped: nobody left to propose"),
        (None, True, "running"),
        (None, False, "killed: it neither runs nor stopped in order"),
    ],
)
def test_a_stopped_a_live_and_a_killed_run_are_told_apart(
    stop: str | None, is_live: bool, words: str
) -> None:
    """Any reason is printed as it is; without one it matters whether somebody writes."""
    told = rows()[:-1] + ([ev.Row(len(rows()), 10**9, ev.RunStopped(stop))] if stop else [])
    record = shown(RunState.from_rows(told), "", is_live=is_live)
    assert summary_lines(record)[-1].startswith(words)
    assert json.loads(record.as_json())["is_live"] == is_live


def test_the_percentage_stands_beside_what_it_is_told_against() -> None:
    """Where vault does not have the baseline yet, the words name dev's mean instead."""
    told = [row for row in story_without_parent() if not isinstance(row.event, ev.RunStopped)]
    record = shown(RunState.from_rows(told), "")
    assert (record.best.reference, record.best.reference_split) == (3.1, "dev")
    text = "\n".join(summary_lines(record))
    assert "best: 2.7000 on vault, 12.9 % better than the baseline (3.1000 on dev)" in text


def story_without_parent() -> list[ev.Row]:
    """Return the script without the baseline's run on vault."""
    kept = []
    for row in rows():
        event = row.event
        if isinstance(event, ev.StatusChanged):
            event = dataclasses.replace(
                event, verdicts=tuple(v for v in event.verdicts if v != "v-e0002")
            )
        if getattr(event, "experiment_id", "") != "e0002":
            kept.append((row.at_us // S, event))
    return rows(kept)


def test_a_table_of_80_columns_cuts_neither_titles_nor_headings(record: Shown) -> None:
    """Titles wrap, headings and numbers stay whole, and no line is longer than the terminal."""
    title = "a gated feed-forward layer with a cosine schedule and a warm-up of forty steps"
    entry = dataclasses.replace(record.leaderboard[0], title=title)
    record = dataclasses.replace(record, leaderboard=(entry,))
    for width in (80, 120):
        out = io.StringIO()
        Console(file=out, width=width).print(rendered(record, width=width))
        seen = out.getvalue()
        assert all(len(line) <= width for line in seen.splitlines())
        assert "…" not in seen
        for word in (*title.split(), "vs baseline", "improved", "confirmed", "off by"):
            assert word in seen
        assert ("vs parent" in seen) == (width == 120)


def test_attempts_that_the_stop_cut_off_are_not_called_lost() -> None:
    """A limit ends what runs at the moment; nothing was lost by that."""
    one = queued("e0001", "screen", CHILD, "t-child")
    events: list[tuple[int, ev.Event]] = [
        (0, opened()),
        (1, proposed(CHILD, "t-child", "ada")),
        (1, hypothesis("p1", "ada", CHILD, 0.4)),
        (2, one),
        (2, ev.AttemptStarted("e0001", 1, "cpu0")),
        (9, ended("e0001", "cpu0", (2, 9), (0, 0), outcome="interrupted", reason="stopped")),
        (9, ev.RunStopped("wall_s")),
    ]
    record = shown(RunState.from_rows(rows(events)), "")
    assert (record.lost_attempts, record.cut_off_attempts) == (0, 1)
    assert any("0 attempts lost, 1 cut off by a stop" in line for line in summary_lines(record))


def test_rich_tables_show_agents_words_as_plain_text() -> None:
    """Markup and escape codes in a title are neither obeyed nor passed on."""
    hostile = hypothesis("p1", "ada", CHILD, 0.4)
    hostile.body["title"] = "[red]boo[/red]\x1b[2J\u202egnp.\nnew line"
    one = queued("e0001", "screen", CHILD, "t-child")
    events: list[tuple[int, ev.Event]] = [
        (0, opened()),
        (0, ev.AgentJoined("ada", "explorer", "policy:random", ())),
        (1, proposed(CHILD, "t-child", "ada")),
        (1, hostile),
        (2, one),
        (3, verdict(one, 2.5)),
    ]
    record = shown(RunState.from_rows(rows(events)), "")
    assert record.leaderboard[0].title == "[red]boo[/red] [2J gnp. new line"
    out = io.StringIO()
    Console(file=out, width=200, force_terminal=False).print(rendered(record))
    assert "[red]boo[/red] [2J gnp. new line" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_one_line_is_bounded_and_printable() -> None:
    """Whatever comes in, one line of at most the limit comes out."""
    assert one_line("a\tb\r\nc\x00d\u200be\ud800") == "a b c d e"
    assert one_line("x" * 50, 10) == "x" * 9 + "…"
    assert len(one_line(" \n" * 10_000 + "y", 10)) <= 10
