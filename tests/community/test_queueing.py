"""The queue discipline: classes first, then fair share, then age."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from archive_script import queued
from hypothesis import given
from hypothesis import strategies as st

from community.archive.state import RunState
from community.people import worth_by_people
from community.queueing import (
    FIRST_CLASS,
    HALF_LIFE_S,
    LAST_CLASS,
    PATIENCE,
    PoolSpend,
    Queue,
    Waiting,
)


@pytest.fixture
def worths() -> dict[str, float]:
    """Give what hypotheses are expected to be worth; filled by the test."""
    return {}


@pytest.fixture
def queue(worths: dict[str, float]) -> Queue:
    """Give an empty queue at run time 0."""
    return Queue(lambda: 0.0, lambda hypothesis: worths.get(hypothesis, 1.0))


def put(
    queue: Queue,
    name: str,
    who: str,
    purpose: str = "screen",
    hypothesis: str = "p1",
    slot: str = "",
) -> None:
    """Queue an experiment."""
    experiment = queued(name, purpose, "c", "t", charged_to=who, hypothesis=hypothesis)
    queue.put(Waiting(replace(experiment, slot=slot), attempt=1))


def picked(queue: Queue, slot: str = "cpu0") -> list[str]:
    """Empty the queue of what may run on a slot; return the names in the order of picking."""
    names = []
    while (waiting := queue.pick(slot)) is not None:
        names.append(waiting.experiment.experiment_id)
    return names


def test_confirmations_go_before_screens(queue: Queue) -> None:
    """A confirmation that came last is picked first."""
    put(queue, "e1", "ada")
    put(queue, "e2", "bob", purpose="confirm_child")
    assert picked(queue) == ["e2", "e1"]


def test_screens_go_by_expected_worth(queue: Queue, worths: dict[str, float]) -> None:
    """What is worth more goes first, whoever came first; what is worth nothing goes last."""
    worths.update({"p3": 4.0, "p4": 2.0, "p5": 0.5, "p1": 0.0})
    for name in ("e1", "e2", "e3", "e4", "e5"):
        put(queue, name, "ada", hypothesis=name.replace("e", "p"))
    assert picked(queue) == ["e3", "e4", "e2", "e5", "e1"]


def test_a_little_more_worth_does_not_outweigh_a_fair_share(
    queue: Queue, worths: dict[str, float]
) -> None:
    """Within a class, which spans a factor of two, it is the turn of who has used least."""
    queue.usage.charge("ada", 30.0, 0.0)
    worths["p1"] = 1.3
    put(queue, "e1", "ada", hypothesis="p1")
    put(queue, "e2", "bob", hypothesis="p2")
    assert picked(queue) == ["e2", "e1"]


def test_who_used_least_goes_first(queue: Queue) -> None:
    """A researcher who has had the pool waits behind one who has not."""
    queue.usage.charge("ada", 30.0, 0.0)
    put(queue, "e1", "ada")
    put(queue, "e2", "bob")
    put(queue, "e3", "ada")
    assert picked(queue) == ["e2", "e1", "e3"]


def test_old_use_counts_for_less() -> None:
    """One half-life halves what was used."""
    usage = PoolSpend()
    usage.charge("ada", 10.0, 0.0)
    assert usage.of("ada", HALF_LIFE_S) == pytest.approx(5.0)
    assert usage.of("bob", HALF_LIFE_S) == 0.0


async def test_ready_waits_for_the_first_experiment(queue: Queue) -> None:
    """An emptied queue is not ready until something is put in."""
    put(queue, "e1", "ada")
    await queue.ready("cpu0")
    assert picked(queue) == ["e1"]
    waiting = asyncio.create_task(queue.ready("cpu0"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    put(queue, "e2", "ada")
    await waiting


async def test_a_pinned_experiment_wakes_its_own_slot_alone(queue: Queue) -> None:
    """Other slots neither get it nor turn round for it."""
    put(queue, "e1", "ada", slot="cpu1")
    elsewhere = asyncio.create_task(queue.ready("cpu0"))
    await queue.ready("cpu1")
    await asyncio.sleep(0)
    assert not elsewhere.done()
    assert queue.pick("cpu0") is None
    put(queue, "e2", "ada")
    await elsewhere
    assert picked(queue, "cpu1") == ["e1", "e2"]


def test_what_is_pinned_goes_first_and_overtakes_nobody_elsewhere(queue: Queue) -> None:
    """Somebody waits for it; and a slot it could not have had does not count as a turn missed."""
    put(queue, "e1", "ada")
    put(queue, "e2", "ada", slot="cpu0")
    put(queue, "e3", "ada", slot="cpu1")
    put(queue, "e4", "ada", purpose="sentinel", slot="cpu0")
    assert picked(queue) == ["e2", "e4", "e1"]
    assert picked(queue, "cpu1") == ["e3"]


def test_whom_everybody_passes_moves_up(queue: Queue, worths: dict[str, float]) -> None:
    """A hopeless experiment is not left behind for ever by newer ones."""
    worths["p9"] = 0.0
    put(queue, "e1", "ada", hypothesis="p9")
    order = []
    for number in range(2, 15):
        put(queue, f"e{number}", f"other{number}")
        order.append(picked_one(queue))
    assert "e1" in order[2 * PATIENCE - 1 :]
    assert "e1" not in order[: 2 * PATIENCE - 1]


def picked_one(queue: Queue) -> str:
    """Pick one; return its name."""
    waiting = queue.pick("cpu0")
    assert waiting is not None
    return waiting.experiment.experiment_id


@given(st.lists(st.floats(0.0, 1e6), min_size=60, max_size=60), st.integers(1, 4))
def test_no_word_is_a_veto(worths_of_others: list[float], slots: int) -> None:
    """Whatever newer claims are said to be worth, a hopeless one is tried within 24 picks."""
    queue = Queue(lambda: 0.0, lambda name: 0.0 if name == "p0" else worth[name])
    worth = {f"p{n}": value for n, value in enumerate(worths_of_others, 1)}
    put(queue, "e0", "ada", hypothesis="p0")
    picks = 0
    for number in range(1, len(worths_of_others) + 1):
        for each in (number, number + len(worths_of_others)):  # two come for each that is picked
            put(queue, f"e{each}", f"other{each % 5}", hypothesis=f"p{number}")
        picks += 1
        waiting = queue.pick(f"cpu{number % slots}")
        assert waiting is not None
        queue.usage.charge(waiting.experiment.charged_to, 1.0, 0.0)
        if waiting.experiment.experiment_id == "e0":
            break
    assert picks <= (LAST_CLASS - FIRST_CLASS) * PATIENCE + 8


def test_a_veto_delays_and_never_forbids(queue: Queue, worths: dict[str, float]) -> None:
    """What a person vetoed with all his might is passed over for so long, and then tried."""
    state = RunState()
    state.forum.boosts.update({"p1": -7, "p2": 1, "p3": 0})
    worths.update({name: worth_by_people(state, name) for name in ("p1", "p2", "p3")})
    put(queue, "e1", "ada", hypothesis="p1")
    for number in range(40):
        put(queue, f"usual-{number}", "bob", hypothesis="p3")
    put(queue, "e2", "ada", hypothesis="p2")
    order = picked(queue)
    assert order[0] == "e2"
    classes = LAST_CLASS - FIRST_CLASS
    assert PATIENCE < order.index("e1") <= 1 + classes * PATIENCE
