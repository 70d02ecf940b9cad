"""What `community show` says of a run: one record for ``--json``, and a table for people.

Pure functions of the folded ledger; text that agents wrote is cut to one printable line here.
Next: `community.cli` prints it, benchmarks read the JSON.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from community.archive.leaderboard import Contribution, Researcher, contributions, researchers
from community.archive.queries import (
    best_commit,
    comparison,
    experiment_limit,
    isolation_note,
    pool_use,
)
from community.archive.state import RunState
from community.plain_text import isolation_words, one_line

TITLE_CHARACTERS = 120
"""What is shown of a title."""


@dataclass(frozen=True, slots=True)
class BaselineShown:
    """The unmodified start tree; None where it is not measured yet."""

    commit: str
    mean: float | None
    """Mean score on dev."""
    sigma: float | None
    """Standard deviation between seeds."""
    n: int
    """Runs the two rest on."""
    vault_mean: float | None
    """Mean on vault, known once a reproduction measured it."""


@dataclass(frozen=True, slots=True)
class BestShown:
    """The commit the run would be judged by; all None before anything is measured."""

    score: float | None
    """Mean over its runs on `split`."""
    status: str | None
    """reproduced for the frontier; else improved, or what the best measured one came to."""
    commit: str | None
    hypothesis: str | None
    """Post id."""
    title: str | None
    author: str | None
    reproduced_by: str | None
    gain_percent: float | None
    """Gain over `reference` in percent, positive is better."""
    split: str | None
    """vault for reproduced, else dev."""
    reference: float | None
    """The baseline's mean on `reference_split`."""
    reference_split: str | None
    """That split, but dev where the baseline is not measured on vault."""


@dataclass(frozen=True, slots=True)
class SealShown:
    """The one score on text by which nothing was decided; all None before a run has ended."""

    score: float | None
    baseline: float | None
    """The last calibration run's, on the same text."""
    commit: str | None
    """Which led when the run first ended."""
    hypothesis: str | None
    reason: str | None
    """Why there is no score; empty where there is one."""


@dataclass(frozen=True, slots=True)
class PoolShown:
    """How busy the slots were between 10 % and 90 % of the run's time, from 0 to 1."""

    slots: tuple[str, ...]
    busy_share: float
    """A train or an answering process was alive."""
    train_share: float


@dataclass(frozen=True, slots=True)
class SpendShown:
    """What the run consumed."""

    device_seconds: float
    """The charge of all attempts, the budget of lost ones included, baseline left out."""
    baseline_device_seconds: float
    score_cpu_s: float
    """CPU seconds of answering processes, baseline included."""
    run_s: float
    """Run time so far, stops left out."""
    by_agent: dict[str, float]
    """Device seconds per agent; calibration is under ``lab``."""


@dataclass(frozen=True, slots=True)
class Shown:
    """All that is said of a run."""

    run_id: str
    task: str
    seed: int
    metric: str
    unit: str
    direction: str
    budget: str
    """For people: ``10 cpu_seconds``."""
    isolation: str
    """For people: how candidate code was isolated where that was not full; else empty."""
    baseline: BaselineShown
    best: BestShown
    seal: SealShown
    experiments: int
    """Experiments admitted, reproductions included, baseline left out."""
    experiments_done: int
    """Those with a verdict."""
    experiment_limit: int | None
    """As last given; None without a limit."""
    lost_attempts: int
    """Attempts that died with the run, or by nobody's fault."""
    cut_off_attempts: int
    """Attempts that the run's own stop ended."""
    void_attempts: int
    """Those whose timing did not count because the machine had slowed down."""
    resumes: int
    posts: int
    refusals: int
    pool: PoolShown
    spend: SpendShown
    stop: str | None
    """Why it ended in order; None while it runs and after a kill."""
    is_live: bool
    """Whether a process writes it at the moment."""
    leaderboard: tuple[Contribution, ...]
    agents: tuple[Researcher, ...]
    ledger_hash: str

    def as_json(self) -> str:
        """Return it as indented JSON, ASCII only."""
        return json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False)


def shown(state: RunState, ledger_hash: str, *, is_live: bool = False) -> Shown:
    """Return what there is to say of a run.

    Args:
        state: The folded ledger; `opened` must be known.
        ledger_hash: `community.archive.codec.ledger_hash` of the same rows.
        is_live: Whether a process writes the ledger.

    Raises:
        ValueError: the ledger is empty.
    """
    opened = state.opened
    if opened is None:
        raise ValueError("the ledger is empty: the run was never opened")
    use = pool_use(state)
    board = (
        dataclasses.replace(c, title=one_line(c.title, TITLE_CHARACTERS))
        for c in contributions(state)
    )
    return Shown(
        run_id=opened.run_id,
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
        experiments=state.experiments_admitted,
        experiments_done=state.experiments_done,
        experiment_limit=experiment_limit(state),
        lost_attempts=state.lost_attempts,
        cut_off_attempts=state.cut_off_attempts,
        void_attempts=sum(a.is_void for e in state.experiments.values() for a in e.attempts),
        resumes=len(state.resumed),
        posts=len(state.posts),
        refusals=len(state.refusals),
        pool=PoolShown(tuple(s.slot for s in use.slots), use.busy_share, use.train_share),
        spend=SpendShown(
            device_seconds=state.device_seconds,
            baseline_device_seconds=state.baseline_device_seconds,
            score_cpu_s=sum(spend.score_cpu_s for spend in state.spend.values()),
            run_s=(state.last_us - state.opened_us) / 1e6,
            by_agent={name: spend.device_seconds for name, spend in sorted(state.spend.items())},
        ),
        stop=state.stop_reason,
        is_live=is_live,
        leaderboard=tuple(board),
        agents=researchers(state),
        ledger_hash=ledger_hash,
    )


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
        title=one_line(best.hypothesis.title, TITLE_CHARACTERS),
        author=best.hypothesis.author,
        reproduced_by=best.hypothesis.reproduced_by,
        gain_percent=best.gain_percent,
        split=best.split,
        reference=best.reference,
        reference_split=best.reference_split,
    )


def _seal(state: RunState) -> SealShown:
    seal = state.seal
    if seal is None:
        return SealShown(None, None, None, None, None)
    return SealShown(seal.score, seal.baseline_score, seal.commit, seal.hypothesis, seal.reason)


def _seal_lines(record: Shown) -> list[str]:
    seal = record.seal
    if seal.commit is None:
        return []
    if seal.score is None:
        return [f"seal: asked once, of {seal.commit[:7]}, and got no score: {seal.reason}"]
    base = "was not kept" if seal.baseline is None else f"has {seal.baseline:.4f}"
    later = "" if seal.commit == record.best.commit else ", which led when the run first ended"
    said = f"{seal.score:.4f} {record.unit}, asked once, of {seal.commit[:7]}{later}"
    return [f"seal: {said}; the baseline {base}"]


def summary_lines(record: Shown) -> list[str]:
    """Return the run in a few plain lines, without the tables."""
    base, best = record.baseline, record.best
    lines = [f"run {record.run_id}: task {record.task}, seed {record.seed}, {record.budget} each"]
    if record.isolation:
        lines.append(
            f"{record.isolation}: candidate code could reach more than it should, so these numbers "
            "do not stand beside fully isolated ones (`community doctor` says why)"
        )
    if base.mean is None:
        lines.append("baseline: not measured yet")
    else:
        spread = "" if base.sigma is None else f" ± {base.sigma:.4f} between seeds"
        lines.append(f"baseline: {base.mean:.4f} {record.unit} on dev{spread} (n = {base.n})")
    if best.score is None:
        lines.append("best: nothing measured yet")
    else:
        against = comparison(best.gain_percent, best.reference, best.reference_split)
        lines.append(
            f"best: {best.score:.4f} on {best.split}{against and f', {against}'}, {best.status}, "
            f"{(best.commit or '')[:7]} by {best.author}: {best.title}"
        )
    lines += _seal_lines(record)
    limit = "" if record.experiment_limit is None else f" (limit {record.experiment_limit})"
    cut_off = record.cut_off_attempts and f", {record.cut_off_attempts} cut off by a stop"
    void = record.void_attempts and f", {record.void_attempts} timed on a slow machine and repeated"
    lines.append(
        f"experiments: {record.experiments_done} of {record.experiments} admitted are done{limit}, "
        f"{record.lost_attempts} attempts lost{cut_off or ''}{void or ''}, "
        f"{record.spend.device_seconds:.0f} device-seconds"
    )
    lines.append(
        f"pool: {', '.join(record.pool.slots)}; busy {record.pool.busy_share:.1%}, "
        f"training {record.pool.train_share:.1%}"
    )
    if record.stop is not None:
        lines.append(f"stopped: {one_line(record.stop, 80)}")
    elif record.is_live:
        lines.append("running")
    else:
        lines.append(
            "killed: it neither runs nor stopped in order; go on with `community run --resume` "
            "(and --run-dir, where this is not the newest run)"
        )
    return lines


def leaderboard_text(record: Shown, top: int = 10) -> str:
    """Return the summary, the best `top` contributions and the researchers as plain lines."""
    lines = summary_lines(record)
    lines += ["", f"  # status       {record.metric:>8} vs baseline vs parent commit  by: title"]
    for entry in record.leaderboard[:top]:
        who = f"{entry.author}, reproduced by {entry.reproduced_by}"
        lines.append(
            f"{entry.rank:>3} {_status(entry):<12} {_number(entry.score) or '-':>8} "
            f"{_gain(entry.baseline_gain) or '-':>11} {_gain(entry.gain) or '-':>9} "
            f"{entry.commit[:7]} {who if entry.reproduced_by else entry.author}: {entry.title}"
        )
    lines.append("")
    for one in record.agents:
        lines.append(
            f"{one.agent}, {one.role}: {one.experiments} runs, {one.posts} posts, {one.improved} "
            f"improved, {one.reproduced} reproduced, {one.reproductions} confirmed, "
            f"{one.reviews} reviews"
        )
    return "\n".join(lines)


Side = Literal["left", "right"]

WIDE = 110
"""From so many columns on the table has room for every column."""
_LEFT = {"status", "commit", "by", "reproducer"}


def rendered(record: Shown, top: int = 10, width: int = 80) -> Group:
    """Return the same for a rich console of `width` columns; agents' words are never markup.

    Numbers and names are never cut; titles are what wraps, and a narrow table has fewer columns.
    """
    board = Table(
        title="Contributions", title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False
    )
    for index, entry in enumerate(record.leaderboard[:top]):
        cells = _cells(entry, record.metric, is_wide=width >= WIDE)
        if index == 0:
            for heading in cells:
                side: Side = "left" if heading in _LEFT else "right"
                board.add_column(heading, justify=side, no_wrap=True)
            board.add_column("title")
        board.add_row(*(Text(cell) for cell in cells.values()), Text(entry.title))
    people = Table(
        title="Researchers", title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False
    )
    counted = ("experiments", "posts", "improved", "reproduced", "reproductions", "reviews")
    headings = ("runs", "posts", "improved", "reproduced", "confirmed", "reviews", "off by")
    people.add_column("agent")
    people.add_column("role")
    for heading in headings:
        people.add_column(heading, justify="right", no_wrap=True)
    for one in record.agents:
        counts = (str(getattr(one, name)) for name in counted)
        people.add_row(Text(one.agent), Text(one.role), *counts, _number(one.prediction_error))
    lines = (Text(line) for line in summary_lines(record))
    return Group(*lines, Text(), board, Text(), people)


def _cells(entry: Contribution, metric: str, *, is_wide: bool) -> dict[str, str]:
    """Return one contribution's cells by heading."""
    cells = {
        "#": str(entry.rank),
        "status": _status(entry),
        metric: _number(entry.score),
        "vs baseline": _gain(entry.baseline_gain),
    }
    if is_wide:
        cells["vs parent"] = _gain(entry.gain)
    cells |= {"commit": entry.commit[:7], "by": entry.author}
    if is_wide:
        cells["reproducer"] = entry.reproduced_by or ""
    return cells


def _status(entry: Contribution) -> str:
    status = entry.status.replace("_", " ") if entry.outcome == "ok" else "invalid"
    walls = isolation_words(entry.isolation)
    return f"{status} ({walls})" if walls else status


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _gain(value: float | None) -> str:
    return "" if value is None else f"{value:+.4f}"
