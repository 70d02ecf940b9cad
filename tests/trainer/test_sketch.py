"""What sketches tell of real trainings: whose runs are like one another, whatever hides it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from trainer_trials import HONEST, RunTrial

from trainer.experiment import Budget
from trainer.sketch import distance, sketch

STEPS = Budget("steps", 60)
BEGIN = "    optimiser = "
FROM_LAB = "    torch.manual_seed(run.seed)\n"
JUNK = "        self.junk = nn.Parameter(torch.zeros(1 << 17))\n        self.tied"


def edited(source: str, *edits: tuple[str, str]) -> str:
    """Replace, each of them once."""
    for old, new in edits:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source


PINNED = edited(HONEST, ("    return Model()", "    torch.manual_seed(7)\n    return Model()"))
INIT = edited(PINNED, (BEGIN, FROM_LAB + BEGIN))
DILUTED = edited(
    PINNED,
    ("        self.tied", JUNK),
    (BEGIN, FROM_LAB + "    nn.init.normal_(model.junk, std=9.0)\n" + BEGIN),
)
LOUD = edited(
    INIT, ("    print(", "    model.table.weight.data[200:].normal_(std=1e4)\n    print(")
)
LATE = edited(
    HONEST,
    (
        "        at = ",
        "        if run.remaining() == 57:\n"
        "            torch.manual_seed(7)\n"
        "            model.table.weight.data.normal_()\n"
        "            torch.manual_seed(run.seed)\n"
        "        at = ",
    ),
)
ORDER = edited(HONEST, (BEGIN, "    torch.manual_seed(7)\n" + BEGIN))


async def apart(run_trial: RunTrial, source: str) -> float:
    """Train under two seeds; how far apart the two ends are."""
    found = []
    for seed in (1, 2):
        trial = await run_trial(source, budget=STEPS, seed=seed)
        assert trial.result.artefact is not None, trial.log
        found.append(sketch(trial.result.artefact))
    between = distance(*found)
    assert between is not None
    return between


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("source", "is_alike"),
    [
        (HONEST, False),
        (ORDER, False),
        (PINNED, True),
        (INIT, True),
        (DILUTED, True),
        (LOUD, True),
        (LATE, True),
    ],
    ids=["honest", "order", "pinned", "first weights", "diluted", "loud", "after two steps"],
)
async def test_first_weights_of_ones_own_are_seen_at_the_end(
    run_trial: RunTrial, source: str, is_alike: bool
):
    """Junk, noise and waiting hide none; the order of the data leaves no trace in the weights."""
    between = await apart(run_trial, source)
    assert between < 0.4 if is_alike else between > 0.6


def saved(folder: Path, **tensors: np.ndarray) -> str:
    """Sketch these tensors."""
    path = folder / "artefact.safetensors"
    save_file({name: values.astype("f4") for name, values in tensors.items()}, path)
    return sketch(path)


def test_scale_and_shift_change_nothing_and_correlation_shows(tmp_path: Path):
    """Half of the values anew is between all and none; names and sizes must be the same."""
    chance = np.random.default_rng(1)
    one, other = chance.normal(size=(64, 512)), chance.normal(size=(64, 512))
    mixed = np.concatenate([one[:32], other[32:]])
    base = saved(tmp_path, w=one)
    assert distance(base, saved(tmp_path, w=one * 3 + 5)) == 0
    found = [distance(base, saved(tmp_path, w=values)) for values in (mixed, other)]
    assert found[0] is not None
    assert found[1] is not None
    assert 0.3 < found[0] < 0.7 < found[1]
    assert distance(base, saved(tmp_path, v=one)) is None
    assert distance(base, saved(tmp_path, w=one[:32])) is None


def test_what_cannot_be_told_by_is_left_out(tmp_path: Path):
    """Small and constant tensors, files that are none, texts that are no sketch."""
    assert saved(tmp_path, bias=np.arange(300.0), ones=np.ones(5000)) == ""
    (tmp_path / "text").write_text("KNOB = 3\n" * 9)
    assert sketch(tmp_path / "text") == ""
    assert distance("", "") is None
    assert distance("no sketch", "AAAA") is None
