"""Experiments on the nodes of a cluster: the local executor of each, behind calls from afar.

`node` runs there, everything else here. What travels is named by its content (`parcels`, `store`);
scorer and held-out data stay where the institution is. Only `ray_cluster` knows Ray.
"""
