"""Candidates that crash, hang, flood, snoop and cheat, run as any other: scheduler to verdict.

One bench, with the real sandboxes and the real scorer, measures them all; an honest candidate at
the end shows that nothing they did lasts.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e_scenarios import lock_again, scenario_text, small_task
from hostile_trees import HONEST, INVALID, PRINTS, snooping

from community.archive.ledger import Ledger
from community.chronicle import Chronicle
from community.clock import RunClock
from community.events import VerdictGiven
from community.loading import parse_scenario
from community.opening import open_bench
from community.queueing import Queue
from community.run_folder import RunFolder
from community.scheduler import Bench, Request, Scheduler
from trainer.tree_key import tree_key

AGENTS = ("ada explorer random",)
MEMORY_BYTES = 640 << 20
"""Enough for the honest, and filled before the CPU budget is spent."""


@dataclass(frozen=True)
class Measured:
    """What became of one candidate."""

    verdict: VerdictGiven
    log: str
    log_bytes: int


class Court:
    """Commits candidates and has them measured."""

    def __init__(self, chronicle: Chronicle, scheduler: Scheduler, bench: Bench) -> None:
        self._chronicle = chronicle
        self._scheduler = scheduler
        self._bench = bench

    def admit(self, text: str) -> str:
        """Queue a tree with ``train.py`` = `text`; returns the experiment's id."""
        bench, files = self._bench, {"train.py": text.encode()}
        commit = bench.repository.commit(files, (), "eve <eve@community.invalid>", "tree\n", 0)
        try:
            key = tree_key(
                files,
                lock_hash=bench.lock_hash,
                budget=bench.budget,
                device_class=bench.device_class,
            )
        except SyntaxError:
            key = commit
        return self._scheduler.admit(Request(commit, key, "", "screen", "dev", "eve", "eve"))

    async def measured(self, experiment_id: str) -> Measured:
        """Wait for an experiment."""
        verdict = await self._scheduler.verdict(experiment_id)
        log = self._bench.folder.job(f"{experiment_id}-1") / "log.txt"
        size = log.stat().st_size
        return Measured(verdict, log.read_text(errors="replace")[:200_000], size)


async def _measure_all(where: Path, task: Path) -> dict[str, Measured]:
    text = scenario_text(task, AGENTS, budget={"kind": "cpu_seconds", "amount": 0.8})
    folder = RunFolder.create(where, "trial")
    chronicle = Chronicle(Ledger.create(folder.ledger), RunClock())
    scenario = parse_scenario(text, where / "mine.toml").scenario
    results: dict[str, Measured] = {}
    try:
        async with (
            open_bench(scenario, text, folder, None) as opening,
            asyncio.TaskGroup() as group,
        ):
            chronicle.record(opening.opened)
            queue = Queue(lambda: 0.0, lambda _: 1.0)
            scheduler = Scheduler(chronicle, queue, opening.bench)
            serving = group.create_task(scheduler.serve())
            court = Court(chronicle, scheduler, opening.bench)
            first = court.admit(HONEST)
            results["honest before"] = await court.measured(first)
            texts = {name: text for name, (text, _) in INVALID.items()}
            texts |= {"prints gigabytes": PRINTS, "snoops": _snooping(folder, first)}
            admitted = {name: court.admit(text) for name, text in texts.items()}
            for name, experiment_id in admitted.items():
                results[name] = await court.measured(experiment_id)
            results["honest after"] = await court.measured(court.admit(HONEST + "# again\n"))
            serving.cancel()
    finally:
        chronicle.ledger.close()
    return results


def _snooping(folder: RunFolder, other: str) -> str:
    """Name the ledger, another job, the grader's sources and held-out modules to the snoop."""
    import html
    import xml.sax

    job = folder.job(f"{other}-1")
    paths = [folder.ledger, job / "log.txt", job / "tree" / "train.py", xml.sax.__file__,
             html.__file__, folder.path.parent / "small" / "locked" / "grade.py",
             folder.repository / "HEAD", Path("/etc/passwd"), Path(__file__)]  # fmt: skip
    assert all(Path(path).is_file() for path in paths)
    modules = ["xml.sax", "html.parser", "mailbox", "configparser", "community", "scoring.corpus"]
    names = ["ledger.db", "grade.py", "artefact.safetensors", "expatreader.py", "mailbox.py"]
    return snooping([str(path) for path in paths], modules, names)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Measured]:
    """Measure every candidate once."""
    where = tmp_path_factory.mktemp("hostile")
    task = small_task(where)
    spec = task / "task.toml"
    spec.write_text(spec.read_text().replace("2147483648", str(MEMORY_BYTES)))
    lock_again(task)
    return asyncio.run(_measure_all(where, task))


@pytest.mark.parametrize("name", INVALID)
def test_a_candidate_at_fault_gets_an_invalid_verdict_with_the_reason(
    trial: dict[str, Measured], name: str
) -> None:
    """No score, a fixed word for the reason, full isolation, at the first attempt."""
    verdict, expected = trial[name].verdict, INVALID[name][1]
    assert (verdict.outcome, verdict.score) == ("invalid", None), trial[name].log[-2000:]
    assert verdict.reason
    assert expected is None or verdict.reason == expected, trial[name].log[-2000:]
    assert verdict.isolation == "full"


def test_time_limits_hold_from_outside(trial: dict[str, Measured]) -> None:
    """A busy loop is cut at its CPU budget, a sleeper at the wall cap of 3 x budget + 5 s."""
    assert trial["computes for ever"].verdict.train_cpu_s < 1.4
    assert trial["sleeps for ever"].verdict.train_wall_s < 9


def test_printing_gigabytes_costs_nothing_but_the_printers_time(trial: dict[str, Measured]) -> None:
    """The log is cut at its cap, and the candidate is scored like any other."""
    printer = trial["prints gigabytes"]
    assert printer.verdict.outcome == "ok"
    assert 1 << 16 < printer.log_bytes < 1 << 21


def test_a_snoop_finds_nothing_and_is_scored_on_its_merits(trial: dict[str, Measured]) -> None:
    """Held-out text, ledger, other jobs, grader and network are out of reach of training code."""
    snoop = trial["snoops"]
    assert "TRIED 35" in snoop.log, snoop.log
    assert "LEAK" not in snoop.log, snoop.log
    assert "SECRETS ['HOME', 'LOGNAME', 'OMP_NUM_THREADS', 'TMPDIR'" in snoop.log, snoop.log
    assert snoop.verdict.outcome == "ok"


def test_honest_candidates_are_measured_before_and_after(trial: dict[str, Measured]) -> None:
    """Whatever the others did, the next honest candidate gets its score."""
    for name in ("honest before", "honest after"):
        verdict = trial[name].verdict
        assert verdict.outcome == "ok", trial[name].log
        assert verdict.score is not None
        assert 2.0 < verdict.score < 8.0
