"""Runs that are played again from their record: the same row for row, or what differs is named."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pygit2
import pytest
from cli_calls import MINE, community, told

from agents.minds.prompting import make_prompt
from community.archive.codec import ledger_hash
from community.archive.ledger import LedgerReader
from community.archive.row_file import export_rows
from community.archive.state import RunState
from community.errors import RecordError, ReplayDiffersError
from community.events import (
    AttemptEnded,
    Event,
    Posted,
    Proposed,
    Row,
    RunOpened,
    TurnTaken,
    VerdictGiven,
)
from community.evidence_events import ArtefactGraded, DeviceUsed, ModelMeasured
from community.loading import parse_scenario
from community.mind_events import Answered, MindsPrepared, SpendSettled
from community.recorded.comparing import as_recorded
from community.recorded.live import with_answers_of
from community.recorded.naming import named_as_recorded
from community.recorded.places import find_record, shipped_records
from community.recorded.recalling import recalled
from community.recorded.record import Record
from community.recorded.run import Replayed, play_again
from community.recorded.sights import how_it_differs, other_circumstances
from community.run_folder import RunFolder
from community.seeing import past_sight
from trainer.repository import Repository

DEMO = "demo"


@dataclass(frozen=True)
class Played:
    """The demonstration, played once."""

    record: Record
    done: Replayed
    rows: list[Row]
    folder: RunFolder


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Play the shipped record without a key in the environment."""
    with pytest.MonkeyPatch.context() as environment:
        for key in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL"):
            environment.delenv(key, raising=False)
        record = find_record(DEMO)
        folder = RunFolder.create(tmp_path_factory.mktemp("recorded"), "again")
        done = play_again(record, folder)
    with LedgerReader(folder.ledger) as reader:
        return Played(record, done, [*reader.rows()], folder)


def changed(record: Record, change: Callable[[Event], Event]) -> Record:
    """Return the record with the first event that `change` makes another one of."""
    rows = list(record.rows)
    for at, row in enumerate(rows):
        event = change(row.event)
        if event != row.event:
            rows[at] = replace(row, event=event)
            return Record("spoilt", rows)
    raise AssertionError("nothing was changed")


def test_the_demonstration_comes_out_the_same(played: Played) -> None:
    """Every row, times included: one hash.

    If prompts, roles or the institution have changed on purpose, tools/record_demo.py records it
    again.
    """
    assert played.done == Replayed(played.record.hash, len(played.record.rows), is_whole=True)
    assert ledger_hash(played.rows) == ledger_hash(played.record.rows)
    assert (shipped_records()[DEMO]).stat().st_size < 300_000


def test_what_a_card_did_is_played_again_from_the_record(played: Played) -> None:
    """The driver's readings come from the row; what was estimated of files is taken from it."""
    rows = list(played.record.rows)
    used = DeviceUsed("e0001", 3 << 30, 0.71, 9, 20.0, 48000.0, 0.12)
    rows.append(replace(rows[-1], seq=len(rows) + 1, event=used))
    found = Record("on a card", rows).device_use("e0001")
    assert found is not None
    made = DeviceUsed("e0001", found.peak_bytes, found.busy, found.looks, 0.0)
    assert as_recorded(used, made) == used
    assert as_recorded(used, replace(made, busy=0.5)) is None
    assert played.record.device_use("e0001") is None


def test_what_was_measured_beside_a_score_is_played_again(played: Played) -> None:
    """Of models and of data: what decided a guard then decides it again."""
    rows, told = list(played.record.rows), {"worst_class": 0.75}
    rows += [
        replace(rows[-1], seq=len(rows) + 1, event=ModelMeasured("e0001", told)),
        replace(rows[-1], seq=len(rows) + 2, event=ArtefactGraded("e0002", "ab" * 32, told)),
    ]
    record = Record("of a classifier", rows)
    assert record.measured("e0001") == (told, "")
    assert record.measured("e0002") == (told, "ab" * 32)
    assert record.measured("e0003") == ({}, "")


def test_it_holds_models_answers_and_what_they_cost(played: Played) -> None:
    """Models of two families and a program took part, were paid, and led to experiments."""
    state = RunState.from_rows(played.rows)
    answered = {row.event.mind for row in played.rows if isinstance(row.event, Answered)}
    assert {mind.partition(":")[0] for mind in answered} == {"anthropic", "openai", "cli"}
    assert not played.folder.minds.exists()  # the program's answers are on record; none was run
    assert state.minds.taken_micro_usd > 0
    assert {claim.proposer for claim in state.hypotheses.values() if claim.experiments} >= {
        "ada", "fay"
    }  # fmt: skip
    assert any(
        row.event.outcome != "ok" for row in played.rows if isinstance(row.event, SpendSettled)
    )


def test_a_replay_says_that_it_is_one(played: Played) -> None:
    """In its first row, beside the facts that no hash covers."""
    opened = played.rows[0].event
    assert isinstance(opened, RunOpened)
    assert opened.host["replays"] == f"{DEMO} {played.record.hash}"


def test_its_commits_are_the_recorded_ones(played: Played) -> None:
    """They were made again, not copied: there was no repository to copy from."""
    repository = Repository.open(played.folder.repository, writer=False)
    commits = [row.event.commit for row in played.rows if isinstance(row.event, Proposed)]
    assert commits
    for commit in commits:
        assert repository.read(commit)


def _other_answer(event: Event) -> Event:
    """Turn a knob of the first answer further than it was turned."""
    if not isinstance(event, Answered) or not any(c["name"] == "propose" for c in event.calls):
        return event
    calls = []
    for each in event.calls:
        arguments = json.loads(each["arguments"])
        if each["name"] == "propose":
            arguments["edits"][0]["text"] = arguments["edits"][0]["text"].replace("= ", "= 1")
        calls.append({**each, "arguments": json.dumps(arguments)})
    return replace(event, calls=tuple(calls))


def _other_score(event: Event) -> Event:
    is_screen = isinstance(event, VerdictGiven) and event.experiment_id.startswith("e")
    if isinstance(event, VerdictGiven) and is_screen and event.score is not None:
        return replace(event, score=round(event.score + 1.0, 5))
    return event


def _other_words(event: Event) -> Event:
    if isinstance(event, Posted) and event.body["kind"] == "hypothesis":
        return replace(event, body={**event.body, "title": "something else"})
    return event


def _other_turn(event: Event) -> Event:
    if isinstance(event, TurnTaken) and event.actions == ("wait",):
        return replace(event, actions=("run",))
    return event


def _other_sight(event: Event) -> Event:
    if isinstance(event, Answered) and event.seen:
        return replace(event, seen={**event.seen, "live": "0" * 16})
    return event


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_other_answer, "differs in commit"),
        (_other_score, "differs"),
        (_other_words, "differs in body"),
        (_other_turn, "differs in actions"),
        (_other_sight, "what it is shown is not what it was shown in spoilt; part 'live' differs"),
    ],
)
def test_a_record_that_was_touched_is_found_out(
    played: Played, tmp_path: Path, change: Callable[[Event], Event], words: str
) -> None:
    """Where what is made again is not what is on record, that row is named."""
    record = changed(played.record, change)
    with pytest.raises(ReplayDiffersError, match=words):
        play_again(record, RunFolder.create(tmp_path, "again"))


def test_what_another_machine_would_show_is_named_line_for_line(played: Played) -> None:
    """Of rows alone, without the folder: part, line, then and now; and in what the runs differ."""
    record = played.record
    assert record.folder is None
    sight = asyncio.run(past_sight(played.folder, "ada", 0))
    assert how_it_differs(record, "ada", 0, sight.prompt, recalled) == ""
    told = sight.observation.briefing
    elsewhere = replace(told, baseline_mean=told.baseline_mean + 0.5)
    prompt = make_prompt(replace(sight.observation, briefing=elsewhere))
    why = how_it_differs(record, "ada", 0, prompt, recalled)
    then, now = f"{told.baseline_mean:.5g}", f"{elsewhere.baseline_mean:.5g}"
    task = next(part for part in why.split("; part ") if "'task' differs" in part)
    assert then in task.partition(" then, ")[0]
    assert now in task.partition(" then, ")[2]
    opened = record.opened
    other = replace(opened, device_class="a faster one", manifest={**opened.manifest, "f.py": "0"})
    words = other_circumstances(opened, other)
    assert "f.py" in words
    assert "'a faster one' now" in words
    assert other_circumstances(opened, opened) == ""


def test_a_change_bears_the_name_it_has_on_record(played: Played, tmp_path: Path) -> None:
    """Made at another time, too; what is not on record is called as usual."""
    there = Repository.open(played.folder.repository, writer=False)
    git = pygit2.Repository(str(played.folder.repository))
    here = RunFolder.create(tmp_path, "live")

    def again(repository: Repository, commit: str, later_s: int, words: str = "") -> str:
        old = git[commit]
        who, parents = f"{old.author.name} <{old.author.email}>", [str(p) for p in old.parent_ids]
        at_s = old.commit_time + later_s
        return repository.commit(there.read(commit), parents, who, old.message + words, at_s)

    baseline = played.record.opened.baseline_commit
    assert again(Repository.create(here.repository), baseline, 0) == baseline
    scenario, _ = with_answers_of(played.record, DEMO)
    named = named_as_recorded(Repository.open(here.repository), scenario, here)
    for commit in [row.event.commit for row in played.rows if isinstance(row.event, Proposed)]:
        assert again(named, commit, 1_000) == commit
        assert again(named, commit, 1_000, "more words") != commit
    plain = parse_scenario(played.record.opened.scenario, Path("demo")).scenario
    assert type(named_as_recorded(there, plain, here)) is Repository


def test_other_prompts_are_refused_before_it_begins(played: Played, tmp_path: Path) -> None:
    """With the file's name."""

    def other(event: Event) -> Event:
        if not isinstance(event, MindsPrepared):
            return event
        return replace(event, prompts={**event.prompts, "system.md": "0" * 64})

    folder = RunFolder.create(tmp_path, "again")
    with pytest.raises(RecordError, match=r"what minds are shown is not what it was \(system.md"):
        play_again(changed(played.record, other), folder)
    assert not folder.ledger.exists()


def test_another_start_tree_is_refused(played: Played, tmp_path: Path) -> None:
    """Nothing could come out the same."""

    def other(event: Event) -> Event:
        return replace(event, baseline_tree_key="0" * 64) if isinstance(event, RunOpened) else event

    with pytest.raises(RecordError, match="the start tree of nanolm is another one"):
        play_again(changed(played.record, other), RunFolder.create(tmp_path, "again"))


def test_a_run_that_was_killed_is_played_to_there(played: Played, tmp_path: Path) -> None:
    """The rows that there are."""
    rows = played.record.rows
    later = (n for n, row in enumerate(rows) if isinstance(row.event, AttemptEnded))
    half = rows[: next(n for n in later if n > len(rows) // 2)]  # while something was measured
    folder = RunFolder.create(tmp_path, "again")
    with pytest.raises(RecordError, match="its secret, by which confirmations are drawn"):
        play_again(Record("half", half), folder)
    done = play_again(Record("half", half, None, played.record.secret), folder)
    assert not done.is_whole
    assert done.rows <= len(half)
    with LedgerReader(folder.ledger) as reader:
        rows = [*reader.rows()]
    assert ledger_hash(rows) == ledger_hash(half[: len(rows)])
    assert len(rows) > len(half) - 12  # what may follow from an interruption is not played


def test_the_command_plays_it_and_says_so(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its shipped name, by a run's folder, or by a file of rows; and refuses what is none."""
    monkeypatch.chdir(tmp_path)
    export_rows(played.folder.ledger, tmp_path / "mine.jsonl.gz", is_whole=True)
    for name in (DEMO, "mine.jsonl.gz"):
        result = community("run", f"replay:{name}")
        assert result.exit_code == 0, result.output
        assert f"ledger hash {played.record.hash}" in result.output
        assert "no model was asked" in result.output
    assert "a replay of mine" in community("show").output
    assert "nobody was paid" in community("show").output
    assert "shipped records: demo" in told(community("run", "replay:nothing"))
    mine = MINE.replace("ada", "cyd").replace("policy:greedy", "replay:demo")
    (tmp_path / "mine.toml").write_text(mine)
    refused = told(community("run", "mine.toml", "--run-dir", "mine"))
    assert "no answers of a model for cyd; those it has: ada, bob, fay" in " ".join(refused.split())
    assert not (tmp_path / "mine").exists()  # found out before anything is begun
    assert "for replay:RUN alone" in told(community("run", "mine.toml", "--verdicts", "live"))
    assert "--run-dir and --verdicts alone" in told(community("run", "replay:demo", "--seed", "3"))
