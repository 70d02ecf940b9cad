"""Parsing: from the tool calls of a model to actions, or to the exact reason why not.

Whatever a model wrote is checked before anything is made of it: JSON, names, numbers, commits that
the agent can read, edits that apply. Only reading is asked of the lab (`merge`). Rights are checked
again by `agents.agent`. The same calls on the same observation give the same actions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.actions import (
    Action,
    ClaimLead,
    PostComment,
    PostLead,
    PostReview,
    Reproduce,
    Run,
    Wait,
    WriteNotebook,
)
from agents.errors import LabError
from agents.knobs import read_values, same_value
from agents.lab import LabReader
from agents.minds.editing import Edit, apply_edits
from agents.minds.exchange import ToolCall
from agents.minds.prompting import CONFIRMED, chosen_parent, reference, tools_for
from agents.observation import Known, Observation
from forum.messages import Forecast, KnobValue, Prediction

MOST_CALLS = 12
"""As many actions as `agents.agent` takes in one turn."""
FEWEST_LETTERS = 7
"""Of a commit's name, to be told from others."""

Chance = Annotated[float, Field(ge=0, le=1)]


class UnusableError(Exception):
    """A call cannot be carried out as it is; says what, where and what to do instead."""


class _Call(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Edit(_Call):
    path: str
    how: Literal["replace", "diff", "whole"]
    search: str = ""
    text: str = ""


class _Propose(_Call):
    title: str
    rationale: str = ""
    parent: str = ""
    edits: tuple[_Edit, ...]
    gain: float
    confidence: Chance
    lead: str = ""
    insists: bool = False


class _Merge(_Call):
    first: str
    second: str
    title: str
    rationale: str = ""
    gain: float
    confidence: Chance


class _Review(_Call):
    hypothesis: str
    opinion: Literal["support", "doubt", "reject"]
    reproduced: Chance
    gain_low: float
    gain_mid: float
    gain_high: float
    fails: Chance | None = None
    text: str = ""


class _Reproduce(_Call):
    hypothesis: str


class _Lead(_Call):
    title: str
    text: str = ""


class _ClaimLead(_Call):
    lead: str


class _Comment(_Call):
    thread: str = ""
    text: str


class _Notebook(_Call):
    text: str


class _Wait(_Call):
    seconds: Annotated[float, Field(ge=0)] = 5.0


_SHAPES: Mapping[str, type[_Call]] = {
    "propose": _Propose,
    "merge": _Merge,
    "review": _Review,
    "reproduce": _Reproduce,
    "lead": _Lead,
    "claim_lead": _ClaimLead,
    "comment": _Comment,
    "notebook": _Notebook,
    "wait": _Wait,
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """What was made of an answer."""

    actions: tuple[Action, ...]
    faults: Mapping[str, str]
    """Why not, by call id, of those calls that came to nothing."""


async def parse_calls(
    calls: Sequence[ToolCall], observation: Observation, lab: LabReader, *, has_run: bool = False
) -> Parsed:
    """Return the actions that `calls` stand for, and the faults of the others.

    Args:
        calls: in the order in which the model gave them.
        observation: what it was shown.
        lab: reads and merges, nothing else.
        has_run: whether an experiment was asked for in an earlier round of this turn.
    """
    actions: list[Action] = []
    faults: dict[str, str] = {}
    for number, call in enumerate(calls):
        try:
            if number >= MOST_CALLS:
                raise UnusableError(f"more than {MOST_CALLS} calls in one turn")
            action = await _action(call, observation, lab)
            if isinstance(action, (Run, Reproduce)):
                if has_run:
                    raise UnusableError("an experiment was asked for already in this turn")
                has_run = True
            actions.append(action)
        except UnusableError as error:
            faults[call.call_id] = f"{call.name[:40] or 'a call'}: {error}"
    return Parsed(tuple(actions), faults)


async def _action(call: ToolCall, observation: Observation, lab: LabReader) -> Action:
    known = [tool.name for tool in tools_for(observation.rights)]
    if call.name not in known:
        raise UnusableError(f"you have no such tool; yours are {', '.join(known)}")
    asked = _checked(_SHAPES[call.name], call.arguments)
    match asked:
        case _Propose():
            return _proposal(asked, observation)
        case _Merge():
            return await _merge(asked, observation, lab)
        case _Review():
            return _review(asked, observation)
        case _Reproduce():
            offered = (*observation.open_claims, *observation.challenges)
            names = [each.hypothesis for each in offered]
            _must_be_known(asked.hypothesis, names, "result of others that you may reproduce")
            return Reproduce(asked.hypothesis)
        case _Lead():
            return PostLead(asked.title, asked.text)
        case _ClaimLead():
            leads = [each.post.post_id for each in observation.open_leads]
            _must_be_known(asked.lead, leads, "lead that you may claim")
            return ClaimLead(asked.lead)
        case _Comment():
            return PostComment(asked.text, asked.thread or None)
        case _Notebook():
            return WriteNotebook(asked.text)
        case _Wait():
            return Wait(asked.seconds)
        case _:
            raise UnusableError("no such tool")


def _checked(shape: type[_Call], text: str) -> _Call:
    try:
        data: Any = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise UnusableError(f"its arguments are not JSON: {str(error)[:200]}") from error
    if not isinstance(data, dict):
        said = f": {data[:200]}" if isinstance(data, str) else ""
        raise UnusableError(f"its arguments are no JSON object{said}")
    try:
        asked = shape.model_validate(data)
        asked.model_dump_json()  # half a surrogate pair is no text
    except ValidationError as error:
        faults = [f"{_path(each['loc'])}: {each['msg']}" for each in error.errors()[:5]]
        raise UnusableError("; ".join(faults)) from error
    except (ValueError, RecursionError) as error:
        raise UnusableError(f"its arguments hold what is no text: {str(error)[:120]}") from error
    return asked


def _path(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part)[:40] for part in loc) or "arguments"


def _must_be_known(name: str, known: Sequence[str], what: str) -> None:
    if name not in known:
        shown = ", ".join(known[:12]) or "none"
        raise UnusableError(f"{name[:64]!r} is no {what}; there are: {shown}")


def _review(asked: _Review, observation: Observation) -> PostReview:
    mine = [each.post.post_id for each in observation.open_hypotheses if each.is_mine_to_review]
    _must_be_known(asked.hypothesis, mine, "hypothesis that you are asked to review")
    gain = (asked.gain_low, asked.gain_mid, asked.gain_high)
    if not gain[0] <= gain[1] <= gain[2]:
        raise UnusableError("gain_low, gain_mid and gain_high must not fall")
    forecast = Forecast(reproduced=asked.reproduced, gain=gain, invalid=asked.fails)
    return PostReview(asked.hypothesis, asked.opinion, forecast, asked.text)


def _proposal(asked: _Propose, observation: Observation) -> Run:
    base = readable(asked.parent, observation) if asked.parent else chosen_parent(observation)
    if base is None:
        raise UnusableError("no code has reached you that you could build on; wait")
    tree = observation.trees[base.commit]
    edits = [Edit(each.path, each.how, each.search, each.text) for each in asked.edits]
    edited = apply_edits(tree, edits)
    if edited.faults:
        on = f" (on commit {base.commit[:10]})"
        raise UnusableError("; ".join(edited.faults) + on)
    if asked.lead:
        held = [each.post.post_id for each in observation.open_leads if each.held_s > 0.0]
        _must_be_known(asked.lead, held, "lead that you hold")
    return _run((base,), {**tree, **edited.files}, asked, observation)


async def _merge(asked: _Merge, observation: Observation, lab: LabReader) -> Run:
    first, second = (readable(name, observation) for name in (asked.first, asked.second))
    if first.commit == second.commit:
        raise UnusableError("first and second are the same commit")
    try:
        merged = await lab.merge(first.commit, second.commit)
    except LabError as error:
        raise UnusableError(str(error)) from error
    if merged.conflicts:
        where = ", ".join(merged.conflicts)
        raise UnusableError(
            f"the two change the same lines of {where}; propose the code you want by edits"
        )
    return _run((first, second), merged.files, asked, observation)


def _run(
    bases: Sequence[Known],
    whole: Mapping[str, str],
    asked: _Propose | _Merge,
    observation: Observation,
) -> Run:
    """Return a run of the tree `whole`; what is unconfirmed declares its gain over the reference.

    A mean of one run is a poor thing to measure a gain against; what is built on follows as a
    further parent.
    """
    first = bases[0]
    if first.hypothesis and first.status not in CONFIRMED:
        first = reference(observation) or first
    there = observation.trees[first.commit]
    files = {path: text for path, text in whole.items() if there.get(path) != text}
    if not files:
        raise UnusableError(f"the code is then the same as that of {first.commit[:10]}")
    parents = dict.fromkeys(each.commit for each in (first, *bases))
    return Run(
        parents=tuple(parents),
        files=files,
        title=asked.title,
        rationale=asked.rationale,
        prediction=Prediction(gain=asked.gain, confidence=asked.confidence),
        knobs=_turned(there, whole, observation),
        lead=asked.lead if isinstance(asked, _Propose) else "",
        insists=isinstance(asked, _Propose) and asked.insists,
    )


def _turned(
    there: Mapping[str, str], whole: Mapping[str, str], observation: Observation
) -> dict[str, KnobValue]:
    """Return the knobs whose values differ between two trees, with the new ones."""
    path = observation.briefing.knobs_path
    if path not in there or path not in whole:
        return {}
    before = read_values(there[path], observation.knobs)
    after = read_values(whole[path], observation.knobs)
    return {
        name: value
        for name, value in after.items()
        if name in before and not same_value(before[name], value)
    }


def readable(name: str, observation: Observation) -> Known:
    """Return the one readable commit whose name begins like this."""
    found = [
        each
        for each in observation.known
        if observation.trees.get(each.commit) and each.commit.startswith(name)
    ]
    is_named = len(name) >= FEWEST_LETTERS or any(each.commit == name for each in found)
    if is_named and len({each.commit for each in found}) == 1:
        return found[0]
    raise UnusableError(
        f"{name[:64]!r} names no commit whose code has reached you, or more than one; give at "
        f"least {FEWEST_LETTERS} of its characters"
    )
