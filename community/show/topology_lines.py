"""Who hears whom in a few plain words, of a scenario and of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeVar

from community.scenario import TopologySection
from community.show.records import TopologyShown

T = TypeVar("T")


def topology_words(section: TopologySection) -> str:
    """Return what a scenario says of the topology: family, parameters, edges, rewiring."""
    keys = ("k", "p", "m", "size", "bridges", "branching", "columns", "one_way")
    given = [(key, getattr(section, key)) for key in keys]
    words = [section.family, *(f"{key} = {value}" for key, value in given if value is not None)]
    words += _edges_words(section)
    if section.rewire != "static":
        every = section.rewire_every
        when = f"{section.rewire_every_s} s" if every is None else f"{every} experiments"
        words.append(f"rewired every {when} ({section.rewire})")
    return ", ".join(words)


def _edges_words(section: TopologySection) -> list[str]:
    """Return what edges do to a post; where they differ, how many do what."""
    given = section.edges or ()
    carried = Counter(edge.carries or section.carries for edge in given)
    late = Counter(section.delay_s if e.delay_s is None else e.delay_s for e in given)
    lost = Counter(section.loss if edge.loss is None else edge.loss for edge in given)
    return [
        f"carries {_kinds(carried, section.carries, str)}",
        *_unless_none(_kinds(late, section.delay_s, lambda delay_s: f"{delay_s:g} s late")),
        *_unless_none(_kinds(lost, section.loss, lambda loss: f"{loss:.1%} lost")),
    ]


def _kinds(counts: Counter[T], usual: T, words: Callable[[T], str]) -> str:
    """Return what all edges have in common, or each kind with how many are of it; empty for 0."""
    if len(counts) < 2:
        (one,) = counts or (usual,)
        return words(one) if one else ""
    return " and ".join(
        f"{words(kind)} ({n} edge{'s' * (n > 1)})" for kind, n in counts.most_common() if kind
    )


def _unless_none(words: str) -> list[str]:
    return [words] if words else []


def measures_words(measures: Mapping[str, float | None]) -> str:
    """Return the measures of a graph in one line, those that it has."""
    names = {
        "density": "density",
        "clustering": "clustering",
        "path_length": "mean path length",
        "spectral_gap": "spectral gap",
        "degree_inequality": "degree inequality",
    }
    told = [
        f"{name} {'none' if (value := measures[key]) is None else format(value, '.2f')}"
        for key, name in names.items()
        if key in measures
    ]
    if "is_connected" in measures:
        told.append("connected" if measures["is_connected"] else "not everybody can be reached")
    return ", ".join(told)


def topology_lines(shown: TopologyShown | None) -> list[str]:
    """Return what is said of a run's graph; nothing of ledgers that do not hold it."""
    if shown is None:
        return []
    again = ""
    if shown.rewirings:
        times = "once" if shown.rewirings == 1 else f"{shown.rewirings} times"
        again = f", rewired {times} ({shown.why})"
    way = [
        *([f"copies on their way: {shown.on_their_way}"] if shown.on_their_way else ()),
        *([f"lost: {shown.lost}"] if shown.lost else ()),
    ]
    return [
        f"topology: {shown.edges} edges{again}{''.join(f'; {each}' for each in way)}",
        f"  {measures_words(shown.measures)}",
    ]
