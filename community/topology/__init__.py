"""Who hears whom: graphs drawn, measured, rewired, and what they make of a post.

`drawing` makes a `Topology` of the scenario's section, `routing` says whom a post reaches along the
graph that the ledger holds, `rewiring` changes that graph. The one home of networkx.
"""

from community.topology.drawing import Topology, build_topology
from community.topology.measures import Measures
from community.topology.routing import Route, route

__all__ = ["Measures", "Route", "Topology", "build_topology", "route"]
