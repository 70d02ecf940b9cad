"""A node without a cluster around it: its lease, its refusals, what it stores and for whom."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainer.cluster import cluster_executor, node
from trainer.cluster.cluster_executor import ClusterExecutor
from trainer.cluster.node import Node, code_hash
from trainer.cluster.parcels import Packer, pack_files
from trainer.cluster.ray_cluster import Share
from trainer.cluster.records import Blob, Fault, NodeFacts, NodeWish, TrainAsk
from trainer.cluster.remote_node import RemoteNode
from trainer.cluster.store import Store
from trainer.devices import Slot
from trainer.errors import ExecutorError, NodeLostError, SandboxUnavailableError
from trainer.experiment import Budget, Job
from trainer.gpu_pool import Lease

ENDLESS = """
from torch import nn
def build_model():
    return nn.Linear(1, 1)
def train(model, run):
    while True:
        pass
"""


def wish(**changed: Any) -> NodeWish:
    """One slot on a lease of an hour."""
    asked = {
        "name": "here",
        "count": 1,
        "device": "cpu",
        "slots_per_gpu": 1,
        "first": 0,
        "job_bytes": 1 << 30,
        "lease_s": 3600.0,
        "hidden": (),
        "allow": ("full", "partial"),
        "code": code_hash(),
    }
    return NodeWish(**{**asked, **changed})


def job_in(folder: Path, source: str = ENDLESS) -> Job:
    """A job in folders of its own."""
    for name in ("tree", "data"):
        (folder / name).mkdir(parents=True)
    (folder / "tree" / "train.py").write_text(source)
    (folder / "data" / "train.bin").write_bytes(b"data")
    return Job("e1", 1, folder / "tree", folder / "data", folder / "job", 1, Budget("steps", 5))


async def sent(here: Node, job: Job) -> TrainAsk:
    """Give the node what the job needs; return the question."""
    packer = Packer()
    tree, data = packer.folder(job.workspace), packer.folder(job.data)
    for parcel in (tree, data):
        for digest in await here.missing(list(parcel.sources)):
            await here.take(digest, b"".join(parcel.pieces(digest)), 0, True)
    return TrainAsk("k1", "cpu0", tree.contents, data.contents, job)


async def test_a_lease_that_is_not_renewed_kills_what_runs(tmp_path: Path):
    """Nobody asks any more: the job ends without a result; a word renews the lease."""
    here = Node(wish(lease_s=1.0))
    try:
        facts = await here.open()
        assert isinstance(facts, NodeFacts)
        ask = await sent(here, job_in(tmp_path))
        async with asyncio.timeout(60):
            assert await here.train(ask) is None
        assert not (here._root / "jobs" / "k1").exists()
        ends_s = here._lease_ends_s
        await here.renew()
        assert here._lease_ends_s > ends_s
    finally:
        await here.close()
    assert not here._root.exists()


async def test_a_node_that_cannot_be_trusted_with_a_run_is_refused(monkeypatch: pytest.MonkeyPatch):
    """Other code, no sandbox, too little memory: each with the reason; nothing is left behind."""
    for asked, why in (
        (wish(code="other"), "another version"),
        (wish(job_bytes=1 << 50), "memory_bytes"),
    ):
        here = Node(asked)
        told = await here.open()
        assert isinstance(told, Fault)
        assert why in told.text
        assert not here._root.exists()

    async def warm_up(self: object) -> None:
        raise SandboxUnavailableError(("full",), ["no user namespaces"])

    monkeypatch.setattr(node.LocalExecutor, "warm_up", warm_up)
    here = Node(wish())
    told = await here.open()
    assert isinstance(told, Fault)
    assert "no user namespaces" in told.text
    assert not here._root.exists()


def test_folders_of_killed_nodes_are_removed_and_those_of_living_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A lock that its process held says who lives; nobody has to clean up after a kill."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed, mark = node.own_folder()
    mark.close()  # as the kernel does
    living, held = node.own_folder()
    assert not killed.exists()
    _, other = node.own_folder()
    assert living.exists()
    held.close()
    other.close()


async def test_slots_of_several_nodes_on_one_machine_have_processors_in_turn():
    """Two nodes of one machine do not pin their jobs to the same processor while there are more."""
    cpus = sorted(node.usable_cpus())
    dealt = [node._slots(wish(first=first))[0].cpus for first in range(len(cpus))]
    assert frozenset.union(*dealt) == set(cpus)


async def test_a_silent_node_is_lost_and_every_call_to_it_ends():
    """After its lease and a little more; calls under way end too."""

    async def call(method: str, *arguments: object) -> object:
        return await asyncio.get_running_loop().create_future()

    facts = NodeFacts((Slot("cpu0", "cpu", frozenset({0})),), "full", "here")
    remote = RemoteNode("n1", call, facts, lease_s=0.5)
    with pytest.raises(NodeLostError, match="no answer"):
        async with asyncio.timeout(30):
            await remote.ask("train")
    with pytest.raises(NodeLostError):
        await remote.ask("missing", [])
    await remote.aclose()


class NoMore:
    """A cluster without a node in place of a lost one."""

    async def more(self, count: int) -> list[RemoteNode]:
        """None."""
        return []

    async def aclose(self) -> None:
        """Nothing to leave."""


async def test_when_no_node_is_left_nobody_waits_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What ran is interrupted; slots are not granted; then the run is told to go on later."""
    monkeypatch.setattr(cluster_executor, "LOOK_S", 0.01)
    monkeypatch.setattr(cluster_executor, "ALONE_S", 0.05)

    async def call(method: str, *arguments: object) -> object:
        if method == "missing":
            return []
        if method == "renew":
            return None
        raise NodeLostError("n1", "a power cut")

    facts = NodeFacts((Slot("cpu0", "cpu", frozenset({0})),), "full", "here")
    executor = ClusterExecutor(NoMore(), [RemoteNode("n1", call, facts)])
    async with executor.pool.lease() as lease:
        assert lease == Lease(Slot("node1.cpu0", "cpu", frozenset({0}), node="n1", machine="here"))
        result = await executor.train(job_in(tmp_path), lease)
    assert (result.outcome, result.reason) == ("interrupted", "lost")
    assert "a power cut" in result.detail
    with pytest.raises(ExecutorError, match="--resume"):
        async with asyncio.timeout(30), executor.pool.lease():
            pass
    await executor.aclose()


async def test_a_run_that_goes_on_keeps_the_names_of_its_slots_on_fewer_nodes():
    """Where there are fewer nodes than it had slots, they serve all of them, in turns."""

    async def call(method: str, *arguments: object) -> object:
        return None

    facts = NodeFacts((Slot("cpu0", "cpu", frozenset({0})),), "full", "here")
    names = ("node1.cpu0", "node2.cpu0", "node3.cpu0")
    nodes = [RemoteNode(name, call, facts) for name in ("n8", "n9")]
    executor = ClusterExecutor(NoMore(), nodes, names)
    assert executor.pool.names == tuple(slot.name for slot in executor.slots) == names
    served = [executor.node_of(name).name for name in names]
    assert served[:2] == ["n8", "n9"]
    host = names[served.index(served[2])]
    async with executor.pool.lease(name=names[2]):
        with pytest.raises(TimeoutError):
            async with executor.pool.lease(0.01, name=host):
                pass
    await executor.aclose()


def _tampered(store: Store) -> None:
    store.take("0" * 64, b"something else", 0, is_last=True)


def _outside(store: Store) -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    store.take(digest, b"x", 0, is_last=True)
    store.folder((Blob("../x", digest, 1),))


def _absent(store: Store) -> None:
    store.folder((Blob("x", "1" * 64, 1),))


@pytest.mark.parametrize("misuse", [_tampered, _outside, _absent])
def test_a_store_holds_what_things_are_called(misuse: Callable[[Store], None], tmp_path: Path):
    """Other bytes than the digest says, a path that leads outside, a content that never came."""
    store = Store(tmp_path)
    with pytest.raises(ExecutorError):
        misuse(store)
    assert not (tmp_path / "x").exists()
    assert not [*(tmp_path / "trees").iterdir()]


def test_contents_are_kept_once_and_come_back_as_they_were(tmp_path: Path):
    """Two trees that share a file share its bytes; pieces are put together in order."""
    store = Store(tmp_path)
    parcels = [pack_files({"a/b.py": b"shared", "c.py": own}) for own in (b"", b"longer")]
    for parcel in parcels:
        for digest in store.missing(parcel.sources):
            content = b"".join(parcel.pieces(digest))
            half = len(content) // 2
            store.take(digest, content[:half], 0, is_last=False)
            store.take(digest, content[half:], half, is_last=True)
    folders = [store.folder(parcel.contents) for parcel in parcels]
    assert [(folder / "c.py").read_bytes() for folder in folders] == [b"", b"longer"]
    first, second = ((folder / "a/b.py").stat() for folder in folders)
    assert (first.st_ino, first.st_nlink) == (second.st_ino, 3)
    assert store.folder(parcels[0].contents) == folders[0]


@pytest.mark.parametrize(
    ("share", "free", "fits"),
    [
        (Share(0, 1, 1 << 30), {"CPU": 4, "memory": 3 << 30}, 2),
        (Share(1, 4, 1 << 30), {"CPU": 64, "GPU": 8, "memory": 1 << 40}, 8),
        (Share(1, 16, 1 << 30), {"CPU": 64, "GPU": 8, "memory": 1 << 40}, 4),
        (Share(0.5, 1, 1 << 30), {"CPU": 64, "GPU": 2, "memory": 1 << 40}, 4),
        (Share(1, 1, 1 << 30), {"CPU": 64, "GPU": 0.5, "memory": 1 << 40}, 0),
        (Share(1, 1, 1 << 30), {}, 0),
    ],
)
def test_a_slot_takes_of_a_node_what_it_is_said_to(share: Share, free: dict[str, float], fits: int):
    """As many fit as the scarcest resource allows; what is left of a shared GPU is none."""
    assert share.slots_of(free) == fits
    needs = share.needs(max(1, fits))
    assert needs["num_gpus"] == int(needs["num_gpus"])
