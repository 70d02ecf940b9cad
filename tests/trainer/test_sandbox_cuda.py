"""What a CUDA slot changes in the sandbox, as far as it shows on a machine without a card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from trainer_trials import NOTHING

from trainer import local_executor, zygote
from trainer.experiment import Job
from trainer.gpu_pool import Lease
from trainer.local_executor import LocalExecutor
from trainer.sandbox import cuda
from trainer.sandbox.probe import probe

CALLS = """
import errno, os, socket
def tried(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
def listen():
    own.bind(b"\\0cuda-uvmfd-1-1")
    own.listen(1)
def write(path):
    with open(path, "w") as file:
        file.write("-17")
def train(model, run):
    global own
    own = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    print(json.dumps({
        "listen": tried(listen),
        "connect": tried(lambda: own.connect(b"\\0other")),
        "accept": tried(own.accept),
        "pair": tried(socket.socketpair),
        "internet": tried(socket.socket),
        "netlink": tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
        "memfd": tried(lambda: os.memfd_create("x")),
        "fork": tried(os.fork),
        "name": tried(lambda: write(f"/proc/self/task/{os.getpid()}/comm")),
        "memory": tried(lambda: write("/proc/self/oom_score_adj")),
        "kernel": tried(lambda: write("/proc/sys/kernel/hostname")),
        "node": tried(lambda: os.listdir("/sys/devices/system/cpu")),
        "system": tried(lambda: os.listdir("/sys/fs")),
    }))
"""


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.skipif(probe().isolation == "none", reason="nothing isolates here")
async def test_a_card_opens_what_its_driver_needs_and_no_more(
    executor: LocalExecutor, job: Job, lease: Lease, monkeypatch: pytest.MonkeyPatch
):
    """It may listen where nobody can name it; connecting, networks and processes stay refused."""
    monkeypatch.setattr(local_executor, "device_nodes", lambda index, uuid: ("/dev/full",))
    slot = replace(lease.slot, cuda_index=0, cuda_uuid="GPU-0")
    (job.workspace / "train.py").write_text(NOTHING + CALLS)
    result = await executor.train(replace(job, takes_slow=True), Lease(slot))
    log = (job.folder / "log.txt").read_text()
    assert result.outcome == "ok", log
    refused = ("connect", "accept", "pair", "internet", "netlink", "fork")
    done = ("listen", "memfd", "name")
    told = json.loads(log)
    assert told.pop("memory") in ("EACCES", "EROFS")
    assert told.pop("kernel") == "ENOENT"
    if probe().isolation == "full":
        assert told.pop("system") == "ENOENT"
        assert told.pop("node") == "done"
    assert {name: told[name] for name in (*refused, *done)} == (
        dict.fromkeys(refused, "EPERM") | dict.fromkeys(done, "done")
    )


def test_a_card_is_named_by_its_own_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the driver tells it, nvidia-smi's order does not name the node."""
    for number, uuid in ((3, "GPU-aa"), (5, "GPU-bb")):
        (tmp_path / f"0000:0{number}:00.0").mkdir()
        (tmp_path / f"0000:0{number}:00.0" / "information").write_text(
            f"Model: \t\t NVIDIA H100\nGPU UUID: \t {uuid}\nDevice Minor: \t {number}\n"
        )
    monkeypatch.setattr(cuda, "_CARDS", tmp_path)
    monkeypatch.setattr(Path, "exists", lambda path: True)
    assert cuda.device_nodes(0, "GPU-bb")[0] == "/dev/nvidia5"
    assert cuda.device_nodes(0, "GPU-cc")[0] == "/dev/nvidia0"
    assert cuda.device_nodes(1)[0] == "/dev/nvidia1"


def test_warming_up_beside_a_card_starts_no_autograd(monkeypatch: pytest.MonkeyPatch):
    """The first `backward` of a process would start a thread per card, in vain for its children."""

    def backward(tensor: torch.Tensor) -> None:
        raise AssertionError("autograd was started")

    made: list[object] = []
    whole = torch.optim.AdamW.__init__

    def note(optimiser: torch.optim.AdamW, *arguments: object, **options: object) -> None:
        made.append(optimiser)
        whole(optimiser, *arguments, **options)

    monkeypatch.setattr(torch.Tensor, "backward", backward)
    monkeypatch.setattr(torch.optim.AdamW, "__init__", note)
    zygote.warm_up(learns=False)
    assert len(made) == 1  # which imports what each child would
    with pytest.raises(AssertionError, match="autograd was started"):
        zygote.warm_up()
