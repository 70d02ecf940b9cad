"""The command line: bad input is told in one message, good input does what its help says."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from archive_script import opened, rows
from cli_calls import MINE, community, told

from community.archive.ledger import Ledger
from community.doctor import examine
from community.events import RunResumed
from community.loading import SCENARIOS
from community.run_folder import RunFolder
from forum.credentials import Credential, credential_path, write_credentials
from trainer.devices import Gpu, usable_cpus
from trainer.sandbox.probe import SandboxReport, probe

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(MINE)


def recorded_run(path: Path) -> RunFolder:
    """Write the archive tests' story as a run's folder."""
    folder = RunFolder.create(path.parent, path.name)
    ledger = Ledger.create(folder.ledger)
    for row in rows():
        ledger.append(row.at_us, row.event)
    ledger.close()
    folder.make_latest()
    return folder


# -- bad input ---------------------------------------------------------------------------------


def test_an_unknown_key_is_told_with_line_and_nearest_key(tmp_path: Path) -> None:
    """`run` refuses a mistyped key before anything is made."""
    (tmp_path / "bad.toml").write_text(MINE.replace("seed", "sed"))
    assert 'bad.toml:1: run.sed: unknown key (did you mean "seed"?)' in told(
        community("run", "bad.toml")
    )
    assert not (tmp_path / "runs").exists()


def test_an_impossible_pair_is_told(tmp_path: Path) -> None:
    """A topology that does not fit the number of agents is refused."""
    (tmp_path / "bad.toml").write_text(
        'topology = { family = "small_world", k = 4, p = 0.1 }\n' + MINE
    )
    assert "k = 4 does not fit 1 agents" in told(community("scenario", "check", "bad.toml"))


def test_a_missing_task_lists_the_known_ones(tmp_path: Path) -> None:
    """A task that does not exist is answered with those that do."""
    (tmp_path / "bad.toml").write_text(MINE.replace("nanolm", "nanoln"))
    assert 'did you mean "nanolm"' in told(community("run", "bad.toml"))


def test_a_missing_scenario_lists_the_shipped_ones() -> None:
    """An unknown name is answered with the nearest shipped scenario."""
    assert 'did you mean "quickstart"' in told(community("run", "quikstart"))


def test_run_without_a_scenario_says_what_to_type() -> None:
    """The bare command gives an example."""
    assert "community run quickstart" in " ".join(told(community("run")).split())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_run_folder_is_told(tmp_path: Path) -> None:
    """A folder without the right to write is refused with advice."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert "--run-dir" in told(community("run", "mine.toml", "--run-dir", str(closed / "x")))


def test_a_run_folder_below_a_file_is_told(tmp_path: Path) -> None:
    """A place where no folder can be made is refused with advice, for root as well."""
    where = tmp_path / "mine.toml" / "x"
    assert "--run-dir" in told(community("run", "mine.toml", "--run-dir", str(where)))


def test_a_run_folder_that_is_taken_is_not_written_over(tmp_path: Path) -> None:
    """An existing folder with content is left alone."""
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("precious")
    message = told(community("run", "mine.toml", "--run-dir", "taken"))
    assert "exists already and is no run" in message
    assert [p.name for p in (tmp_path / "taken").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("command", ["show", "report", "export", "watch"])
def test_an_unknown_run_is_told(command: str) -> None:
    """Every command that looks at a run says when there is none."""
    assert "there is no run nowhere" in told(community(command, "nowhere"))


def test_nothing_to_resume_is_told() -> None:
    """`--resume` without any run says so."""
    assert "there is no run latest" in told(community("run", "--resume"))


# -- looking at runs ---------------------------------------------------------------------------


def test_show_json_has_the_promised_fields(tmp_path: Path) -> None:
    """Scripts can rely on baseline, best, experiments and the pool's busy share."""
    recorded_run(tmp_path / "runs" / "r1")
    result = community("show", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.output)
    assert document["baseline"]["mean"] == pytest.approx(3.1)
    assert document["baseline"]["sigma"] == pytest.approx(0.1)
    assert document["best"]["score"] == pytest.approx(2.7)
    assert document["best"]["status"] == "reproduced"
    assert document["best"]["commit"] == "c" * 40
    assert document["experiments"] == 5
    assert 0 < document["pool"]["busy_share"] <= 1


def test_show_prints_a_leaderboard_for_people(tmp_path: Path) -> None:
    """The table names the best contribution first."""
    recorded_run(tmp_path / "runs" / "r1")
    result = community("show", "r1")
    assert result.exit_code == 0, result.output
    assert "reproduced" in result.output
    assert result.output.index("turn p1") < result.output.index("turn p2")


def test_who_joins_a_run_that_is_over_is_told_what_to_do(tmp_path: Path) -> None:
    """Whether it ended or may go on; before anybody tries to reach its broker."""
    folder = recorded_run(tmp_path / "runs" / "r1")
    write_credentials(folder.credentials, [Credential("ada", "word", "r1", "mqtt://127.0.0.1:9")])
    path = str(credential_path(folder.credentials, "ada"))
    output = " ".join(told(community("join", "--credential", path)).split())
    assert "run r1 is over (experiments)" in output
    assert f"community show {folder.path}" in output
    assert f"community replay {folder.path}" in output
    assert "--resume" not in output
    with Ledger.open(folder.ledger) as ledger:
        ledger.append(200_000_000, RunResumed(()))
    output = " ".join(told(community("join", "--credential", path)).split())
    assert "is not running" in output
    assert f"--resume --run-dir {folder.path}" in output


def test_show_of_a_run_that_never_began_is_told(tmp_path: Path) -> None:
    """A ledger without rows is no fault of ours and says what to do."""
    folder = RunFolder.create(tmp_path / "runs", "blank")
    Ledger.create(folder.ledger).close()
    assert "never began" in told(community("show", "blank"))


def test_show_tells_a_killed_run_from_a_live_one(tmp_path: Path) -> None:
    """Without a stop in the ledger it counts whether a process writes it."""
    folder = RunFolder.create(tmp_path / "runs", "r2")
    with Ledger.create(folder.ledger) as ledger:
        ledger.append(0, opened())
        assert community("show", "r2").output.splitlines()[5] == "running"
        assert json.loads(community("show", "r2", "--json").output)["is_live"]
    assert "killed" in community("show", "r2").output
    assert not json.loads(community("show", "r2", "--json").output)["is_live"]


# -- this machine ------------------------------------------------------------------------------


def test_scenario_check_describes_a_good_file() -> None:
    """Who takes part, who hears whom and when it ends are said; the exit code is 0."""
    result = community("scenario", "check", "quickstart")
    assert result.exit_code == 0, result.output
    assert "ada: explorer, policy:social; hears " in result.output
    assert "ends: experiments = 52" in result.output


def test_broken_knobs_are_told_by_check_and_run_before_anything_is_made(tmp_path: Path) -> None:
    """A knob that its start does not have is refused by name, and no run folder appears."""
    shutil.copytree(SCENARIOS / "tasks" / "nanolm", tmp_path / "mytask")
    with (tmp_path / "mytask" / "knobs.toml").open("a") as file:
        file.write('\n[NO_SUCH]\nkind = "bool"\n')
    (tmp_path / "mine.toml").write_text(MINE.replace("nanolm", "./mytask"))
    for command in (("scenario", "check"), ("run",)):
        assert "[NO_SUCH] not a top-level" in told(community(*command, "mine.toml"))
    assert not (tmp_path / "runs").exists()


def test_more_slots_than_the_machine_can_bear_are_told_before_anything_is_made(
    tmp_path: Path,
) -> None:
    """`check` does not say that a scenario can be run when `run` would refuse its pool."""
    (tmp_path / "mine.toml").write_text("pool = { slots = 2000 }\n" + MINE)
    for command in (("scenario", "check"), ("run",)):
        assert "pool of 2000 slots" in told(community(*command, "mine.toml"))
    assert not (tmp_path / "runs").exists()


def test_tasks_lists_nanolm_with_its_metric() -> None:
    """The shipped task is listed with metric and budget."""
    result = community("tasks")
    assert result.exit_code == 0, result.output
    assert "val_bpb, bits per byte, lower is better" in result.output


def test_doctor_says_what_it_saw_and_its_code_says_whether_that_is_enough() -> None:
    """Every check has a line; the exit code is 1 if, and only if, one of them failed."""
    result = community("doctor")
    is_failed = any(line.startswith("fail ") for line in result.output.splitlines())
    assert result.exit_code == int(is_failed), result.output
    assert ("can run here:  community run quickstart" in result.output) != is_failed
    for name in (
        "python",
        "torch",
        "slots",
        "gpus",
        "memory",
        "disk",
        "sandbox",
        "lockdown",
        "scorer's user",
        "held-out text",
        "git",
        "loopback",
    ):
        assert name in result.output


def test_doctor_counts_processors_as_the_quick_starts_slots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The quick start's budget is processor time, so a GPU is listed apart and gives no slot."""
    gpus = (Gpu(0, "NVIDIA H200", "GPU-1"),)
    monkeypatch.setattr("community.doctor.find_gpus", lambda: gpus)
    monkeypatch.setattr("trainer.devices.find_gpus", lambda: gpus)
    found = {check.name: check.finding for check in examine()}
    assert found["slots"].startswith(f"{len(usable_cpus())}: cpu0")
    assert "cuda" not in found["slots"]
    assert found["gpus"].startswith("NVIDIA H200; ")


def test_doctor_says_how_far_the_scorer_and_what_answers_it_are_shut_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it is here, found by trying; and what to do where a machine gives less."""
    here = {check.name: check for check in examine()}
    assert (here["lockdown"].level == "ok") == probe().locks_down
    if os.geteuid() != 0:
        assert here["scorer's user"].advice == "started as root, it gets a user of its own"
    report = SandboxReport("partial", (("full", "its listener"),), 4, "x86_64", locks_down=False)
    monkeypatch.setattr("community.doctor.probe", lambda: report)
    monkeypatch.setattr("community.doctor._WITHDRAW", "print('same')")
    less = {check.name: check for check in examine()}
    assert less["lockdown"].level == "warn"
    assert "seccomp=unconfined" in less["lockdown"].advice
    assert ("CAP_SETUID" in less["scorer's user"].advice) == (os.geteuid() == 0)
    monkeypatch.setattr("community.doctor._WITHDRAW", "raise OSError('prctl is refused')")
    broken = {check.name: check for check in examine()}["scorer's user"]
    assert (broken.level, "prctl is refused" in broken.finding) == ("fail", True)


def test_doctor_fails_with_advice_where_something_needed_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Too little memory is a failure with exit code 1 and something to do."""
    monkeypatch.setattr("community.doctor.LEAST_MEMORY_BYTES", 1 << 60)
    result = community("doctor")
    assert result.exit_code == 1
    assert "close other programs" in " ".join(result.output.split())


# -- the process as people start it ------------------------------------------------------------


def python(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that sees the checkout."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


def test_help_teaches_and_starts_quickly_without_heavy_imports() -> None:
    """`community --help` shows examples and loads none of the slow libraries."""
    done = python(
        "import sys; sys.argv = ['community', '--help']\n"
        "from community.cli import main\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'amqtt', 'aiomqtt', 'optuna', 'matplotlib', 'textual',"
        " 'networkx', 'sqlite_utils'} & set(sys.modules)))"
    )
    assert done.returncode == 0, done.stderr
    assert "community run quickstart" in done.stdout
    assert done.stdout.rstrip().endswith("[]")


def without_reader(code: str, *arguments: str) -> str:
    """Run the command line with an output that nobody reads; return what it says of errors."""
    begin = f"import sys\nsys.argv = ['community', *{arguments!r}]\n"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{begin}{code}\nfrom community.cli import main\nmain()"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as said:
        text = said.read()
    process.wait(60)
    return text


@pytest.mark.parametrize("command", [("tasks",), ("show", "r1", "--json"), ("show", "r1")])
def test_a_closed_pipe_is_no_fault(tmp_path: Path, command: tuple[str, ...]) -> None:
    """`community show | true` ends without a word."""
    recorded_run(tmp_path / "runs" / "r1")
    assert without_reader("", *command) == ""


def test_a_run_outlives_whoever_read_its_lines(tmp_path: Path) -> None:
    """`community run | head -2`: the run comes to its end and the report is written."""
    code = (
        "import community.run\n"
        "from archive_script import rows\n"
        "from community.archive.ledger import Ledger\n"
        "async def run_community(scenario, text, folder, *, on_row, **_):\n"
        "    with Ledger.create(folder.ledger) as ledger:\n"
        "        ledger.subscribe(on_row)\n"
        "        for row in rows(): ledger.append(row.at_us, row.event)\n"
        "community.run.run_community = run_community\n"
    )
    assert without_reader(code, "run", "mine.toml", "--run-dir", "x") == ""
    assert (tmp_path / "x" / "report" / "index.html").is_file()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_real_process_cleanly(number: signal.Signals, code: int) -> None:
    """SIGINT and SIGTERM cancel the run, which may clean up, and end with the usual codes."""
    done = python(
        "import asyncio, os, signal, sys, community.run\n"
        "async def run_community(*_, **__):\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    try: await asyncio.Event().wait()\n"
        "    finally: print('cleaned up')\n"
        "community.run.run_community = run_community\n"
        "sys.argv = ['community', 'run', 'mine.toml']\n"
        "from community.cli import main\n"
        "main()"
    )
    assert done.returncode == code, done.stderr
    assert "cleaned up" in done.stdout
    assert "community run --resume" in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_panel_shows_baseline_best_slots_and_forum() -> None:
    """The picture for terminals names what a person wants to know, and agents' words stay words."""
    from rich.console import Console

    from community.cli.progress import PanelProgress
    from community.scenario import StopSection

    console = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    panel = PanelProgress(console, "quickstart-1", StopSection(experiments=5))
    for row in rows()[:-12]:
        panel.on_row(row)
    console.print(panel.frame(asyncio.get_running_loop().time()))
    text = console.export_text()
    console.file.close()
    for expected in ("quickstart-1", "baseline 3.1000 ± 0.1000", "reproduced best 2.7000", "cpu0"):
        assert expected in text
    assert "p1: support, expects +0.700" in text
