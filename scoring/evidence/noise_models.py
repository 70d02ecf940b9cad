"""What a run of a tree is evidence of: the noise model that a task declares. Pure functions.

`seeds`: a score is one draw of what a program scores. A gain has to clear the spread between seeds,
beside fresh runs of the parent, and is confirmed in pairs (`scoring.evidence.sequential`).

`exact`: what a run left is itself the result, and its score a fact: it was graded twice by two
processes that agreed (`scoring.grading_service`), and may be graded again by anybody. So there is
no noise in it, no run ages, and a tree stands for the best that any of its runs has left. A child
is `improved` when its best beats its parent's, by however little; luck is part of a search whose
fruit is the result. A confirmation is one more run of each side under fresh seeds, by somebody
else: the child's best must still be ahead of all that the parent has left by then, and its program
must come as near to it again as programs of this run do (else the result stands and the program is
not what made it: `undecided`).

Whoever decides asks the model (`community.archive.state.RunState.noise_model`), never for its name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final, Protocol

from scoring.evidence.effects import Combined
from scoring.evidence.gains import Measured, gain_of
from scoring.evidence.sequential import (
    LOOKS,
    SAME_P,
    Judgement,
    Word,
    gain_over,
    judge_pairs,
    judge_screen,
    looks_within,
    references_wanted,
    tail,
)
from scoring.evidence.variance import Prior
from scoring.verdict import Direction


class NoiseModel(Protocol):
    """What decisions ask of a noise model."""

    @property
    def is_lasting(self) -> bool:
        """Whether a run says the same wherever and whenever it was made, and on every split."""
        ...

    @property
    def is_gated(self) -> bool:
        """Whether a new tree first has to show that its seed matters."""
        ...

    @property
    def digits(self) -> int:
        """Significant digits in which a score leaves the scorer."""
        ...

    def level(self, scores: Sequence[float], direction: Direction) -> float:
        """Return what a tree with these scores, one or more, stands for."""
        ...

    def telling_step(self, sigma: float) -> float:
        """Return the sigma in whose quarters researchers are told scores; 0 for in full."""
        ...

    def references(self, seeds: int) -> int:
        """Return how many runs of the parent a screen with so many of the child wants."""
        ...

    def looks(self, most_pairs: int) -> list[int]:
        """Return after how many pairs a confirmation is judged, `most_pairs` at most."""
        ...

    def spent(self, pairs: int, most_pairs: int) -> float:
        """Return the share of alpha that looks up to so many pairs have spent."""
        ...

    def judge_screen(
        self,
        child: Sequence[float],
        parent: Sequence[float],
        prior: Prior,
        direction: Direction,
        *,
        is_child_fixed: bool = False,
        is_parent_fixed: bool = False,
    ) -> Judgement:
        """Judge a claim by runs on dev, as `scoring.evidence.sequential.judge_screen` does."""
        ...

    def judge_pairs(
        self,
        child: Sequence[float],
        parent: Sequence[float],
        prior: Prior,
        direction: Direction,
        *,
        alpha: float,
        record: tuple[Sequence[float], Sequence[float]],
        is_child_fixed: bool = False,
        is_parent_fixed: bool = False,
        pairs_allowed: int,
    ) -> Judgement:
        """Judge a confirmation, as `scoring.evidence.sequential.judge_pairs` does.

        Args:
            child: Scores of its runs, one a pair.
            parent: The same of the parent.
            prior: Of the spread between seeds.
            direction: Whether lower or higher is better.
            alpha: To be spent.
            record: All valid scores of child and parent that are on record, these included.
            is_child_fixed: Whether the child's runs do not depend on the seed.
            is_parent_fixed: Whether the parent's do not.
            pairs_allowed: Beyond these no pair will come.
        """
        ...

    def gain(
        self,
        child: Sequence[Measured],
        parent: Sequence[Measured],
        prior: Prior,
        direction: Direction,
        *,
        is_child_fixed: bool = False,
        is_parent_fixed: bool = False,
    ) -> Combined | None:
        """Return the gain that runs tell, as `scoring.evidence.gains.gain_of` does."""
        ...


class SeedNoise:
    """Scores are draws; implements `NoiseModel`."""

    is_lasting = False
    is_gated = True
    digits = 5

    def level(self, scores: Sequence[float], direction: Direction) -> float:
        """Return their mean."""
        return sum(scores) / len(scores)

    def telling_step(self, sigma: float) -> float:
        """Return `sigma`."""
        return sigma

    def references(self, seeds: int) -> int:
        """Return what the stage of the screen asks for."""
        return references_wanted(seeds)

    def looks(self, most_pairs: int) -> list[int]:
        """Return the schedule's looks."""
        return [look for look in LOOKS if look <= most_pairs] or [LOOKS[0]]

    def spent(self, pairs: int, most_pairs: int) -> float:
        """Return the sum of the looks' shares."""
        return sum(look.share for look in looks_within(most_pairs) if look.pairs <= pairs)

    def judge_screen(
        self,
        child: Sequence[float],
        parent: Sequence[float],
        prior: Prior,
        direction: Direction,
        *,
        is_child_fixed: bool = False,
        is_parent_fixed: bool = False,
    ) -> Judgement:
        """Judge by a moderated t."""
        return judge_screen(
            child,
            parent,
            prior,
            direction,
            is_child_fixed=is_child_fixed,
            is_parent_fixed=is_parent_fixed,
        )

    def judge_pairs(
        self,
        child: Sequence[float],
        parent: Sequence[float],
        prior: Prior,
        direction: Direction,
        *,
        alpha: float,
        record: tuple[Sequence[float], Sequence[float]],
        is_child_fixed: bool = False,
        is_parent_fixed: bool = False,
        pairs_allowed: int,
    ) -> Judgement:
        """Judge by the pairs alone: whatever chose the child flatters it."""
        return judge_pairs(
            child,
            parent,
            prior,
            direction,
            alpha=alpha,
            is_child_fixed=is_child_fixed,
            is_parent_fixed=is_parent_fixed,
            pairs_allowed=pairs_allowed,
        )

    def gain(
        self,
        child: Sequence[Measured],
        parent: Sequence[Measured],
        prior: Prior,
        direction: Direction,
        *,
        is_child_fixed: bool = False,
        is_parent_fixed: bool = False,
    ) -> Combined | None:
        """Return the gain by blocks, with the spread's interval."""
        return gain_of(
            child,
            parent,
            prior,
            direction,
            is_child_fixed=is_child_fixed,
            is_parent_fixed=is_parent_fixed,
        )


class NoNoise:
    """Scores are facts about what was left; implements `NoiseModel`."""

    is_lasting = True
    is_gated = False
    digits = 15

    def level(self, scores: Sequence[float], direction: Direction) -> float:
        """Return the best of them."""
        return min(scores) if direction == "lower" else max(scores)

    def telling_step(self, sigma: float) -> float:
        """Return 0: nothing is held out that a score could tell of."""
        return 0.0

    def references(self, seeds: int) -> int:
        """Return 1: any run of the parent that is on record."""
        return 1

    def looks(self, most_pairs: int) -> list[int]:
        """Return one look after one pair."""
        return [1]

    def spent(self, pairs: int, most_pairs: int) -> float:
        """Return 0: facts spend nothing."""
        return 0.0

    def judge_screen(
        self,
        child: Sequence[float],
        parent: Sequence[float],
        prior: Prior,
        direction: Direction,
        *,
        is_child_fixed: bool = False,
        is_parent_fixed: bool = False,
    ) -> Judgement:
        """Compare the best with the best."""
        gain = self._ahead(child, parent, direction)
        is_improved = gain > 0
        return _fact("improved" if is_improved else "not_improved", gain, may_confirm=is_improved)

    def judge_pairs(
        self,
        child: Sequence[float],
        parent: Sequence[float],
        prior: Prior,
        direction: Direction,
        *,
        alpha: float,
        record: tuple[Sequence[float], Sequence[float]],
        is_child_fixed: bool = False,
        is_parent_fixed: bool = False,
        pairs_allowed: int,
    ) -> Judgement:
        """Compare all that both have left; the child's new runs must lie within the spread."""
        gain = self._ahead(record[0], record[1], direction)
        status: Word = "not_improved"
        if gain > 0:
            again, best = self.level(child, direction), self.level(record[0], direction)
            short = gain_over(best, again, direction)  # 0 or more
            is_far = prior.s0 > 0 and tail(short / (math.sqrt(2) * prior.s0), prior.d0) < SAME_P
            status = "undecided" if is_far else "reproduced"
        return _fact(status, gain, may_confirm=False)

    def gain(
        self,
        child: Sequence[Measured],
        parent: Sequence[Measured],
        prior: Prior,
        direction: Direction,
        *,
        is_child_fixed: bool = False,
        is_parent_fixed: bool = False,
    ) -> Combined | None:
        """Return how far the child's best is ahead, known to a part in 10^9."""
        if not child or not parent:
            return None
        sides = [[run.score for run in side] for side in (child, parent)]
        best = [[Measured(self.level(side, direction), "", "")] for side in sides]
        return gain_of(best[0], best[1], Prior(0.0, math.inf), direction)

    def _ahead(
        self, child: Sequence[float], parent: Sequence[float], direction: Direction
    ) -> float:
        """Return how far the child's best lies ahead; less than rounding is nothing."""
        best = self.level(child, direction), self.level(parent, direction)
        gain = gain_over(*best, direction)
        return gain if abs(gain) > ROUNDING * max(map(abs, best)) else 0.0


ROUNDING: Final = 1e-14
"""Of a score: less is the floating point's, not the result's."""


def _fact(status: Word, gain: float, *, may_confirm: bool) -> Judgement:
    return Judgement(
        status=status,
        gain=gain,
        low=gain,
        high=gain,
        t=math.copysign(math.inf, gain) if gain else 0.0,
        df=math.inf,
        p=0.0 if gain > 0 else 1.0,
        needed=0.0,
        is_final=True,
        may_confirm=may_confirm,
    )


NOISE_MODELS: Final = MappingProxyType[str, NoiseModel]({"seeds": SeedNoise(), "exact": NoNoise()})
"""By the word that a task's ``noise.model`` has."""
FACT: Final = "task/noise"
"""The entry of a run's lock manifest that names it; runs that lack it are of `seeds`."""
