"""``community classic``: its table, its JSON, its page and its exit code."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest
from cli_calls import community, told

from community.classics import catalogue
from community.classics.case import Case, number, ordering
from community.cli.classic_command import _Forecast


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Put two models into the catalogue, one of which fails; return what they were asked."""
    asked: list[dict[str, object]] = []

    def module(name: str, ours: float) -> None:
        def cases(size: float = 1.0, seed: int = 0, jobs: int = 1) -> list[Case]:
            asked.append({"size": size, "seed": seed, "jobs": jobs})
            differences = [ours - 0.4, ours - 0.3, ours - 0.45]
            return [
                number("M3", "level", 0.5, ours, 0.01, source="print", delta=0.02),
                number("M3", "none", 0.5, 0.5, 0.0, source="exact"),
                ordering("M3", "a above b", differences, source="print"),
            ]

        made = types.ModuleType(f"community.classics.{name}")
        made.cases = cases  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, made.__name__, made)

    module("right", 0.51)
    module("wrong", 0.7)
    known = [catalogue.Classic(name, (), "Who 1900", "what", 1) for name in ("right", "wrong")]
    monkeypatch.setattr(catalogue, "CLASSICS", tuple(known))
    return asked


def test_a_model_that_agrees_ends_with_nought(stub: list[dict[str, object]]):
    """Every line has target, ours, error and verdict; options reach the model."""
    done = community("classic", "right", "--size", "0.5", "--seed", "4", "--jobs", "3")
    assert done.exit_code == 0, done.output
    line = next(line for line in done.stdout.splitlines() if " level " in line)
    assert line.split() == [
        "M3",
        "level",
        "print",
        "0.5000",
        "±",
        "0.02",
        "0.5100",
        "0.0100",
        "passes",
    ]
    assert "3 numbers and claims: all pass" in done.stdout
    assert stub == [{"size": 0.5, "seed": 4, "jobs": 3}]


def test_one_number_that_does_not_agree_ends_with_one(
    stub: list[dict[str, object]], tmp_path: Path
):
    """All models run, the failing number is named, and JSON and page say the same."""
    page = tmp_path / "classics.md"
    done = community("classic", "--json", "--write", str(page))
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert said["passed"] is False
    failed = [
        (model["name"], case["name"])
        for model in said["models"]
        for case in model["cases"]
        if not case["passes"]
    ]
    assert failed == [("wrong", "level")]
    lines = page.read_text().splitlines()
    assert [line for line in lines if "FAILS" in line] == [
        "| M3 | level | print | 0.5000 ± 0.02 | 0.7000 | 0.0100 | FAILS |"
    ]
    assert sum(line.endswith("| passes |") for line in lines) == 5
    assert len(stub) == 2


def test_an_unknown_model_is_told_what_there_is(stub: list[dict[str, object]]):
    """The message names the models; nothing runs."""
    assert "right, wrong" in told(community("classic", "nobody"))
    assert community("classic", "--list").stdout.count("Who 1900: what") == 2
    assert stub == []


def test_the_forecast_goes_by_the_pace_so_far(monkeypatch: pytest.MonkeyPatch):
    """After a model that took twice its time, the rest is expected to; it never says done early."""
    now_s = [0.0]
    monkeypatch.setattr("community.cli.classic_command.time.perf_counter", lambda: now_s[0])
    forecast = _Forecast([10.0, 20.0, 10.0])
    forecast.begin("a")
    now_s[0] = 5.0
    assert forecast.look() == pytest.approx((5 / 40, 35.0))
    now_s[0] = 20.0
    forecast.begin("b")
    now_s[0] = 30.0
    assert forecast.look() == pytest.approx((30 / 80, 50.0))
    now_s[0] = 500.0
    share, left_s = forecast.look()
    assert share < 1
    assert left_s > 20
