"""One line of text per ledger row that a person wants to know about, and None for the rest.

Text of agents is data: control characters are taken out and the length is bounded; nothing in it is
read as markup or as an escape sequence. `community.cli.progress` prints the lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from community.archive.queries import best_commit
from community.archive.state import RunState
from community.device_figures import device_words
from community.events import (
    APART,
    AgentJoined,
    AttemptEnded,
    Event,
    FrontierMoved,
    NoiseEstimated,
    Noticed,
    Posted,
    Purpose,
    Refused,
    ReproductionOpened,
    Row,
    RunOpened,
    RunResumed,
    RunStopped,
    SealScored,
    StatusChanged,
    VerdictGiven,
)
from community.evidence_events import (
    ArtefactGraded,
    ClaimRetracted,
    DeviceUsed,
    FinalsOpened,
    MeasureChanged,
    ModelMeasured,
    SlotPlaced,
    VerdictRetracted,
)
from community.forum_events import (
    LeadClaimed,
    PersonActed,
    PersonJoined,
    SeatLeft,
    SeatTaken,
    TopologySet,
)
from community.plain_text import isolation_words, one_line

LAB_WORK: dict[Purpose, str] = {
    "baseline": "baseline",
    "sentinel": "sentinel of what leads",
    "credit": "whose change was it",
    "seal": "last run, on seal",
    "transfer": "a commit at this size",
}
"""What is said of runs that serve no hypothesis."""
VERBS: dict[Purpose, str] = {
    "screen": "tries",
    "parent": "runs a reference for",
    "confirm_child": "reproduces",
    "confirm_parent": "reproduces (parent)",
}
"""What somebody does who asked for a run."""


def row_line(row: Row, state: RunState) -> str | None:
    """Return the line for `row`, which `state` has already taken in."""
    line = _LINES.get(type(row.event))
    return line(row.event, state) if line else None


def has_line(event: Event) -> bool:
    """Whether there may be a line for such an event."""
    return type(event) in _LINES


def run_time(at_us: int) -> str:
    """Return microseconds of run time as ``m:ss``, or ``h:mm:ss`` from an hour on."""
    minutes, seconds = divmod(at_us // 1_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def plain(text: object, limit: int = 100) -> str:
    """Return `text` on one line, printable characters only, at most `limit` of them."""
    return one_line(str(text), limit)


def post_line(event: Posted, state: RunState) -> str:
    """Return one line about a post of any kind."""
    body = event.body
    said = _SAID.get(str(body.get("kind")), _said_text)
    return f"{event.post_id} {plain(event.author, 32)}{said(body, state)}"


def _said_hypothesis(body: dict[str, Any], state: RunState) -> str:
    expected = body["prediction"]
    return (
        f': "{plain(body["title"])}" expects {expected["gain"]:+.3f} '
        f"({expected['confidence']:.0%} sure)"
    )


def _said_result(body: dict[str, Any], state: RunState) -> str:
    evidence = body["evidence"]
    score = "no score" if evidence.get("score") is None else f"{evidence['score']:.4f}"
    what = plain(evidence.get("status"), 20)
    return (
        f" reports on {plain(body['hypothesis'], 12)}: {score}, {what} [{evidence['verdict_id']}]"
    )


def _said_review(body: dict[str, Any], state: RunState) -> str:
    said = body.get("forecast")  # absent in older ledgers
    expects = f", expects {said['gain'][1]:+.3f} ({said['reproduced']:.0%} to hold)" if said else ""
    return f" on {plain(body['hypothesis'], 12)}: {body['opinion']}{expects}"


def _said_claim(body: dict[str, Any], state: RunState) -> str:
    return f" takes on {plain(body['target'], 12)}"


def _said_text(body: dict[str, Any], state: RunState) -> str:
    return f": {plain(body.get('title') or body.get('text') or body.get('kind'))}"


_SAID: dict[str, Callable[[dict[str, Any], RunState], str]] = {
    "hypothesis": _said_hypothesis,
    "finding": _said_result,
    "failure": _said_result,
    "review": _said_review,
    "claim": _said_claim,
}


def _opened(event: RunOpened, state: RunState) -> str:
    return (
        f"run {event.run_id}: task {event.task}, seed {event.seed}, "
        f"{event.budget_amount:g} {event.budget_kind} each, slots {' '.join(event.slots)}"
    )


def _resumed(event: RunResumed, state: RunState) -> str:
    lost = ", ".join(event.lost_attempts)
    limit = "" if event.experiments is None else f", until {event.experiments} experiments are made"
    return f"resumed{limit}{f'; lost attempts run again: {lost}' if lost else '; nothing was lost'}"


def _joined(event: AgentJoined, state: RunState) -> str:
    hears = ", ".join(event.hears) or "nobody"
    return f"{event.agent} joins ({event.role}, {event.mind}), hears {hears}"


def _noise(event: NoiseEstimated, state: RunState) -> str:
    unit = state.opened.unit if state.opened else ""
    runs = len(event.scores)
    return f"baseline: {event.mean:.4f} {unit}, sigma {event.sigma:.4f} over {runs} seeds"


def _verdict(event: VerdictGiven, state: RunState) -> str:
    experiment = state.experiments[event.experiment_id].queued
    who = experiment.requested_by
    if experiment.purpose in APART:
        is_start = state.opened is not None and event.commit == state.opened.baseline_commit
        who = "baseline" if is_start else event.commit[:10]
    purpose = {
        "confirm_child": ", reproduction",
        "confirm_parent": ", reproduction (parent)",
        "parent": ", reference",
        "sentinel": ", sentinel",
        "credit": ", for credit",
        "seal": ", last run",
    }
    what = f"{event.score:.4f}" if event.score is not None else f"invalid: {plain(event.reason)}"
    walls = isolation_words(event.isolation, event.measured_by)
    done = f"{purpose.get(experiment.purpose, '')}{walls and f' ({walls})'}"
    return f"{event.experiment_id} {who}: {what} on {event.split}{done}"


def _status(event: StatusChanged, state: RunState) -> str:
    numbers = "" if event.gain is None else f" (gain {event.gain:+.4f}{_how_sure(event)})"
    hypothesis = state.hypotheses.get(event.hypothesis)
    title = f': "{plain(hypothesis.title, 60)}"' if hypothesis else ""
    status = "open again" if event.status == "measured" else event.status.replace("_", " ")
    return f"{event.hypothesis} is {status}{numbers}, by {event.by}{title}"


def _how_sure(event: StatusChanged) -> str:
    """Return half the interval, and the pairs; in older ledgers the gain that was needed."""
    if event.low is None or event.high is None:
        return f", needed {event.threshold:.4f}" if event.threshold is not None else ""
    pairs = f", {event.pairs} pair{'' if event.pairs == 1 else 's'}" if event.pairs else ""
    return f" ±{(event.high - event.low) / 2:.4f}{pairs}"


def _frontier(event: FrontierMoved, state: RunState) -> str:
    best = best_commit(state)
    words = best.comparison if best and best.hypothesis.post_id == event.hypothesis else ""
    gain = words and f", {words}"
    commit = f"commit {event.commit[:10]} ({event.hypothesis})"
    return f"new best: {event.score:.4f} on vault{gain}, {commit}"


def _seal(event: SealScored, state: RunState) -> str:
    def told(score: float | None, reason: str) -> str:
        return f"no score: {plain(reason) or 'not kept'}" if score is None else f"{score:.4f}"

    baseline = told(event.baseline_score, event.baseline_reason)
    found = told(event.score, event.reason)
    return f"seal, asked once: {found} (baseline {baseline}), commit {event.commit[:10]}"


def _graded(event: ArtefactGraded | ModelMeasured, state: RunState) -> str | None:
    """Tell what was measured beside the metric."""
    metric = state.opened.metric if state.opened is not None else ""
    named = sorted(event.measures.items(), key=lambda each: each[0][-1:].isdigit())  # slices last
    beside = [f"{plain(k, 32)} {_number(v)}" for k, v in named if k != metric]
    return f"{event.experiment_id} has {', '.join(beside[:6])}" if beside else None


def _number(value: float) -> str:
    """Return counts in full, and whatever else in four digits."""
    return f"{value:,.0f}" if value == int(value) and abs(value) >= 1000 else f"{value:.4g}"


def _used(event: DeviceUsed, state: RunState) -> str:
    """Tell what a training had of its card."""
    return f"{event.experiment_id} had {device_words(event)}"


def _finals(event: FinalsOpened, state: RunState) -> str:
    leading = ", ".join(commit[:10] for commit in event.commits)
    return f"nobody proposes any more; last runs on seal: the baseline and {leading}"


def _retracted(event: VerdictRetracted | ClaimRetracted, state: RunState) -> str:
    what = event.verdict_id if isinstance(event, VerdictRetracted) else event.hypothesis
    counted = Counter(node.partition(":")[0] for node in event.reach)
    rested = ", ".join(f"{count} {kind}" for kind, count in counted.items()) or "nothing"
    why, by = plain(event.why), plain(event.by, 32)
    return f"{what} is taken back by {by}: {why}; on it rested: {rested}"


def _topology(event: TopologySet, state: RunState) -> str | None:
    if event.why == "drawn":
        return None  # who joins says whom he hears
    count = sum(map(len, event.edges.values()))
    return f"the topology is rewired ({event.why}): {count} edges"


def _person(event: PersonActed, state: RunState) -> str:
    verb = {"boost": "boosts", "veto": "vetoes", "pause": "pauses", "resume": "resumes"}
    why = f": {plain(event.why)}" if event.why else ""
    return f"{plain(event.person, 32)} {verb[event.action]} {plain(event.target, 64)}{why}"


def _attempt(event: AttemptEnded, state: RunState) -> str | None:
    if event.outcome in ("ok", "invalid"):
        return None  # the verdict says it
    what = event.outcome.replace("_", " ")
    return f"{event.experiment_id} attempt {event.attempt}: {what}: {plain(event.reason)}"


def _posted(event: Posted, state: RunState) -> str | None:
    # Verdicts and statuses have lines of their own; findings and claims would repeat them.
    is_repetition = event.body.get("kind") in ("finding", "failure", "claim")
    return None if is_repetition else post_line(event, state)


def _refused(event: Refused, state: RunState) -> str:
    if event.what == "connection":
        return f"incident at the broker: {plain(event.who, 32)}: {plain(event.reason, 200)}"
    return f"refused a {event.what} of {plain(event.who, 32)}: {plain(event.reason)}"


_LINES: dict[type, Callable[[Any, RunState], str | None]] = {
    RunOpened: _opened,
    RunResumed: _resumed,
    AgentJoined: _joined,
    NoiseEstimated: _noise,
    VerdictGiven: _verdict,
    StatusChanged: _status,
    FrontierMoved: _frontier,
    SealScored: _seal,
    ArtefactGraded: _graded,
    ModelMeasured: _graded,
    DeviceUsed: _used,
    SlotPlaced: lambda event, state: f"slot {plain(event.slot, 32)} is on node {plain(event.node)}",
    FinalsOpened: _finals,
    MeasureChanged: lambda event, state: (
        "from here on a grader measures; all scores before, self-reported, are set aside, and what "
        "rested on them is open again"
    ),
    VerdictRetracted: _retracted,
    ClaimRetracted: _retracted,
    AttemptEnded: _attempt,
    Posted: _posted,
    Refused: _refused,
    ReproductionOpened: lambda event, state: f"{event.by} reproduces {event.hypothesis}",
    TopologySet: _topology,
    LeadClaimed: lambda event, state: f"{event.by} works on lead {event.lead}",
    PersonJoined: lambda event, state: f"{plain(event.person, 32)} joins, a person",
    PersonActed: _person,
    SeatTaken: lambda event, state: f"{event.agent} takes its seat ({plain(event.mind, 64)})",
    SeatLeft: lambda event, state: f"{event.agent} left its seat: {plain(event.why)}",
    Noticed: lambda event, state: plain(event.text) if event.text else None,
    RunStopped: lambda event, state: f"stopped: {plain(event.why)}",
}
