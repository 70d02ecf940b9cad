"""The loop of agents that copy or flip a bit: against plain Python, relabelled, parted, alone."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from community.classics import networks as nets
from community.classics.copying import Conduct, flips_drawn, trajectory
from community.classics.draws import keys_from
from community.classics.exact import climber_mean
from community.classics.networks import Network
from community.classics.orders import Order
from community.landscapes.nk import NK, local_optima

BITS = 10
ORDERS = get_args(Order)
KEYS = keys_from(np.random.default_rng(7))
HARD = NK.draw(BITS, 4, np.random.default_rng(11)).all_fitness()
COARSE = NK.draw(BITS, 3, np.random.default_rng(12), decimals=1).all_fitness()
"""Many equally good solutions."""


def starts_of(agents: int, seed: int = 5) -> np.ndarray:
    """Return solutions to begin with."""
    return np.random.default_rng(seed).integers(2**BITS, size=agents)


def graph_of(name: str, agents: int) -> Network:
    """Return a network by name."""
    return {
        "complete": nets.complete,
        "line": nets.line,
        "lattice": lambda n: nets.ring_lattice(n, 4),
        "directed": lambda n: nets.directed_lattice(n, 3),
        "isolated": nets.isolated,
    }[name](agents)


def by_the_book(
    values: np.ndarray, network: Network, starts: np.ndarray, flips: np.ndarray, copies: str
) -> np.ndarray:
    """Follow the paper's text, agent by agent: synchronous, everybody is looked at."""
    rounds = [[int(start) for start in starts]]
    for row in flips:
        old = rounds[-1]
        new = []
        for agent, own in enumerate(old):
            others = [old[int(other)] for other in network.contacts_of(agent)]
            best = max(others, key=lambda state: values[state]) if others else None
            as_good = best is not None and values[best] == values[own] and copies != "better"
            if best is not None and (values[best] > values[own] or as_good):
                new.append(best)
                continue
            flipped = own ^ (1 << int(row[agent]))
            new.append(flipped if values[flipped] > values[own] else own)
        rounds.append(new)
    return np.array(rounds)


@pytest.mark.parametrize("copies", ["better", "better_or_equal"])
@pytest.mark.parametrize("name", ["complete", "line", "lattice", "directed", "isolated"])
def test_the_loop_does_what_the_text_says(name: str, copies: str):
    """Told starts and flips, every agent is every round where plain Python puts it."""
    network, starts = graph_of(name, 12), starts_of(12)
    flips = np.random.default_rng(3).integers(BITS, size=(40, 12), dtype=np.uint8)
    told = trajectory(
        HARD, network, starts, Conduct(copies=copies), KEYS, 40, until_settled=False, flips=flips
    )  # fmt: skip
    np.testing.assert_array_equal(told, by_the_book(HARD, network, starts, flips, copies))


def test_flips_that_are_looked_up_are_those_that_are_told():
    """Who asks for the flips and tells them gets the run that looks them up itself."""
    network, starts = nets.ring_lattice(12, 4), starts_of(12)
    flips = flips_drawn(KEYS, 30, 12, BITS)
    looked_up = trajectory(HARD, network, starts, Conduct(), KEYS, 30, until_settled=False)
    told = trajectory(HARD, network, starts, Conduct(), KEYS, 30, until_settled=False, flips=flips)
    np.testing.assert_array_equal(looked_up, told)
    share = np.bincount(flips_drawn(KEYS, 2000, 12, BITS).ravel(), minlength=BITS) / 24000
    assert np.abs(share - 0.1).max() < 4.5 * math.sqrt(0.09 / 24000)


@pytest.mark.parametrize("copies", ["better", "better_or_equal"])
@pytest.mark.parametrize("values", [HARD, COARSE], ids=["hard", "coarse"])
def test_the_short_cut_for_everybody_changes_nothing(values: np.ndarray, copies: str):
    """A complete graph that is listed link by link gives the run of one that is not."""
    listed = nets.from_matrix(np.ones((15, 15), dtype=bool))
    assert not listed.is_complete
    conduct = Conduct(copies=copies)
    for seed in range(6):
        starts = starts_of(15, seed)
        runs = [
            trajectory(values, graph, starts, conduct, KEYS, 60)
            for graph in (nets.complete(15), listed)
        ]
        np.testing.assert_array_equal(*runs)


@pytest.mark.parametrize("values", [HARD, COARSE], ids=["hard", "coarse"])
@pytest.mark.parametrize("name", ["complete", "line", "lattice", "directed"])
def test_the_quick_round_of_the_plain_model_changes_nothing(name: str, values: np.ndarray):
    """Who looks at others all but once in a trillion turns goes the long way, and gets there."""
    network = graph_of(name, 15)
    for seed in range(4):
        keys, starts = keys_from(np.random.default_rng(seed)), starts_of(15, seed)
        quick, long = (
            trajectory(values, network, starts, Conduct(velocity=velocity), keys, 60)
            for velocity in (1.0, 1 - 1e-12)
        )
        np.testing.assert_array_equal(quick, long)


CONDUCTS = [
    Conduct(),
    Conduct(velocity=0.5),
    Conduct(copy_error=0.2),
    Conduct(copies="better_or_equal", velocity=0.7),
]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("conduct", CONDUCTS, ids=str)
def test_labels_mean_nothing(conduct: Conduct, order: Order):
    """Agents in another order, each with its own links, start and luck: the same lives."""
    agents = 14
    sees = nets.ring_lattice(agents, 4).matrix()
    label = np.random.default_rng(2).permutation(agents)
    starts, acts = starts_of(agents), replace(conduct, order=order)
    plain = trajectory(HARD, nets.from_matrix(sees), starts, acts, KEYS, 50, until_settled=False)
    moved = trajectory(
        HARD,
        nets.from_matrix(sees[np.ix_(label, label)]),
        starts[label],
        acts,
        KEYS,
        50,
        until_settled=False,
        names=label,
    )
    np.testing.assert_array_equal(plain[:, label], moved)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("conduct", [*CONDUCTS, Conduct(rule="common", sample=3)], ids=str)
def test_a_network_in_parts_is_its_parts(conduct: Conduct, order: Order):
    """Two components in one run are what each is in a run of its own."""
    sees = np.zeros((13, 13), dtype=bool)
    sees[:6, :6] = nets.complete(6).matrix()
    sees[6:, 6:] = nets.ring_lattice(7, 4).matrix()
    starts, acts = starts_of(13), replace(conduct, order=order)
    together = trajectory(HARD, nets.from_matrix(sees), starts, acts, KEYS, 60, until_settled=False)
    for part in (slice(0, 6), slice(6, 13)):
        alone = trajectory(
            HARD,
            nets.from_matrix(sees[part, part]),
            starts[part],
            acts,
            KEYS,
            60,
            until_settled=False,
            names=np.arange(13)[part],
        )
        np.testing.assert_array_equal(together[:, part], alone)


@pytest.mark.parametrize("order", ["synchronous", "sequential"])
def test_one_agent_is_the_lone_agent(order: Order):
    """Whatever the rule of copying, one agent climbs as one that never looks at anybody."""
    lone = trajectory(HARD, nets.isolated(1), starts_of(1), Conduct(rule="none"), KEYS, 80)
    for conduct in (Conduct(order=order), Conduct(copies="better_or_equal", order=order)):
        for network in (nets.complete(1), nets.isolated(1), nets.line(1)):
            run = trajectory(HARD, network, starts_of(1), conduct, KEYS, 80)
            np.testing.assert_array_equal(run, lone)


@pytest.mark.parametrize("order", ORDERS)
def test_lone_agents_climb_a_smooth_hill_as_the_formula_says(order: Order):
    """K = 0: 2/3 - (1 - 1/n)^t / 6 in rounds; with clocks of one's own the mean of it over t."""
    rounds, climbers, heights = 8, 40, []
    for index in range(300):
        rng = np.random.default_rng([index, 4])
        values = NK.draw(BITS, 0, rng).all_fitness()
        starts = rng.integers(2**BITS, size=climbers)
        run = trajectory(
            values, nets.isolated(climbers), starts, Conduct(order=order), keys_from(rng), rounds,
            until_settled=False,
        )  # fmt: skip
        heights.append(values[run[-1]].mean())
    error = np.std(heights, ddof=1) / math.sqrt(len(heights))
    by_clock = 2 / 3 - math.exp(-rounds / BITS) / 6
    expected = by_clock if order == "exponential" else climber_mean(BITS, rounds)
    assert abs(np.mean(heights) - expected) < 3.5 * error


def test_with_clocks_of_their_own_some_act_twice_and_some_not_at_all():
    """On a landscape where every flip of a zero is better, flips count turns: a Poisson number."""
    up = np.array([bin(state).count("1") for state in range(2**16)], dtype=float) / 16
    agents = 4000
    run = trajectory(
        up,
        nets.isolated(agents),
        np.zeros(agents, dtype=np.int64),
        Conduct(order="exponential"),
        KEYS,
        1,
        until_settled=False,
    )
    ones = np.array([bin(state).count("1") for state in run[-1]])
    idle, twice = float((ones == 0).mean()), float((ones >= 2).mean())
    assert abs(idle - math.exp(-1)) < 4 * math.sqrt(0.24 / agents)
    assert 0.2 < twice < 1 - 2 * math.exp(-1)  # a bit that is flipped twice is not flipped back


def test_in_turn_news_travels_within_a_round():
    """Synchronously it passes one link a round; in turn it may pass many."""
    agents = 30
    values = np.linspace(0.1, 0.2, 2**BITS)
    values[0] = 1.0
    starts = np.full(agents, 2**BITS - 1)
    starts[0] = 0
    reached = {}
    for order in ("synchronous", "sequential"):
        run = trajectory(values, nets.line(agents), starts, Conduct(order=order), KEYS, 10)
        reached[order] = int((run[10] == 0).sum())
    assert reached["synchronous"] == 11
    assert reached["sequential"] > 14


@pytest.mark.parametrize("conduct", CONDUCTS, ids=str)
def test_who_has_settled_never_moves_again(conduct: Conduct):
    """A run that ends by itself is the beginning of the run that does not."""
    for seed in range(5):
        starts, keys = starts_of(20, seed), keys_from(np.random.default_rng(seed))
        network = nets.ring_lattice(20, 4)
        short = trajectory(HARD, network, starts, conduct, keys, 3000)
        full = trajectory(HARD, network, starts, conduct, keys, 3000, until_settled=False)
        assert len(short) < len(full)
        np.testing.assert_array_equal(short, full[: len(short)])
        assert (full[len(short) :] == short[-1]).all()
        if conduct.copies == "better":
            assert local_optima(HARD)[short[-1]].all()


def looking_at(states: list[int], conduct: Conduct, runs: int = 4000) -> Counter[int]:
    """Return what the first of some agents takes over in its first turn, over many draws."""
    values = np.linspace(0.1, 0.9, 2**BITS)
    agents = len(states) + 1
    starts = np.array([0, *states])
    taken: Counter[int] = Counter()
    rng = np.random.default_rng(9)
    for _ in range(runs):
        network = nets.star(agents)
        run = trajectory(
            values, network, starts, conduct, keys_from(rng), 1, until_settled=False,
            flips=np.zeros((1, agents), dtype=np.uint8),
        )  # fmt: skip
        taken[int(run[1, 0])] += 1
    return taken


def shares(taken: Counter[int]) -> dict[int, float]:
    """Return counts as shares."""
    return {state: count / taken.total() for state, count in taken.items()}


def test_a_sample_is_drawn_evenly_and_without_repeats():
    """The best of two of five is the k-th best with probability C(k - 1, 1) / C(5, 2)."""
    hub = Conduct(sample=2)
    graph = nets.from_matrix(np.ones((6, 6), dtype=bool))
    values = np.linspace(0.1, 0.9, 2**BITS)
    starts = np.array([0, 10, 20, 30, 40, 50])
    taken: Counter[int] = Counter()
    rng = np.random.default_rng(1)
    for _ in range(4000):
        run = trajectory(values, graph, starts, hub, keys_from(rng), 1)
        taken[int(run[1, 0])] += 1
    for place, state in enumerate((10, 20, 30, 40, 50)):
        assert abs(taken[state] / 4000 - place / 10) < 4 * math.sqrt(0.25 / 4000)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([9, 9, 30], {9: 1.0}),
        ([9, 30, 500], {1: 1.0}),
        ([9, 9, 30, 30], {9: 0.5, 30: 0.5}),
        ([9, 9, 9, 30, 30, 500], {9: 1.0}),
        ([0, 0, 30], {1: 1.0}),
    ],
)
def test_the_most_common_is_taken(states: list[int], expected: dict[int, float]):
    """A majority, nobody where all differ (a flip then), a tie by lot, never what is no better."""
    taken = shares(looking_at(states, Conduct(rule="common"), 1000))
    assert set(taken) == set(expected)
    assert all(abs(taken[state] - share) < 0.07 for state, share in expected.items())


def test_one_at_random_is_taken():
    """Each contact is as likely; without a search of its own an agent with a worse one stays."""
    random = Conduct(rule="random", searches=False)
    taken = shares(looking_at([9, 30, 0, 500], random))
    assert set(taken) == {0, 9, 30, 500}
    assert all(abs(share - 0.25) < 0.03 for share in taken.values())


def test_velocity_is_how_often_others_are_looked_at():
    """With velocity 0.3, three of ten turns copy, the others flip."""
    taken = shares(looking_at([500], Conduct(velocity=0.3)))
    assert set(taken) == {1, 500}
    assert taken[500] == pytest.approx(0.3, abs=0.03)


def test_copy_errors_hit_bits_that_differ_and_never_make_worse():
    """Of 0b1100, each bit gets lost with probability 0.25; what is worse than nothing is undone."""
    taken = shares(looking_at([0b1100], Conduct(copy_error=0.25)))
    expected = {0b1100: 9 / 16, 0b1000: 3 / 16, 0b0100: 3 / 16, 0: 1 / 16}
    assert set(taken) == set(expected)
    assert all(abs(taken[state] - share) < 0.035 for state, share in expected.items())
    falling = np.linspace(0.9, 0.1, 2**BITS)
    falling[0b1100] = (
        1.0  # all that a mistake could make of it is worse than 0b0011 but for 0, 1, 2
    )
    rng = np.random.default_rng(4)
    for _ in range(300):
        run = trajectory(
            falling, nets.complete(2), np.array([0b0011, 0b1100]),
            Conduct(copy_error=0.5), keys_from(rng), 1,
        )  # fmt: skip
        assert falling[run[1, 0]] >= falling[0b0011]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"network": nets.line(4)}, "network of 4"),
        ({"conduct": Conduct(sample=3)}, "sample of 3"),
        ({"conduct": Conduct(velocity=1.5)}, "probabilities"),
        ({"horizon": -1}, "horizon"),
        ({"values": HARD[:-1]}, "not those of all strings"),
        ({"flips": np.zeros((3, 5), dtype=np.uint8)}, "flips"),
        (
            {
                "conduct": Conduct(order="exponential"),
                "flips": np.zeros((20, 5), dtype=np.uint8),
            },
            "flips",
        ),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], word: str):
    """Before anything is computed, in a sentence."""
    given: dict[str, object] = {
        "values": HARD,
        "network": nets.line(5),
        "starts": starts_of(5),
        "conduct": Conduct(),
        "keys": KEYS,
        "horizon": 20,
    }
    with pytest.raises(ValueError, match=word):
        trajectory(**(given | change))  # type: ignore[arg-type]
