"""A study whose runs are made up in no time, for tests of everything around them.

As a program: ``python study_script.py FOLDER JOBS`` runs it there and writes the table, to be
killed at will.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
import zlib
from pathlib import Path

import numpy as np

from community.errors import StudyRunError
from community.study.design import Design, design_of
from community.study.records import RunRecord, RunSpec, Trace
from community.study.runner import StudyFolder, run_study
from community.study.study_file import parse_study
from community.study.table import write_table

BUDGET = 40
TEXT = """
study = { title = "What is a graph worth?", replicates = 12, seed = 3, contrasts = "all" }
budget = { experiments = 40 }
controls = ["lone", "random"]

[scenario]
run = { task = "nanolm" }
budget = { kind = "steps", amount = 4 }

[[scenario.agents]]
name = "ada"
role = "explorer"
mind = "policy:social"
count = 6

[factors]
topology = ["isolated", "ring", "complete"]
reviews = [true, false]
"""
GAINS = {"isolated": 0.0, "ring": 0.05, "complete": 0.04, "lone": -0.03, "random": -0.2}


def made_up(text: str = TEXT) -> Design:
    """Return its design, in virtual time: made by workers, as many as one likes."""
    design = design_of(parse_study(text, Path("/studies/made_up.toml")))
    arms = {}
    for key, arm in design.arms.items():
        assert arm.scenario is not None
        run = arm.scenario.run.model_copy(update={"time": "virtual"})
        scenario = arm.scenario.model_copy(update={"run": run})
        arms[key] = dataclasses.replace(arm, scenario=scenario)
    return dataclasses.replace(design, arms=arms)


def pretend(spec: RunSpec) -> RunRecord:
    """Return a record that depends on the arm's label and seed alone; notes that it was asked for.

    Not on the arm's key, which a new key of scenarios would change, and with it all chance here.
    """
    if log := os.environ.get("STUDY_SCRIPT_LOG"):
        with Path(log).open("a") as file:
            file.write(f"{spec.arm}-{spec.replicate:05d}\n")
    time.sleep(float(os.environ.get("STUDY_SCRIPT_S", "0")))
    if os.environ.get("STUDY_SCRIPT_FAILS") == spec.label:
        raise StudyRunError("it was told to fail")
    landscape = np.random.default_rng(spec.seed)
    own = np.random.default_rng([spec.seed, zlib.crc32(spec.label.encode())])
    level = 0.7 + 0.1 * landscape.standard_normal()
    gain = sum(gain for name, gain in GAINS.items() if name in spec.label)
    steps = np.arange(0, BUDGET + 1, 4)
    rate = 0.3 if "complete" in spec.label else 0.12
    curve = level + 0.2 * (1 - np.exp(-rate * steps)) + gain * steps / BUDGET
    curve[1:] += 0.01 * own.standard_normal(len(steps) - 1)
    found = tuple(float(value) for value in np.maximum.accumulate(curve))
    graph = {"isolated": 0.0, "ring": 0.4, "complete": 1.0}
    density = next((d for name, d in graph.items() if name in spec.label), 0.0)
    return RunRecord(
        arm=spec.arm, label=spec.label, replicate=spec.replicate, seed=spec.seed, code=spec.code,
        ledger="0" * 64, why="experiments", metric="share", unit="of the optimum",
        direction="higher", best=1.4,
        trace=Trace(
            tuple(int(step) for step in steps), tuple(300.0 * step for step in steps),
            tuple(50.0 * step for step in steps), found, found, found,
        ),
        numbers={"experiments": BUDGET, "duplicate_rate": 0.1, "herding": None},
        graph={"density": density, "clustering": density / 2, "path_length": None},
    )  # fmt: skip


def main() -> None:
    """Run it in the folder that was named, with so many workers."""
    folder, design = StudyFolder(Path(sys.argv[1])), made_up()
    records = run_study(design, folder, jobs=int(sys.argv[2]), command="script", run=pretend)
    write_table(folder.path / "results.csv", design, records)


if __name__ == "__main__":
    from study_script import main as run_as_module  # so that workers find `pretend` by that name

    run_as_module()
