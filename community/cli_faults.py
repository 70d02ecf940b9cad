"""What can be wrong in a scenario about coding agents, beyond the shape of their sections.

Takes the data of a TOML file, like `community.mind_faults`, which asks for both.
"""

from __future__ import annotations

from agents.minds.cli_presets import PRESETS
from community.topology.faults import Found


def cli_fault(mind: str, data: object) -> str:
    """Return what is wrong with a mind ``cli:NAME``, by the data of a scenario; empty if nothing.

    Whatever has the wrong shape is told by pydantic and passed over here.
    """
    name = mind.partition(":")[2]
    tables = data.get("cli") if isinstance(data, dict) else None
    raw = tables.get(name) if isinstance(tables, dict) else None
    section = raw if isinstance(raw, dict) else {}
    if name not in PRESETS and "command" not in section:
        known = ", ".join(f"cli:{each}" for each in PRESETS)
        return (
            f"{mind} is no program known here ({known}); describe it: [minds.cli.{name}] with "
            'command = ["program", "argument"], output = "text", usd_per_turn = 0.5'
        )
    if section.get("usd_per_turn") is None:
        return (
            f"what a turn of {mind} may cost is not said; write [minds.cli.{name}] "
            "usd_per_turn = 0.5, or 0 for what is billed elsewhere or not at all"
        )
    return ""


def section_faults(data: object) -> Found:
    """Return what is wrong with ``[minds.cli]`` beyond its shape."""
    tables = data.get("cli") if isinstance(data, dict) else None
    found: Found = []
    for name, raw in (tables if isinstance(tables, dict) else {}).items():
        section = raw if isinstance(raw, dict) else {}
        resume = section.get("resume")
        if isinstance(resume, list) and resume and not any("{session}" in str(w) for w in resume):
            text = "nothing in it says which conversation; write {session} where its name goes"
            found.append((("minds", "cli", name, "resume"), text))
    return found
