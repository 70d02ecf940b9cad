"""What end-to-end runs work on: a small, quick copy of nanolm, and scenario files for it."""

from __future__ import annotations

import asyncio
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from e2e_life import ROOT

from community.lock_writing import write_lock
from community.task_lock import GRADER, TaskLock, present_lock, read_expected
from scoring.lock import MANIFEST
from trainer.task import load_task

START = {"DIM": 32, "DEPTH": 1, "HEADS": 2, "BATCH": 4, "EMBED_LR": 0.0004, "MATRIX_LR": 0.0004}
"""A start that is quick to train and to score, and easily improved: its rates are far too low."""
KNOBS = ("EMBED_LR", "MATRIX_LR", "HEAD_LR", "LOGIT_CAP", "ACTIVATION")
"""The knobs that keep it quick."""


def small_task(into: Path) -> Path:
    """Copy nanolm to `into`/small with a tiny model and an eighth of the scored blocks."""
    task = into / "small"
    shutil.copytree(
        ROOT / "scenarios" / "tasks" / "nanolm", task, ignore=shutil.ignore_patterns("__pycache__")
    )
    train, knobs, grade = task / "start/train.py", task / "knobs.toml", task / "locked/grade.py"
    text = train.read_text()
    for name, value in START.items():
        text, found = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        assert found == 1, name
    train.write_text(text)
    tables = re.split(r"(?m)^(?=\[)", knobs.read_text())
    knobs.write_text("".join(t for t in tables if t.startswith(tuple(f"[{k}]" for k in KNOBS))))
    graded = grade.read_text()
    assert "ByteLanguageModel()" in graded
    grade.write_text(
        graded.replace(
            "ByteLanguageModel()",
            "ByteLanguageModel(blocks=64, dev_probes=64, vault_probes=64, seal_probes=64)",
        )
    )
    with ThreadPoolExecutor(1) as thread:  # fixtures of a session may run within its loop
        thread.submit(lambda: asyncio.run(write_lock(load_task(task), None))).result()
    return task


def lock_again(task: Path) -> None:
    """Rewrite the manifest of a task that was spoilt on purpose, without starting its grader."""
    loaded = load_task(task)
    then = read_expected(loaded)
    now = TaskLock(present_lock(loaded, then.lock[GRADER]), then.measured_on)
    (task / "locked" / MANIFEST).write_text(now.text(loaded.name))


SEAL_RUNS = 2
"""Of each of the last runs, unless a test says otherwise."""


def scenario_text(task: Path | str, agents: tuple[str, ...], **sections: dict[str, Any]) -> str:
    """Return a scenario file; `agents` are ``name role mind``, `sections` are its tables.

    A mind is one of the policies by its short name, ``remote``, or a name with a colon in it.
    """
    chosen = {
        "run": {"task": str(task), "seed": 1},
        "budget": {"kind": "steps", "amount": 20},
        "pool": {"slots": 2},
        "noise": {"baseline_runs": 2, "confirm_pairs": 2},
        "seal": {"runs": SEAL_RUNS},
        **sections,
    }
    lines = [
        f"{name} = {{ {', '.join(f'{key} = {_literal(value)}' for key, value in table.items())} }}"
        for name, table in chosen.items()
    ]
    for agent in agents:
        name, role, mind = agent.split()
        mind = mind if mind == "remote" or ":" in mind else f"policy:{mind}"
        lines += ["[[agents]]", f'name = "{name}"', f'role = "{role}"', f'mind = "{mind}"']
    return "\n".join(lines) + "\n"


def _literal(value: str | float) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
