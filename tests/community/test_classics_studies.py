"""The shipped studies of classic models are well formed and can be run."""

from __future__ import annotations

import numpy as np
import pytest

from community.study.design import design_of
from community.study.records import RunSpec
from community.study.running import run_one
from community.study.study_file import read_study, shipped_studies

SHIPPED = [name for name in shipped_studies() if name.startswith("classics/")]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_classic_study_has_arms_that_its_model_takes(name: str):
    """Every arm's parameters are the model's; the first arm runs and ends with a number."""
    found = design_of(read_study(name))
    assert len(found.arms) == len(found.cells) >= 4
    engine = found.study.file.study.engine.partition(":")[2]
    assert engine == name.removeprefix("classics/")
    arm = next(iter(found.arms.values()))
    record = run_one(RunSpec(arm.key, arm.label, 0, 1, "code", "", engine, arm.parameters))
    assert np.isfinite(record.trace.found).all()


def test_every_model_with_communities_has_a_study():
    """One file each."""
    from community.study.classic_runs import ENGINES

    assert {name.removeprefix("classics/") for name in SHIPPED} == set(ENGINES)
