"""A whole run on a Ray cluster of three nodes, one of which is killed in the middle.

Nothing is lost and nothing counted twice. Ten minutes on two cores; the short sibling is in
``tests/contracts/test_executor_contract.py``.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from e2e_life import Life, recorded
from e2e_scenarios import scenario_text

from community.events import (
    AttemptEnded,
    AttemptStarted,
    ExperimentQueued,
    Row,
    RunStopped,
    VerdictGiven,
)
from community.evidence_events import SlotPlaced

sys.path.append(str(Path(__file__).parent.parent / "contracts"))
from ray_stage import kill_node, three_nodes

EXPERIMENTS = 30
AGENTS = ("ada explorer social", "ben explorer social", "marie reproducer verify")


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_thirty_experiments_with_a_node_killed_in_the_middle(tmp_path: Path) -> None:
    """Every admitted experiment has one verdict; what ran on the node was interrupted and rerun."""
    with three_nodes() as cluster:
        text = scenario_text(
            "nanolm",
            AGENTS,
            budget={"kind": "steps", "amount": 10},
            pool={"backend": "ray", "address": cluster.address},
            stop={"experiments": EXPERIMENTS},
            board={"broker": "memory"},
        )
        (tmp_path / "mine.toml").write_text(text)
        life = Life.begin("mine.toml", cwd=tmp_path)
        assert life.await_row(_is_verdict_on("e0014"), 1200) is not None
        head = cluster.head_node.node_id[:8]
        placed = _placed(recorded(life.folder))
        slot = next(name for name, node in placed.items() if not node.endswith(head))
        busy = life.await_row(_starts_on(slot), 300, after_seq=recorded(life.folder)[-1].seq)
        assert busy is not None
        kill_node(cluster, placed[slot])
        assert life.finish(1500) == 0, life.text[-4000:]
        rows = recorded(life.folder)
        _holds(rows, slot, placed[slot], busy)


def _is_verdict_on(experiment_id: str):
    return lambda row: (
        isinstance(row.event, VerdictGiven) and row.event.experiment_id >= experiment_id
    )


def _starts_on(slot: str):
    return lambda row: isinstance(row.event, AttemptStarted) and row.event.slot == slot


def _placed(rows: Sequence[Row]) -> dict[str, str]:
    """Return which node serves each slot."""
    return {row.event.slot: row.event.node for row in rows if isinstance(row.event, SlotPlaced)}


def _holds(rows: Sequence[Row], slot: str, lost: str, busy: Row) -> None:
    """Check what a run with a lost node is held to."""
    _once_each(rows)
    cut = [
        row.event
        for row in rows
        if isinstance(row.event, AttemptEnded) and row.event.outcome == "interrupted"
    ]
    assert isinstance(busy.event, AttemptStarted)
    assert (busy.event.experiment_id, "lost") in {(e.experiment_id, e.reason) for e in cut}
    assert {event.slot for event in cut} == {slot}
    after = [row.event for row in rows if row.seq > busy.seq]
    again = [e for e in after if isinstance(e, AttemptStarted) and e.slot == slot]
    assert again, "nothing ran on the slot of the lost node any more"
    assert _placed(rows)[slot] != lost
    assert any(isinstance(event, RunStopped) for event in after)


def _once_each(rows: Sequence[Row]) -> None:
    """Each admitted experiment has exactly one verdict."""
    queued = Counter(e.event.experiment_id for e in rows if isinstance(e.event, ExperimentQueued))
    judged = Counter(e.event.experiment_id for e in rows if isinstance(e.event, VerdictGiven))
    assert queued == judged
    assert set(queued.values()) == {1}
    assert sum(name.startswith("e") for name in queued) >= EXPERIMENTS
