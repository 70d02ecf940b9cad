"""Networks of the published models: who sees whom, and the shapes that the papers state."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from community.classics import networks as nets
from community.classics.networks import Network, shape_of
from community.scenario import TopologySection


def contacts(network: Network) -> list[list[int]]:
    """Return whom each sees."""
    return [network.contacts_of(agent).tolist() for agent in range(network.n)]


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (nets.complete(4), [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]),
        (nets.line(4), [[1], [0, 2], [1, 3], [2]]),
        (nets.star(4), [[1, 2, 3], [0], [0], [0]]),
        (nets.isolated(3), [[], [], []]),
        (nets.directed_lattice(4, 2), [[1, 2], [2, 3], [0, 3], [0, 1]]),
        (nets.ring_lattice(5, 2), [[1, 4], [0, 2], [1, 3], [2, 4], [0, 3]]),
        (nets.complete(1), [[]]),
        (nets.line(1), [[]]),
    ],
)
def test_everybody_sees_whom_the_family_says(network: Network, expected: list[list[int]]):
    """Listed, ascending, never oneself; and the same as a matrix, and back."""
    assert contacts(network) == expected
    assert network.n == len(expected)
    assert network.least_contacts() == min(len(each) for each in expected)
    again = nets.from_matrix(network.matrix())
    assert contacts(again) == expected


def test_the_lattices_have_their_published_shapes():
    """Density .04; and .730 and 1.848 for the directed one, its directions left out."""
    lattice = nets.ring_lattice(100, 4)
    assert lattice.matrix().mean() * 100 / 99 == pytest.approx(0.0404, abs=1e-4)
    directed = shape_of(nets.directed_lattice(100, 19))
    assert directed.clustering == pytest.approx(0.730, abs=5e-4)
    assert directed.mean_distance == pytest.approx(1.848, abs=5e-4)


def test_the_ring_of_caves_has_the_published_shape():
    """100 agents in caves of 20: clustering .984, mean distance 3.828, 19 links each."""
    shape = shape_of(nets.ring_of_caves(100, 20))
    assert shape.clustering == pytest.approx(0.984, abs=5e-4)
    assert shape.mean_distance == pytest.approx(3.828, abs=5e-4)
    assert (shape.least_degree, shape.most_degree) == (19, 19)


def test_shapes_of_graphs_that_are_known():
    """Everybody, a line, two parts."""
    full, path = shape_of(nets.complete(6)), shape_of(nets.line(5))
    assert (full.clustering, full.mean_distance) == (pytest.approx(1), 1)
    assert (path.clustering, path.mean_distance) == (0, 2)
    assert shape_of(nets.isolated(3)).mean_distance == np.inf


@pytest.mark.parametrize("rewired", [0, 10, 60])
def test_rewired_lattices_stay_in_one_piece_and_keep_their_links(rewired: int):
    """So many links lead elsewhere; their number is the lattice's, and nobody is cut off."""
    drawn = nets.rewired_lattice(60, 4, rewired)(np.random.default_rng(rewired))
    lattice = nets.ring_lattice(60, 4).matrix()
    sees = drawn.matrix()
    assert (sees == sees.T).all()
    assert sees.sum() == lattice.sum()
    moved = int((lattice & ~sees).sum()) // 2
    assert rewired * 0.8 <= moved <= rewired  # one may be moved where another was taken away
    assert np.isfinite(shape_of(drawn).mean_distance)


def test_a_rewiring_that_would_part_the_network_is_skipped():
    """A ring of two links each is parted by every second move; what is left is still one piece."""
    for seed in range(20):
        drawn = nets.rewired_lattice(12, 2, 12)(np.random.default_rng(seed))
        assert np.isfinite(shape_of(drawn).mean_distance)


@pytest.mark.parametrize(
    "drawn",
    [
        nets.erdos_renyi(40, 0.2),
        nets.small_world(40, 4, 0.2),
        nets.caveman(40, 5, 0.1),
        nets.rewired_lattice(40, 4, 8),
    ],
)
def test_drawn_networks_follow_from_their_generator_alone(drawn: nets.Drawn):
    """The same stream, the same network, also in another process; another stream, another."""
    sent = pickle.loads(pickle.dumps(drawn))
    one, same, other = (
        draw(np.random.default_rng(seed)).matrix()
        for draw, seed in ((drawn, 1), (sent, 1), (drawn, 2))
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_families_of_the_community_can_be_had_by_their_section():
    """A hierarchy, say; one that does not fit says why."""
    tree = nets.family(7, TopologySection(family="hierarchy", branching=2))
    assert contacts(tree)[0] == [1, 2]
    assert nets.family(5, TopologySection(family="complete")).is_complete
    with pytest.raises(ValueError, match="even k"):
        nets.ring_lattice(5, 3)


def test_numbers_that_make_no_network_are_refused():
    """Each with what would."""
    with pytest.raises(ValueError, match="caves"):
        nets.ring_of_caves(100, 30)
    with pytest.raises(ValueError, match="caves"):
        nets.ring_of_caves(40, 20)
    with pytest.raises(ValueError, match="give 1 to"):
        nets.directed_lattice(5, 5)
    with pytest.raises(ValueError, match="the lattice has"):
        nets.rewired_lattice(10, 4, 21)
