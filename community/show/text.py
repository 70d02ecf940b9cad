"""The record as plain lines, for files and pipes."""

from __future__ import annotations

from community.archive.beside import Beside, MeanShown
from community.archive.queries import comparison
from community.device_figures import cards_lines
from community.plain_text import note_words, one_line
from community.show.evidence_lines import (
    LEGEND,
    against_baseline,
    against_parent,
    class_lines,
    finals_lines,
    headline_lines,
    number,
    skill_words,
    status_words,
    sure,
    thinking_lines,
    who,
    whose,
    yardstick_lines,
)
from community.show.records import Shown
from community.show.topology_lines import topology_lines


def _seal_lines(record: Shown) -> list[str]:
    seal = record.seal
    if seal.commit is None:
        return []
    if seal.score is None:
        return [f"seal: asked once, of {seal.commit[:7]}, and got no score: {seal.reason}"]
    base = "has no score" if seal.baseline is None else f"has {seal.baseline:.4f}"
    later = "" if seal.commit == record.best.commit else ", which led when the run first ended"
    runs = f"mean of {seal.runs} runs, " if seal.runs > 1 else ""
    said = f"{seal.score:.4f} {record.unit}, {runs}asked once, of {seal.commit[:7]}{later}"
    return [f"seal: {said}; the baseline {base}"]


def _credit_lines(record: Shown) -> list[str]:
    """How the gain was shared, where there is any."""
    credit = record.credit
    if credit.total <= 0:
        return []
    return [
        f"credit: {credit.kind}; {credit.total:.4f} {record.unit} of gain over the baseline, "
        f"{credit.unattributed:.4f} of it unattributed"
    ]


def beside_line(beside: Beside) -> str:
    """Return one measure of the start and of what leads."""
    then = measure_words(beside.start)
    now = "" if beside.best is None else f" -> {measure_words(beside.best)}"
    return f"{one_line(beside.measure)[:40]}: {then}{now} on {beside.split}"


def measure_words(found: MeanShown) -> str:
    """Return a mean with half its 95 % interval and the runs it rests on."""
    if found.mean == int(found.mean) and abs(found.mean) >= 1000 and not found.half:
        return f"{found.mean:,.0f}"
    half = "" if found.half is None else f" ± {found.half:.4f}"
    return f"{found.mean:.4f}{half} (n = {found.runs})"


def summary_lines(record: Shown) -> list[str]:
    """Return the run in a few plain lines, without the tables."""
    base, best = record.baseline, record.best
    lines = [f"run {record.run_id}: task {record.task}, seed {record.seed}, {record.budget} each"]
    if record.replay_of:
        name, _, then = record.replay_of.partition(" ")
        lines.append(f"a replay of {name}, from its record alone (ledger hash {then[:12]})")
    is_leaky = record.isolation in ("partial isolation", "no isolation")
    if record.isolation:
        why = " (`community doctor` says why)" if is_leaky else ""
        lines.append(f"{note_words(record.isolation)}{why}")
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
            f"best{whose(record)}: {best.score:.4f} on {best.split}{against and f', {against}'}, "
            f"{best.status}, "
            f"{(best.commit or '')[:7]} by {best.author}: {best.title}"
        )
    lines += headline_lines(record) or _seal_lines(record)
    lines += map(beside_line, record.beside)
    lines += _credit_lines(record)
    if record.retractions:
        lines.append(
            f"taken back: {len(record.retractions)} (`community show --retractions` tells what "
            "rested on it)"
        )
    limit = "" if record.experiment_limit is None else f" (limit {record.experiment_limit})"
    cut_off = record.cut_off_attempts and f", {record.cut_off_attempts} cut off by a stop"
    void = record.void_attempts and f", {record.void_attempts} timed on a slow machine and repeated"
    lines.append(
        f"experiments: {record.experiments_done} of {record.experiments} admitted are done{limit}, "
        f"{record.lost_attempts} attempts lost{cut_off or ''}{void or ''}, "
        f"{record.spend.device_seconds:.0f} device-seconds"
    )
    lines += yardstick_lines(record)
    lines += thinking_lines(record)
    lines += topology_lines(record.topology)
    lines += _incident_lines(record)
    lines.append(
        f"pool: {', '.join(record.pool.slots)}; busy {record.pool.busy_share:.1%}, "
        f"training {record.pool.train_share:.1%}"
    )
    lines += cards_lines(tuple(record.cards.values()))
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


def _incident_lines(record: Shown) -> list[str]:
    lines = [f"incident at the broker: {i.who}: {i.reason}" for i in record.incidents[:10]]
    if len(record.incidents) > 10:
        lines.append(f"incidents: {len(record.incidents) - 10} more kinds (--json)")
    return lines


def leaderboard_text(record: Shown, top: int = 10) -> str:
    """Return the summary, the best `top` contributions and the researchers as plain lines."""
    lines = summary_lines(record)
    if last := finals_lines(record.finals, record.unit):
        lines += ["", *last]
    lines += [
        "",
        f"  # status       {record.metric:>8} {'vs baseline':>15} {'vs parent':>15} {'q':>5} "
        "pairs commit  by: title",
    ]
    for entry in record.leaderboard[:top]:
        lines.append(
            f"{entry.rank:>3} {status_words(entry):<12} {number(entry.score) or '-':>8} "
            f"{against_baseline(entry) or '-':>15} {against_parent(entry) or '-':>15} "
            f"{sure(entry.q_value) or '-':>5} {entry.pairs:>5} "
            f"{entry.commit[:7]} {who(entry)}: {entry.title}"
        )
    lines += [*LEGEND, *class_lines(record.leaderboard[:top]), ""]
    for one in record.agents:
        lines.append(
            f"{one.agent}, {one.role}: {one.experiments} runs, {one.posts} posts, {one.improved} "
            f"improved, {one.reproduced} reproduced, {one.reproductions} confirmed, "
            f"{one.reviews} reviews{f' (skill {skill})' if (skill := skill_words(one)) else ''}, "
            f"credit {one.credit:.4f}"
        )
    return "\n".join(lines)
