"""The scenario: who takes part, who hears whom, and what they may spend. Records only.

pydantic models, because a scenario arrives from a file; `community.loading` reads the file and
lists every fault of it. Next: `community.run` builds a community out of a `Scenario`. What every
key means is also told, for people, in ``scenarios/README.md``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from agents.roles import Role, RoleTable, load_role
from community.cli_sections import MindsSection
from community.pool_section import PoolSection
from community.spend_sections import ModelSection, SpendSection
from forum.certificates import is_loopback
from forum.messages import Carries

Family = Literal[
    "complete", "star", "ring", "line", "lattice", "small_world", "scale_free", "random_regular",
    "erdos_renyi", "caveman", "hierarchy", "teams", "isolated", "edges",
]  # fmt: skip
OneWay = Literal["forward", "backward", "random"]
Rewire = Literal["static", "schedule", "adaptive"]
BudgetKind = Literal["auto", "cpu_seconds", "device_seconds", "steps"]
Isolation = Literal["full", "partial", "none"]

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,31}$"
"""An agent's name is also its MQTT user, a topic level and a git author."""
ROLE_PATTERN = r"^[a-z][a-z0-9_-]{0,31}$"
POSTS_PER_MINUTE = 120
"""A policy posts two or three for an experiment; a hundred and twenty is a flood."""
REMOTE = "remote"
"""In place of a mind: whoever holds the agent's credential takes its seat from elsewhere."""
LONGEST_S = 1e9
"""Thirty years; longer than any run, and still a number of microseconds."""
RESERVED_NAMES = frozenset({"lab", "clerk", "observer"})
"""The institution signs ledger rows and board connections with these."""


def _broker(value: str) -> str:
    if value in ("embedded", "memory"):
        return value
    try:
        url = urlsplit(value)
        is_url = url.scheme in ("mqtt", "mqtts") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise ValueError('give "embedded", "memory", "mqtt://host:port" or "mqtts://host:port"')
    if url.scheme == "mqtt" and not is_loopback(url.hostname or ""):
        raise ValueError(
            "plain text off loopback is refused, since whoever is in between would read passwords "
            f'and posts: write "mqtts://{url.hostname}", and let the broker speak TLS'
        )
    if url.password is not None:
        raise ValueError(
            "keep the password out of the file, which goes into the ledger: write mqtt://user@host "
            "and set the environment variable COMMUNITY_BROKER_PASSWORD"
        )
    return value


def _listen(value: str) -> str:
    try:
        place = urlsplit(f"//{value}")
        is_place = bool(place.hostname) and place.port is not None and value == place.netloc
    except ValueError:
        is_place = False
    if not is_place or "@" in value:
        raise ValueError('give "host:port", as in "0.0.0.0:8883"')
    return value


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class RunSection(_Section):
    """What is worked on, under which seed."""

    task: Annotated[str, Field(min_length=1)]
    """A shipped task by name, or the path of a task folder (relative to the scenario file)."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    """All chance of the run derives from it."""
    time: Literal["real", "virtual"] = "real"
    """real: wall clock and real training; virtual: a clock that jumps, and modelled experiments."""


class StopSection(_Section):
    """The run ends when the first of these is reached; an empty section means for ever."""

    experiments: Annotated[int, Field(ge=1)] | None = None
    """Experiments, reproductions included, baseline runs not."""
    device_seconds: Annotated[float, Field(gt=0)] | None = None
    """Training time of all attempts, lost ones by wall time; the baseline left out."""
    wall_s: Annotated[float, Field(gt=0)] | None = None
    """Seconds of run time; time between a stop and its resumption does not count."""
    research_s: Annotated[float, Field(gt=0)] | None = None
    """The same from when the baseline was measured: what every arm of a study has, on few slots or
    many, whoever measured the baseline that they share."""
    usd: Annotated[float, Field(gt=0)] | None = None
    """Dollars that thinking has cost; a call under way may add to it. Caps are `spend`'s."""
    target: float | None = None
    """Stop when a reproduced commit's score is this good or better, in the task's unit."""


class BudgetSection(_Section):
    """What one experiment may spend, in place of the task's own budget."""

    kind: BudgetKind
    """``auto``: device_seconds where there is a GPU, else cpu_seconds."""
    amount: Annotated[float, Field(gt=0)]
    """CPU-seconds, seconds of the leased device, or optimiser steps."""


class BoardSection(_Section):
    """Where researchers talk."""

    broker: Annotated[str, AfterValidator(_broker)] = "embedded"
    """``embedded`` (our own MQTT broker), ``memory`` or ``mqtt[s]://host:port``."""
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Loopback port of the embedded broker; without it, or with 0, a free one is chosen."""
    listen: Annotated[str, AfterValidator(_listen)] | None = None
    """``host:port`` where the embedded broker can be reached from elsewhere too; always with TLS,
    unless the host is loopback."""
    tls_cert: str | None = None
    """Its certificate (PEM file); without one a self-signed one is made."""
    tls_key: str | None = None
    """The certificate's key (PEM file)."""
    credentials: str | None = None
    """Folder with a credential for everybody on a broker of yours (``community broker config``)."""
    log: str | None = None
    """Log of that Mosquitto, from which incidents are taken."""
    posts_per_minute: Annotated[int, Field(ge=1)] = POSTS_PER_MINUTE
    """Most posts of one author that are taken within any minute of run time."""

    @property
    def has_logins(self) -> bool:
        """Whether each participant has a login of its own, so that one can come from outside."""
        return self.broker == "embedded" or self.credentials is not None


def _family(value: object) -> object:
    return "isolated" if value == "none" else value


class EdgeSection(_Section):
    """One edge of a graph that is given edge by edge."""

    author: str
    reader: str
    """Who hears the author."""
    carries: Carries | None = None
    """None, here and below: as the section says for all edges."""
    delay_s: Annotated[float, Field(ge=0, le=LONGEST_S)] | None = None
    loss: Annotated[float, Field(ge=0, le=1)] | None = None


class TopologySection(_Section):
    """Who hears whom; `community.topology.families` says what each family is."""

    family: Annotated[Family, BeforeValidator(_family)] = "complete"
    """``none`` is another word for ``isolated``."""
    k: Annotated[int, Field(ge=1)] | None = None
    """Neighbours of each: lattice, small_world (before rewiring), random_regular."""
    p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Probability of each edge (erdos_renyi) or of its being rewired (small_world, caveman)."""
    m: Annotated[int, Field(ge=1)] | None = None
    """scale_free: edges that each newcomer makes."""
    size: Annotated[int, Field(ge=2)] | None = None
    """Agents of each cave or team."""
    bridges: Annotated[int, Field(ge=1)] | None = None
    """teams: edges between each team and the next."""
    branching: Annotated[int, Field(ge=1)] | None = None
    """hierarchy: reports of each head."""
    columns: Annotated[int, Field(ge=1)] | None = None
    """lattice: a grid of so many columns, in place of k."""
    edges: Annotated[tuple[EdgeSection, ...], Field(strict=False, min_length=1)] | None = None
    """Of the family ``edges``."""
    file: Annotated[str, Field(min_length=1)] | None = None
    """Or where they are; `community.loading` reads it and puts them in its place."""
    one_way: OneWay | None = None
    """None: every edge goes both ways."""
    carries: Carries = "everything"
    """How much of a post an edge lets through."""
    delay_s: Annotated[float, Field(ge=0, le=LONGEST_S)] = 0.0
    """Seconds of run time that a post takes along an edge."""
    loss: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability that an edge loses a post."""
    rewire: Rewire = "static"
    """schedule: drawn anew; adaptive: by whose predictions came true."""
    rewire_every: Annotated[int, Field(ge=1)] | None = None
    """Experiments with a verdict between two rewirings."""
    rewire_every_s: Annotated[float, Field(ge=1, le=LONGEST_S)] | None = None
    """Or seconds of run time between them: each is a row of the ledger with the whole graph."""


class NoiseSection(_Section):
    """How well the noise between seeds is known before anything counts as an improvement."""

    baseline_runs: Annotated[int, Field(ge=2, le=100)] = 8
    """Runs of the unmodified start, on fresh seeds and on the slots in turn: the first that say how
    much scores spread, and the first references."""
    confirm_pairs: Annotated[int, Field(ge=2, le=100)] = 8
    """Most pairs (child, parent) of runs in a reproduction; one with a clear answer ends sooner."""
    multiplicity: Literal["fixed", "lord"] = "fixed"
    """How error is spent over claims: the same for each, or by LORD++, which keeps the false
    discovery rate below 5 % however few are true."""


class SealSection(_Section):
    """The last runs, on text by which nothing was decided."""

    runs: Annotated[int, Field(ge=1, le=100)] = 4
    """Runs each, on fresh seeds, of the baseline and of the three leading commits."""


class CreditSection(_Section):
    """Who is owed how much of the gain."""

    share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Of the device-seconds of the run's experiments, the most that measuring may take what the
    leading commit loses without each of its changes; what does not fit is not done."""


class LabSection(_Section):
    """Rules of the institution."""

    reproduce_after: Annotated[float, Field(ge=0)] = 2.0
    """How long a claim waits for a reproducer before the lab itself confirms it, in budgets."""
    confirm_share: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Largest share of a run's experiments that confirmations may take for the lab to open another
    one; the last confirmation's worth is kept apart and not bound by it."""
    await_remote_s: Annotated[float, Field(ge=0)] = 3600.0
    """How long a run in which nobody else may propose waits for agents from elsewhere that are
    away, seconds of run time."""
    await_models_s: Annotated[float, Field(gt=0)] = 1800.0
    """How long a run in which nobody else may propose waits for models that do not answer; then it
    stops, and can be resumed."""
    isolation: Isolation = "full"
    """Weakest isolation of candidate code the run accepts; with less it refuses to start."""


class ReviewsSection(_Section):
    """Who is asked what he thinks of a hypothesis, and how his word is held against him."""

    reviewers: Annotated[int, Field(ge=0, le=100)] = 1
    """How many are asked about each hypothesis."""
    settle_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the hypotheses somebody is asked about that are drawn, unseen, to be confirmed
    whatever is said of them."""


class AgentSection(_Section):
    """One participant, or `count` of them alike."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    """Letters a-z, digits, ``-`` and ``_``; unique."""
    role: Annotated[str, Field(min_length=1)]
    """A record in ``scenarios/roles/`` or in ``roles``: which actions it has the right to."""
    mind: Annotated[str, Field(min_length=1)]
    """What decides for it, for example ``policy:social``; or ``remote``: whoever joins."""
    count: Annotated[int, Field(ge=1, le=1000)] = 1
    """With more than one, they are named ada-1, ada-2, ..."""
    model: ModelSection | None = None
    """How a mind that asks a model asks it."""


@dataclass(frozen=True, slots=True)
class Member:
    """One named participant after `count` was expanded."""

    name: str
    role: str
    mind: str
    model: ModelSection | None = None


class Scenario(_Section):
    """A whole scenario file."""

    run: RunSection
    stop: StopSection = StopSection()
    budget: BudgetSection | None = None
    """None: the task's own budget."""
    pool: PoolSection = PoolSection()
    board: BoardSection = BoardSection()
    topology: TopologySection = TopologySection()
    noise: NoiseSection = NoiseSection()
    seal: SealSection = SealSection()
    credit: CreditSection = CreditSection()
    lab: LabSection = LabSection()
    reviews: ReviewsSection = ReviewsSection()
    model: dict[str, Any] | None = None
    """Of a modelled task: parameters in place of the task's own; see
    `community.modelled.parameters`."""
    spend: SpendSection = SpendSection()
    roles: dict[Annotated[str, Field(pattern=ROLE_PATTERN)], RoleTable] | None = None
    """Roles of the scenario's own, by name."""
    minds: MindsSection | None = None
    """Programs that think for agents: ``[minds.cli.NAME]``."""
    agents: Annotated[tuple[AgentSection, ...], Field(strict=False, min_length=1)]

    def members(self) -> tuple[Member, ...]:
        """Return every participant by name, in the file's order."""
        return tuple(
            Member(name=name, role=agent.role, mind=agent.mind, model=agent.model)
            for agent in self.agents
            for name in member_names(agent.name, agent.count)
        )

    def role(self, name: str) -> Role:
        """Return a role by name: one of the scenario's own, else one that ships.

        Raises:
            RoleError: there is no such role.
        """
        own = (self.roles or {}).get(name)
        return load_role(name) if own is None else own.as_role(name)


def member_names(name: str, count: int) -> tuple[str, ...]:
    """Return ``name`` alone, or ``name-1 ... name-count`` when there are several."""
    return (name,) if count == 1 else tuple(f"{name}-{n}" for n in range(1, count + 1))


def scenario_toml(scenario: Scenario) -> str:
    """Write `scenario` as TOML that loads to the same record (comments of the file are lost)."""
    data = scenario.model_dump(exclude_none=True)
    agents = data.pop("agents")
    lines = [f"{key} = {_literal(value)}" for key, value in data.items() if value]
    for agent in agents:
        lines += ["", "[[agents]]", *(f"{key} = {_literal(value)}" for key, value in agent.items())]
    return "\n".join(lines) + "\n"


def _key(key: str) -> str:
    """One key of an inline table, in quotes where it has to be (a mind's name)."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _literal(key)


def _literal(value: Any) -> str:
    """One value as a TOML literal: inline table, array, string or number."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_literal(item) for item in value)}]"
    if isinstance(value, dict):
        items = (f"{_key(key)} = {_literal(item)}" for key, item in value.items())
        return "{ " + ", ".join(items) + " }"
    if isinstance(value, str):
        escaped = "".join(
            f"\\u{ord(char):04X}" if char in '"\\' or ord(char) < 32 or ord(char) == 127 else char
            for char in value
        )
        return f'"{escaped}"'
    return str(value).lower() if isinstance(value, bool) else repr(value)
