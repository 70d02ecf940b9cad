"""Rewiring: when the graph changes while a run lives, and into what.

A change is one row of the ledger; posts recorded before it go where the old edges led, also those
that are still on their way. The n-th is due after n times so many experiments, or seconds of run
time since the first graph, so that a run that was killed goes on in step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from community.chronicle import Chronicle
from community.scenario import TopologySection
from community.topology.drawing import Edge, Topology, arcs_of, build_topology, chance_of
from community.topology.following import follow


class Rewiring:
    """Records the graphs that follow the first one.

    Args:
        chronicle: The ledger and its fold; holds the graph that the run began with.
        names: Participants in the scenario's order.
        section: What the scenario says of the topology.
        seed: The run's.
    """

    def __init__(
        self, chronicle: Chronicle, names: Sequence[str], section: TopologySection, seed: int
    ) -> None:
        self._chronicle = chronicle
        self._names = names
        self._section = section
        self._seed = seed

    async def serve(self) -> None:
        """Rewire whenever it is due, until cancelled; a static graph is left alone.

        Cancellation: nothing remains.
        """
        if self._section.rewire == "static":
            return
        while True:
            await self._due()
            self.rewire(self._section.rewire)

    def rewire(self, why: Literal["schedule", "adaptive"]) -> None:
        """Record the next graph now: drawn anew, or by whom its readers would rather hear."""
        state = self._chronicle.state
        epoch, known = len(state.forum.epochs), state.forum.topology
        if why == "schedule" or known is None:
            topology = build_topology(self._names, self._section, self._seed, epoch)
        else:
            chance = chance_of(self._seed, epoch)
            usual = Edge.usual(self._section)
            arcs = follow(state, self._names, arcs_of(known), usual, chance)
            topology = Topology.of_arcs(self._names, arcs)
        self._chronicle.record(topology.as_event(epoch, why))

    async def _due(self) -> None:
        """Wait for the moment of the next change; before the n-th there are n graphs."""
        forum = self._chronicle.state.forum
        if (every := self._section.rewire_every) is not None:
            await self._chronicle.wait_until(
                lambda state: state.experiments_done >= every * len(state.forum.epochs)
            )
            return
        every_us = round((self._section.rewire_every_s or 0.0) * 1_000_000)
        due_us = forum.epochs[0][1] + every_us * len(forum.epochs)
        await asyncio.sleep(max(0, due_us - self._chronicle.clock.now_us()) / 1e6)
