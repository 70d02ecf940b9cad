"""The careless mind wastes what its docstring says, and its reviewer learns to see it coming."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from made_observations import TREES, WORLD, decide, measured, observation, open_hypothesis
from modelled_lab import ModelLab
from modelled_landscape import KNOBS, PATH, START

from agents.actions import PostReview, Run
from agents.closeness import CLOSE, distance, skeletons
from agents.knobs import read_values
from agents.minds.policy.careless import CRASHES, DUPLICATES, HOPELESS


def kind_of(run: Run) -> str:
    """Return what a proposal is."""
    text = run.files[PATH]
    if skeletons({PATH: text}, PATH, KNOBS) != skeletons({PATH: START}, PATH, KNOBS):
        return "crash"
    if "careless" not in run.title:
        return "greedy"
    base = TREES.get(run.parents[0], START)
    apart = distance(KNOBS, read_values(base, KNOBS), read_values(text, KNOBS))
    return "duplicate" if 0 < apart < CLOSE else "hopeless" if apart > 1 else "?"


def test_it_is_careless_at_the_stated_rates():
    """Of 400 turns each kind has its share, give or take four standard errors."""
    good = measured("good", {"WARMDOWN": 0.5}, 2.7)
    runs = [decide("careless", observation(good, seed=seed))[0] for seed in range(400)]
    found = Counter(kind_of(run) for run in runs)
    rates = {"duplicate": DUPLICATES, "crash": CRASHES, "hopeless": HOPELESS}
    rates["greedy"] = 1 - sum(rates.values())
    assert set(found) == set(rates)
    for kind, rate in rates.items():
        assert found[kind] / len(runs) == pytest.approx(
            rate, abs=4 * (rate * (1 - rate) / 400) ** 0.5
        )


def test_its_crashes_do_not_run():
    """The misspelt name is not defined anywhere."""
    run = next(
        run
        for seed in range(50)
        for run in decide("careless", observation(seed=seed))
        if kind_of(run) == "crash"
    )
    with pytest.raises(NameError):
        exec(run.files[PATH], {})


class ReadableLab(ModelLab):
    """A lab in which the open hypothesis' tree can be read."""

    def __init__(self, text: str) -> None:
        super().__init__(WORLD, "ada")
        self.text = text

    async def read_tree(self, commit: str):
        """Return the one tree there is."""
        return {PATH: self.text}


def judged(text, changes, *known, parent="") -> PostReview | object:
    """Return what a judge says of a tree."""
    each = open_hypothesis(changes, parent=parent)
    return decide("judge", observation(*known, open_hypotheses=(each,)), ReadableLab(text))[0]


def test_the_judge_knows_an_idea_that_was_tried():
    """A hair's breadth from its parent is expected to give nothing, with little doubt."""
    good = measured("good", {"WARMDOWN": 0.5}, 2.7)
    text = TREES["good"].replace("WARMDOWN = 0.5", "WARMDOWN = 0.503")
    again = judged(text, {"WARMDOWN": 0.503}, good, parent="good")
    new = judged(TREES["good"].replace("WARMDOWN = 0.5", "WARMDOWN = 0.7"), {"WARMDOWN": 0.7}, good,
                 parent="good")  # fmt: skip
    assert again.opinion == "reject"
    assert "again" in again.text
    assert again.forecast.reproduced < 0.05 < new.forecast.reproduced
    assert again.forecast.gain[1] == pytest.approx(0.0, abs=1e-6)


def test_the_judge_learns_whose_code_fails():
    """Of free-form edits it says nothing before one was seen; then the author's record counts."""
    broken = START.replace("WARMDOWN = ", "WARMDOWN = wrong or ")
    assert broken != START
    assert not isinstance(judged(broken, {}), PostReview)
    failed = []
    for number in range(3):
        one = measured(f"f{number}", {"DIM": 100 + number}, None, status="not_improved")
        TREES[one.commit] = broken + f"# {number}\n"
        failed.append(one)
    hers = judged(broken, {}, *failed)
    others = judged(broken, {}, *(replace(one, author="bob") for one in failed))
    assert isinstance(hers, PostReview)
    assert hers.forecast.invalid > others.forecast.invalid > 0.3
    assert hers.opinion == "reject"
