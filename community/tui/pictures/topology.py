"""Who hears whom, drawn: agents, edges, what went along them lately, which ideas are where.

An agent, and what it posts, has the colour of the idea its newest hypothesis goes back to: the
first hypothesis of that line of commits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from rich.text import Text

from community.archive.state import RunState
from community.cli.lines import run_time
from community.plain_text import one_line
from community.tui.colours import AMBER, GREY, author_colour
from community.tui.pictures.lineage import lineages
from community.tui.scene import Line, Scene
from community.tui.wanted import Wanted

ACTIVE_POSTS = 40
"""Posts whose way is drawn in colour: the newest ones."""
PULSE_US = 2_000_000
"""So long a post is seen on its way."""
IDEAS = 10
"""Ideas with a colour of their own: those with most descendants."""
_ROUNDS = 80
"""Steps of the layout; it hardly changes after."""


@dataclass(frozen=True, slots=True)
class Node:
    """An agent."""

    name: str
    place: tuple[float, float]
    """From (0, 0), the upper left corner, to (1, 1)."""
    colour: str
    """Of its idea."""
    own_colour: str
    is_paused: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """From an author to a reader."""

    author: int
    reader: int
    is_mutual: bool
    posts: int
    """Of the newest posts, those that went along it."""
    colour: str
    """Of the idea of the last of them."""
    pulse: float | None
    """How far a post is on its way, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class TopologyPicture:
    """All of it."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    agents: tuple[Line, ...]
    facts: tuple[Text, ...]


def topology_picture(scene: Scene, wanted: Wanted) -> TopologyPicture:
    """Return the graph that holds now."""
    state = scene.state
    readers = edges_of(state)
    names = tuple(state.agents)
    ideas = scene.view(lineages)
    colours = _idea_colours(ideas)
    places = layout(names, tuple((a, r) for a in readers for r in readers[a]))
    own = _own_ideas(state, ideas)
    nodes = tuple(
        Node(
            name=name,
            place=places[index],
            colour=colours.get(own.get(name, ""), GREY),
            own_colour=scene.colour(name),
            is_paused=name in state.forum.paused,
        )
        for index, name in enumerate(names)
    )
    agents = (_agent(scene, name, readers, own.get(name, ""), colours) for name in names)
    return TopologyPicture(
        nodes,
        _edges(scene, names, readers, ideas, colours),
        tuple(line for line in agents if wanted.lets(line.text.plain, line.about)),
        tuple(_facts(scene, readers, ideas, colours)),
    )


def edges_of(state: RunState) -> dict[str, dict[str, str]]:
    """Return author -> reader -> what the edge carries; of older ledgers by whom agents hear."""
    if state.forum.topology is not None:
        return state.forum.topology.edges
    found: dict[str, dict[str, str]] = {name: {} for name in state.agents}
    for name, agent in state.agents.items():
        for author in agent.hears:
            found.setdefault(author, {})[name] = ""
    return found


@lru_cache(maxsize=16)
def layout(
    names: tuple[str, ...], edges: tuple[tuple[str, str], ...]
) -> tuple[tuple[float, float], ...]:
    """Return a place in the unit square for each name; the same graph is drawn the same way.

    Springs between neighbours and repulsion between all, from a circle in the agents' order
    (Fruchterman & Reingold, "Graph drawing by force-directed placement", Software: Practice and
    Experience 21(11), 1991, section 4: attraction d^2 / k, repulsion k^2 / d, a cap that cools).
    """
    count = len(names)
    if count == 0:
        return ()
    index = {name: place for place, name in enumerate(names)}
    angles = 2 * np.pi * np.arange(count) / count
    places = 0.5 + 0.45 * np.stack([np.sin(angles), -np.cos(angles)], axis=1)  # (count, 2)
    pull = np.zeros((count, count))
    for author, reader in edges:
        if author in index and reader in index:
            pull[index[author], index[reader]] = pull[index[reader], index[author]] = 1.0
    ideal = 0.9 / np.sqrt(count)
    for step in range(_ROUNDS if count > 2 and 0 < pull.sum() < count * (count - 1) else 0):
        apart = places[:, None, :] - places[None, :, :]  # (count, count, 2)
        far = np.maximum(np.sqrt((apart**2).sum(axis=2)), 1e-3)
        force = (ideal**2 / far - pull * far**2 / ideal) / far
        np.fill_diagonal(force, 0.0)
        moves = (apart * force[:, :, None]).sum(axis=1)
        size = np.maximum(np.sqrt((moves**2).sum(axis=1, keepdims=True)), 1e-9)
        places += moves / size * np.minimum(size, 0.1 * (1 - step / _ROUNDS))
        places = places.round(9)  # or what processors do in the last bit would grow
    low, high = places.min(axis=0), places.max(axis=0)
    scaled = (places - low) / np.where(high - low < 1e-6, 1.0, high - low)
    scaled = np.where(high - low < 1e-6, 0.5, scaled)
    return tuple((float(x), float(y)) for x, y in scaled)


def _own_ideas(state: RunState, ideas: Mapping[str, str]) -> dict[str, str]:
    """Return the idea of each agent's newest hypothesis."""
    return {claim.author: ideas[i] for i, claim in state.hypotheses.items() if i in ideas}


def _idea_colours(ideas: Mapping[str, str]) -> dict[str, str]:
    most = Counter(ideas.values()).most_common(IDEAS)
    return {idea: author_colour(place) for place, (idea, _) in enumerate(sorted(most))}


def _edges(
    scene: Scene,
    names: tuple[str, ...],
    readers: Mapping[str, Mapping[str, str]],
    ideas: Mapping[str, str],
    colours: Mapping[str, str],
) -> tuple[Edge, ...]:
    index = {name: place for place, name in enumerate(names)}
    count: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], str] = {}
    pulses: dict[tuple[str, str], float] = {}
    for post_id in list(scene.told.posts)[-ACTIVE_POSTS:]:
        record = scene.state.posts[post_id]
        posted = record.posted
        idea = ideas.get(scene.told.threads.root(post_id), "")
        age = (scene.at_us - record.at_us) / PULSE_US
        for reader in posted.readers:
            edge = (posted.author, reader)
            count[edge] += 1
            last[edge] = idea
            if 0.0 <= age < 1.0:
                pulses[edge] = age
    found = []
    for author, heard in readers.items():
        for reader in heard:
            if author not in index or reader not in index:
                continue
            edge = (author, reader)
            found.append(
                Edge(
                    index[author],
                    index[reader],
                    author in readers.get(reader, {}),
                    count[edge],
                    colours.get(last.get(edge, ""), GREY),
                    pulses.get(edge),
                )
            )
    return tuple(found)


def _agent(
    scene: Scene,
    name: str,
    readers: Mapping[str, Mapping[str, str]],
    idea: str,
    colours: Mapping[str, str],
) -> Line:
    agent = scene.state.agents[name]
    hears = sum(name in heard for heard in readers.values())
    line = Text(no_wrap=True, end="")
    line.append(f"{one_line(name, 12):<10} ", style=f"bold {scene.colour(name)}")
    line.append(f"{one_line(agent.role, 11):<11} ", style=GREY)
    line.append(f"hears {hears:>2}, heard by {len(readers.get(name, {})):>2}  ", style=GREY)
    line.append(f"◆ {idea}" if idea else "", style=colours.get(idea, GREY))
    if name in scene.state.forum.paused:
        line.append("  ‖ paused", style=AMBER)
    elif name in scene.state.minds.thinking:
        line.append("  … thinks", style=AMBER)
    return Line(name, line, (name,))


def _facts(
    scene: Scene,
    readers: Mapping[str, Mapping[str, str]],
    ideas: Mapping[str, str],
    colours: Mapping[str, str],
) -> list[Text]:
    """Return the graph's measures, when it was rewired, and the ideas with their colours."""
    forum, state = scene.state.forum, scene.state
    edges = sum(map(len, readers.values()))
    lines = [Text(f"{len(state.agents)} agents, {edges} edges (author to reader)")]
    kinds = Counter(carries for heard in readers.values() for carries in heard.values() if carries)
    if kinds:
        said = ", ".join(f"{count} carry {kind}" for kind, count in kinds.most_common())
        lines.append(Text(said, style=GREY))
    if forum.topology is not None:
        measures = forum.topology.measures.items()
        known = ", ".join(f"{k.replace('_', ' ')} {v:.3g}" for k, v in measures if v is not None)
        lines.append(Text(known, style=GREY))
        _, at_us, last = forum.epochs[-1]
        if len(forum.epochs) > 1:
            words = f"rewired {len(forum.epochs) - 1} times, last at {run_time(at_us)} ({last.why})"
            lines.append(Text(words, style=AMBER))
    lines.append(Text("Ideas: commits that go back to", style="bold"))
    count = Counter(ideas.values())
    for idea in sorted(colours, key=lambda one: -count[one]):
        line = Text(no_wrap=True)
        line.append(f" ◆ {one_line(idea, 8):<5}{count[idea]:>4}  ", style=colours[idea])
        line.append(one_line(state.hypotheses[idea].title, 100))
        lines.append(line)
    return lines
