"""A task whose landscape is known, and ledgers of experiments on it, for tests of surrogates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

from agents.knobs import Knob, load_knobs, turn
from community.archive.ledger import Ledger
from community.archive.row_file import export_rows
from community.events import AttemptEnded, Event, Proposed, RunOpened, VerdictGiven
from community.evidence_events import VerdictRetracted
from community.modelled.surrogate.ledgers import Trees
from forum.messages import KnobValue
from trainer.experiment import Budget
from trainer.tree_key import tree_key

KNOBS_TOML = """\
[RATE]
kind = "float"
low = 0.001
high = 1.0
scale = "log"

[DEPTH]
kind = "int"
low = 1
high = 9

[SHAPE]
kind = "choice"
choices = ["round", "flat", "long"]

[IDLE]
kind = "float"
low = 0.0
high = 1.0
"""
START = {
    "train.py": b'RATE = 0.1\n# how deep\nDEPTH = 5\n# form\nSHAPE = "round"\n# -\nIDLE = 0.5\n'
}
PATH = "train.py"
SIGMA = 0.02
VAULT = -0.05
KEY = tree_key(START, lock_hash="l", budget=Budget("steps", 60.0), device_class="an old machine")
CRASHES_ABOVE = 0.1
"""Of RATE: half of those runs crash."""


def knobs() -> tuple[Knob, ...]:
    """Return the task's knobs."""
    return load_knobs(KNOBS_TOML, START[PATH].decode())


def write_task(folder: Path) -> Path:
    """Write the task's folder."""
    texts = {
        "task.toml": 'kind = "model"\nmetric = "loss"\nunit = "bits"\ndirection = "lower"\n'
        'editable = ["train.py"]\n[budget]\nkind = "steps"\namount = 60\n'
        '[model]\nblock = 9\nvocab = 4\n[knobs]\npath = "train.py"\n',
        "brief.md": "Lower the loss.\n",
        "knobs.toml": KNOBS_TOML,
        "start/train.py": START[PATH].decode(),
        "locked/grade.py": "",
    }
    for name, text in texts.items():
        path = folder / "known" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "known"


def trees() -> Trees:
    """Return what reads the task's trees."""
    return Trees(START, PATH, knobs())


def tree(**changes: KnobValue) -> dict[str, bytes]:
    """Return the start tree with some knobs turned."""
    turned = turn(START[PATH].decode(), changes, knobs())
    assert not turned.skipped
    return {PATH: turned.text.encode()}


def truth(values: Mapping[str, KnobValue]) -> float:
    """Return the expected score of a setting on dev: single effects, and one of a pair."""
    rate, depth = math.log10(float(values["RATE"])) + 1.5, (float(values["DEPTH"]) - 1) / 8
    form = {"round": 0.0, "flat": 0.12, "long": -0.05}[str(values["SHAPE"])]
    return 3.0 + 0.25 * rate**2 + 0.3 * (depth - 0.4) ** 2 + 0.2 * rate * (depth - 0.5) + form


def anywhere(rng: Random) -> dict[str, KnobValue]:
    """Return a setting from the whole space."""
    return {
        "RATE": float(f"{10 ** rng.uniform(-3, 0):.4g}"),
        "DEPTH": rng.randint(1, 9),
        "SHAPE": rng.choice(("round", "flat", "long")),
        "IDLE": round(rng.random(), 3),
    }


def write_run(place: Path, seed: int, settings: int = 80, sign: float = 1.0) -> Path:
    """Write a run that measured the start six times and some settings, and return its rows' file.

    Every fifth setting is confirmed on vault. One verdict was taken back, and one commit changed
    more than knobs; both score absurdly well.
    """
    rng = Random(seed)
    whole = Ledger.create(place / f"run-{seed}.db")
    events: list[Event] = [_opened(seed, sign)]
    start = {knob.name: knob.start for knob in knobs()}
    for number in range(6):
        events += _experiment(rng, f"b{number}", "start", start, "dev", sign)
    for number in range(settings):
        setting, commit = anywhere(rng), f"c{seed}-{number}"
        events.append(Proposed(commit, ("start",), commit, "ada", "try", dict(setting)))
        events += _experiment(rng, f"e{number}", commit, setting, "dev", sign)
        for pair in range(2 if number % 5 == 0 else 0):
            events += _experiment(rng, f"v{number}-{pair}", commit, setting, "vault", sign)
    events.append(Proposed("rewritten", ("start",), "rewritten", "ada", "try", {}))
    for commit, name in (("rewritten", "x1"), ("start", "x2")):
        *_, verdict = _experiment(rng, name, commit, {**start, "RATE": 0.03}, "dev", sign)
        assert isinstance(verdict, VerdictGiven)
        events.append(_absurd(verdict))
    events.append(VerdictRetracted("vx2", "a slip", "anna"))
    with whole:
        whole.append(1, *events)
    export_rows(whole.path, place / f"run-{seed}.jsonl.gz")
    return place / f"run-{seed}.jsonl.gz"


def _opened(seed: int, sign: float) -> RunOpened:
    return RunOpened(
        run_id=f"r{seed}", scenario="", task="known", seed=seed, version="0", metric="loss",
        unit="bits", direction="lower" if sign > 0 else "higher", budget_kind="steps",
        budget_amount=60.0, slots=("cpu0",), device_class="an old machine", lock_hash="l",
        corpus_hash="c", baseline_commit="start", baseline_tree_key=KEY,
    )  # fmt: skip


def _experiment(
    rng: Random, name: str, commit: str, setting: Mapping[str, KnobValue], split: str, sign: float
) -> list[Event]:
    """Return what a ledger holds of one run."""
    does_crash = float(setting["RATE"]) > CRASHES_ABOVE and rng.random() < 0.5
    noisy = truth(setting) + rng.gauss(0, SIGMA) + (VAULT if split == "vault" else 0.0)
    seconds = float(setting["DEPTH"]) * rng.uniform(0.9, 1.1)
    trained_us = round(1e6 * seconds * (0.25 if does_crash else 1.0))
    answer_us = (0, 0) if does_crash else (trained_us, trained_us + 500_000)
    outcome = "invalid" if does_crash else "ok"
    return [
        AttemptEnded(
            name, 1, "cpu0", outcome, "memory" if does_crash else "", 0, (1, trained_us),
            answer_us, 1.0, 1.0, 0.0,
        ),
        VerdictGiven(
            verdict_id=f"v{name}", experiment_id=name, commit=commit, tree_key=commit,
            split="vault" if split == "vault" else "dev", seed=rng.getrandbits(60),
            outcome=outcome, score=None if does_crash else sign * noisy,
            reason="memory" if does_crash else "", lock_hash="l", corpus_hash="c",
            device_class="an old machine", isolation="full", measured_by="scorer", train_cpu_s=1.0,
            train_wall_s=1.0, score_cpu_s=1.0, score_wall_s=1.0,
        ),
    ]  # fmt: skip


def _absurd(verdict: VerdictGiven) -> VerdictGiven:
    return replace(verdict, outcome="ok", score=0.0, reason="")
