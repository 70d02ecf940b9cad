"""Attacks on which bytes count: a patch has room for some held-out text, if one knows which."""

from __future__ import annotations

from community.attack.attack import Attack
from community.attack.trials.carried import Carried

ATTACKS = (
    Attack(
        name="foretells what is asked",
        source="blocks drawn from a run secret",
        tries="draws the blocks itself, from the public seed, and brings some of them along",
        block="draw",
        reasons=("other blocks",),
        trial=Carried("seed", split="dev"),
    ),
    Attack(
        name="fits what was screened",
        source="three splits",
        tries="brings blocks of dev along that many verdicts gave away, to be confirmed by them",
        block="splits",
        reasons=("no gain",),
        trial=Carried("verdicts", split="vault"),
    ),
)
