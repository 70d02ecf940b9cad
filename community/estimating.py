"""Estimating: what a run's thinking may cost, before it starts.

A range from what is known beforehand: the prompt of each agent's first turn, prices, the limit of
experiments, how many share it, quotas and caps. How many turns a mind takes is not known: the lower
end is half a turn for each of its share of experiments, the upper one a turn for everything that
could wake it. It says how it was computed, in words.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.minds.calling import OVERHEAD_TOKENS
from agents.minds.catalogue import is_command_mind
from agents.minds.quoting import tokens_of
from agents.prices import MICRO_USD, Price, Usage, in_usd, price_of
from community.archive.state import RunState
from community.cli_sections import cli_of
from community.mind_faults import is_language_mind
from community.minds_opening import pinned_prices
from community.scenario import Member, Scenario
from community.seeing import first_sight
from community.spend_sections import ModelSection

UNLIMITED = 100
"""Experiments that are taken for a run without a limit."""
FEWEST_TURNS = 0.5
"""Turns for each experiment of an agent's share, at the lower end."""
MOST_TURNS = 3.0
"""At the upper end: a post of a hypothesis, its result, and a word or a turn of waiting."""
USUAL_ANSWER = 600
"""Tokens of an answer at the lower end."""
USUAL_NEWS = 1_500
"""Tokens of a prompt that are new in a turn, at the lower end."""


@dataclass(frozen=True, slots=True)
class MemberEstimate:
    """What one agent's thinking may cost."""

    name: str
    role: str
    mind: str
    calls: tuple[int, int]
    micro_usd: tuple[int, int]
    stable_tokens: int
    """Of its first prompt, about: what a provider can cache."""
    first_micro_usd: int
    """The most that its first call may cost, which is set aside before it."""
    most_micro_usd: int | None
    """The lowest cap that holds for it; None without any."""

    @property
    def is_beyond(self) -> bool:
        """Whether not even the first call can be made."""
        return self.most_micro_usd is not None and self.first_micro_usd > self.most_micro_usd


@dataclass(frozen=True, slots=True)
class Estimate:
    """What all thinking of a run may cost."""

    members: tuple[MemberEstimate, ...]
    experiments: int
    is_limited: bool
    """Whether the scenario has a limit of experiments."""
    caps: tuple[str, ...]
    """Caps in words."""
    micro_usd: tuple[int, int]
    """Both ends, no higher than the caps allow."""

    def lines(self) -> list[str]:
        """Return it for people."""
        if not self.members:
            return ["no mind here asks a model: thinking costs nothing"]
        lines = [
            f"{each.name} ({each.role}, {each.mind}): {each.calls[0]} to {each.calls[1]} calls, "
            f"{in_usd(each.micro_usd[0])} to {in_usd(each.micro_usd[1])}; "
            f"some {each.stable_tokens} tokens of each prompt can be cached"
            for each in self.members
        ]
        lines += [
            f"{each.name} will not be asked: its first call may cost "
            f"{in_usd(each.first_micro_usd)}, and no more than {in_usd(each.most_micro_usd or 0)} "
            "may be spent on it"
            for each in self.members
            if each.is_beyond
        ]
        low, high = self.micro_usd
        of = f"{self.experiments} experiments"
        of += "" if self.is_limited else " (there is no limit; for each further hundred as much)"
        lines.append(f"together: {in_usd(low)} to {in_usd(high)} for {of}")
        lines += [f"cap: {cap}" for cap in self.caps] or ["cap: none; give spend = { usd = 5.0 }"]
        lines.append(
            f"how: at least {FEWEST_TURNS:g} and at most {MOST_TURNS:g} turns for each of an "
            "agent's share of the experiments (of all of them for who does not propose), within "
            "its quota; at the lower end one call a turn, its stable part from the provider's "
            f"cache, {USUAL_NEWS} new tokens and an answer of {USUAL_ANSWER}; at the upper end two "
            "calls a turn, nothing cached, prompt and answer as long as they may be; of a program "
            "(cli:...) from nothing to its usd_per_turn for each start"
        )
        return lines


def estimate_cost(scenario: Scenario) -> Estimate:
    """Return what the thinking of a run of `scenario` may cost.

    Raises:
        PriceError: a model has no price.
        TaskError, KnobError, RoleError: what the scenario names cannot be read.
    """
    limit = scenario.stop.experiments
    experiments = UNLIMITED if limit is None else limit
    members = tuple(
        _member(member, scenario, experiments)
        for member in scenario.members()
        if is_language_mind(member.mind)
    )
    low, high = (sum(each.micro_usd[end] for each in members) for end in (0, 1))
    ceiling = [
        cap for cap in (_micro(scenario.spend.usd), _micro(scenario.stop.usd)) if cap is not None
    ]
    low, high = (min([end, *ceiling]) for end in (low, high))
    return Estimate(members, experiments, limit is not None, _caps(scenario), (low, high))


def _member(member: Member, scenario: Scenario, experiments: int) -> MemberEstimate:
    prices = pinned_prices(scenario, RunState())
    options = (member.model or ModelSection()).as_options()
    prompt = first_sight(scenario, member.name).prompt
    stable = tokens_of(prompt.system + prompt.task + prompt.code) * 3 // 4  # four bytes a token
    role = scenario.role(member.role)
    rights = [scenario.role(each.role).rights for each in scenario.members()]
    proposers = max(1, sum("propose" in held for held in rights))
    share = experiments / proposers if "propose" in role.rights else float(experiments)
    turns = [max(1, round(share * each)) for each in (FEWEST_TURNS, MOST_TURNS)]
    if role.quotas.turns is not None:
        turns = [min(each, role.quotas.turns) for each in turns]
    calls = (turns[0], 2 * turns[1])
    cli = cli_of(member.mind, scenario.minds, prices) if is_command_mind(member.mind) else None
    if cli is not None:  # what a start of a program comes to beforehand nobody knows
        first = round((cli.usd_per_turn or 0.0) * MICRO_USD)
        low, high = 0, calls[1] * first
    else:
        price = price_of(member.mind, prices)
        sent = prompt.size_bytes + OVERHEAD_TOKENS
        first = price.most_micro_usd(sent, options.answer_tokens)
        low = _lowest(price, stable, calls[0])
        high = calls[1] * price.most_micro_usd(options.prompt_tokens, options.answer_tokens)
    section = scenario.spend.agent
    roles = (scenario.spend.roles or {}).get(member.role)
    ceiling = [_micro(each.usd) for each in (section, roles) if each is not None]
    kept = [cap for cap in ceiling if cap is not None]
    of_run = _micro(scenario.spend.usd)
    return MemberEstimate(
        member.name,
        member.role,
        member.mind,
        calls,
        (min([low, *kept]), min([high, *kept])),
        stable,
        first,
        min([*kept, *([] if of_run is None else [of_run])], default=None),
    )


def _lowest(price: Price, stable: int, calls: int) -> int:
    first = price.micro_usd(Usage(USUAL_NEWS, USUAL_ANSWER, cache_write=stable))
    later = price.micro_usd(Usage(USUAL_NEWS, USUAL_ANSWER, cache_read=stable))
    return first + (calls - 1) * later


def _micro(usd: float | None) -> int | None:
    return None if usd is None else int(usd * 1_000_000)


def _caps(scenario: Scenario) -> tuple[str, ...]:
    spend = scenario.spend
    whose = [("the run", spend), ("each agent", spend.agent)]
    whose += [(f"all of role {role}", cap) for role, cap in (spend.roles or {}).items()]
    told: list[str] = []
    for who, cap in whose:
        limits = {} if cap is None else {"usd": cap.usd, "tokens": cap.tokens, "calls": cap.calls}
        words = [f"{value:g} {key}" for key, value in limits.items() if value is not None]
        if words:
            told.append(f"{who}: {', '.join(words)}, never passed")
    if scenario.stop.usd is not None:
        told.append(f"the run ends at {scenario.stop.usd:g} usd, a call under way may add to it")
    return tuple(told)
