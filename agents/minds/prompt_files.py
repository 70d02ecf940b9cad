"""Prompt files: the words that minds are shown, in ``prompts/``, and what they hash to.

Every word that is ours stands there, so that the hashes in the ledger say what was asked. Next:
`agents.minds.prompting` and `agents.minds.sections` fill in what is the agent's own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template


@cache
def prompt_file(name: str) -> str:
    """Return the text of one of the files."""
    return (_folder() / name).read_text(encoding="utf-8")


def filled(name: str, **values: str) -> str:
    """Return the file ``<name>.md`` with its gaps filled, ending in one new line."""
    return Template(prompt_file(f"{name}.md")).substitute(values).strip() + "\n"


def phrase(name: str, **values: str | int) -> str:
    """Return one phrase of ``sections.json`` with its gaps filled."""
    return Template(_phrases()[name]).substitute(values)


@cache
def prompt_hashes() -> Mapping[str, str]:
    """Return the SHA-256 of each file by name."""
    names = sorted(each.name for each in _folder().iterdir() if each.name.endswith((".md", "json")))
    return {name: hashlib.sha256(prompt_file(name).encode()).hexdigest() for name in names}


@cache
def _phrases() -> dict[str, str]:
    phrases: dict[str, str] = json.loads(prompt_file("sections.json"))
    return phrases


def _folder() -> Traversable:
    return files("agents.minds") / "prompts"
