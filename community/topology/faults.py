"""What can be wrong in the section ``topology``: keys that do not go together or fit nobody.

Called by `community.scenario_faults` on the section as it stands in the file, so that one value of
the wrong type hides nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import ValidationError

from community.scenario import Family, TopologySection
from community.toml_lines import KeyPath
from community.topology.drawing import Topology
from community.topology.families import EXAMPLES, KNOWS, misfits

Found = list[tuple[KeyPath, str]]
"""Faults or warnings: where, and what is wrong with what to do."""

_PARAMETERS = (*EXAMPLES, "edges", "file")
_STILL: frozenset[Family] = frozenset({"complete", "isolated"})
"""Families in which nobody's place is another one's."""


def topology_faults(table: object, names: Sequence[str]) -> Found:
    """Return what is wrong with the section beyond the types of its values.

    Args:
        table: The section as read; None where the file has none.
        names: Everybody who takes part; empty where that is not known.
    """
    if not isinstance(table, dict):
        return []
    section = _well_formed(table)
    if section is None:
        return []
    return [
        *((("topology", key), text) for key, text in _strangers(table, section.family)),
        *_misfit(table, section, names),
        *((("topology", key), text) for key, text in _rewiring(table, section)),
        *(_edge_faults(section, names) if section.edges and names else ()),
    ]


def topology_warnings(section: TopologySection, topology: Topology) -> Found:
    """Return what is allowed in the section but probably not meant."""
    if section.family == "isolated" or topology.measures.is_connected:
        return []
    if section.family == "small_world":
        advice = "raise k, lower p, or change the seed"
    elif section.one_way:
        advice = "that may be meant: one_way leaves it so in most families"
    else:
        advice = "add edges, or change the seed where chance draws them"
    return [(("topology",), f"not everybody can be reached under this seed; {advice}")]


def _well_formed(table: dict[str, Any]) -> TopologySection | None:
    """Return the section without the values that are wrong by themselves; None without a family."""
    kept = {}
    for key, value in table.items():
        try:
            TopologySection.model_validate({key: value})
        except ValidationError:
            if key == "family":
                return None
        else:
            kept[key] = value
    return TopologySection.model_validate(kept)


def _strangers(table: dict[str, Any], family: Family) -> Iterator[tuple[str, str]]:
    """Yield parameters of other families."""
    for key in _PARAMETERS:
        if key in table and key not in KNOWS.get(family, ()):
            owners = [name for name in get_args(Family) if key in KNOWS.get(name, ())]
            words = f'"{owners[0]}"' if len(owners) == 1 else f"one of {', '.join(owners)}"
            yield key, f"{key} belongs to family = {words}; remove it"
    if "one_way" in table and family in ("isolated", "edges"):
        reason = {"isolated": "there are no edges", "edges": "each edge says its way itself"}
        yield "one_way", f"one_way does not go with {family}: {reason[family]}; remove it"


def _misfit(
    table: dict[str, Any], section: TopologySection, names: Sequence[str]
) -> Iterator[tuple[KeyPath, str]]:
    for key, text in misfits(section, len(names)):
        is_missing = getattr(section, key) is None
        if is_missing and (key in table or "file" in table):
            continue  # its value is wrong by itself, or its file is
        if is_missing:
            yield ("topology",), text
        elif names:
            yield ("topology", key), text


def _rewiring(table: dict[str, Any], section: TopologySection) -> Iterator[tuple[str, str]]:
    given = [key for key in ("rewire_every", "rewire_every_s") if key in table]
    if section.rewire == "static":
        for key in given:
            yield key, f'{key} belongs to rewire = "schedule" or "adaptive"; remove it'
        return
    if len(given) != 1:
        yield (
            "rewire",
            f"{section.rewire} rewiring needs one of rewire_every (experiments) and "
            "rewire_every_s (seconds); write rewire_every = 10",
        )
    if section.family in _STILL:
        yield "rewire", f"there is nothing to rewire in family {section.family}; remove it"
    if section.rewire == "adaptive" and section.carries == "score" and not section.edges:
        yield (
            "carries",
            "adaptive rewiring goes by predictions, which score does not carry; write summary, "
            "diff or everything",
        )


def _edge_faults(section: TopologySection, names: Sequence[str]) -> Found:
    """Return edges between others than who takes part, to oneself, and those given twice."""
    found: Found = []
    seen: set[tuple[str, str]] = set()
    for index, edge in enumerate(section.edges or ()):
        way = (edge.author, edge.reader)
        what = ""
        if strangers := [name for name in way if name not in names]:
            what = f"{strangers[0]!r} takes no part; agents here: {', '.join(names[:20])}"
        elif edge.author == edge.reader:
            what = "nobody hears himself by an edge; everybody knows his own posts"
        elif way in seen:
            what = "this edge is given twice; remove one"
        seen.add(way)
        if what:
            text = f"edge {edge.author} -> {edge.reader}: {what}"
            found.append((("topology", "edges", index), text))
    return found
