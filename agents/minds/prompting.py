"""Prompting: from an `Observation` to what a mind that reads is shown.

The parts that change least come first, so that providers can cache them, for all agents of a role
together: the rules, the task, the code to build on; then who one is, and last what is new. The
words are those of `agents.minds.prompt_files`, whose hashes the ledger holds; what others wrote
goes through `agents.minds.quoting`. Nothing is asked of a model here: `agents.minds.language_mind`
does. What is new is told in `agents.minds.sections`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from agents.lab import Briefing
from agents.minds.prompt_files import filled, phrase, prompt_file
from agents.minds.quoting import quoted, shortened, tokens_of
from agents.minds.sections import live_sections
from agents.observation import Known, Observation

PROMPT_TOKENS = 24_000
"""How large a prompt may be by default, in tokens as `agents.minds.quoting.tokens_of` guesses."""
LEFT_TOKENS = 150
"""Kept for what is said of what is left."""
CODE_SHARE = 0.6
"""Largest share of a prompt that the code to build on may take."""
CONFIRMED = ("reproduced",)
GOOD = ("reproduced", "improved")


@dataclass(frozen=True, slots=True)
class Tool:
    """One kind of action that a model may answer with."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON schema of its arguments, strict: every property required, no others allowed."""
    right: str
    """Which right it needs; empty for none."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is shown in one turn, the parts that change least first."""

    system: str
    task: str
    code: str
    role: str
    live: str
    left: str
    """What can run out and how much is left of it; changes in every turn."""
    tools: tuple[Tool, ...]
    parent: str
    """The commit whose code is shown; empty where none can be read."""

    @property
    def parts(self) -> Mapping[str, str]:
        """Its texts by name, in order."""
        return {
            "system": self.system,
            "task": self.task,
            "code": self.code,
            "role": self.role,
            "live": self.live,
            "left": self.left,
        }

    @property
    def news(self) -> str:
        """What is the agent's own, most of it different in every turn."""
        return f"{self.role}\n{self.live}\n{self.left}"

    @property
    def size_bytes(self) -> int:
        """Bytes of all that is sent, tools included; no tokenizer makes more tokens of it."""
        texts = [*self.parts.values(), *(_spelt(tool) for tool in self.tools)]
        return sum(len(text.encode("utf-8", "replace")) for text in texts)

    def fingerprint(self) -> dict[str, str]:
        """Return a hash of each part, by which two observations are told apart."""
        texts = {**self.parts, "tools": "\n".join(_spelt(tool) for tool in self.tools)}
        return {name: _hash(text) for name, text in texts.items()}

    def __str__(self) -> str:
        """All of it as one text, for people."""
        parts = [f"===== {name} =====\n{text}" for name, text in self.parts.items()]
        tools = [f"- {tool.name}: {tool.description}" for tool in self.tools]
        return "\n\n".join([*parts, "===== tools =====\n" + "\n".join(tools)]) + "\n"


def make_prompt(
    observation: Observation, *, tokens: int = PROMPT_TOKENS, money: str = ""
) -> Prompt:
    """Return what a mind sees of `observation`.

    Args:
        observation: everything it may use.
        tokens: how large the prompt may become, as `tokens_of` guesses; the rules and the task are
            whole at any size, the rest is cut to fit.
        money: what it has spent and may spend, in words.
    """
    system = filled("system")
    role = filled(
        "role", agent=observation.agent, role=observation.role, charter=observation.charter
    )
    task = _task_text(observation)
    tools = tools_for(observation.rights)
    whole = (system, task, role, *(_spelt(tool) for tool in tools))
    left = tokens - sum(tokens_of(text) for text in whole)
    chosen = chosen_parent(observation)
    code = code_text(observation, chosen, round(CODE_SHARE * max(left, 0)))
    left -= tokens_of(code)
    left -= tokens_of(money) + LEFT_TOKENS
    live = "\n\n".join(live_sections(observation, max(left, 0)))
    ending = filled("turn", turn=str(observation.turn), left=left_words(observation, money))
    parent = "" if chosen is None else chosen.commit
    return Prompt(system, task, code, role, live, ending, tools, parent)


def chosen_parent(observation: Observation) -> Known | None:
    """Return the commit to build on: the best readable that was found good, else the baseline."""
    lower = observation.briefing.direction == "lower"
    readable = [each for each in observation.known if observation.trees.get(each.commit)]
    good = [each for each in readable if each.status in GOOD and each.score is not None]
    if good:
        return min(good, key=lambda each: (each.score or 0.0) if lower else -(each.score or 0.0))
    return next((each for each in readable if not each.hypothesis), None)


def reference(observation: Observation) -> Known | None:
    """Return what gains are declared against: the best reproduced commit, else the baseline."""
    lower = observation.briefing.direction == "lower"
    readable = [each for each in observation.known if observation.trees.get(each.commit)]
    best = [each for each in readable if each.status in CONFIRMED and each.score is not None]
    if best:
        return min(best, key=lambda each: (each.score or 0.0) if lower else -(each.score or 0.0))
    return next((each for each in readable if not each.hypothesis), None)


@cache
def all_tools() -> tuple[Tool, ...]:
    """Return every tool there is, in the order of ``prompts/tools.json``."""
    return tuple(Tool(**each) for each in json.loads(prompt_file("tools.json")))


def tools_for(rights: frozenset[str]) -> tuple[Tool, ...]:
    """Return the tools of a role with these rights: the same in every turn, for caches."""
    return tuple(tool for tool in all_tools() if not tool.right or tool.right in rights)


def again_text(faults: str) -> str:
    """Return what a model is told of an answer that cannot be used; `faults` say why."""
    return filled("again", faults=faults)


def _task_text(observation: Observation) -> str:
    told = observation.briefing
    lowest, highest = told.confirmation_runs, told.confirmation_runs_most
    return filled(
        "task",
        task=told.task,
        metric=told.metric,
        unit=told.unit,
        direction=told.direction,
        budget=told.budget,
        baseline=_number(told, told.baseline_mean),
        sigma=_number(told, told.baseline_sigma),
        confirmation=str(lowest) if lowest == highest else f"{lowest} to {highest}",
        brief=told.brief.strip(),
        knobs=_knob_text(observation),
    )


def _knob_text(observation: Observation) -> str:
    if not observation.knobs:
        return ""
    lines = [phrase("knobs", path=observation.briefing.knobs_path)]
    for knob in observation.knobs:
        if knob.is_number:
            span = f"{knob.kind} from {knob.low:g} to {knob.high:g}, {knob.scale} scale"
        else:
            span = "one of " + ", ".join(repr(option) for option in knob.options)
        lines.append(f"- {knob.name}: {span}; starts at {knob.start!r}. {knob.doc}".rstrip())
    return "\n".join(lines)


def code_text(observation: Observation, chosen: Known | None, tokens: int) -> str:
    """Return the files of a commit that can be read, each cut to its share of `tokens`."""
    if chosen is None:
        return phrase("no_code")
    tree = observation.trees[chosen.commit]
    share = tokens // max(1, len(tree))
    shown = [
        quoted("file", shortened(text, share), path=path) for path, text in sorted(tree.items())
    ]
    why = f"{chosen.status}, by {chosen.author}" if chosen.hypothesis else "the unmodified start"
    return filled("code", commit=chosen.commit, why=why, files="\n".join(shown))


def left_words(observation: Observation, money: str) -> str:
    """Say what is left of everything that can run out."""
    left = {
        "experiments_of_run": observation.remaining_experiments,
        "experiments_left": observation.experiments_left,
        "posts_left": observation.posts_left,
        "turns_left": observation.turns_left,
    }
    words = [phrase(name, number=n) for name, n in left.items() if n is not None]
    if observation.grants:
        words.append(phrase("grants", grants=observation.grants))
    return " ".join([*words, money]).strip()


def _number(briefing: Briefing, value: float) -> str:
    """Return a score for people; not measured before the run begins."""
    return phrase("not_measured_yet") if math.isnan(value) else f"{value:.5g}"


@cache
def _spelt_by_name(name: str) -> str:
    tool = next(each for each in all_tools() if each.name == name)
    return json.dumps([tool.name, tool.description, tool.parameters])


def _spelt(tool: Tool) -> str:
    return _spelt_by_name(tool.name)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
