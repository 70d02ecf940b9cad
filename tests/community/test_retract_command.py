"""``community retract``: what it shows, asks, refuses, brings up to date; a kill in the middle."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from bench_script import calibrated, house, scenario_of
from cli_calls import community, told
from typer.testing import CliRunner

from agents.lab import Proposal
from community.archive.ledger import Ledger, LedgerReader
from community.archive.state import RunState
from community.chronicle import Chronicle
from community.cli.application import application
from community.events import AgentJoined
from trainer.repository import BEST, Repository

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Ended:
    """A stopped run in which a child was reproduced on a reproduced root."""

    folder: Path
    root: str
    child: str

    def state(self) -> RunState:
        """Return what its ledger says now."""
        with LedgerReader(self.folder / "ledger.db") as ledger:
            return RunState.from_rows(ledger.rows())

    def vault(self, name: str) -> str:
        """Return the last vault verdict on the tree of a hypothesis' own confirmation."""
        state = self.state()
        claim = state.hypotheses[name]
        cited = [state.verdicts[v] for v in claim.changes[-1][1].verdicts]
        return [v.verdict_id for v in cited if v.tree_key == claim.tree_key][-1]

    def best(self) -> str:
        """Return what branch best names."""
        return Repository.open(self.folder / "repo.git", writer=False).refs()[BEST]

    def rows(self) -> int:
        """Return how many rows the ledger has."""
        return self.state().last_seq


@pytest.fixture
async def ended(chronicle: Chronicle, repository: Repository, tmp_path: Path) -> Ended:
    """Make such a run, with its repository beside the ledger, as a run's folder has them."""
    names = []
    async with house(calibrated(chronicle), repository, tmp_path, scenario_of()) as home:
        assert chronicle.state.opened is not None
        parent = chronicle.state.opened.baseline_commit
        for author, rate in (("ada", 1.5), ("bob", 2.0)):
            text = f"RATE = {rate}\n# knob\nWIDTH = 4\n"
            proposal = Proposal((parent,), {"train.py": text}, "turn \x1b[31mRATE")
            prepared = await home.lab(author).prepare(proposal)
            post_id = await home.post(author, prepared.commit)
            await home.lab(author).run(prepared.commit, post_id)
            await home.report(author, post_id)
            await home.lab("cleo").reproduce(post_id)
            names.append(post_id)
            parent = prepared.commit
        repository.set_best(parent)
        chronicle.record(AgentJoined("ada", "explorer", "policy:random", ()))
    chronicle.ledger.close()
    return Ended(tmp_path, *names)


def test_help_teaches() -> None:
    """What becomes of what rested on it, and how to find a verdict."""
    said = community("retract", "--help").output
    for words in ("contested", "--dry-run", "select verdict_id", "cannot be undone"):
        assert words in said


async def test_a_dry_run_shows_the_tree_and_writes_nothing(ended: Ended) -> None:
    """The tree of what rests on it, statuses before and after; the file stays as it was."""
    struck, rows = ended.vault(ended.root), ended.rows()
    result = community("retract", str(ended.folder), struck, "--why", "fire", "--dry-run")
    assert result.exit_code == 0, result.output
    assert f"hypothesis {ended.root}" in result.output
    assert f"{ended.root}: reproduced -> improved" in result.output
    assert f"{ended.child}: reproduced -> contested" in result.output
    assert "best: the baseline" in result.output
    assert "\x1b" not in result.output
    assert ended.rows() == rows
    assert not (ended.folder / "results.tsv").exists()


async def test_it_asks_and_then_every_view_follows(ended: Ended) -> None:
    """No answer, nothing; yes, and table, branch, page, show and plain SQL say so."""
    state = ended.state()
    assert ended.best() == state.hypotheses[ended.child].commit
    struck, rows = ended.vault(ended.root), ended.rows()
    asked = ("retract", str(ended.folder), struck[:6], "--why", "it \x1b[31mburnt", "--by", "eve")
    assert CliRunner().invoke(application(), list(asked), input="n\n").exit_code == 1
    assert ended.rows() == rows
    result = CliRunner().invoke(application(), list(asked), input="y\n")
    assert result.exit_code == 0, result.output
    assert state.opened is not None
    assert ended.best() == state.opened.baseline_commit
    table = (ended.folder / "results.tsv").read_text().splitlines()
    assert [line.split("\t")[3] for line in table[2:]] == ["discard", "discard"]
    assert "it [31mburnt" in (ended.folder / "report" / "index.html").read_text()
    record = json.loads(community("show", str(ended.folder), "--json").output)
    assert {row["hypothesis"]: row["status"] for row in record["leaderboard"]} == {
        ended.root: "improved",
        ended.child: "contested",
    }
    assert record["retractions"][0]["verdict"] == struck
    assert record["retractions"][0]["hypothesis"] == ended.root
    shown = community("show", str(ended.folder), "--retractions").output
    assert f"verdict {struck}, by eve" in shown
    assert f"{ended.child} (contested now)" in shown
    assert "taken back: 1" in community("show", str(ended.folder)).output
    with sqlite3.connect(ended.folder / "ledger.db") as db:
        assert db.execute('select verdict_id, "by" from retractions').fetchall() == [
            (struck, "eve")
        ]


async def test_what_is_refused_says_what_to_do(ended: Ended, tmp_path: Path) -> None:
    """No such run, no such verdict, several, a baseline's, one taken back, no reason, the lab."""
    struck, run = ended.vault(ended.child), str(ended.folder)
    assert "there is no run" in told(community("retract", "nowhere", "v", "--why", "x"))
    near = told(community("retract", run, "ve0001-ffffffff", "--why", "x"))
    assert "no verdict 've0001-ffffffff'" in near
    assert "the nearest are ve0001-" in near
    assert "begin with 've'" in told(community("retract", run, "ve", "--why", "x"))
    assert "start a new run" in told(community("retract", run, "b0001", "--why", "x"))
    assert "say it in words" in told(community("retract", run, struck, "--why", " \x07"))
    for name in ("lab", "ada"):
        asked = community("retract", run, struck, "--why", "x", "--by", name)
        assert "give another name" in told(asked)
    assert community("retract", run, struck, "--why", "x", "--by", "eve", "-y").exit_code == 0
    again = told(community("retract", run, struck, "--why", "y", "-y"))
    assert "taken back already, by eve: x" in again


async def test_a_run_that_goes_on_is_left_alone(ended: Ended) -> None:
    """Owning the ledger is owning the run; a dry run may look meanwhile."""
    asked = ("retract", str(ended.folder), ended.vault(ended.child), "--why", "x")
    with Ledger.open(ended.folder / "ledger.db"):
        said = told(community(*asked, "-y"))
        assert "stop it with Ctrl-C" in said
        assert "--dry-run" in said
        assert community(*asked, "--dry-run").exit_code == 0


@pytest.mark.parametrize(
    ("killed_at", "is_recorded"),
    [
        (
            "from community.archive.ledger import Ledger\n"
            "def die(self, values, *, is_full):\n"
            "    sql = 'INSERT INTO events VALUES (?, ?, ?, ?)'\n"
            "    self._connection.executemany(sql, values[:-1])\n"
            "    os._exit(9)\n"
            "Ledger._write = die\n",
            False,
        ),
        (
            "from community.archive import export\n"
            "export.write_results_tsv = lambda *_: os._exit(9)\n",
            True,
        ),
    ],
    ids=["while it is recorded", "before the files follow"],
)
async def test_a_kill_leaves_all_of_it_or_nothing(
    ended: Ended, killed_at: str, is_recorded: bool
) -> None:
    """A process that dies between two rows has recorded none; one that dies later, all."""
    struck, rows = ended.vault(ended.root), ended.rows()
    code = f"import os\n{killed_at}from community.cli import main\nmain()\n"
    asked = ["retract", str(ended.folder), struck, "--why", "fire", "-y", "--by", "eve"]
    command = [sys.executable, "-c", code, *asked]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 9, done.stderr
    state = ended.state()
    statuses = [state.hypotheses[name].status for name in (ended.root, ended.child)]
    if is_recorded:
        assert statuses == ["improved", "contested"]
        assert state.evidence.is_open_again
    else:
        assert (ended.rows(), statuses) == (rows, ["reproduced", "reproduced"])
        result = community("retract", str(ended.folder), struck, "--why", "fire", "-y")
        assert result.exit_code == 0, result.output


async def test_a_ledger_of_before_retractions_reads_and_takes_one(ended: Ended) -> None:
    """An older file lacks the view; reading needs none, and writing adds it."""
    with sqlite3.connect(ended.folder / "ledger.db") as db:
        db.execute("DROP VIEW retractions")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm005_retractions'")
    assert community("show", str(ended.folder)).exit_code == 0
    asked = ("retract", str(ended.folder), ended.vault(ended.child), "--why", "x", "-y")
    assert community(*asked).exit_code == 0
    with sqlite3.connect(ended.folder / "ledger.db") as db:
        assert len(db.execute("select * from retractions").fetchall()) == 1
