"""What a researcher elsewhere asks of the lab, as requests over the board.

Operations with their arguments and results: `agents.remote_lab` asks, `community.remote_seats`
serves. Arguments are pydantic models, because they arrive from outside. A request's name is
``<session>.<number>``; a session is one process in which the researcher thinks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
)

from agents.errors import (
    AgentError,
    LabError,
    MergeFailedError,
    NoRightError,
    NotVisibleError,
    ProposalRefusedError,
)
from agents.knobs import Knob
from agents.lab import Briefing, Merged, Outcome, Prepared
from agents.notebook import NOTEBOOK_CHARACTERS
from agents.packed_files import PackedFiles, pack_files, unpack_files
from agents.roles import Role
from forum.errors import RequestRefusedError
from forum.messages import Knobs, LongText, Name, Post, ShortText
from forum.requests import JsonObject

NOT_SEATED: Final = "not_seated"
"""Kind of the refusal of a session that has not taken the seat, in this life of the run."""
TAKEN: Final = "seat_taken"
"""Kind of the refusal of a session that would not replace the one that sits there."""
REPLACED: Final = "replaced"
"""Kind of the refusal of a session in whose place another one sits."""
STOPPED: Final = "stopped"
"""Kind of the refusal of everything once the run is over."""

_KINDS: Final[dict[str, type[LabError]]] = {
    "no_right": NoRightError,
    "not_visible": NotVisibleError,
    "merge_failed": MergeFailedError,
    "proposal_refused": ProposalRefusedError,
}


class _Args(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Nothing(_Args):
    """No arguments."""


class Seat(_Args):
    """Who takes a seat."""

    mind: ShortText
    """What decides, in words."""
    replaces: bool = True
    """Whether a session that sits there and is heard has to go; otherwise this one is refused."""


class Turn(_Args):
    """A turn, told before it is acted on."""

    turn: Annotated[int, Field(ge=0)]
    actions: Annotated[tuple[Name, ...], Field(max_length=32)]
    notebook: Annotated[str, Field(max_length=NOTEBOOK_CHARACTERS)] | None = None
    cost_usd: Annotated[float, Field(ge=0, le=1e6)] = 0.0


class Leave(_Args):
    """A farewell."""

    why: ShortText
    is_final: bool
    """Whether it will not come again."""


class Commit(_Args):
    """One commit."""

    commit: Name


class Pair(_Args):
    """Two commits."""

    first: Name
    second: Name


class Proposed(_Args):
    """`agents.lab.Proposal`, as it travels."""

    parents: Annotated[tuple[Name, ...], Field(max_length=16)]
    files: PackedFiles
    title: ShortText
    knobs: Knobs
    note: LongText


class Measured(_Args):
    """A posted commit."""

    commit: Name
    hypothesis: Name


class Hypothesis(_Args):
    """A hypothesis by its post id."""

    hypothesis: Name


class Verdict(_Args):
    """A verdict by its id."""

    verdict_id: Name


class Missed(_Args):
    """What was posted after a row of the ledger, from a number of posts on."""

    after_seq: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0, le=2**31)] = 0


@dataclass(frozen=True, slots=True)
class Seated:
    """What somebody learns who takes a seat: who he is, and where an earlier session stopped."""

    run: str
    role: Role
    turn: int
    """The next one."""
    notebook: str
    seed: int
    """Source of his minds' chance; tells nothing of the run's own."""
    knobs: tuple[Knob, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the posts that were missed."""

    posts: tuple[Post, ...]
    is_last: bool


_A = TypeVar("_A", bound=_Args)
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Operation(Generic[_A, _R]):
    """One thing that can be asked."""

    name: str
    args: type[_A]
    result: TypeAdapter[_R]

    def pack(self, value: _R) -> JsonObject:
        """Return a result as it travels."""
        return {"value": self.result.dump_python(value, mode="json")}

    def unpack(self, result: Mapping[str, Any]) -> _R:
        """Return the result that was packed.

        Raises:
            LabError: it is none.
        """
        try:
            return self.result.validate_python(result.get("value"))
        except ValidationError as error:
            raise LabError(f"the lab's answer to {self.name} makes no sense: {error}") from None


def _packed(merged: Merged) -> JsonObject:
    return {"files": pack_files(merged.files), "conflicts": list(merged.conflicts)}


def _unpacked(said: object) -> object:
    if not isinstance(said, dict) or said.keys() != {"files", "conflicts"}:
        raise ValueError("a merge has files and conflicts")
    return {**said, "files": unpack_files(said["files"])}


_NOTHING: TypeAdapter[None] = TypeAdapter(None)
_OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Outcome)
_FILES: TypeAdapter[Mapping[str, str]] = TypeAdapter(PackedFiles)
_MERGED: TypeAdapter[Merged] = TypeAdapter(
    Annotated[Merged, PlainSerializer(_packed), BeforeValidator(_unpacked)]
)
_NUMBER: TypeAdapter[int | None] = TypeAdapter(int | None)
_SETTLED: TypeAdapter[Outcome | None] = TypeAdapter(Outcome | None)
_NAMES: TypeAdapter[frozenset[str]] = TypeAdapter(frozenset[str])
_LEADS: TypeAdapter[Mapping[str, float]] = TypeAdapter(Mapping[str, float])

TAKE_SEAT: Final = Operation("take_seat", Seat, TypeAdapter(Seated))
HERE: Final = Operation("here", Nothing, _NOTHING)
TAKE_TURN: Final = Operation("take_turn", Turn, _NOTHING)
LEAVE: Final = Operation("leave", Leave, _NOTHING)
BRIEFING: Final = Operation("briefing", Nothing, TypeAdapter(Briefing))
WAIT_FOR_TURN: Final = Operation("wait_for_turn", Nothing, _NOTHING)
READ_TREE: Final = Operation("read_tree", Commit, _FILES)
MERGE: Final = Operation("merge", Pair, _MERGED)
PREPARE: Final = Operation("prepare", Proposed, TypeAdapter(Prepared))
RUN: Final = Operation("run", Measured, _OUTCOME)
REPRODUCE: Final = Operation("reproduce", Hypothesis, _OUTCOME)
VERDICT: Final = Operation("verdict", Verdict, _SETTLED)
CATCH_UP: Final = Operation("catch_up", Missed, TypeAdapter(Page))
ASSIGNMENTS: Final = Operation("assignments", Nothing, _NAMES)
OPEN_LEADS: Final = Operation("open_leads", Nothing, _LEADS)
REMAINING: Final = Operation("remaining_experiments", Nothing, _NUMBER)


def as_refusal(error: AgentError) -> RequestRefusedError:
    """Return how an error of the lab travels."""
    kind = next((kind for kind, each in _KINDS.items() if isinstance(error, each)), "lab")
    reason = error.reason if isinstance(error, ProposalRefusedError) else str(error)
    return RequestRefusedError(kind, reason)


def as_error(refusal: RequestRefusedError) -> LabError:
    """Return the error that travelled."""
    return _KINDS.get(refusal.kind, LabError)(refusal.reason)
