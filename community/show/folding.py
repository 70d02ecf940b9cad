"""From a folded ledger to the record that is shown; text of agents is cut to one printable line."""

from __future__ import annotations

import dataclasses
import math
from itertools import islice

from agents.prices import MICRO_USD
from community.admission import spent_usd
from community.archive.beside import beside
from community.archive.credit import credit_table
from community.archive.finals import Final, finals
from community.archive.leaderboard import Contribution, each_contribution, researchers
from community.archive.mind_state import REPLAYS, ThinkingState
from community.archive.queries import best_commit, experiment_limit, isolation_note, pool_use
from community.archive.state import RunState
from community.archive.yardstick import alarms, dev_looks, spend_by_purpose
from community.plain_text import one_line
from community.show.records import (
    BaselineShown,
    BestShown,
    CreditShown,
    HeadlineShown,
    IncidentShown,
    PoolShown,
    SealShown,
    Shown,
    SpendShown,
    ThinkingShown,
    TopologyShown,
    YardstickShown,
)
from community.show.retractions import retractions

TITLE_CHARACTERS = 120
"""What is shown of a title."""


def shown(
    state: RunState, ledger_hash: str, *, is_live: bool = False, top: int | None = None
) -> Shown:
    """Return what there is to say of a run.

    Args:
        state: The folded ledger; `opened` must be known.
        ledger_hash: `community.archive.codec.ledger_hash` of the same rows.
        is_live: Whether a process writes the ledger.
        top: So many contributions, the best ones, are in it; None for all.

    Raises:
        ValueError: the ledger is empty.
    """
    opened = state.opened
    if opened is None:
        raise ValueError("the ledger is empty: the run was never opened")
    use, credit = pool_use(state), credit_table(state)
    last = tuple(dataclasses.replace(f, title=_title(f.title)) for f in finals(state))
    return Shown(
        run_id=opened.run_id,
        replay_of=opened.host.get(REPLAYS, ""),
        task=opened.task,
        seed=opened.seed,
        metric=opened.metric,
        unit=opened.unit,
        direction=opened.direction,
        budget=f"{opened.budget_amount:g} {opened.budget_kind}",
        isolation=isolation_note(state),
        baseline=_baseline(state, opened.baseline_commit, opened.baseline_tree_key),
        best=_best(state),
        seal=_seal(state),
        headline=_headline(last),
        finals=last,
        beside=beside(state),
        yardstick=_yardstick(state),
        experiments=state.experiments_admitted,
        experiments_done=state.experiments_done,
        experiment_limit=experiment_limit(state),
        lost_attempts=state.lost_attempts,
        cut_off_attempts=state.cut_off_attempts,
        void_attempts=sum(a.is_void for e in state.experiments.values() for a in e.attempts),
        resumes=len(state.resumed),
        posts=len(state.posts),
        refusals=len(state.refusals),
        incidents=_incidents(state),
        pool=PoolShown(tuple(s.slot for s in use.slots), use.busy_share, use.train_share),
        cards=dict(state.evidence.used),
        topology=_topology(state),
        spend=SpendShown(
            device_seconds=state.device_seconds,
            baseline_device_seconds=state.baseline_device_seconds,
            score_cpu_s=sum(spend.score_cpu_s for spend in state.spend.values()),
            run_s=(state.last_us - state.opened_us) / 1e6,
            by_agent={name: spend.device_seconds for name, spend in sorted(state.spend.items())},
            by_role=_device_seconds_by_role(state),
            thinking=_thinking(state),
            thinking_by_role=_by_role(state),
            cost_usd=spent_usd(state),
        ),
        stop=state.stop_reason,
        is_live=is_live,
        retractions=retractions(state),
        credit=CreditShown(credit.kind, credit.total, credit.unattributed, dict(credit.by_commit)),
        leaderboard=_board(state, top),
        agents=researchers(state, credit),
        ledger_hash=ledger_hash,
    )


def _board(state: RunState, top: int | None) -> tuple[Contribution, ...]:
    best = islice(each_contribution(state), top)
    return tuple(dataclasses.replace(c, title=_title(c.title)) for c in best)


def _thinking(state: RunState) -> dict[str, ThinkingShown]:
    return {name: _thought(spent) for name, spent in sorted(state.minds.by_agent.items())}


def _by_role(state: RunState) -> dict[str, ThinkingShown]:
    """What the agents of each role have cost together, and all of them under an empty name."""
    sums: dict[str, ThinkingState] = {}
    for name, spent in state.minds.by_agent.items():
        for role in (state.agents[name].role, ""):
            sums.setdefault(role, ThinkingState()).add(spent)
    return {role: _thought(spent) for role, spent in sorted(sums.items())}


def _device_seconds_by_role(state: RunState) -> dict[str, float]:
    sums: dict[str, float] = {}
    for name, spend in state.spend.items():
        known = state.agents.get(name)
        if known is not None and known.role:
            sums[known.role] = sums.get(known.role, 0.0) + spend.device_seconds
    return dict(sorted(sums.items()))


def _thought(spent: ThinkingState) -> ThinkingShown:
    usage = spent.usage
    return ThinkingShown(
        calls=spent.calls,
        usd=spent.micro_usd / MICRO_USD,
        doubt_usd=spent.doubt_micro_usd / MICRO_USD,
        tokens=spent.tokens,
        input=usage.input,
        output=usage.output,
        cache_read=usage.cache_read,
        cache_write=usage.cache_write,
        thinking=usage.thinking,
        outcomes=dict(spent.outcomes),
        answers=dict(spent.answers),
    )


def _incidents(state: RunState) -> tuple[IncidentShown, ...]:
    """The last count of each kind by each user."""
    last = {
        (refused.who, refused.message_id): IncidentShown(
            one_line(refused.who, 40),
            refused.message_id,
            one_line(refused.reason, 240),
            at_us / 1e6,
        )
        for at_us, refused in state.refusals
        if refused.what == "connection"
    }
    return tuple(last.values())


def _baseline(state: RunState, commit: str, tree_key: str) -> BaselineShown:
    noise = state.noise
    return BaselineShown(
        commit=commit,
        mean=noise.mean if noise else state.mean_score(tree_key, "dev"),
        sigma=noise.sigma if noise else None,
        n=len(noise.scores) if noise else len(state.scores(tree_key, "dev")),
        vault_mean=state.mean_score(tree_key, "vault"),
    )


def _best(state: RunState) -> BestShown:
    best = best_commit(state)
    if best is None:
        return BestShown(*([None] * len(dataclasses.fields(BestShown))))
    return BestShown(
        score=best.score,
        status=best.hypothesis.status,
        commit=best.hypothesis.commit,
        hypothesis=best.hypothesis.post_id,
        title=_title(best.hypothesis.title),
        author=best.hypothesis.author,
        reproduced_by=best.hypothesis.reproduced_by,
        gain_percent=best.gain_percent,
        split=best.split,
        reference=best.reference,
        reference_split=best.reference_split,
    )


def _seal(state: RunState) -> SealShown:
    if (seal := state.seal) is not None:  # of an older ledger
        return SealShown(
            seal.score, seal.baseline_score, seal.commit, seal.hypothesis, seal.reason,
            runs=seal.score is not None,
        )  # fmt: skip
    last = finals(state)
    if not last:
        return SealShown(None, None, None, None, None)
    base, best = last[0].seal, last[1].seal
    score = best.mean if best else None
    return SealShown(
        score=score,
        baseline=base.mean if base else None,
        commit=last[1].commit,
        hypothesis=last[1].hypothesis,
        reason="" if score is not None else _why_none(state, last[1].commit),
        runs=best.runs if best else 0,
    )


def _why_none(state: RunState, commit: str) -> str:
    """Return why the last runs of a commit gave no score."""
    runs = (e for e in state.experiments.values() if e.queued.purpose == "seal")
    verdicts = [e.verdict for e in runs if e.queued.commit == commit and e.verdict]
    return verdicts[-1].reason if verdicts else "not measured yet"


def _headline(last: tuple[Final, ...]) -> HeadlineShown:
    first = next((final for final in last if final.hypothesis), None)
    if first is None or first.headline is None:
        return HeadlineShown(*([None] * len(dataclasses.fields(HeadlineShown))))
    found = first.headline
    has_percent = math.isfinite(found.percent)
    return HeadlineShown(
        gain=found.gain,
        low=found.low,
        high=found.high,
        percent=found.percent if has_percent else None,
        percent_low=found.percent_low if has_percent else None,
        percent_high=found.percent_high if has_percent else None,
        runs=found.runs[0],
        baseline_runs=found.runs[1],
        commit=first.commit,
        hypothesis=first.hypothesis,
        author=first.author,
        dev_gain=first.dev.gain if first.dev else None,
        vault_gain=first.vault.gain if first.vault else None,
    )


def _yardstick(state: RunState) -> YardstickShown:
    spend = spend_by_purpose(state)
    runs = {one.purpose: one.runs for one in spend}
    return YardstickShown(
        dev_looks=dev_looks(state),
        references=runs.get("parent", 0),
        sentinels=runs.get("sentinel", 0),
        reference_share=sum(o.share for o in spend if o.purpose in ("parent", "sentinel")),
        spend=spend,
        alarms=alarms(state),
    )


def _topology(state: RunState) -> TopologyShown | None:
    known = state.forum.topology
    if known is None:
        return None
    return TopologyShown(
        edges=sum(map(len, known.edges.values())),
        rewirings=known.epoch,
        why=known.why,
        measures=known.measures,
        lost=sum(len(record.posted.lost) for record in state.posts.values()),
        on_their_way=sum(map(len, state.reach.awaited.values())),
    )


def _title(words: str) -> str:
    return one_line(words, TITLE_CHARACTERS)
