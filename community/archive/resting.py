"""How far a verdict or a claim reaches: everything in a run's ledger that rests on it.

A walk over what rows say of one another: statuses cite verdicts, posts cite verdicts and
hypotheses, commits have parents (all of them: who merges builds on each side), the frontier, credit
and the final scores follow claims. It says what rests on what and decides nothing; what becomes of
it is `community.retraction`. Breadth first, so that each thing stands once, where the way to it is
shortest. Pure functions of the fold.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from community.archive.state import RunState

Node = str
"""``kind:id``; kinds are verdict, hypothesis, commit, post, review, frontier, credit, seal."""


@dataclass(slots=True)
class Reached:
    """One thing, and what rests on it."""

    node: Node
    why: str
    """How it rests on what stands above it, in words; empty for the root."""
    below: list[Reached] = field(default_factory=list)

    def __iter__(self) -> Iterator[Reached]:
        """Yield what rests on it, nearest first, itself left out."""
        waiting = deque(self.below)
        while waiting:
            reached = waiting.popleft()
            yield reached
            waiting.extend(reached.below)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """What rests on it, as the ledger keeps it."""
        return tuple(reached.node for reached in self)


def reach_of(state: RunState, root: Node) -> Reached:
    """Return everything that rests on `root` (``verdict:ID`` or ``hypothesis:ID``), as a tree."""
    edges = _edges(state)
    top = Reached(root, "")
    seen, waiting = {root}, deque([top])
    while waiting:
        reached = waiting.popleft()
        for node, why in edges.get(reached.node, ()):
            if node not in seen:
                seen.add(node)
                reached.below.append(Reached(node, why))
                waiting.append(reached.below[-1])
    return top


_Edges = dict[Node, list[tuple[Node, str]]]


def _edges(state: RunState) -> _Edges:
    """Return, for each thing, what rests on it directly and how."""
    edges: _Edges = defaultdict(list)
    for claim in state.hypotheses.values():
        _of_claim(state, edges, claim.post_id)
    for commit, proposal in state.proposals.items():
        words = "merges it" if len(proposal.parents) > 1 else "is built on it"
        for parent in proposal.parents:
            edges[f"commit:{parent}"].append((f"commit:{commit}", words))
    for _, moved in state.frontier:
        edges[f"hypothesis:{moved.hypothesis}"].append((f"frontier:{moved.hypothesis}", "led"))
    for post_id in state.posts:
        _of_post(state, edges, post_id)
    _of_finals(state, edges)
    return edges


def _of_claim(state: RunState, edges: _Edges, name: str) -> None:
    claim = state.hypotheses[name]
    node = f"hypothesis:{name}"
    for _, change in claim.changes:
        for verdict in change.verdicts:
            words = f"was found {change.status.replace('_', ' ')} by it"
            edges[f"verdict:{verdict}"].append((node, words))
    for experiment in claim.experiments:  # one that is in, while others are still to come
        if (given := state.experiments[experiment].verdict) is not None:
            edges[f"verdict:{given.verdict_id}"].append((node, "was measured by it"))
    edges[node].append((f"commit:{claim.commit}", "is its commit"))
    edges[f"commit:{claim.commit}"].append((node, "is claimed of it"))
    for change in claim.standing_changes:
        if change.status == "reproduced":
            for who in dict.fromkeys((claim.proposer, change.by)):
                edges[node].append((f"credit:{who}", "was earned by it"))


def _of_post(state: RunState, edges: _Edges, post_id: str) -> None:
    posted = state.posts[post_id].posted
    body, node = posted.body, _node_of_post(state, post_id)
    kind = body.get("kind")
    if kind in ("finding", "failure"):
        edges[f"verdict:{body['evidence']['verdict_id']}"].append((node, "cites it"))
        edges[f"hypothesis:{body['hypothesis']}"].append((node, "reports on it"))
    elif kind == "review":
        edges[f"hypothesis:{body['hypothesis']}"].append((node, "reviews it"))
    elif kind == "claim":
        edges[_node_of_post(state, body["target"])].append((node, "takes it on"))
    elif posted.thread is not None and kind != "hypothesis":
        edges[_node_of_post(state, posted.thread)].append((node, "answers it"))


def _of_finals(state: RunState, edges: _Edges) -> None:
    """What was asked on ``seal`` is about commits; their runs are what it says."""
    asked = list(state.evidence.finals.commits) if state.evidence.finals is not None else []
    if state.seal is not None:
        asked.append(state.seal.commit)
    for commit in dict.fromkeys(asked):
        edges[f"commit:{commit}"].append((f"seal:{commit}", "is its final score"))
    for experiment in state.experiments.values():
        if experiment.queued.purpose == "seal" and experiment.verdict is not None:
            name = f"verdict:{experiment.verdict.verdict_id}"
            edges[name].append((f"seal:{experiment.queued.commit}", "rests on it"))


def _node_of_post(state: RunState, post_id: str) -> Node:
    if post_id in state.hypotheses:
        return f"hypothesis:{post_id}"
    record = state.posts.get(post_id)
    is_review = record is not None and record.posted.body.get("kind") == "review"
    return f"{'review' if is_review else 'post'}:{post_id}"
