"""People: whoever runs a community may talk to it and steer it, under a name of his own.

A person hears everything, from the ledger, and everybody hears him. He boosts and vetoes
hypotheses in the queue, pauses and resumes agents; each is a row of the ledger. He cannot touch
what is measured, nor what it means.
"""

from __future__ import annotations

import getpass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from community.archive.state import RunState
from community.chronicle import Chronicle
from community.counter import Asked
from community.forum_events import PersonActed, PersonJoined
from forum.errors import RequestRefusedError
from forum.messages import Name, ShortText
from forum.requests import JsonObject
from forum.topics import person_name

BOOST_FACTOR = 4.0
"""What a hypothesis is worth more by a boost, less by a veto: two classes of the queue. One boost
puts what is usual first, one veto last."""
MOST_BOOSTS = 2
"""Boosts, less vetoes, that count: they take what is worth least to the first class."""

Deed = Literal["boost", "veto", "pause", "resume"]


class Act(BaseModel):
    """The arguments of the request ``act``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Deed
    target: Name
    """A hypothesis (post id) to boost or veto, an agent to pause or resume."""
    why: Annotated[ShortText, Field(default="")]


def person_of(state: RunState) -> str:
    """Return the person who takes part in a run: who has before, else this user of the machine."""
    if state.forum.people:
        return next(iter(state.forum.people))
    try:
        return person_name(getpass.getuser())
    except (OSError, KeyError):  # a user without a name
        return person_name("somebody")


def join_person(chronicle: Chronicle, person: str) -> None:
    """Record that `person` takes part, unless that is on record."""
    if person not in chronicle.state.forum.people:
        chronicle.record(PersonJoined(person))


def worth_by_people(state: RunState, hypothesis: str) -> float:
    """Return what people make of a hypothesis' worth, as a factor; 1 where they said nothing.

    However often it was vetoed it gets its turn: the queue's patience is not theirs to end.
    """
    boosts = state.forum.boosts.get(hypothesis, 0)
    return float(BOOST_FACTOR ** max(-MOST_BOOSTS, min(MOST_BOOSTS, boosts)))


class PersonService:
    """Serves the requests of people.

    Args:
        chronicle: Where what they do is recorded.
    """

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle

    async def serve(self, asked: Asked) -> JsonObject:
        """Do what a person asks for; once, whatever is repeated when."""
        if asked.op == "hello":
            return {"person": asked.who, "seq": self._chronicle.state.last_seq}
        if asked.op != "act":
            raise RequestRefusedError("unknown_op", f"a person cannot ask for {asked.op!r}")
        act = asked.read(Act)
        state = self._chronicle.state
        known = state.forum.requests.get((asked.who, asked.request_id))
        if known is not None:
            return {"seq": known}
        _must_make_sense(state, act)
        event = PersonActed(asked.who, act.action, act.target, act.why, asked.request_id)
        return {"seq": self._chronicle.record(event)}


def _must_make_sense(state: RunState, act: Act) -> None:
    """Raise RequestRefusedError where an act is about nothing."""
    if act.action in ("pause", "resume"):
        if act.target not in state.agents:
            raise RequestRefusedError("no_target", f"no agent is called {act.target!r}")
        is_paused = act.target in state.forum.paused
        if is_paused == (act.action == "pause"):
            word = "paused already" if is_paused else "not paused"
            raise RequestRefusedError("no_target", f"{act.target} is {word}")
        return
    if act.target not in state.hypotheses:
        raise RequestRefusedError("no_target", f"{act.target!r} is no hypothesis; give its post id")
    if act.target in state.reach.begun:
        raise RequestRefusedError(
            "no_target", f"the experiment on {act.target} has begun; its turn has come"
        )
