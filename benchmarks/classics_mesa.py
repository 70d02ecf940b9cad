"""Two classic models as one would write them in Mesa 3: agents, and two phases with `agents.do`.

They are what `classics_speed.py` measures beside. Python lists and attributes, nothing from us: a
list of values is faster here than an array, and neighbours are looked up once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import mesa


class Searcher(mesa.Agent):
    """Copies its best neighbour if that is strictly better, else tries one random bit."""

    def __init__(self, model: Search, state: int) -> None:
        super().__init__(model)
        self.state = state
        self.worth = model.values[state]
        self.coming = state
        self.neighbours: list[Searcher] = []

    def look(self) -> None:
        """Decide, by what everybody has."""
        best, top = self, self.worth
        for other in self.neighbours:
            if other.worth > top:
                best, top = other, other.worth
        if best is not self:
            self.coming = best.state
            return
        self.coming = self.tried()

    def look_at_leader(self) -> None:
        """Decide likewise where all see all, the best having been found once for everybody."""
        leader = self.model.leader
        self.coming = leader.state if leader.worth > self.worth else self.tried()

    def tried(self) -> int:
        """Return the state with one bit flipped if it is strictly better, else the state."""
        flipped = self.state ^ (1 << self.model.bit(self.unique_id - 1))
        return flipped if self.model.values[flipped] > self.worth else self.state

    def act(self) -> None:
        """Take what was decided."""
        self.state = self.coming
        self.worth = self.model.values[self.state]


class Search(mesa.Model):
    """Lazer and Friedman's model on one landscape."""

    def __init__(
        self,
        values: Sequence[float],
        starts: Sequence[int],
        contacts: Sequence[Sequence[int]],
        *,
        flips: Sequence[Sequence[int]] | None = None,
        finds_leader: bool = False,
        seed: int = 0,
    ) -> None:
        """Set up.

        Args:
            values: The worth of every solution.
            starts: Everybody's first.
            contacts: Whom each sees.
            flips: By round and agent, the bit that is tried; drawn if left out.
            finds_leader: All see all, and the best is found once a round.
            seed: Of what is drawn.
        """
        super().__init__(seed=seed)
        self.values = values
        self.bits = int(math.log2(len(values)))
        self.flips = flips
        self.round = 0
        self.finds_leader = finds_leader
        searchers = [Searcher(self, state) for state in starts]
        for searcher, seen in zip(searchers, contacts, strict=True):
            searcher.neighbours = [searchers[i] for i in seen]
        self.leader = searchers[0]

    def bit(self, agent: int) -> int:
        """Return the bit that an agent tries."""
        if self.flips is not None:
            return self.flips[self.round][agent]
        return int(self.random.random() * self.bits)

    def step(self) -> None:
        """Let everybody look, then act."""
        if self.finds_leader:
            self.leader = max(self.agents, key=lambda agent: agent.worth)
            self.agents.do("look_at_leader")
        else:
            self.agents.do("look")
        self.agents.do("act")
        self.round += 1


class Scientist(mesa.Agent):
    """Tries the new method while it believes in it, and learns from its neighbours' trials."""

    def __init__(self, model: Science, credence: float) -> None:
        super().__init__(model)
        self.logit = math.log(credence / (1 - credence))
        self.found = 0.0
        self.neighbours: list[Scientist] = []

    def experiment(self) -> None:
        """Make the trials."""
        if self.logit > 0:
            successes = self.model.rng.binomial(self.model.trials, 0.5 + self.model.epsilon)
            self.found = (2 * successes - self.model.trials) * self.model.gain
        else:
            self.found = 0.0

    def learn(self) -> None:
        """Update by Bayes on all that it sees."""
        heard = self.found
        for other in self.neighbours:
            heard += other.found
        self.logit += heard


class Science(mesa.Model):
    """Zollman's model."""

    def __init__(
        self,
        contacts: Sequence[Sequence[int]],
        *,
        epsilon: float = 0.001,
        trials: int = 1000,
        confident: float = 0.99,
        seed: int = 0,
    ) -> None:
        super().__init__(seed=seed)
        self.epsilon, self.trials = epsilon, trials
        self.gain = math.log((0.5 + epsilon) / (0.5 - epsilon))
        self.sure = math.log(confident / (1 - confident))
        self.rounds = 0
        scientists = [Scientist(self, 1 - self.random.random()) for _ in contacts]
        for scientist, seen in zip(scientists, contacts, strict=True):
            scientist.neighbours = [scientists[i] for i in seen]

    def step(self) -> None:
        """Let everybody experiment, then learn; end where nothing will change."""
        self.agents.do("experiment")
        self.agents.do("learn")
        self.rounds += 1
        logits = [agent.logit for agent in self.agents]
        self.running = not (max(logits) <= 0 or min(logits) > self.sure)

    @property
    def has_succeeded(self) -> bool:
        """Whether all are sure."""
        return min(agent.logit for agent in self.agents) > self.sure
