"""What is said of the evidence: the headline, the yardstick, alarms, and how sure a gain is."""

from __future__ import annotations

from collections.abc import Iterable

from community.archive.finals import Final
from community.archive.leaderboard import Contribution, Researcher
from community.archive.yardstick import Alarm
from community.cli.lines import run_time
from community.events import Purpose
from community.plain_text import SELF_REPORTED, isolation_words, one_line
from community.show.records import HeadlineShown, Shown, ThinkingShown

LEGEND = (
    "±: half of the two-sided 95 % interval; q: share of false ones among the as sure",
    "pairs: of runs, child and parent, to confirm it; by: proposer +reproducer",
)
NOTHING_REPRODUCED = (
    "headline: none; nothing was reproduced, and so nothing was measured on seal, not even the "
    "baseline"
)
_SPENT: tuple[tuple[str, tuple[Purpose, ...]], ...] = (
    ("baseline", ("baseline",)),
    ("screens", ("screen",)),
    ("references", ("parent",)),
    ("sentinels", ("sentinel",)),
    ("confirmations", ("confirm_child", "confirm_parent")),
    ("credit", ("credit",)),
    ("last runs", ("seal",)),
    ("transfer", ("transfer",)),
)


def headline_lines(record: Shown) -> list[str]:
    """Return the gain on seal with its interval, and what dev and vault had promised."""
    found = record.headline
    if found.gain is None or found.low is None or found.high is None:
        return [NOTHING_REPRODUCED] if has_nothing(record) else []
    percent = "" if found.percent is None else f"{_percent(found)}, "
    promised = [
        f"{gain:+.4f} on {split}"
        for split, gain in (("dev", found.dev_gain), ("vault", found.vault_gain))
        if gain is not None
    ]
    before = f"; before it had {' and '.join(promised)}" if promised else ""
    return [
        f"headline{whose(record)}: {percent}{found.gain:+.4f} {record.unit} over the baseline on "
        f"seal, 95 % {found.low:+.4f} to {found.high:+.4f} "
        f"({found.runs} and {found.baseline_runs} runs)"
        f"{before}; {(found.commit or '')[:7]} by {found.author}"
    ]


def whose(record: Shown) -> str:
    """Return `` (self-reported)`` where scores are the candidates' own word, else nothing."""
    return f" ({SELF_REPORTED})" if record.isolation.startswith(SELF_REPORTED) else ""


def has_nothing(record: Shown) -> bool:
    """Whether the run came to its end with nothing reproduced, so that seal was not asked."""
    is_over = record.stop not in (None, "interrupted", "failed")
    was_asked = bool(record.finals) or record.seal.commit is not None
    stands = any(entry.status == "reproduced" for entry in record.leaderboard)
    return is_over and not was_asked and not stands


def yardstick_lines(record: Shown) -> list[str]:
    """Return how often dev was looked at, what the yardstick cost, and what is wrong with it."""
    seen = record.yardstick
    if not (seen.dev_looks or seen.references or seen.sentinels or seen.alarms):
        return []
    counts = f"looks: {seen.dev_looks} on dev"
    if seen.references or seen.sentinels:
        counts += (
            f"; {seen.references} reference and {seen.sentinels} sentinel runs took "
            f"{seen.reference_share:.1%} of all device-seconds"
        )
    raised = len(seen.alarms)
    lines = [f"{counts}; {raised} alarm{'' if raised == 1 else 's'}" if raised else counts]
    if spent := spend_words(record):
        lines.append(f"spend: {spent}")
    lines += [alarm_line(alarm) for alarm in seen.alarms if alarm.cleared_s is None]
    return lines


def spend_words(record: Shown) -> str:
    """Return the share of device-seconds of each purpose, for people."""
    shares = {one.purpose: one.share for one in record.yardstick.spend}
    parts = ((name, sum(shares.get(p, 0.0) for p in purposes)) for name, purposes in _SPENT)
    return ", ".join(f"{name} {share:.1%}" for name, share in parts if share)


def thinking_lines(record: Shown) -> list[str]:
    """Return what models were asked and what that cost; nothing for a run without any."""
    asked = record.spend.thinking
    if not asked:
        return []
    total, doubt = record.spend.cost_usd, sum(each.doubt_usd for each in asked.values())
    unsure = f", of which {doubt:.4f} may not have been spent" if doubt else ""
    again = "; a replay: as it was recorded, nobody was paid" if record.replay_of else ""
    lines = [f"thinking: ${total:.4f}{unsure}{again}"]
    lines += [f"  {name}: {_thought(each)}" for name, each in asked.items()]
    roles = record.spend.thinking_by_role
    if len(asked) > 1:
        lines += [f"  role {role}: {_thought(each)}" for role, each in roles.items() if role]
        lines.append(f"  together: {_thought(roles[''])}")
    return lines


def _thought(each: ThinkingShown) -> str:
    failed = sum(count for end, count in each.outcomes.items() if end != "ok")
    unused = sum(count for end, count in each.answers.items() if end != "acted")
    kinds = (
        f"{each.input} read, {each.cache_read} from cache, {each.cache_write} into it, "
        f"{each.output} written"
    )
    kinds += f", {each.thinking} of them thinking" if each.thinking else ""
    return (
        f"{each.calls} calls ({failed} failed), {unused} answers with faults, {each.tokens} tokens "
        f"({kinds}), ${each.usd + each.doubt_usd:.4f}"
    )


def alarm_line(alarm: Alarm) -> str:
    """Return what an alarm is about, and from when until when."""
    where = f" on {one_line(alarm.slot, 20)}" if alarm.slot else ""
    since = run_time(round(alarm.raised_s * 1e6))
    when = f"since {since}"
    if alarm.cleared_s is not None:
        when = f"from {since} to {run_time(round(alarm.cleared_s * 1e6))}"
    pauses = alarm.what == "drift" and alarm.cleared_s is None
    stops = "; nothing is decided until fresh runs are in" if pauses else ""
    detail = one_line(alarm.detail, 200)
    return f"alarm {alarm.alarm_id} {when}: {alarm.what}{where}: {detail}{stops}"


def finals_lines(finals: Iterable[Final], unit: str) -> list[str]:
    """Return dev against vault and seal for the leading commits, as a small table of lines."""
    rows = [final for final in finals if final.hypothesis]
    if not rows:
        return []
    lines = [
        f"At the end, gain over the baseline of the same split ({unit}):",
        f"  {'':<6} {'dev screen':>10} {'vault':>9} {'seal':>9} {'95 %':>19} {'dev - seal':>10}",
    ]
    for final in rows:
        splits = (final.dev, final.vault, final.seal)
        dev, vault, seal = (signed(split.gain if split else None) or "-" for split in splits)
        found = final.headline
        between = f"{found.low:+.4f} to {found.high:+.4f}" if found else "-"
        lines.append(
            f"  {final.hypothesis:<6} {dev:>10} {vault:>9} {seal:>9} {between:>19} "
            f"{signed(final.flattery) or '-':>10}"
        )
    return lines


def status_words(entry: Contribution) -> str:
    """Return the status of a contribution, and how it was isolated where that was not full."""
    walls = isolation_words(entry.isolation, entry.measured_by)
    return f"{entry.status_said} ({walls})" if walls else entry.status_said


def who(entry: Contribution) -> str:
    """Return the proposer and, after a plus, who reproduced it."""
    return f"{entry.proposer} +{entry.reproduced_by}" if entry.reproduced_by else entry.proposer


def against_baseline(entry: Contribution) -> str:
    """Return the gain over the baseline with half its interval; without, where none is known."""
    if entry.estimate is None or entry.low is None or entry.high is None:
        return signed(entry.baseline_gain)
    return f"{entry.estimate:+.4f} ±{(entry.high - entry.low) / 2:.4f}"


def against_parent(entry: Contribution) -> str:
    """Return the gain over the declared parent with half its interval."""
    if entry.gain is None or entry.gain_low is None or entry.gain_high is None:
        return signed(entry.gain)
    return f"{entry.gain:+.4f} ±{(entry.gain_high - entry.gain_low) / 2:.4f}"


def class_lines(board: Iterable[Contribution]) -> list[str]:
    """Return how alike the device classes are, of what was measured in several."""
    return [
        f"{entry.hypothesis}: measured in {entry.classes} device classes, {entry.i2:.0%} of the "
        "gain's spread is between them (I2)"
        for entry in board
        if entry.i2 is not None
    ]


def sure(q_value: float | None) -> str:
    """Return a q-value; nothing for None."""
    return "" if q_value is None else "<.001" if q_value < 0.001 else f"{q_value:.3f}"


def skill_words(one: Researcher) -> str:
    """Return ``+0.35 (4)``: what forecasts were worth, and of how many that is known."""
    if one.review_skill is None:
        return ""
    return f"{one.review_skill:+.2f} ({one.reviews_settled})"


def number(value: float | None) -> str:
    """Return a score in four digits; nothing for None."""
    return "" if value is None else f"{value:.4f}"


def signed(value: float | None) -> str:
    """Return a gain in four digits, with its sign; nothing for None."""
    return "" if value is None else f"{value:+.4f}"


def _percent(found: HeadlineShown) -> str:
    way = "better" if (found.percent or 0) >= 0 else "worse"
    return f"{abs(found.percent or 0):.1f} % {way}"
