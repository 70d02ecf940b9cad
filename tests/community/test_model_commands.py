"""``community model``: from runs to a file, and what the file says."""

from __future__ import annotations

from pathlib import Path

from cli_calls import community, told
from surrogate_world import SIGMA, write_run, write_task

from community.modelled.surrogate.model_file import load


def test_a_model_is_fitted_kept_and_shown(tmp_path: Path) -> None:
    """With its errors beside the mean and the noise, and an effect for each knob."""
    task, out = write_task(tmp_path), tmp_path / "model.json"
    runs = [str(write_run(tmp_path, seed)) for seed in (1, 2)]
    arguments = ["model", "fit", *runs, "--task", str(task), "--out", str(out), "--folds", "2"]
    result = community(*arguments, "--score", "ridge")
    assert result.exit_code == 0, result.output
    assert "left out: 2 experiments, taken back" in result.output
    model = load(out)
    check = next(check for check in model.checks if check.part == "score, ridge")
    assert check.mean is not None
    assert check.floor is not None
    assert SIGMA * 0.8 < check.floor < check.model < check.mean
    assert any(line.split()[:2] == ["score,", "ridge"] for line in result.output.splitlines())

    before = out.read_bytes()
    assert "add --write" in told(community(*arguments))
    again = community(*arguments, "--score", "ridge", "--write")
    assert (again.exit_code, out.read_bytes()) == (0, before)

    shown = community("model", "show", str(out))
    assert shown.exit_code == 0
    for words in (
        "surrogate of known at 60 steps",
        "4 knobs in 2 runs",
        "RATE (0.1)",
        "never below",
    ):
        assert words in shown.output
    strongest = shown.output.split("one knob turned:")[1].split()[0]
    assert strongest == "RATE"


def test_what_cannot_be_fitted_or_shown_is_said(tmp_path: Path) -> None:
    """In one line, without a traceback."""
    broken = tmp_path / "model.json"
    broken.write_text("{}")
    assert "no surrogate that can be used" in told(community("model", "show", str(broken)))
    missing = tmp_path / "none.jsonl.gz"
    out = str(tmp_path / "out.json")
    assert "does not exist" in told(community("model", "fit", str(missing), "--out", out))
    run = str(write_run(tmp_path, 1, settings=10))
    task = str(write_task(tmp_path))
    said = told(community("model", "fit", run, "--task", task, "--out", out))
    assert "settings of knobs have a score" in said
    assert not Path(out).exists()
