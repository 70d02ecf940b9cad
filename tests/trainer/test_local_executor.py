"""What becomes of honest, broken and greedy candidates: outcomes, clocks, caps, cleaning up."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from safetensors.torch import load_file
from trainer_trials import HONEST, NOTHING, RunTrial, children_of, train_body, until_marked

from trainer import train_phase
from trainer.errors import ExecutorError
from trainer.experiment import Budget, Job
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEPS = Budget("steps", 12)
ROOT = Path(__file__).resolve().parents[2]


async def test_honest_candidate_trains_and_leaves_its_state(run_trial: RunTrial, job: Job):
    """A fixed number of steps ends ok, with a complete artefact in which tied weights are apart."""
    trial = await run_trial(HONEST, budget=STEPS)
    assert (trial.result.outcome, trial.result.reason) == ("ok", "")
    assert trial.result.artefact == job.folder / "artefact.safetensors"
    state = load_file(trial.result.artefact)
    assert set(state) == {"table.weight", "head.weight", "tied"}
    assert state["tied"].equal(state["head.weight"])
    assert trial.result.artefact.stat().st_mode & 0o777 == 0o400
    assert trial.log == "finished 1.000 1 cpu\n"
    assert 0 < trial.result.cpu_s <= trial.result.wall_s * 1.5
    assert not list(job.folder.glob("*.part"))


async def test_same_seed_gives_the_same_bytes_and_another_does_not(run_trial: RunTrial, job: Job):
    """With a steps budget the artefact is a function of tree and seed."""
    artefacts = []
    for index, seed in enumerate((7, 7, 8)):
        trial = await run_trial(
            HONEST, seed=seed, budget=STEPS, folder=job.folder.with_name(f"run{index}")
        )
        artefacts.append(trial.result.artefact.read_bytes())
    assert artefacts[0] == artefacts[1]
    assert artefacts[0] != artefacts[2]


async def test_cpu_budget_is_used_up_but_not_exceeded(run_trial: RunTrial):
    """run.steps() fills a budget of CPU seconds and leaves time to hand over the artefact."""
    trial = await run_trial(HONEST, budget=Budget("cpu_seconds", 0.6))
    assert trial.result.outcome == "ok"
    assert 0.4 < trial.result.cpu_s <= 0.6 * 1.02


async def test_device_seconds_are_wall_seconds_from_the_hand_over(run_trial: RunTrial):
    """A budget of device seconds runs out while the candidate sleeps."""
    source = train_body("import time\ntime.sleep(60)")
    trial = await run_trial(source, budget=Budget("device_seconds", 0.3))
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "limit")
    assert trial.result.wall_s < 2


@pytest.mark.parametrize(
    ("source", "last_words"),
    [
        ("raise ValueError('broken on import')", "ValueError: broken on import"),
        ("import no_such_module", "No module named 'no_such_module'"),
        (train_body("raise ValueError('broken in train')"), "ValueError: broken in train"),
        (train_body("sys.exit(0)"), "SystemExit: 0"),
        (train_body("import ctypes\nctypes.string_at(0)"), "SIGSEGV"),
        ("def build_model(): return 3\ndef train(model, run): pass", "state_dict"),
    ],
)
async def test_crash_is_the_candidates_fault(run_trial: RunTrial, source: str, last_words: str):
    """An exception, an early exit or a segmentation fault ends in invalid: crash."""
    trial = await run_trial(source)
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "crash")
    assert last_words in trial.result.detail
    assert trial.result.artefact is None


async def test_leaving_without_a_state_is_an_artefact_fault(run_trial: RunTrial):
    """A process that ends well but hands nothing over has no artefact."""
    trial = await run_trial(train_body("os._exit(0)"))
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "artefact")


async def test_infinite_loop_is_killed_at_its_budget(run_trial: RunTrial):
    """A candidate that ignores its budget is killed by the clock outside, soon after the budget."""
    trial = await run_trial(train_body("while True: pass"), budget=Budget("cpu_seconds", 0.5))
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "limit")
    assert 0.5 < trial.result.cpu_s < 1.0


async def test_work_after_the_budget_is_late_even_if_short(run_trial: RunTrial):
    """An artefact that arrives a tenth after the budget's end is refused."""
    body = "import time\nwhile time.process_time() < 0.35 + start: pass"
    source = train_body(body).replace("def train", "import time; start = time.process_time()\n"
                                      "def train")  # fmt: skip
    trial = await run_trial(source, budget=Budget("cpu_seconds", 0.3))
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "limit")


async def test_lying_about_time_changes_nothing(run_trial: RunTrial):
    """A candidate that stops its own clocks is killed all the same."""
    body = "run._clock = lambda: run._start\nfor _ in run.steps(): pass"
    trial = await run_trial(train_body(body), budget=Budget("cpu_seconds", 0.3))
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "limit")


async def test_sleeping_candidate_is_killed_at_the_wall_cap(run_trial: RunTrial):
    """A candidate that uses no CPU is ended by the cap of three budgets and five seconds."""
    source = train_body("import time\ntime.sleep(60)")
    trial = await run_trial(source, budget=Budget("cpu_seconds", 0.01))
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "limit")
    assert "wall" in trial.result.detail
    assert 5 < trial.result.wall_s < 7


@pytest.mark.parametrize(
    ("budget", "body", "share"),
    [
        (Budget("cpu_seconds", 5), "import time\ntime.sleep(0.5)", 0.8),
        (Budget("steps", 5), "import time\ntime.sleep(0.5)", None),
        (Budget("device_seconds", 5), "import time\ntime.sleep(0.5)", 1.0),
    ],
    ids=["cpu", "steps", "device"],
)
async def test_waiting_is_charged_and_does_not_count_as_work(
    run_trial: RunTrial,
    budget: Budget,
    body: str,
    share: float | None,
    monkeypatch: pytest.MonkeyPatch,
):
    """A candidate that sleeps is charged 0.8 of the wall, of a device all, of steps its CPU."""
    monkeypatch.setattr(train_phase, "_BLINK_S", 60.0)  # a busy machine stops us, too
    result = (await run_trial(train_body(body), budget=budget)).result
    assert (result.outcome, result.reason) == ("ok", "")
    assert result.wall_s > 0.5
    assert result.cpu_s < 0.4
    assert result.charge_s == (result.cpu_s if share is None else share * result.wall_s)


@pytest.mark.parametrize(
    ("cpu_s", "wall_s", "charge_s"), [(10.0, 10.1, 10.0), (10.0, 20.0, 16.0), (8.0, 10.0, 8.0)]
)
async def test_the_charge_is_the_larger_of_processor_and_most_of_the_wall(
    cpu_s: float, wall_s: float, charge_s: float
):
    """An honest run on a quiet machine is charged its CPU time, one that waits twice more."""
    assert Budget("cpu_seconds", 10).charge_s(cpu_s, wall_s) == charge_s


async def test_gigabytes_of_output_are_capped(run_trial: RunTrial, job: Job):
    """Output beyond the cap is dropped, the job goes on, and the file says how much was lost."""
    body = "chunk = b'x' * (1 << 20)\nfor _ in range(1024): os.write(1, chunk)\nprint('end')"
    trial = await run_trial(train_body(body), log_bytes=10_000)
    assert trial.result.outcome == "ok"
    assert (job.folder / "log.txt").stat().st_size < 10_100
    assert f"[{(1 << 30) + 4 - 10_000} bytes more were dropped]" in trial.log


async def test_thread_bomb_is_ended(run_trial: RunTrial):
    """Threads without end are refused by the kernel's limit or ended by the watch from outside."""
    body = (
        "import threading, time\nthreading.stack_size(65536)\n"
        "while True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    )
    trial = await run_trial(train_body(body), budget=Budget("cpu_seconds", 3))
    assert trial.result.outcome == "invalid"
    assert trial.result.cpu_s < 2


async def test_too_large_artefact_is_cut_off(run_trial: RunTrial, job: Job):
    """The artefact's cap holds while it streams; nothing of it stays."""
    source = NOTHING.replace("nn.Linear(2, 2)", "nn.Linear(600, 600)")
    trial = await run_trial(source, artefact_bytes=1 << 20)
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "artefact")
    assert [path.name for path in job.folder.iterdir()] == ["log.txt"]


@pytest.mark.parametrize(
    "payload",
    ["b'junk'", "b'\\xff' * 64", "(2).to_bytes(8, 'little') + b'{}' + b'x' * 9"],
    ids=["short", "length", "overhang"],
)
async def test_malformed_artefact_is_refused(run_trial: RunTrial, payload: str):
    """A candidate that writes to the artefact pipe itself gets nothing but a refusal."""
    body = (
        "import stat\n"
        "for fd in range(3, 64):\n"
        "    try:\n"
        "        if stat.S_ISFIFO(os.fstat(fd).st_mode): os.write(fd, " + payload + ")\n"
        "    except OSError: pass\n"
        "os._exit(0)"
    )
    trial = await run_trial(train_body(body))
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "artefact")


async def test_state_that_is_no_tensor_is_an_artefact_fault(run_trial: RunTrial):
    """Only plain tensors pass; a sparse one in the state dict does not."""
    source = NOTHING.replace(
        "return nn.Linear(2, 2)",
        "import torch\n    m = nn.Linear(2, 2)\n"
        "    m.register_buffer('s', torch.eye(3).to_sparse())\n    return m",
    )
    trial = await run_trial(source)
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "artefact")


async def test_late_forgery_of_the_hand_over_is_ignored(run_trial: RunTrial):
    """The hand-over mark comes before candidate code and cannot be repeated by it."""
    body = (
        "for fd in range(3, 64):\n"
        "    try: os.write(fd, b'{\"cpu_s\": 1000000}\\n')\n"
        "    except OSError: pass\n"
        "while True: pass"
    )
    trial = await run_trial(train_body(body), budget=Budget("cpu_seconds", 0.3))
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "limit")
    assert trial.result.cpu_s < 1


async def test_two_jobs_run_at_once(executor: LocalExecutor, job: Job, lease: Lease):
    """Jobs share the warm parent, not each other's files or results."""
    (job.workspace / "train.py").write_text(HONEST)
    jobs = [
        replace(job, seed=seed, folder=job.folder.with_name(f"run{seed}"), budget=STEPS)
        for seed in (1, 2)
    ]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(executor.train(each, lease)) for each in jobs]
    results = [task.result() for task in tasks]
    assert [result.outcome for result in results] == ["ok", "ok"]
    assert results[0].artefact.read_bytes() != results[1].artefact.read_bytes()


async def test_cancelling_kills_the_job(executor: LocalExecutor, job: Job, lease: Lease):
    """A cancelled run leaves no process and no partial artefact."""
    (job.workspace / "train.py").write_text(train_body("print('here')\nwhile True: pass"))
    task = asyncio.create_task(executor.train(job, lease))
    async with asyncio.timeout(10):
        await until_marked(job.folder / "log.txt")
    warm_parent = psutil.Process(executor.warm_parent_pid)
    children = children_of(warm_parent)
    assert len(children) == 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [path.name for path in job.folder.iterdir()] == ["log.txt"]
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, 2)
    assert not alive


async def test_nothing_leaks(executor: LocalExecutor, run_trial: RunTrial, job: Job):
    """After ok, invalid and cancelled runs no descriptor and no process is left."""
    await run_trial(NOTHING)
    before = len(os.listdir("/proc/self/fd"))
    await run_trial(HONEST, budget=STEPS)
    await run_trial("raise ValueError")
    await run_trial(train_body("while True: pass"), budget=Budget("cpu_seconds", 0.1))
    assert len(os.listdir("/proc/self/fd")) == before
    keepers = psutil.Process(executor.warm_parent_pid).children()
    psutil.wait_procs(keepers, timeout=2)
    assert not psutil.Process(executor.warm_parent_pid).children()


async def test_sandbox_that_cannot_be_set_up_is_our_fault(
    executor: LocalExecutor, job: Job, lease: Lease, tmp_path: Path
):
    """Missing training data raises; it is never counted against a candidate."""
    with pytest.raises(ExecutorError, match=r"train\.bin"):
        await executor.train(replace(job, data=tmp_path / "jobs"), lease)


@pytest.mark.parametrize("name", ["log.txt", "artefact.safetensors.part"])
async def test_full_disk_is_our_fault(run_trial: RunTrial, job: Job, name: str):
    """What cannot be written raises, names the file, and is never counted against a candidate."""
    job.folder.mkdir()
    (job.folder / name).symlink_to("/dev/full")
    with pytest.raises(ExecutorError, match=rf"cannot write .*/{name}: No space left.* make room"):
        await run_trial(HONEST, budget=STEPS)


async def test_killed_warm_parent_interrupts_and_is_replaced(
    job: Job, lease: Lease, executor: LocalExecutor
):
    """Its running job comes back as interrupted: lost, and the next job runs on a new parent."""
    (job.workspace / "train.py").write_text(train_body("print('here')\nwhile True: pass"))
    task = asyncio.create_task(executor.train(job, lease))
    async with asyncio.timeout(10):
        await until_marked(job.folder / "log.txt")
    old = executor.warm_parent_pid
    os.kill(old, signal.SIGKILL)
    result = await task
    assert (result.outcome, result.reason) == ("interrupted", "lost")
    (job.workspace / "train.py").write_text(NOTHING)
    result = await executor.train(job, lease)
    assert result.outcome == "ok"
    assert executor.warm_parent_pid != old


async def test_closing_ends_running_jobs_at_once(job: Job, lease: Lease):
    """Closing takes at most two seconds; a job that ran comes back as interrupted."""
    executor = LocalExecutor()
    await executor.warm_up()
    (job.workspace / "train.py").write_text(train_body("print('here')\nwhile True: pass"))
    task = asyncio.create_task(executor.train(job, lease))
    async with asyncio.timeout(10):
        await until_marked(job.folder / "log.txt")
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await executor.aclose()
    assert loop.time() - begin < 2
    assert (await task).outcome == "interrupted"
    with pytest.raises(ExecutorError, match="closed"):
        await executor.train(job, lease)


ORPHANS = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from trainer.devices import Slot
from trainer.experiment import Budget, Job
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor

async def main(here):
    lease = Lease(Slot("cpu0", "cpu", frozenset({int(sys.argv[3])})))
    job = Job("e1", 1, here / "tree", here / "data", here / "job", 1, Budget("cpu_seconds", 60))
    async with LocalExecutor() as executor:
        await executor.train(job, lease)

asyncio.run(main(Path(sys.argv[2])))
"""


async def test_children_die_when_the_executor_is_killed(job: Job, tmp_path: Path, lease: Lease):
    """SIGKILL of the executor's process takes warm parent, keeper and candidate within 2 s."""
    (job.workspace / "train.py").write_text(train_body("print('here')\nwhile True: pass"))
    cpu = str(min(lease.slot.cpus))
    command = [sys.executable, "-c", ORPHANS, str(ROOT), str(tmp_path), cpu]
    process = subprocess.Popen(command)  # noqa: ASYNC220 - killed by hand below
    try:
        async with asyncio.timeout(30):
            await until_marked(tmp_path / "job" / "log.txt")
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 3
    finally:
        process.kill()
        process.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, 2)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
