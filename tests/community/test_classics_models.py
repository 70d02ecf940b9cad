"""The classic models at test sizes: they agree with print, are general, and repeat."""

from __future__ import annotations

import itertools
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest

from community.classics import fang, hearing, hong_page, march, potions, rosenstock, zollman
from community.classics.case import mean_and_error, verdicts
from community.landscapes.potions import DEREX_BOYD, Book

ORDERS = ("synchronous", "sequential", "exponential")


SIZES = {zollman: 0.02, rosenstock: 0.02, march: 0.01, hong_page: 0.02, fang: 0.1, potions: 0.5}


@pytest.mark.parametrize("model", SIZES, ids=lambda model: model.__name__.rpartition(".")[2])
def test_a_small_run_agrees_with_print(model):
    """Every number passes at a fraction of the stated size; claims want the whole of it."""
    cases = model.cases(size=SIZES[model], seed=1)
    judged = zip(cases, verdicts(cases), strict=True)
    assert [case.name for case, ok in judged if not ok and case.claim_p is None] == []
    assert len({case.name for case in cases}) == len(cases)


def test_graphs_are_the_ones_of_networkx():
    """Complete, cycle, star, wheel and caves have the edges that networkx gives them."""
    drawn = {
        "complete": (hearing.complete(7), nx.complete_graph(7)),
        "cycle": (hearing.cycle(7), nx.cycle_graph(7)),
        "star": (hearing.star(7), nx.star_graph(6)),
        "wheel": (hearing.wheel(7), nx.wheel_graph(7)),
        "caves": (hearing.caves(6, 5), nx.connected_caveman_graph(6, 5)),
    }
    for name, (ours, theirs) in drawn.items():
        assert (ours == nx.to_numpy_array(theirs, sorted(theirs)).astype(bool)).all(), name
    assert hearing.wheel_with_hub_in_rim(10).sum() == 2 * 10 + 2 * 7


def test_lists_are_the_rows_of_the_matrix():
    """A directed matrix with a loop gives each row's columns, without the loop."""
    matrix = np.array([[1, 1, 0], [0, 0, 0], [1, 1, 0]], dtype=bool)
    starts, who = hearing.lists(matrix)
    assert [who[a:b].tolist() for a, b in itertools.pairwise(starts)] == [[1], [], [0, 1]]
    with pytest.raises(ValueError, match="square"):
        hearing.lists(np.ones((2, 3)))


def plain_zollman(p: zollman.Parameters, hears: np.ndarray, replicate: int) -> tuple[bool, int]:
    """Return success and rounds of one synchronous community, in plain Python and its streams."""
    c = zollman.stream(5, replicate, "zollman: priors").random(p.n)
    rng = zollman.stream(5, replicate, "zollman: results")
    odds = [float(x / (1 - x)) for x in c]
    ratio, rounds = (0.5 + p.epsilon) / (0.5 - p.epsilon), 0
    heads = zollman.binom(p.trials, 0.5 + p.epsilon)
    while True:
        if not any(o > 1 for o in odds):
            return False, rounds
        if all(o > p.confident / (1 - p.confident) for o in odds):
            return True, rounds
        found = [int(heads.ppf(np.nextafter(rng.random(), 1))) if o > 1 else None for o in odds]
        rounds += 1
        for i in range(p.n):
            for j in range(p.n):
                if found[j] is not None and (i == j or hears[i, j]):
                    odds[i] *= ratio ** (2 * found[j] - p.trials)


@pytest.mark.parametrize("network", ["complete", "cycle", "wheel"])
def test_zollman_is_its_plain_twin(network: str):
    """Fed the same chances, the compiled community decides what plain Python does, and when."""
    p = zollman.Parameters(n=6, network=network, epsilon=0.05, trials=20)
    ours = zollman.simulate(p, 40, seed=5)
    twin = [plain_zollman(p, hearing.named(network, 6), i) for i in range(40)]
    assert list(zip(ours.success.tolist(), ours.rounds.tolist(), strict=True)) == twin
    assert 0 < ours.success.mean() < 1


@pytest.mark.parametrize("n", [1, 2, 4, 10])
@pytest.mark.parametrize("order", ORDERS)
def test_no_complete_graph_falls_below_its_floor(n: int, order: str):
    """The exact bound holds for other sizes, trials and every update order, and is nearly met."""
    p = zollman.Parameters(n=n, network="complete", epsilon=0.005, trials=50, order=order)
    share, error = zollman.share_and_error(int(zollman.simulate(p, 3000).success.sum()), 3000)
    assert -3 * error < share - zollman.success_floor(n) < 0.05


def test_a_community_in_two_parts_is_two_communities():
    """Success of two unconnected threes is the product of theirs, and one agent hears nobody."""
    p = zollman.Parameters(n=6, epsilon=0.01, trials=100)
    parts = np.kron(np.eye(2), np.ones((3, 3))).astype(bool)
    both = zollman.simulate(p, 4000, hears=parts)
    three = zollman.simulate(replace(p, n=3, network="complete"), 4000, seed=1).success.mean()
    assert both.success.mean() == pytest.approx(three**2, abs=0.03)
    assert both.sure.mean() == pytest.approx(three, abs=0.03)
    alone = [zollman.simulate(replace(p, n=1, network=name), 50) for name in ("cycle", "isolated")]
    assert alone[0].rounds.tolist() == alone[1].rounds.tolist()


def test_labels_do_not_matter():
    """A cycle in another order of agents succeeds as often."""
    p = zollman.Parameters(n=8, epsilon=0.01, trials=100)
    mixed = np.random.default_rng(1).permutation(8)
    relabelled = hearing.cycle(8)[np.ix_(mixed, mixed)]
    one, other = (
        zollman.simulate(p, 3000, seed=s, hears=h).success for s, h in ((1, None), (2, relabelled))
    )
    assert one.mean() == pytest.approx(other.mean(), abs=0.03)


def test_an_equally_good_rival_and_a_worse_truth_are_worlds_of_their_own():
    """Where the new method is worse it is given up; a doubter who hears nobody is not asked."""
    worse = zollman.Parameters(n=5, epsilon=0.05, truth=0.45, trials=200)
    assert zollman.simulate(worse, 200).success.mean() < 0.02
    equal = zollman.simulate(zollman.Parameters(n=5, epsilon=0.05, rival="equal"), 200)
    assert equal.success.mean() > 0.5


@pytest.mark.parametrize(
    "simulate",
    [
        lambda **how: zollman.simulate(zollman.Parameters(epsilon=0.02), 24, 3, **how).rounds,
        lambda **how: march.simulate(march.Parameters(p1=0.9), 24, 3, **how).code,
        lambda **how: hong_page.simulate(hong_page.Parameters(reach=5), 12, 3, **how).best,
        lambda **how: fang.simulate(fang.Parameters(groups=5), 12, 3, **how).payoff,
        lambda **how: potions.simulate(potions.Parameters(), 24, 3, **how).steps,
    ],
    ids=["zollman", "march", "hong_page", "fang", "potions"],
)
def test_the_number_of_processes_changes_nothing(simulate):
    """One process and two give the same replicates in the same order."""
    assert simulate(jobs=1).tolist() == simulate(jobs=2).tolist()


@pytest.mark.parametrize("order", ORDERS)
def test_march_settles_in_every_order(order: str):
    """The code ends where its members are."""
    p = march.Parameters(p1=0.9, p2=0.5, order=order)
    found = march.simulate(p, 300)
    assert found.periods.max() < p.horizon
    assert found.code.mean() == pytest.approx(found.individuals.mean(), abs=0.02)


@pytest.mark.parametrize("detail", [{"step": "direct"}, {"judged": "beliefs"}], ids=str)
def test_each_detail_that_march_left_out_matters(detail: dict[str, str]):
    """By the text's own rules the code knows less than by the program's."""
    p = march.Parameters(p1=0.1, p2=0.1)
    program, text = (march.simulate(each, 1000).code for each in (p, replace(p, **detail)))
    assert program.mean() - text.mean() > 0.008


def test_march_loses_what_it_knows_to_turbulence():
    """With turbulence knowledge decays to nothing, but newcomers keep some of it (Figure 5)."""
    p = march.Parameters(p1=0.5, p2=0.5, p4=0.02, horizon=300)
    still, moving = march.simulate(p, 60), march.simulate(replace(p, p3=0.1), 60)
    assert still.periods.tolist() == [300] * 60
    assert still.code.mean() < 0.15
    assert moving.code.mean() > still.code.mean() + 0.2


def test_solvers_stop_where_plain_climbing_stops():
    """Ends of all solvers on a small ring, and one team's relay, are those of plain Python."""
    values = np.random.default_rng(2).uniform(0, 100, 40)
    every = hong_page.solvers(4, 3)
    assert every.shape == (24, 3)
    ends = hong_page._ends(values, np.argsort(-values), every, True)

    def climbed(at: int, solver: np.ndarray) -> int:
        steps = itertools.cycle(solver.tolist())
        failed = 0
        while failed < 3:
            there = (at + next(steps)) % 40
            at, failed = (there, 0) if values[there] > values[at] else (at, failed + 1)
        return at

    assert ends.tolist() == [[climbed(at, solver) for at in range(40)] for solver in every]
    team = every[[3, 11, 20]]
    total = 0.0
    for at in range(40):
        while True:
            before = at
            for member in team:
                at = climbed(at, member)
            if at == before:
                break
        total += values[at]
    rng = np.random.default_rng(0)
    assert hong_page._score(rng, values, ends[[3, 11, 20]], 3, 0) == pytest.approx(total / 40)


def test_teams_of_other_sizes_orders_and_reach_work():
    """Two positions, a team of all, a tournament: nobody scores below the best solver alone."""
    for order in ("relay", *ORDERS):
        p = hong_page.Parameters(places=200, reach=6, steps=2, team=5, order=order)
        found = hong_page.simulate(p, 20)
        assert (found.best >= found.best_alone).all(), order
    every = hong_page.simulate(hong_page.Parameters(places=200, reach=4, team=24), 5)
    assert every.best.tolist() == pytest.approx(every.random.tolist(), abs=2)
    assert every.best_diversity.tolist() == pytest.approx([0.75 * 24 / 23] * 5)


def test_isolated_groups_are_organisations_of_their_own():
    """At beta 0 forty groups of seven end where single groups of seven end."""
    together = fang.simulate(fang.Parameters(beta=0.0, groups=10), 20)
    alone = fang.simulate(fang.Parameters(beta=0.0, groups=1), 200, seed=1)
    (one, one_se), (other, other_se) = mean_and_error(together.payoff), mean_and_error(alone.payoff)
    assert abs(one - other) < 4 * (one_se + other_se)


@pytest.mark.parametrize("order", ORDERS)
def test_fang_counts_any_number_of_better_contacts(order: str):
    """Two hundred who know tell four hundred who do not: all know at once, no sum is too large."""
    p = fang.Parameters(groups=1, size=600, m=1, block=1, beta=0.0, p=1.0, order=order, horizon=9)
    found = fang.simulate(p, 2, hears=hearing.complete(600))
    assert found.start == pytest.approx(1 / 3, abs=0.1)
    assert found.payoff.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("order", ORDERS)
def test_fang_learns_in_every_order_and_stops_when_nobody_can(order: str):
    """Learning gains on the start, blocks of one pay what is right, and a settled state stays."""
    p = fang.Parameters(groups=6, size=5, m=20, block=1, order=order, horizon=400)
    found = fang.simulate(p, 20)
    assert (found.payoff > found.start + 0.2).all()
    assert (found.periods < 400).all()
    longer = fang.simulate(replace(p, horizon=800), 20)
    assert longer.payoff.tolist() == found.payoff.tolist()


def test_ties_of_fang_are_as_many_as_asked():
    """Everybody has size - 1 contacts, all different; with beta 1 all are outsiders."""
    p = fang.Parameters(groups=8, size=7, beta=1.0)
    starts, who = fang.contacts(p, np.random.default_rng(1))
    rows = [who[a:b].tolist() for a, b in itertools.pairwise(starts)]
    assert [len(set(row)) for row in rows] == [6] * 56
    assert not any(j // 7 == i // 7 for i, row in enumerate(rows) for j in row)
    mutual = fang.contacts(replace(p, beta=0.3, is_mutual=True), np.random.default_rng(1))
    pairs = {(i, j) for i in range(56) for j in mutual.who[mutual.starts[i] : mutual.starts[i + 1]]}
    assert pairs == {(j, i) for i, j in pairs}


def test_recipes_are_the_published_ones():
    """Every recipe gives its item in any order of ingredients, and nothing else gives anything."""
    made = [DEREX_BOYD.brewed(three) for three in itertools.combinations(DEREX_BOYD.items, 3)]
    assert sorted(filter(None, made)) == ["1a", "1b", "2a", "2b", "3a", "3b", "4a", "4b"]
    assert DEREX_BOYD.brewed(["a3", "a1", "a2"]) == "1a"
    assert DEREX_BOYD.score(["a1", "b3", "2a", "1b"]) == 109
    with pytest.raises(ValueError, match="without a worth"):
        Book({"a": 1, "b": 1, "c": 1}, {"d": frozenset("abc")}, 3, frozenset())


@pytest.mark.parametrize("order", ORDERS)
def test_potions_end_in_every_order_and_spread_matters(order: str):
    """Cliques cross over long before everybody-with-everybody; untold brews take longer."""
    cliques = potions.Parameters(order=order)
    cells = [cliques, replace(cliques, network="complete"), replace(cliques, spread=0.0)]
    caves, together, untold = (np.median(potions.simulate(cell, 60).steps) for cell in cells)
    assert together > 4 * caves
    assert untold != caves


def test_nobody_brews_alone():
    """Without edges nothing is ever brewed, and the horizon ends it."""
    found = potions.simulate(potions.Parameters(network="isolated", n=4, horizon=20), 3)
    assert not found.crossed.any()
    assert found.steps.tolist() == [20] * 3
    assert found.scores.tolist() == [[0.0] * 4] * 3


def test_items_are_drawn_in_proportion_to_their_worth():
    """First draws of one item follow worth; two items are always different."""
    rng, worth = np.random.default_rng(4), np.array([1.0, 3.0, 6.0])
    masks = [potions._drawn(rng, 7, 1, worth) for _ in range(6000)]
    shares = [masks.count(1 << i) / 6000 for i in range(3)]
    assert shares == pytest.approx([0.1, 0.3, 0.6], abs=0.03)
    assert {potions._drawn(rng, 7, 2, worth) for _ in range(200)} == {3, 5, 6}


def test_wrong_parameters_are_refused():
    """Each model says what does not fit."""
    for wrong in (
        lambda: zollman.Parameters(epsilon=0.5),
        lambda: zollman.Parameters(priors=(0.6, 0.5)),
        lambda: march.Parameters(p1=1.5),
        lambda: hong_page.Parameters(steps=13),
        lambda: hong_page.Parameters(reach=3, team=7),
        lambda: fang.Parameters(block=3),
        lambda: potions.Parameters(clique=7),
        lambda: hearing.named("moebius", 4),
        lambda: hearing.caves(1, 4),
        lambda: zollman.simulate(zollman.Parameters(), 1, hears=hearing.cycle(4)),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            wrong()


def test_a_round_of_clocks_has_one_turn_per_agent_on_average():
    """Sequential rounds are permutations; exponential ones draw a Poisson number of agents."""
    rng = np.random.default_rng(1)
    assert sorted(zollman.turns(rng, 1, 9).tolist()) == list(range(9))
    counts = [len(zollman.turns(rng, 2, 9)) for _ in range(4000)]
    assert np.mean(counts) == pytest.approx(9, abs=0.2)
    assert np.var(counts) == pytest.approx(9, abs=0.8)
