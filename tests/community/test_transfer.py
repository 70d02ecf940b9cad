"""Gains at another size: trees taken apart and resized, and what runs side by side say of them."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from archive_script import BASE, opened, queued, rows, verdict
from scipy import stats

from community.archive.state import RunState
from community.errors import TransferError
from community.events import Event, Proposed, Row
from community.transfer.findings import Gain, carried, findings_of, sized
from community.transfer.plan import Group, Plan, Variant, resized, value_of
from community.transfer.report import write_report
from community.transfer.task_copy import copy_task, size_name
from community.transfer.wording import lines
from trainer.task import find_task, load_task

GROUPS = (Group(("1" * 40,), "wider", ("h1",), 0.2), Group(("2" * 40,), "faster", ("h2",), 0.1))
NAMES = {("start", -1): BASE, ("leader", -1): "a" * 40, ("without", 0): "9" * 40,
         ("without", 1): "c" * 40, ("only", 0): "d" * 40, ("only", 1): "e" * 40}  # fmt: skip
PLAN = Plan(
    "r1", "f" * 40, "both", GROUPS, tuple(Variant(p, g, {}) for p, g in NAMES), ()
)  # fmt: skip


def _run(gains: dict[tuple[str, int], float], noise: float, seeds: int, seed: int = 0) -> RunState:
    """Return a run in which each tree scores 3 less its gain, each block has a shift of its own."""
    chance = random.Random(seed)
    events: list[tuple[int, Event]] = [(0, opened())]
    for (part, group), commit in NAMES.items():
        knobs = {"names": [[part, group]]}
        events.append((0, Proposed(commit, (BASE,), commit, "lab", part, knobs)))
    number = 0
    for pair in range(1, seeds + 1):
        shift = chance.gauss(0, 10 * noise)
        for name, commit in NAMES.items():
            number += 1
            run = queued(f"t{number:04}", "transfer", commit, commit, split="vault", pair=pair,
                         slot="cpu0", measurement=number, hypothesis="")  # fmt: skip
            score = 3.0 + shift - gains.get(name, 0.0) + chance.gauss(0, noise)
            events += [(number, run), (number, verdict(run, score))]
    return RunState.from_rows(rows(events))


def test_gains_and_intervals_are_those_of_a_block_design() -> None:
    """The block's shift cancels, the spread is pooled over trees: by hand it comes to the same."""
    gains = {("leader", -1): 0.3, ("without", 0): 0.1, ("without", 1): 0.2}
    found = sized(PLAN, "as it was", _run(gains, 0.01, 4))
    assert found.whole is not None
    scores = {
        name: [
            e.verdict.score
            for e in _run(gains, 0.01, 4).experiments.values()
            if e.queued.commit == commit and e.verdict is not None and e.verdict.score is not None
        ]
        for name, commit in NAMES.items()
    }
    blocks = [sum(each) / len(each) for each in zip(*scores.values(), strict=True)]
    rest = [
        score - sum(row) / 4 - block + sum(blocks) / 4
        for row in scores.values()
        for score, block in zip(row, blocks, strict=True)
    ]
    df = (len(scores) - 1) * 3
    spread = (sum(each**2 for each in rest) / df) ** 0.5
    half = float(stats.t.ppf(0.975, df)) * spread * (2 / 4) ** 0.5
    value = (sum(scores["start", -1]) - sum(scores["leader", -1])) / 4
    assert (found.sigma, found.whole.df) == (pytest.approx(spread), df)
    assert found.whole.value == pytest.approx(value)
    assert (found.whole.low, found.whole.high) == pytest.approx((value - half, value + half))


def test_what_carries_over_is_told_from_what_does_not() -> None:
    """One change is worth as much at the other size, one is worth nothing any more."""
    before = _run({("leader", -1): 0.3, ("without", 0): 0.1, ("without", 1): 0.2}, 0.005, 4)
    after = _run({("leader", -1): 0.2, ("without", 1): 0.2}, 0.005, 4, seed=1)
    found = findings_of(PLAN, ("as it was", before), ("DEPTH = 6", after))
    assert [group.outcome for group in found.groups] == ["carried", "lost"]
    assert found.whole.outcome == "carried"
    told = "\n".join(lines(found, "bits"))
    assert "Did not carry over: faster." in told
    assert re.search(r"wider carries over: \+0\.\d+ \(.*\) before, \+0\.\d+ \(.*\) there", told)


@pytest.mark.parametrize(
    ("before", "after", "p_before", "p", "outcome"),
    [
        (0.2, 0.2, 0.001, 0.001, "carried"),
        (0.2, -0.2, 0.001, 0.001, "reversed"),
        (0.2, 0.0, 0.001, 0.9, "lost"),
        (0.2, 0.15, 0.001, 0.2, "open"),
        (0.0, 0.0, 0.8, 0.9, "none"),
        (0.0, 0.2, 0.8, 0.001, "carried"),
    ],
)
def test_outcomes(before: float, after: float, p_before: float, p: float, outcome: str) -> None:
    """What is lost was there, is not, and is certainly less; all else that is not shown is open."""
    gains = [Gain(value, value - 0.1, value + 0.1, 0.04, 15, 0.5) for value in (before, after)]
    assert carried("x", gains[0], gains[1], p_before, p).outcome == outcome


def test_a_tree_with_a_run_that_has_no_score_has_no_gain(tmp_path: Path) -> None:
    """Else only its lucky runs would count; the report says why, and is written all the same."""
    state = _run({}, 0.01, 2)
    run = queued("t9999", "transfer", NAMES["only", 0], NAMES["only", 0], split="vault", pair=3,
                 slot="cpu0", measurement=99, hypothesis="")  # fmt: skip
    for event in (run, verdict(run, None)):
        state.apply(Row(state.last_seq + 1, state.last_us, event))
    found = findings_of(PLAN, ("as it was", _run({}, 0.01, 2)), ("DEPTH = 6", state))
    assert found.after.only[0] is None
    assert found.after.invalid == {("only", 0): "crash"}
    page = write_report(found, "bits", tmp_path, "community transfer <r>").read_text()
    assert "crash" in page
    assert "community transfer &lt;r&gt;" in page
    assert (tmp_path / "transfer.png").read_bytes()[:4] == b"\x89PNG"


def test_a_constant_is_set_where_it_is_bound_and_nowhere_else() -> None:
    """One literal at top level; else it is said what is wrong, and what there is."""
    tree = {"train.py": b"DEPTH = 4  # blocks\nRATE = 0.1\n", "notes.md": b"DEPTH = 4\n"}
    made = resized(tree, {"DEPTH": 12, "RATE": 0.25}, "the start")
    assert made == {"train.py": b"DEPTH = 12  # blocks\nRATE = 0.25\n", "notes.md": b"DEPTH = 4\n"}
    assert value_of(tree, "DEPTH", "the start") == 4
    for text in (b"DEPTH = 4\nDEPTH = 5\n", b"DEPTH = 2 * 2\n"):
        with pytest.raises(TransferError, match="DEPTH"):
            resized({"train.py": text}, {"DEPTH": 12}, "the leader")
    with pytest.raises(TransferError, match="such are DEPTH, RATE"):
        resized(tree, {"WIDTH": 12}, "the start")
    with pytest.raises(TransferError, match=r"a\.py.*b\.py"):
        resized({"a.py": b"DEPTH = 4\n", "b.py": b"DEPTH = 4\n"}, {"DEPTH": 12}, "the start")


async def test_the_task_at_another_size_is_a_copy_whose_caps_grow(tmp_path: Path) -> None:
    """The task itself is untouched; a knob's range holds the new value."""
    task = load_task(find_task("nanolm", tmp_path))
    files = {path: path.read_bytes() for path in task.folder.rglob("*") if path.is_file()}
    made = await copy_task(task, {"DEPTH": 8}, tmp_path / f"nanolm-{size_name({'DEPTH': 8})}")
    assert made.name == "nanolm-depth-8"
    assert value_of(made.start, "DEPTH", "it") == 8
    assert made.artefact_bytes == 2 * task.artefact_bytes
    assert made.loading_cpu_s == 2 * task.loading_cpu_s
    assert made.knobs_toml is not None
    assert "high = 8\n" in made.knobs_toml
    assert files == {p: p.read_bytes() for p in task.folder.rglob("*") if p.is_file()}
    assert await copy_task(task, {"DEPTH": 8}, made.folder) == made
    capped = load_task(find_task("digits", tmp_path))
    larger = await copy_task(capped, {"DEPTH": 4}, tmp_path / "digits-depth-4")
    assert [(c.measure, c.most) for c in larger.constraints] == [("parameters", 600_000)]
    assert larger.guards == capped.guards
