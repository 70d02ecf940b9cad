"""What people are told of a graph: two lines of `show`, the same as JSON, a line per change."""

from __future__ import annotations

import dataclasses
import json

from archive_script import S, hypothesis, rows, story

from community.archive.state import RunState
from community.cli.lines import row_line
from community.scenario import TopologySection
from community.show.folding import shown
from community.show.text import summary_lines
from community.topology import build_topology

NAMES = ("ada", "ben", "cyd")


def test_a_run_tells_its_graph_as_it_is_now() -> None:
    """Edges, how often it changed and why, what is lost and on its way, and the measures."""
    ring = build_topology(NAMES, TopologySection(family="complete"), 1)
    line = build_topology(NAMES, TopologySection(family="line"), 1)
    late = dataclasses.replace(
        hypothesis("p9", "ada", "9" * 40, 0.1, ben="diff", cyd="diff"),
        due_us={"cyd": 500 * S},
        lost={"dan": "diff"},
    )
    events = [
        *story()[:-1],
        (1, ring.as_event()),
        (60, line.as_event(1, "adaptive")),
        (99, late),
    ]
    told = rows(events)
    state = RunState.from_rows(told)
    record = shown(state, "hash")
    lines = "\n".join(summary_lines(record))
    assert (
        "topology: 4 edges, rewired once (adaptive); copies on their way: 1; lost: 1\n"
        "  density 0.67, clustering 0.00, mean path length 1.33, spectral gap 1.00, "
        "degree inequality 0.17, connected\n" in lines
    )
    assert json.loads(record.as_json())["topology"]["measures"]["density"] == 4 / 6
    changes = [row_line(row, state) for row in told if row.event.kind == "topology_set"]
    assert changes == [None, "the topology is rewired (adaptive): 4 edges"]


def test_an_older_ledger_has_no_graph_to_tell_of() -> None:
    """Nothing is said where the ledger holds none."""
    record = shown(RunState.from_rows(rows()), "hash")
    assert record.topology is None
    assert "topology" not in "\n".join(summary_lines(record))
