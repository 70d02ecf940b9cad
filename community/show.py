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
from community.archive.queries import best_commit, pool_use
from community.archive.state import RunState
from community.plain_text import one_line

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
    """The baseline's mean on that split (on dev where vault is not known)."""


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
    """Training CPU seconds and the budget of lost attempts, baseline left out."""
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
    baseline: BaselineShown
    best: BestShown
    experiments: int
    """Experiments admitted, reproductions included, baseline left out."""
    experiments_done: int
    """Those with a verdict."""
    lost_attempts: int
    resumes: int
    posts: int
    refusals: int
    pool: PoolShown
    spend: SpendShown
    stop: str | None
    """Why it ended in order; None while it runs and after a kill."""
    leaderboard: tuple[Contribution, ...]
    agents: tuple[Researcher, ...]
    ledger_hash: str

    def as_json(self) -> str:
        """Return it as indented JSON, ASCII only."""
        return json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False)


def shown(state: RunState, ledger_hash: str) -> Shown:
    """Return what there is to say of a run.

    Args:
        state: The folded ledger; `opened` must be known.
        ledger_hash: `community.archive.codec.ledger_hash` of the same rows.

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
        baseline=_baseline(state, opened.baseline_commit, opened.baseline_tree_key),
        best=_best(state),
        experiments=state.experiments_admitted,
        experiments_done=state.experiments_done,
        lost_attempts=state.lost_attempts,
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
    )


def summary_lines(record: Shown) -> list[str]:
    """Return the run in a few plain lines, without the tables."""
    base, best = record.baseline, record.best
    lines = [f"run {record.run_id}: task {record.task}, seed {record.seed}, {record.budget} each"]
    if base.mean is None:
        lines.append("baseline: not measured yet")
    else:
        spread = "" if base.sigma is None else f" ± {base.sigma:.4f} between seeds"
        lines.append(f"baseline: {base.mean:.4f} {record.unit}{spread} (n = {base.n})")
    if best.score is None:
        lines.append("best: nothing measured yet")
    else:
        gain = "" if best.gain_percent is None else f", {best.gain_percent:+.1f} % better"
        lines.append(
            f"best: {best.score:.4f} on {best.split}{gain}, {best.status}, "
            f"{(best.commit or '')[:7]} by {best.author}: {best.title}"
        )
    lines.append(
        f"experiments: {record.experiments_done} of {record.experiments} admitted are done, "
        f"{record.lost_attempts} attempts lost, {record.spend.device_seconds:.0f} device-seconds"
    )
    lines.append(
        f"pool: {', '.join(record.pool.slots)}; busy {record.pool.busy_share:.1%}, "
        f"training {record.pool.train_share:.1%}"
    )
    lines.append(f"stopped: {record.stop}" if record.stop else "not stopped (running, or killed)")
    return lines


def leaderboard_text(record: Shown, top: int = 10) -> str:
    """Return the summary and the best `top` contributions as plain text, one per line."""
    lines = summary_lines(record)
    for entry in record.leaderboard[:top]:
        score = "invalid" if entry.score is None else f"{entry.score:.4f}"
        lines.append(
            f"{entry.rank:>3}  {entry.status:<12} {score:>8}  {entry.commit[:7]}  "
            f"{entry.author:<12} {entry.title}"
        )
    return "\n".join(lines)


Side = Literal["left", "right"]


def rendered(record: Shown, top: int = 10, width: int = 80) -> Group:
    """Return the same for a rich console of `width` columns; agents' words are never markup."""
    title_width = max(16, width - 62)
    board = Table(
        title="Contributions", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    widths = {"#": 2, "status": 12, record.metric: 7, "gain": 7, "commit": 7, "by": 5}
    for heading, width in widths.items():
        justify: Side = "right" if heading in {"#", record.metric, "gain"} else "left"
        board.add_column(heading, justify=justify, no_wrap=True, min_width=width)
    board.add_column("reproducer", no_wrap=True, min_width=10)
    board.add_column("what", no_wrap=True, overflow="ellipsis")
    for entry in record.leaderboard[:top]:
        cells = (
            str(entry.rank),
            entry.status if entry.outcome == "ok" else "invalid",
            _number(entry.score),
            _number(entry.baseline_gain),
            entry.commit[:7],
            entry.author,
            entry.reproduced_by or "",
            one_line(entry.title, title_width),
        )
        board.add_row(*(Text(cell) for cell in cells))
    people = Table(title="Researchers", title_justify="left", box=SIMPLE_HEAD)
    counted = ("experiments", "posts", "improved", "reproduced", "reproductions", "reviews")
    headings = ("runs", "posts", "improved", "reproduced", "confirmed", "reviews", "off by")
    for heading in ("agent", "role", *headings):
        people.add_column(heading, justify="left" if heading in {"agent", "role"} else "right")
    for one in record.agents:
        counts = (str(getattr(one, name)) for name in counted)
        people.add_row(Text(one.agent), Text(one.role), *counts, _number(one.prediction_error))
    return Group(*(Text(line) for line in summary_lines(record)), board, people)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
