"""What kind of search a run was: one number per question, from its fold alone.

Every field of `Telemetry` says how it is counted. None means that the run gives no answer (nothing
was claimed, say), which is not 0. Next: `community.study.records` keeps them, one row per run.

Sources:
    Shannon, C. E. (1948). A mathematical theory of communication. Lineage entropy.
    Jost, L. (2006). Entropy and diversity. Oikos 113, 363-375. Two to the entropy is the number of
    equally common lineages that would be as diverse.
    Simpson, E. H. (1949). Measurement of diversity. Nature 163, 688. Herding: the probability that
    two drawn at random are alike, here that two researchers build on the same commit.
    Gini, C. (1912). Variabilita e mutabilita. Of credit over researchers.
    Rogers, E. M. (1962). Diffusion of innovations. Spread: who adopts it, and how long it takes.
    Ioannidis, J. P. A. (2005). Why most published research findings are false. PLoS Med 2, e124.
    False improvements: the share of claims whose true gain is none.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agents.prices import MICRO_USD
from community.archive.credit import credit_table
from community.archive.queries import leader
from community.archive.state import ExperimentState, HypothesisState, RunState
from community.study.curves import time_to
from community.study.trace import Truths, research_began_us
from community.topology.measures import gini

BUILT = frozenset({"improved", "reproduced"})


@dataclass(frozen=True, slots=True)
class Telemetry:
    """One run in numbers."""

    experiments: int
    """With a verdict; calibration and the last runs left out."""
    valid: int
    """Those of them with a score."""
    device_seconds: float
    usd: float
    """What thinking has cost, to the run's end."""
    run_s: float
    """Seconds of run time from the end of calibration to the last verdict."""
    hypotheses: int
    trees: int
    """Different trees among the hypotheses that were run."""
    duplicate_rate: float | None
    """Share of the hypotheses that were run whose tree had been run before, by anybody."""
    lineage_entropy_bits: float | None
    """Of the first step away from the baseline that each hypothesis that was run descends from."""
    lineages: float | None
    """Two to the entropy: so many equally common lineages would be as diverse."""
    herding: float | None
    """Probability that a hypothesis builds on the same commit as one by somebody else among the
    last ones, as many as there are researchers; what builds on the baseline is left out."""
    improved: int
    """Hypotheses whose screen said improved."""
    false_improved: float | None
    """Share of them that are truly no better than their declared parent."""
    reproduced: int
    """Hypotheses that were ever confirmed."""
    false_reproduced: float | None
    credit_gini: float | None
    """Of credit, over researchers with a hypothesis: 0 all alike, towards 1 one has all."""
    adopted: float | None
    """Of all pairs of an improvement and another researcher: how many built on it."""
    spread_s: float | None
    """Run time until half of these pairs have: Kaplan and Meier's median; None where it is not
    reached."""
    utilisation: float
    """Share of the slots' time that was leased to an experiment, from the end of calibration to the
    last verdict."""
    submitted_share: float
    """Experiments with a verdict, of those that the slots had room for in that time, had each taken
    what valid ones took in the mean."""
    valid_share: float
    """Those with a score, of the same."""
    gain: float | None
    """Of the commit that leads over the baseline, positive is better: the true one where it is
    known, else the one on record."""
    spend_per_gain: float | None
    """Device-seconds for one unit of that gain."""


def telemetry_of(state: RunState, truths: Truths) -> Telemetry:
    """Return the numbers of a run that has ended.

    Args:
        state: The run.
        truths: True score of each tree; empty for a real task.

    Raises:
        ValueError: the run has no calibrated baseline.
    """
    if state.opened is None or state.noise is None:
        raise ValueError("the run was never calibrated")
    counted = [e for e in state.by_verdict if not e.is_apart]
    run = [h for h in state.hypotheses.values() if _was_run(state, h)]
    entropy = _entropy(Counter(_founders(state, run).values()))
    improved = [h for h in run if _had(h, "improved")]
    reproduced = [h for h in run if _had(h, "reproduced")]
    adopted, spread_s = _spread(state, [h for h in run if _had(h, *BUILT)])
    gain = _gain(state, truths)
    span_us = (counted[-1].verdict_us or 0) - research_began_us(state) if counted else 0
    valid = sum(e.verdict is not None and e.verdict.outcome == "ok" for e in counted)
    room = _room(state, counted, span_us)
    return Telemetry(
        experiments=len(counted),
        valid=valid,
        device_seconds=state.device_seconds,
        usd=sum(micro_usd for _, micro_usd in state.minds.paid) / MICRO_USD,
        run_s=max(0, span_us) / 1e6,
        hypotheses=len(state.hypotheses),
        trees=len({h.tree_key for h in run}),
        duplicate_rate=_duplicates(run),
        lineage_entropy_bits=entropy,
        lineages=None if entropy is None else 2.0**entropy,
        herding=_herding(state, run),
        improved=len(improved),
        false_improved=_false_share(state, improved, truths),
        reproduced=len(reproduced),
        false_reproduced=_false_share(state, reproduced, truths),
        credit_gini=_credit_gini(state),
        adopted=adopted,
        spread_s=spread_s,
        utilisation=_utilisation(state, counted, span_us),
        submitted_share=len(counted) / room if room else 0.0,
        valid_share=valid / room if room else 0.0,
        gain=gain,
        spend_per_gain=state.device_seconds / gain if gain is not None and gain > 0 else None,
    )


def _was_run(state: RunState, hypothesis: HypothesisState) -> bool:
    served = (state.experiments[name] for name in hypothesis.experiments)
    return any(e.queued.purpose == "screen" and e.is_done for e in served)


def _had(hypothesis: HypothesisState, *statuses: str) -> bool:
    return any(change.status in statuses for _, change in hypothesis.changes)


def _duplicates(run: list[HypothesisState]) -> float | None:
    if not run:
        return None
    seen: set[str] = set()
    again = 0
    for hypothesis in run:
        again += hypothesis.tree_key in seen
        seen.add(hypothesis.tree_key)
    return again / len(run)


def _base(state: RunState, parents: tuple[str, ...]) -> str:
    """Return the commit that was built on: the second parent, where the first is declared only."""
    baseline = state.opened.baseline_commit if state.opened else ""
    return parents[-1] if parents else baseline


def _founders(state: RunState, run: list[HypothesisState]) -> dict[str, str]:
    """Return for each hypothesis (post id) its oldest ancestor that is not the baseline."""
    baseline = state.opened.baseline_commit if state.opened else ""
    known: dict[str, str] = {baseline: ""}

    def founder(commit: str) -> str:
        chain = []
        while commit not in known:
            chain.append(commit)
            proposal = state.proposals.get(commit)
            commit = _base(state, proposal.parents) if proposal else baseline
        first = known[commit]
        for child in reversed(chain):
            first = known[child] = first or child
        return first

    return {h.post_id: founder(h.commit) for h in run}


def _entropy(counts: Counter[str]) -> float | None:
    total = counts.total()
    if not total:
        return None
    shares = [count / total for count in counts.values()]
    return abs(-sum(share * math.log2(share) for share in shares))


def _herding(state: RunState, run: list[HypothesisState]) -> float | None:
    authors = {h.author for h in run}
    baseline = state.opened.baseline_commit if state.opened else ""
    built = [(h.author, _base(state, h.parents)) for h in run]
    last: deque[tuple[str, str]] = deque(maxlen=max(1, len(authors)))
    alike: list[bool] = []
    for author, commit in built:
        if commit != baseline:
            alike += [commit == other for who, other in last if who != author]
            last.append((author, commit))
    return sum(alike) / len(alike) if alike else None


def _false_share(state: RunState, claims: list[HypothesisState], truths: Truths) -> float | None:
    """Return the share of claims that truly gain nothing on their declared parent."""
    gains = [_true_gain(state, claim, truths) for claim in claims]
    known = [gain for gain in gains if gain is not None]
    return sum(gain <= 0 for gain in known) / len(known) if known else None


def _true_gain(state: RunState, claim: HypothesisState, truths: Truths) -> float | None:
    assert state.opened is not None
    parent = state.proposals.get(claim.parents[0]) if claim.parents else None
    before = truths.get(parent.tree_key if parent else state.opened.baseline_tree_key)
    after = truths.get(claim.tree_key)
    if before is None or after is None:
        return None
    return after - before if state.opened.direction == "higher" else before - after


def _credit_gini(state: RunState) -> float | None:
    credit = credit_table(state).by_author
    if not any(credit.values()):
        return None
    authors = {h.author for h in state.hypotheses.values()} | set(credit)
    return gini([max(0.0, credit.get(author, 0.0)) for author in sorted(authors)])


def _spread(state: RunState, claims: list[HypothesisState]) -> tuple[float | None, float | None]:
    """Return how many (improvement, other researcher) pairs built on it, and the median wait."""
    first_built = _first_built(state)
    authors = {h.author for h in state.hypotheses.values()}
    end_us = max((h.posted_us for h in state.hypotheses.values()), default=0)
    waits, ends = [], []
    for claim in claims:
        found_us = next(at for at, change in claim.changes if change.status in BUILT)
        for other in authors - {claim.author}:
            if end_us <= found_us:
                continue
            built_us = first_built.get(claim.commit, {}).get(other, math.inf)
            waits.append(max(0.0, built_us - found_us) / 1e6)
            ends.append((end_us - found_us) / 1e6)
    if not waits:
        return None, None
    found = time_to(waits, ends)
    return found.reached / found.n, found.median if math.isfinite(found.median) else None


def _first_built(state: RunState) -> Mapping[str, Mapping[str, int]]:
    """Return commit -> researcher -> run time at which he first proposed something built on it."""
    first: defaultdict[str, dict[str, int]] = defaultdict(dict)
    ancestors: dict[str, frozenset[str]] = {}

    def of(commit: str) -> frozenset[str]:
        chain = [commit]
        while chain:
            proposal = state.proposals.get(chain[-1])
            parents = proposal.parents if proposal else ()
            missing = [parent for parent in parents if parent not in ancestors]
            if missing:
                chain += missing
                continue
            known = (ancestors[parent] | {parent} for parent in parents)
            ancestors[chain.pop()] = frozenset().union(*known)
        return ancestors[commit]

    for hypothesis in state.hypotheses.values():
        for ancestor in of(hypothesis.commit):
            first[ancestor].setdefault(hypothesis.author, hypothesis.posted_us)
    return first


def _utilisation(state: RunState, counted: Iterable[ExperimentState], span_us: int) -> float:
    slots = len(state.opened.slots) if state.opened else 0
    if span_us <= 0 or not slots:
        return 0.0
    leased = sum(
        (attempt.ended_us or attempt.started_us) - attempt.started_us
        for experiment in counted
        for attempt in experiment.attempts
    )
    return min(1.0, leased / (slots * span_us))


def _room(state: RunState, counted: Iterable[ExperimentState], span_us: int) -> float:
    """Return how many experiments of the mean length of valid ones fit into the slots' time."""
    slots = len(state.opened.slots) if state.opened else 0
    lengths = [
        attempt.ended.train_us[1] - attempt.ended.train_us[0]
        for experiment in counted
        for attempt in experiment.attempts
        if attempt.ended is not None and attempt.ended.outcome == "ok"
    ]
    mean_us = sum(lengths) / len(lengths) if lengths else 0.0
    return slots * span_us / mean_us if mean_us > 0 else 0.0


def _gain(state: RunState, truths: Truths) -> float | None:
    assert state.opened is not None
    assert state.noise is not None
    leading = leader(state)
    proposal = state.proposals.get(leading.commit) if leading else None
    if proposal is None or leading is None:
        return None
    after, before = truths.get(proposal.tree_key), truths.get(state.opened.baseline_tree_key)
    if after is None or before is None:
        vault = state.mean_score(state.opened.baseline_tree_key, "vault")
        after, before = leading.score, state.noise.mean if vault is None else vault
    return after - before if state.opened.direction == "higher" else before - after
