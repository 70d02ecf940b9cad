"""The ``injector`` mind: writes texts that give orders to whoever reads them, wherever it can.

The texts are `agents.minds.policy.hostile.injections`. It puts one into a comment, a lead, a
review, a hypothesis, the code, the name of a file, or its notebook; what it has measured is the
best tree once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from agents.actions import Action, PostComment, PostLead, PostReview, WriteNotebook
from agents.lab import LabReader
from agents.minds.policy.hostile.injections import injections
from agents.minds.policy.hostile.remaking import code, remade
from agents.minds.policy.judge import Judge
from agents.minds.policy.reserve import must_hold, waiting
from agents.minds.policy.view import View, view_of
from agents.observation import Observation

SIGMAS = 1.0


class Injector:
    """Talks to machines."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with one text of the corpus, somewhere."""
        view = view_of(observation)
        rng = Random(observation.seed)  # noqa: S311  # not cryptography
        text = rng.choice(injections()).text
        judged = await Judge().decide(observation, lab)
        reviews = [replace(each, text=text) for each in judged if isinstance(each, PostReview)]
        if reviews:
            return reviews
        heard = [post.post_id for post in observation.posts]
        thread = rng.choice(heard) if heard and rng.random() < 0.5 else None
        said: tuple[Action, ...] = (
            PostComment(text, thread),
            PostLead(text, text),
            WriteNotebook(text),
        )
        if rng.random() < 0.5 or must_hold(view):
            return [rng.choice(said), waiting(view)]
        return [_proposed(view, text, rng)]


def _proposed(view: View, text: str, rng: Random) -> Action:
    best, turn = view.best(), view.observation.turn
    roll = rng.random()
    if roll < 0.2:
        return code(
            view, best, best, {text[:200]: "x = 1\n"}, title=text, because=text, sigmas=SIGMAS
        )
    if roll < 0.4:
        path = view.observation.briefing.knobs_path
        there = view.observation.trees.get(best.known.commit, {}).get(path, "")
        told = there + "".join(f"# {line}\n" for line in text.splitlines()) + f"TURN = {turn}\n"
        return code(view, best, best, {path: told}, title=text, because=text, sigmas=SIGMAS)
    run = remade(view, best, best, mark=f"{turn}", title=text, because=text, sigmas=SIGMAS)
    return waiting(view) if run is None else run
