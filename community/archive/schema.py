"""The ledger's schema: one append-only table, its triggers, the views, as named migrations.

Migrations are recorded in the database by sqlite-utils; a released one never changes, a new need is
a new migration. Views are for people with ``sqlite3 ledger.db``; the program folds rows instead.
"""

from __future__ import annotations

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from community.errors import LedgerDamagedError, LedgerTooNewError

APPLICATION_ID = 0x5243_4C47
"""``RCLG`` in the file's header: tells a ledger from any other SQLite file."""

ledger_migrations = Migrations("community.ledger")

_COMMON = ("seq", "at_us")
_VIEWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "posts": ("posted", ("post_id", "author", "thread", "message_id", "readers")),
    "proposals": ("proposed", ("commit", "tree_key", "author", "title", "parents", "knobs")),
    "experiments": (
        "experiment_queued",
        (
            *("experiment_id", "purpose", "commit", "tree_key", "hypothesis", "charged_to"),
            *("requested_by", "split", "measurement", "seed", "pair"),
        ),
    ),
    "verdicts": (
        "verdict_given",
        (
            *("verdict_id", "experiment_id", "commit", "tree_key", "split", "seed", "outcome"),
            *("score", "reason", "lock_hash", "corpus_hash", "device_class", "isolation"),
            *("measured_by", "train_cpu_s", "train_wall_s", "score_cpu_s", "score_wall_s"),
        ),
    ),
    "statuses": (
        "status_changed",
        ("hypothesis", "commit", "status", "gain", "threshold", "by", "verdicts"),
    ),
    "refusals": ("refused", ("who", "what", "reason", "message_id")),
    "frontier": ("frontier_moved", ("commit", "hypothesis", "score")),
}

_ENDED = ("outcome", "reason", "train_cpu_s", "score_cpu_s", "start_s", "train_us", "answer_us")


def _field(name: str, path: str = "") -> str:
    return f"json_extract(body, '$.{path or name}') AS \"{name}\""


def _columns(*names: str) -> str:
    return ", ".join((*_COMMON, *(_field(name) for name in names)))


@ledger_migrations()
def m001_events(db: Database) -> None:
    """Create the table of events and the triggers that keep it append-only."""
    db.table("events").create(
        {"seq": int, "at_us": int, "kind": str, "body": str},
        pk="seq",
        not_null={"at_us", "kind", "body"},
    )
    db.table("events").create_index(["kind"])
    for verb in ("UPDATE", "DELETE"):
        db.execute(
            f"CREATE TRIGGER events_no_{verb.lower()} BEFORE {verb} ON events "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        )
    db.execute(  # a row that exists cannot be replaced either, and numbers have no gaps
        "CREATE TRIGGER events_in_order BEFORE INSERT ON events "
        "WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM events) "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: seq must be the next number'); END"
    )
    for kind, field in (("attempt_ended", "experiment_id"), ("status_changed", "hypothesis")):
        db.execute(  # partial, so that other kinds pay nothing; the views below join on them
            f"CREATE INDEX events_{kind} ON events (json_extract(body, '$.{field}')) "
            f"WHERE kind = '{kind}'"
        )
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


@ledger_migrations()
def m002_views(db: Database) -> None:
    """Create one view per kind that people ask for."""
    for view, (kind, names) in _VIEWS.items():
        extra = ""
        if view == "posts":
            inner = {"post_kind": "body.kind", "post_body": "body"}
            extra = ", " + ", ".join(_field(name, path) for name, path in inner.items())
        db.create_view(
            view,
            f"SELECT {_columns(*names)}{extra} FROM events WHERE kind = '{kind}'",  # noqa: S608
        )
    inner = {
        **{name: f"body.{name}" for name in ("commit", "title", "rationale", "parents", "knobs")},
        "predicted_gain": "body.prediction.gain",
        "confidence": "body.prediction.confidence",
    }
    db.create_view(
        "hypotheses",
        f"SELECT {_columns('post_id', 'author')}, "  # noqa: S608 - names are constants above
        + ", ".join(_field(name, path) for name, path in inner.items())
        + ", (SELECT json_extract(s.body, '$.status') FROM events s WHERE s.kind = 'status_changed'"
        " AND json_extract(s.body, '$.hypothesis') = json_extract(events.body, '$.post_id')"
        " ORDER BY s.seq DESC LIMIT 1) AS status"
        " FROM events WHERE kind = 'posted' AND json_extract(body, '$.body.kind') = 'hypothesis'",
    )
    _create_attempts(db, _ENDED)


@ledger_migrations()
def m003_charges(db: Database) -> None:
    """Show what an attempt is charged; in older ledgers the column is empty: its CPU time."""
    db.view("attempts").drop()
    _create_attempts(db, (*_ENDED, "charge_s", "gate_cpu_s", "slowdown"))


@ledger_migrations()
def m004_seal(db: Database) -> None:
    """Show the one score on ``seal``."""
    names = ("commit", "hypothesis", "experiment_id", "outcome", "score", "reason")
    columns = _columns(*names, "baseline_score", "baseline_reason")
    db.create_view("seal", f"SELECT {columns} FROM events WHERE kind = 'seal_scored'")  # noqa: S608


@ledger_migrations()
def m005_retractions(db: Database) -> None:
    """Show what was taken back: verdicts, and claims that later runs refuted."""
    columns = _columns("verdict_id", "hypothesis", "by", "why", "reach")
    kinds = "'verdict_retracted', 'claim_retracted'"
    db.create_view("retractions", f"SELECT {columns} FROM events WHERE kind IN ({kinds})")  # noqa: S608 - names are constants


@ledger_migrations()
def m006_thinking(db: Database) -> None:
    """Show what models were asked and what that cost, and what they answered."""
    shown = {
        "calls": (
            "spend_settled",
            (
                *("call_id", "agent", "outcome", "input", "output", "cache_read", "cache_write"),
                *("thinking", "micro_usd", "doubt_micro_usd"),
            ),
        ),
        "answers": (
            "answered",
            ("agent", "turn", "round", "mind", "outcome", "calls", "text", "faults"),
        ),
    }
    for view, (kind, names) in shown.items():
        sql = f"SELECT {_columns(*names)} FROM events WHERE kind = '{kind}'"  # noqa: S608 - constants
        db.create_view(view, sql)


@ledger_migrations()
def m007_devices(db: Database) -> None:
    """Show what trainings had of their cards."""
    names = ("experiment_id", "peak_bytes", "busy", "looks", "untimed_s")
    columns = _columns(*names, "tokens_per_s", "flop_share")
    db.create_view("device_used", f"SELECT {columns} FROM events WHERE kind = 'device_used'")  # noqa: S608


@ledger_migrations()
def m008_measures(db: Database) -> None:
    """Show what was measured beside scores, as JSON: of models, and of data."""
    columns = _columns("experiment_id", "measures")
    kinds = "'model_measured', 'artefact_graded'"
    db.create_view("measures", f"SELECT {columns} FROM events WHERE kind IN ({kinds})")  # noqa: S608 - names are constants


def _create_attempts(db: Database, ended: tuple[str, ...]) -> None:
    """Create the view of attempts, with these fields of their ends."""
    db.create_view(
        "attempts",
        "SELECT s.seq, s.at_us, "  # noqa: S608 - names are constants above
        + ", ".join(
            f"json_extract(s.body, '$.{n}') AS {n}" for n in ("experiment_id", "attempt", "slot")
        )
        + ", e.at_us AS ended_us, "
        + ", ".join(f"json_extract(e.body, '$.{name}') AS {name}" for name in ended)
        + " FROM events s LEFT JOIN events e ON e.kind = 'attempt_ended'"
        " AND json_extract(e.body, '$.experiment_id') = json_extract(s.body, '$.experiment_id')"
        " AND json_extract(e.body, '$.attempt') = json_extract(s.body, '$.attempt')"
        " WHERE s.kind = 'attempt_started'",
    )


_STEPS = (
    *(m001_events, m002_views, m003_charges, m004_seal, m005_retractions, m006_thinking),
    *(m007_devices, m008_measures),
)
_KNOWN = frozenset(step.__name__ for step in _STEPS)


def check_identity(db: Database, name: str) -> None:
    """Refuse a database that is no ledger, or one that a newer program wrote.

    Args:
        db: The open database.
        name: What to call it in messages.

    Raises:
        LedgerDamagedError: it is some other SQLite file.
        LedgerTooNewError: it has migrations unknown here.
    """
    identity = db.execute("PRAGMA application_id").fetchone()[0]
    if identity != APPLICATION_ID or not db.table("events").exists():
        raise LedgerDamagedError(
            f"{name} is an SQLite file but no ledger; give the ledger.db of a run folder"
        )
    applied = {migration.name for migration in ledger_migrations.applied(db)}
    if newer := sorted(applied - _KNOWN):
        raise LedgerTooNewError(
            f"{name} was written by a newer program (migrations {', '.join(newer)}); "
            "upgrade research-community to read it"
        )


def is_blank(db: Database) -> bool:
    """Whether a ledger was begun here and not even its table exists."""
    return set(db.table_names()) <= {ledger_migrations.migrations_table} and not db.view_names()
