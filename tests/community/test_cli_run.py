"""`community run`: what it prints, how it ends, and how a run is taken up again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archive_script import S, opened, story
from cli_calls import MINE, community, told

from community.archive.ledger import Ledger
from community.errors import ResumeError
from community.events import Row, RunResumed, RunStopped
from community.run_folder import RunFolder
from community.scenario import Scenario


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(MINE)


@pytest.fixture
def runs_for(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Put a run that writes the archive tests' story in the place of a real one."""

    def install(ends_with: BaseException | None = None) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        async def run_community(
            scenario: Scenario,
            scenario_text: str,
            folder: RunFolder,
            *,
            is_resumed: bool,
            shared: object,
            on_row: Callable[[Row], None],
        ) -> str:
            calls.append({"scenario": scenario, "folder": folder, "is_resumed": is_resumed})
            if is_resumed:
                ledger = Ledger.open(folder.ledger)
                for row in ledger.rows():
                    on_row(row)
            else:
                ledger = Ledger.create(folder.ledger)
            ledger.subscribe(on_row)
            if is_resumed:
                limit = scenario.stop.experiments
                ledger.append(ledger.last_us, RunResumed((), {}, limit))
            else:
                ledger.append(0, opened(run_id=folder.run_id, scenario=scenario_text))
                for second, event in sorted(story()[1:-1], key=lambda pair: pair[0]):
                    ledger.append(second * S, event)
            try:
                if ends_with is not None:
                    raise ends_with
                ledger.append(100 * S, RunStopped("experiments"))
            finally:
                ledger.close()
            return "experiments"

        monkeypatch.setattr("community.run.run_community", run_community)
        return calls

    return install


def test_a_fault_of_ours_shows_its_traceback_and_the_folder(
    runs_for: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """An unexpected exception is not dressed up: traceback, run folder, exit code 1."""
    runs_for(ZeroDivisionError("bug"))
    result = community("run", "mine.toml", "--run-dir", "x")
    assert result.exit_code == 1
    assert "Traceback" in result.output
    assert "ZeroDivisionError: bug" in result.output
    assert str(tmp_path / "x") in result.output


def test_an_error_from_inside_the_run_is_one_message(
    runs_for: Callable[..., list[dict[str, Any]]],
) -> None:
    """A known error that a task group wrapped comes out as its own words, exit code 2."""
    from forum.errors import BrokerStartError

    runs_for(BrokerStartError("port 1883 is in use; choose another"))
    message = told(community("run", "mine.toml"))
    assert "community: port 1883 is in use; choose another" in message


def test_run_prints_a_line_per_event_and_a_summary(
    runs_for: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """Without a terminal: hypotheses, verdicts, statuses, the new best, then where things are."""
    calls = runs_for()
    result = community("run", "mine.toml", "--experiments", "3")
    assert result.exit_code == 0, result.output
    assert calls[0]["scenario"].stop.experiments == 3
    assert calls[0]["folder"].path == tmp_path / "runs" / "mine-1"
    lines = result.output.splitlines()
    for expected in (
        "   0:20  baseline: 3.1000 bits per byte, sigma 0.1000 over 2 seeds",
        '   0:20  p1 ada: "turn p1" expects +0.400 (80% sure)',
        "   0:30  e0001 ada: 2.6000 on dev",
        '   0:30  p1 is improved (gain +0.5000, needed 0.0500), by ada: "turn p1"',
        "   0:30  ben reproduces p1",
        "   0:50  new best: 2.7000 on vault, 18.2 % better than the baseline (3.3000 on vault), "
        "commit cccccccccc (p1)",
        "   1:30  e0005 ada: invalid: crash on dev",
        "stopped: experiments",
    ):
        assert any(line.startswith(expected) for line in lines), (expected, result.output)
    assert "best: 2.7000 on vault" in result.output
    assert f"community export {tmp_path / 'runs' / 'mine-1'}" in result.output
    assert (tmp_path / "runs" / "mine-1" / "report" / "index.html").is_file()


def test_runs_are_numbered_and_latest_points_to_the_newest(
    runs_for: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """A second run of a scenario gets a folder of its own."""
    runs_for()
    assert community("run", "mine.toml").exit_code == 0
    assert community("run", "mine.toml").exit_code == 0
    assert (tmp_path / "runs" / "latest").resolve() == tmp_path / "runs" / "mine-2"


def test_an_interrupted_run_says_how_to_go_on_and_resumes_with_its_own_scenario(
    runs_for: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """Ctrl-C ends with 130 and the command to type; that takes the scenario from the ledger."""
    runs_for(KeyboardInterrupt())
    stopped = community("run", "mine.toml", "--seed", "7", "--experiments", "4")
    assert stopped.exit_code == 130
    assert "go on with:  community run --resume\n" in stopped.output
    calls = runs_for()
    (tmp_path / "mine.toml").unlink()
    resumed = community("run", "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert calls[0]["is_resumed"]
    assert (calls[0]["scenario"].stop.experiments, calls[0]["scenario"].run.seed) == (4, 7)
    assert "0:30  e0001" not in resumed.output, "lines of the first part are not printed again"
    assert "1:40  stopped: experiments" in resumed.output


def test_resume_refuses_another_scenario_or_seed(
    runs_for: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """A run goes on as it began; only the limit may change."""
    calls = runs_for(KeyboardInterrupt())
    community("run", "mine.toml", "--seed", "9")
    assert "has seed 9 and keeps it" in told(community("run", "--resume", "--seed", "3"))
    (tmp_path / "mine.toml").write_text(MINE.replace("policy:greedy", "policy:random"))
    assert "changed: agents" in told(community("run", "mine.toml", "--resume"))
    (tmp_path / "mine.toml").write_text(MINE)
    runs_for()
    assert community("run", "mine.toml", "--resume", "--experiments", "50").exit_code == 0
    assert len(calls) == 1


def test_a_new_limit_holds_for_later_lives_too(
    runs_for: Callable[..., list[dict[str, Any]]],
) -> None:
    """What --experiments set at a restart is what the printed command goes on with."""
    runs_for(KeyboardInterrupt())
    community("run", "mine.toml")
    calls = runs_for(KeyboardInterrupt())
    for options in (["--experiments", "30"], []):
        assert community("run", "--resume", *options).exit_code == 130
    assert [call["scenario"].stop.experiments for call in calls] == [30, 30]
    assert "(limit 30)" in community("show").output


def test_a_finished_run_is_not_resumed_unless_its_limit_is_raised(
    runs_for: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """Nothing is written, the result is shown, and what to type to go on."""
    calls = runs_for()
    community("run", "mine.toml")
    ledger = tmp_path / "runs" / "mine-1" / "ledger.db"
    before = ledger.read_bytes()
    result = community("run", "--resume")
    assert result.exit_code == 0, result.output
    assert "run mine-1 is finished (experiments); give --experiments N, more than 5" in (
        result.output
    )
    assert "best: 2.7000 on vault" in result.output
    assert (ledger.read_bytes(), len(calls)) == (before, 1)
    assert community("run", "--resume", "--experiments", "6").exit_code == 0
    assert len(calls) == 2


def test_a_launch_that_fails_leaves_latest_alone(
    runs_for: Callable[..., list[dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A typo makes no folder, and what fails before its first row is not the newest run."""
    runs_for()
    community("run", "mine.toml")
    assert "no run typo" in told(community("run", "mine.toml", "--baseline-from", "typo"))
    assert not (tmp_path / "runs" / "mine-2").exists()

    async def run_community(*_: object, **__: object) -> str:
        raise ResumeError("no isolation here")

    monkeypatch.setattr("community.run.run_community", run_community)
    assert "no isolation here" in told(community("run", "mine.toml"))
    assert (tmp_path / "runs" / "latest").resolve() == tmp_path / "runs" / "mine-1"


def test_resume_warns_of_a_limit_it_does_not_take_over(
    runs_for: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """An edited `stop` in the named scenario is not read, and that is said; --experiments is."""
    runs_for(KeyboardInterrupt())
    community("run", "mine.toml")
    (tmp_path / "mine.toml").write_text(MINE.replace("experiments = 5", "experiments = 90"))
    calls = runs_for(KeyboardInterrupt())
    result = community("run", "mine.toml", "--resume")
    assert "stop.experiments: 90 is not taken over: the run keeps 5" in result.output
    result = community("run", "mine.toml", "--resume", "--experiments", "8")
    assert "not taken over" not in result.output
    assert [call["scenario"].stop.experiments for call in calls] == [5, 8]


def test_a_run_put_elsewhere_gets_no_latest_link(
    runs_for: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """The link is kept in ./runs alone, also when a run there is named by its folder."""
    runs_for()
    assert community("run", "mine.toml", "--run-dir", "place/one").exit_code == 0
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["one"]
    assert community("run", "mine.toml", "--run-dir", "runs/two").exit_code == 0
    assert (tmp_path / "runs" / "latest").resolve() == tmp_path / "runs" / "two"


def test_a_run_killed_before_its_ledger_was_made_can_be_started_by_resume(
    runs_for: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """A folder without ledger, or with a blank one, is begun again when the scenario is named."""
    folder = RunFolder.create(tmp_path, "early")
    calls = runs_for()
    result = community("run", "mine.toml", "--resume", "--run-dir", "early")
    assert result.exit_code == 0, result.output
    assert not calls[0]["is_resumed"]
    blank = RunFolder.create(tmp_path, "blank")
    blank.ledger.touch()
    assert "name one: community run" in told(community("run", "--resume", "--run-dir", "blank"))
    assert folder.ledger.exists()


def test_an_empty_run_folder_is_taken(
    runs_for: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """A folder made by `mktemp -d` can be named as the run's folder."""
    runs_for()
    (tmp_path / "fresh").mkdir()
    assert community("run", "mine.toml", "--run-dir", "fresh").exit_code == 0
    assert (tmp_path / "fresh" / "ledger.db").is_file()
