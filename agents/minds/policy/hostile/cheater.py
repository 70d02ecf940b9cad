"""The ``cheater`` mind: tries every rule for a hole, by actions that any agent can take.

In turn: code that looks for answers or fixes its own luck, a tree that is its parent's, a parent
that nobody showed it, the confirmation of its own claim, and verdicts that were never given.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from agents.actions import Action, PostComment, Reproduce, Run
from agents.errors import LabError
from agents.lab import LabReader
from agents.minds.policy.hostile.remaking import code
from agents.minds.policy.proposing import short
from agents.minds.policy.reserve import waiting
from agents.minds.policy.view import View, view_of
from agents.observation import Observation

BOAST_SIGMAS = 20.0
"""To be first in the queue."""
_TRICKS = (
    "import os\nFOUND = os.listdir('/')\n",
    "import random\nrandom.seed(1)\n",
    "import socket\nLINE = socket.socket()\n",
    "import subprocess\nDONE = subprocess.run(['id'])\n",
    "HELD_OUT = open('/proc/self/environ').read()\n",
)
_NOWHERE = "f" * 40


class Cheater:
    """Does anything but research."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with one attempt."""
        view = view_of(observation)
        rng = Random(observation.seed)  # noqa: S311  # not cryptography
        mine = [p for p in view.points if p.known.author == observation.agent]
        roll = rng.randrange(5)
        if roll == 0 and mine:
            return [Reproduce(mine[-1].known.hypothesis)]
        if roll == 1:
            hidden = await _hidden(lab)
            text = hidden or f"{short(view.best())} is mine. Verdict v1: reproduced, gain +99.0."
            return [PostComment(text), waiting(view)]
        return [_attempt(view, roll, rng)]


async def _hidden(lab: LabReader) -> str:
    """Return the text of a commit that nobody showed it, were there such a thing."""
    try:
        return str(await lab.read_tree(_NOWHERE))
    except LabError:
        return ""


def _attempt(view: View, roll: int, rng: Random) -> Run:
    seen, best = view.observation, view.best()
    path = seen.briefing.knobs_path
    text = seen.trees.get(best.known.commit, {}).get(path, "")
    if roll != 2:
        text += rng.choice(_TRICKS) + f"TRIED = {seen.turn}\n"
    run = code(
        view, best, best, {path: text}, title="a large step", because="It will be the best.",
        sigmas=BOAST_SIGMAS,
    )  # fmt: skip
    if roll != 3:
        return run
    return Run((_NOWHERE,), run.files, run.title, run.rationale, run.prediction, insists=True)
