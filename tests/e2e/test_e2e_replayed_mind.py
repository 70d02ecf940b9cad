"""A coding agent's answers are on record like a model's: played again without the program."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from e2e_life import Life, recorded, state_of
from e2e_scenarios import scenario_text
from mixed_community import Books, program, script_of, served_by_threads

from community.archive.codec import ledger_hash
from community.events import RunStopped, VerdictGiven
from community.mind_events import Answered

sys.path.append(str(Path(__file__).parent.parent / "community"))
from cli_calls import community

pytestmark = (
    pytest.mark.slow
)  # the shipped demonstration, in which a program thinks, is played in CI


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, small: Path) -> Path:
    """Give the folder of a run in which a program thought; afterwards there is none any more."""
    where = tmp_path_factory.mktemp("replayed")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ANTHROPIC_API_KEY", "none")
        with served_by_threads("cli:claude", script_of("cli:claude", Books())) as served:
            text = program(where, served.url, environment) + scenario_text(
                small, ("fay explorer cli:claude",), stop={"experiments": 3}, seal={"runs": 1},
                board={"broker": "memory"}, credit={"share": 0.0}, pool={"slots": 1},
            )  # fmt: skip
            (where / "mine.toml").write_text(text)
            life = Life.begin("mine.toml", cwd=where)
            assert life.finish(120) == 0, life.text
    shutil.rmtree(where / "bin")
    assert shutil.which("claude", path=os.environ["PATH"]) is None
    return life.folder


def test_it_comes_out_the_same_without_the_program(
    done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hash, and nothing was started."""
    monkeypatch.chdir(done.parent)
    result = community("run", "replay:run", "--run-dir", "again")
    assert result.exit_code == 0, result.output
    assert f"ledger hash {ledger_hash(recorded(done))}" in result.output
    assert any(isinstance(row.event, Answered) for row in recorded(done))
    assert not (done.parent / "again" / "minds").exists()


def test_its_answers_are_given_again_in_a_real_run(done: Path) -> None:
    """One agent, one slot: it is shown what it was shown then, to the end, commits included."""
    life = Life.begin("replay:run", "--verdicts", "live", cwd=done.parent, run_dir="live")
    assert life.finish(120) == 0, life.text
    scores = [
        [row.event.score for row in recorded(folder) if isinstance(row.event, VerdictGiven)]
        for folder in (done, life.folder)
    ]
    assert scores[0] == scores[1]
    said = [
        [row.event.calls for row in recorded(folder) if isinstance(row.event, Answered)]
        for folder in (done, life.folder)
    ]
    assert said[0] == said[1]
    assert len(said[0]) > 1
    stopped = recorded(life.folder)[-1].event
    assert isinstance(stopped, RunStopped)
    assert stopped.why == "experiments"
    assert state_of(life.folder).minds.under_way == {}
