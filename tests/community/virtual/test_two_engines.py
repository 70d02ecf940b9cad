"""The agent-level community and the fast engine of the copying models walk the same paths.

The same landscape, the same starts, the same bit for each agent in each round: climbers who post,
propose, are measured and read one another's results, over ledger, board, queue and lab, come to the
same solutions in every round as a compiled loop that knows none of these. Reviews, confirmations,
noise and contention are off, and rounds are synchronous. Where two different solutions of one worth
are the best in sight, the engines draw different lots; the landscapes are such that this is so in
none of these rounds.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from agents.agent import turn_seed
from agents.knobs import load_knobs
from agents.minds.policy.climber import drawn
from community.classics import networks
from community.classics.copying import Conduct, trajectory
from community.events import TurnTaken
from community.modelled.bits import PATH
from community.modelled.nk_model import NkModel
from community.modelled.parameters import NkSection
from community.scenario import Scenario
from community.virtual.run import run_virtual

LANDSCAPE = {"n": 20, "k": 5, "transform": "eighth_power", "decimals": 3}
ROUND_S = 600.0
GRAPHS = {
    "complete": ({"family": "complete"}, networks.complete),
    "line": ({"family": "line"}, networks.line),
    "lattice": ({"family": "lattice", "k": 4}, lambda agents: networks.ring_lattice(agents, 4)),
}


def climbers(graph: str, agents: int, rounds: int, seed: int) -> Scenario:
    """Return a community of climbers with nothing else in it."""
    return Scenario.model_validate(
        {
            "run": {"task": "nk", "seed": seed, "time": "virtual"},
            "stop": {"wall_s": (rounds + 2) * ROUND_S - 1},
            "board": {"posts_per_minute": 100_000},
            "topology": GRAPHS[graph][0],
            "noise": {"baseline_runs": 2},
            "reviews": {"reviewers": 0, "settle_share": 0.0},
            "lab": {"reproduce_after": 1e6, "confirm_share": 1e-6},
            "model": {
                **LANDSCAPE, "noise": 0.0, "crash": 0.0, "duration_s": 10.0, "score_s": 0.0,
                "thinking_s": 0.0, "round_s": ROUND_S,
            },
            "agents": [
                {"name": "a", "role": "explorer", "mind": "policy:climber", "count": agents}
            ],
        }
    )  # fmt: skip


def both(graph: str, agents: int, rounds: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what agents hold in each round, (rounds + 1, agents): here, and in the fast engine."""
    rows = []
    scenario = climbers(graph, agents, rounds, seed)
    state = run_virtual(scenario, "", on_row=rows.append).state
    model = NkModel(NkSection(model="nk", **LANDSCAPE), seed)
    values = model.landscape.all_fitness()
    knobs = load_knobs(model.knobs_toml(), model.start()[PATH].decode())
    names = [member.name for member in scenario.members()]
    place = {name: at for at, name in enumerate(names)}

    def index(setting) -> int:
        return sum(int(setting.get(knob.name, knob.start)) << i for i, knob in enumerate(knobs))

    held = np.full((rounds + 1, agents), -1)
    seen = [0] * agents
    for claim in state.hypotheses.values():
        at = place[claim.proposer]
        found, before = index(claim.knobs), held[seen[at] - 1, at]
        is_better = seen[at] == 0 or values[found] > values[before]
        held[seen[at], at] = found if is_better else before
        seen[at] += 1
    assert set(seen) == {rounds + 1}

    chance = [[] for _ in names]
    for row in rows:
        if isinstance(row.event, TurnTaken) and row.event.actions == ("run",):
            seed_of_turn = turn_seed(seed, row.event.agent, row.event.turn)
            chance[place[row.event.agent]].append(seed_of_turn)
    starts = np.array([index(drawn(knobs, Random(own[0]))) for own in chance])
    flips = np.array(
        [[Random(own[t]).randrange(20) for own in chance] for t in range(1, rounds + 1)]
    )
    fast = trajectory(
        values,
        GRAPHS[graph][1](agents),
        starts,
        Conduct(),
        np.zeros(6, dtype=np.uint64),
        rounds,
        until_settled=False,
        flips=flips,
    )
    return held, fast


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("graph", GRAPHS)
def test_a_small_community_walks_as_the_fast_engine_does(graph: str, seed: int) -> None:
    """A dozen agents, five rounds, every solution of everybody."""
    here, fast = both(graph, 12, 5, seed)
    assert np.array_equal(here, fast)
    assert len(np.unique(here[-1])) < len(np.unique(here[0])), "nobody has copied anybody"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 3, 4, 5, 6])
@pytest.mark.parametrize("graph", GRAPHS)
def test_a_hundred_agents_walk_as_the_fast_engine_does(graph: str, seed: int) -> None:
    """The published size, three rounds and four."""
    here, fast = both(graph, 100, 3 if graph == "complete" else 4, seed)
    assert np.array_equal(here, fast)
