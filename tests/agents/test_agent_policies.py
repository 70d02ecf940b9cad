"""Built-in minds, each alone: what they propose, when they hold back, what they say of it."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from random import Random
from statistics import median

import pytest
from jump_loop import run_jumping
from made_observations import (
    BY_NAME,
    PROPOSERS,
    TREES,
    WORLD,
    decide,
    measured,
    observation,
    open_hypothesis,
)
from modelled_lab import ModelLab, World, complete, make_agent, until_spent
from modelled_landscape import KNOBS, PATH, START, true_score

from agents.actions import Run, Wait
from agents.closeness import to_unit
from agents.knobs import read_values, turn
from agents.lab import Merged
from agents.minds.policy.steps import from_unit, moved, turned
from agents.minds.policy.surrogate import Surrogate
from agents.minds.policy.view import view_of
from agents.observation import Known, OpenHypothesis
from forum.messages import Hypothesis, Post


@pytest.mark.parametrize(
    ("mind", "least"),
    [("random", 0.04), ("greedy", 0.06), ("social", 0.15), ("tpe", 0.10), ("cmaes", 0.06)],
)
def test_a_lone_policy_beats_the_start_clearly(mind, least):
    """Forty experiments alone bring each proposing policy a good part of the way."""

    def reached(seed: int) -> float:
        async def life():
            world = World(complete("ada"), experiments=40, seed=seed)
            await until_spent(world, [make_agent(world, "ada", "explorer", f"policy:{mind}")])
            return world

        world = run_jumping(life())
        assert world.admitted == 40
        scores = [true_score(world.trees[c.commit].text) for c in world.claims.values() if c.score]
        return 1 - min(scores) / true_score(START)

    assert median(reached(seed) for seed in (1, 2, 3)) > least


@pytest.mark.parametrize("mind", PROPOSERS)
def test_a_proposal_says_what_it_is(mind):
    """Title, knobs, diff and parents tell one story; the prediction is a number and a chance."""
    (run,) = decide(mind, observation())
    assert isinstance(run, Run)
    assert run.parents == (WORLD.baseline,)
    values = read_values(run.files[PATH], KNOBS)
    changed = {k.name: values[k.name] for k in KNOBS if values[k.name] != k.start}
    assert changed == run.knobs
    for name in changed:
        assert name in run.title
    assert WORLD.baseline[:7] in run.title
    assert f"({mind})" in run.title
    assert math.isfinite(run.prediction.gain)
    assert 0 < run.prediction.confidence < 1


@pytest.mark.parametrize("mind", PROPOSERS)
def test_chance_comes_from_the_seed_alone(mind):
    """One observation has one answer; another seed has another."""
    assert decide(mind, observation()) == decide(mind, observation())
    answers = {decide(mind, observation(seed=seed))[0].title for seed in range(5)}
    assert len(answers) > 1


@pytest.mark.parametrize("mind", PROPOSERS)
def test_nothing_is_proposed_twice(mind):
    """What is measured, or on its way at a neighbour's, is not proposed again."""
    seen = observation()
    (first,) = decide(mind, seen)
    body = Hypothesis(
        title="t", parents=first.parents, knobs=dict(first.knobs), prediction=first.prediction,
        commit="x",
    )  # fmt: skip
    post = Post(post_id="p1", seq=1, at_us=0, author="eve", message_id="m", body=body)
    (second,) = decide(mind, replace(seen, open_hypotheses=(OpenHypothesis(post, False),)))
    assert second.knobs != first.knobs


@pytest.mark.parametrize("mind", PROPOSERS)
def test_what_others_wrote_is_tolerated(mind):
    """Vanished knobs, thinned posts, odd values, invalid runs and free-form trees do no harm."""
    odd = measured("odd", {"LR": 0.004}, 2.9)
    TREES["odd"] = TREES["odd"].replace("LR = ", "RATE = ").replace("DIM = 96", "DIM = 3 * 32")
    broken = measured("broken", {"DIM": 128}, 2.8)
    TREES["broken"] = "def ("
    weird = Known("", (), "p9", "\x1b[31m", "ok", 2.0, "improved", 1.0, {}, False)
    forged = Known(
        "q" * 40, ("nowhere",), "p8", "eve", "ok", -1e9, "reproduced", 1e9,
        {"LR": "'; import os", "NOPE": True}, False,
    )  # fmt: skip
    crashed = measured("crashed", {"DIM": 384}, None, status="not_improved")
    answers = decide(mind, observation(odd, broken, weird, forged, crashed))
    assert isinstance(answers[0], (Run, Wait))
    assert isinstance(decide(mind, observation(knobs=()))[0], Wait)


def test_greedy_builds_on_the_best_visible_improvement():
    """Keep if better: the next mutation starts where the last good one ended."""
    good = measured("good", {"WARMDOWN": 0.5}, 2.9)
    better = measured("better", {"WARMUP": 0.1}, 2.7, parent="good", gain=0.2)
    worse = measured("worse", {"LR": 0.04}, 5.0, status="not_improved")
    lucky = measured("lucky", {"DIM": 128}, 2.69, status="not_improved")
    for seed in range(5):
        (run,) = decide("greedy", observation(good, better, worse, lucky, seed=seed))
        # nobody has confirmed it yet, so the gain is declared against the baseline
        assert run.parents == (WORLD.baseline, "better")
        assert "WARMUP" in run.knobs


def test_greedy_turns_back_after_a_failed_direction():
    """A knob that failed upwards is mostly tried downwards next."""
    worse = measured("worse", {"DIM": 200}, 3.4, status="not_improved")
    only = replace(observation(worse), knobs=(BY_NAME["DIM"],))
    downs = 0
    for seed in range(20):
        (run,) = decide("greedy", replace(only, seed=seed))
        downs += run.knobs["DIM"] < 96
    assert downs >= 14


def test_social_puts_a_neighbours_good_change_on_the_best_commit():
    """With two single improvements on separate branches, both ends up in one proposal."""
    one = measured("one", {"WARMDOWN": 0.5}, 2.7)
    two = measured("two", {"OPTIMIZER": "muon"}, 2.6, author="bob")
    joined = 0
    for seed in range(10):
        (run,) = decide("social", observation(one, two, seed=seed))
        values = read_values(run.files[PATH], KNOBS)
        joined += values["OPTIMIZER"] == "muon" and values["WARMDOWN"] > 0
    assert joined >= 8


def test_social_prefers_evidence_to_luck():
    """A reproduced result is built on before an undecided one with the same score."""
    sure = measured("sure", {"WARMDOWN": 0.5}, 2.70, status="reproduced")
    maybe = measured("maybe", {"DIM": 128}, 2.69, status="undecided", author="bob")
    assert view_of(observation(sure, maybe)).best().known.commit == "sure"


def test_merge_joins_two_branches_without_conflict():
    """Two parents, both changes, and git's own text."""

    async def life():
        world = World(complete("ada", "eve"))
        lab = ModelLab(world, "ada")
        commits = []
        for changes in ({"WARMDOWN": 0.5}, {"OPTIMIZER": "muon"}):
            text = turn(START, changes, KNOBS).text
            commits.append(world.store(text, (world.baseline,), "ada"))
            TREES[commits[-1]] = text
        return lab, commits

    lab, (one, two) = asyncio.run(life())
    known = [
        measured(one, {"WARMDOWN": 0.5}, 2.7),
        measured(two, {"OPTIMIZER": "muon"}, 2.6),
    ]
    (run,) = decide("merge", observation(*known), lab)
    assert run.parents[1:] == (two, one)
    assert run.knobs == {"WARMDOWN": 0.5, "OPTIMIZER": "muon"}
    values = read_values(run.files[PATH], KNOBS)
    assert (values["WARMDOWN"], values["OPTIMIZER"]) == (0.5, "muon")
    assert run.title.startswith(f"merge {one[:7]} into {two[:7]}: raise WARMDOWN 0 -> 0.5")


def test_merge_resolves_a_conflict_for_the_better_side():
    """Where both sides turned one knob the better side's value stays, the rest is brought over."""
    one = measured("one", {"WARMDOWN": 0.5, "DIM": 120}, 2.7)
    two = measured("two", {"OPTIMIZER": "muon", "DIM": 150}, 2.6)

    class Conflicting(ModelLab):
        async def merge(self, first, second):
            return Merged({PATH: TREES[first]}, (PATH,))

    (run,) = decide("merge", observation(one, two), Conflicting(WORLD, "ada"))
    values = read_values(run.files[PATH], KNOBS)
    assert run.parents[1:] == ("two", "one")
    assert (values["WARMDOWN"], values["OPTIMIZER"], values["DIM"]) == (0.5, "muon", 150)
    assert "kept the better side" in run.rationale


def test_merge_leaves_descendants_alone():
    """A commit is not merged with its own ancestor; with nothing to merge it explores."""
    one = measured("one", {"WARMDOWN": 0.5}, 2.7)
    two = measured("two", {"OPTIMIZER": "muon"}, 2.5, parent="one", gain=0.2)
    (run,) = decide("merge", observation(one, two))
    assert len(set(run.parents) - {WORLD.baseline}) <= 1  # the baseline is what gains refer to
    assert not run.title.startswith("merge ")


@pytest.mark.parametrize("mind", PROPOSERS)
def test_proposers_leave_the_last_runs_to_a_confirmation(mind):
    """They hold back near the end, not for ever, and only if there is something to confirm."""
    good = measured("good", {"WARMDOWN": 0.5}, 2.7)
    late = observation(good, remaining_experiments=6)
    assert isinstance(decide(mind, late)[0], Wait)
    assert isinstance(decide(mind, replace(late, idle_s=121.0))[0], Run)
    assert isinstance(decide(mind, replace(late, remaining_experiments=5))[0], Run)
    assert isinstance(decide(mind, replace(late, remaining_experiments=7))[0], Run)
    assert isinstance(decide(mind, observation(remaining_experiments=6))[0], Run)
    settled = measured("good", {"WARMDOWN": 0.5}, 2.7, status="reproduced")
    assert isinstance(decide(mind, observation(settled, remaining_experiments=6))[0], Run)
    assert isinstance(decide(mind, observation(remaining_experiments=0))[0], Wait)


def test_the_controls_do_not_listen():
    """TPE and CMA-ES answer the same whatever neighbours found."""
    heard = observation(measured("good", {"WARMDOWN": 0.5}, 2.7))
    for mind in ("tpe", "cmaes"):
        assert decide(mind, heard)[0].knobs == decide(mind, observation())[0].knobs


def test_the_samplers_learn_from_their_own_results():
    """Their next setting depends on what their own settings scored."""
    pair = (BY_NAME["LR"], BY_NAME["DIM"])
    for mind in ("tpe", "cmaes"):
        rng = Random(5)
        changes = [{"LR": from_unit(BY_NAME["LR"], rng.random())} for _ in range(16)]
        middles = []
        for lowest in (0.0, 1.0):
            own = [
                measured(f"o{n}", each, 3 + abs(to_unit(BY_NAME["LR"], each["LR"]) - lowest),
                         author="ada")
                for n, each in enumerate(changes)
            ]  # fmt: skip
            drawn = [
                to_unit(BY_NAME["LR"], run.knobs.get("LR", 0.002))
                for seed in range(16)
                for run in decide(mind, observation(*own, seed=seed, knobs=pair))
            ]
            middles.append(median(drawn))
        assert middles[0] < middles[1] - 0.05


def test_the_surrogate_knows_what_was_measured_and_doubts_the_rest():
    """Near results it is sure, far away it falls back to no expectation and wide doubt."""
    good = measured("good", {"WARMDOWN": 0.5}, 2.7)
    view = view_of(observation(good))
    surrogate = Surrogate(view)
    start = view.baseline.setting
    gain, doubt = surrogate.gain(start, {**start, "WARMDOWN": 0.5})
    assert gain == pytest.approx(WORLD.baseline_mean - 2.7, abs=0.05)
    unknown, wide = surrogate.gain(start, {**start, "DIM": 300})
    assert abs(unknown) < 0.05
    assert wide > 2 * doubt


def test_steps_stay_in_range_and_always_change_something():
    """Bold, bounded, and whole numbers stay whole."""
    rng = Random(1)
    for knob in KNOBS:
        value = knob.start
        for _ in range(200):
            new = turned(knob, value, rng)
            if new is None:
                continue
            assert new != value or isinstance(new, bool) != isinstance(value, bool)
            if knob.is_number:
                assert knob.low <= new <= knob.high
                assert isinstance(new, int) == (knob.kind == "int")
            else:
                assert new in knob.options
            value = new
    depth = BY_NAME["DEPTH"]
    assert moved(depth, 8, 0.3) is None
    assert moved(depth, 3, 0.01) == 4


def test_runs_on_their_way_take_doubt_away_from_choosing_but_not_from_predicting():
    """Who chooses looks elsewhere than a neighbour does; who predicts stays honest."""
    changes = {"DIM": 200}
    view = view_of(observation(open_hypotheses=(open_hypothesis(changes),)))
    start = view.baseline.setting
    honest = Surrogate(view).gain(start, {**start, **changes})
    choosing = Surrogate(view, believes=True).gain(start, {**start, **changes})
    alone = Surrogate(view_of(observation())).gain(start, {**start, **changes})
    assert honest == alone
    assert choosing[0] == pytest.approx(honest[0], abs=1e-6)
    assert choosing[1] < 0.6 * honest[1]
