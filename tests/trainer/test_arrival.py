"""The artefact's arrival as the candidate's clock sees it: late, early, surplus, or forged."""

from __future__ import annotations

import pytest
from trainer_trials import NOTHING, RunTrial, train_body

from trainer.experiment import Budget

pytestmark = pytest.mark.asyncio(loop_scope="session")

PIPE = """
import stat, time
def pipe():
    for fd in range(3, 64):
        try:
            if stat.S_ISFIFO(os.fstat(fd).st_mode): return fd
        except OSError: pass
def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until: pass
WHOLE = (2).to_bytes(8, 'little') + b'{}'
"""


async def test_a_process_that_goes_at_once_is_charged_all_it_used(run_trial: RunTrial):
    """A complete artefact and an exit in one breath: the last reading is not a stale one."""
    body = PIPE + "burn(0.33)\nos.write(pipe(), WHOLE)\nos._exit(0)"
    for _ in range(3):
        trial = await run_trial(train_body(body))
        assert (trial.result.outcome, trial.result.reason) == ("ok", "")
        assert 0.33 <= trial.result.cpu_s < 2


async def test_an_exit_does_not_hide_what_the_budget_did_not_allow(run_trial: RunTrial):
    """Work beyond the budget is late also where nobody lives to be asked."""
    body = PIPE + "burn(0.2)\nos.write(pipe(), WHOLE)\nos._exit(0)"
    trial = await run_trial(train_body(body), budget=Budget("cpu_seconds", 0.19))
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "limit")
    assert trial.result.artefact is None


async def test_import_and_build_count(run_trial: RunTrial):
    """What train.py does while it is imported, and build_model, is on the candidate's clock."""
    source = PIPE.replace("import stat", "import os, stat") + "burn(0.2)\n" + NOTHING
    source = source.replace("    return nn.", "    burn(0.2)\n    return nn.")
    trial = await run_trial(source)
    assert (trial.result.outcome, trial.result.reason) == ("ok", "")
    assert trial.result.cpu_s >= 0.4
    trial = await run_trial(source, budget=Budget("cpu_seconds", 0.3))
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "limit")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("os.write(pipe(), WHOLE + b'more')\nos._exit(0)", "without handing over"),
        (
            "fd = pipe()\nos.write(fd, WHOLE + b'more')\nos.close(fd)\ntime.sleep(9)",
            "fill the file",
        ),
        ("fd = pipe()\nos.write(fd, WHOLE[:-1])\nos.close(fd)\ntime.sleep(9)", "ends within"),
        ("os.close(pipe())\nwhile True: pass", "no complete artefact"),
        ("os.write(pipe(), WHOLE)", "fill the file"),
    ],
    ids=["surplus, gone", "surplus, sleeping", "early, sleeping", "early, busy", "twice"],
)
async def test_what_is_not_exactly_an_artefact_is_refused(
    run_trial: RunTrial, body: str, detail: str
):
    """Surplus bytes, an early end and a second artefact are refused, whatever the process does."""
    trial = await run_trial(train_body(PIPE + body))
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "artefact")
    assert detail in trial.result.detail
    assert trial.result.artefact is None
    assert trial.result.wall_s < 5


async def test_a_closed_pipe_stops_neither_clock_nor_watch(run_trial: RunTrial):
    """After the pipe is closed half-way, time still counts and threads are still watched."""
    busy = train_body(PIPE + "os.close(pipe())\nwhile True: pass")
    trial = await run_trial(busy, budget=Budget("cpu_seconds", 0.3))
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "limit")
    assert trial.result.cpu_s >= 0.3


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ("m.weight.data[0, 0] = float('nan')", "'weight' has values that are not finite"),
        ("m.double()", "dtype 'F64'"),
        ("m.half()", "dtype 'F16'"),
        ("m.register_buffer('n', torch.tensor(1 << 40))", "'n' has integers beyond"),
        ("m.register_module('ä', nn.Linear(1, 1))", "visible ASCII"),
        ("[m.register_buffer(f'n{i}', torch.tensor(1)) for i in range(1100)]", "tensors"),
    ],
    ids=["nan", "double", "half", "integer", "name", "many"],
)
async def test_a_state_that_nobody_should_load_is_refused(
    run_trial: RunTrial, change: str, detail: str
):
    """Values, dtypes, names and numbers of tensors are judged before anybody loads them."""
    source = NOTHING.replace(
        "return nn.Linear(2, 2)",
        f"import torch\n    m = nn.Linear(2, 2)\n    {change}\n    return m",
    )
    trial = await run_trial(source)
    assert (trial.result.outcome, trial.result.reason) == ("invalid", "artefact")
    assert detail in trial.result.detail
    assert trial.result.artefact is None
