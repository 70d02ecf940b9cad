"""Sights: whether a mind is shown what it was shown when its answer was recorded.

An answer holds the hash of each part of the prompt it was given to. Where the record's run folder
is at hand, what was shown is rebuilt from it, so that the first line that differs can be named.
"""

from __future__ import annotations

import asyncio
import re
import threading

from agents.minds.means import Means
from agents.minds.prompting import Prompt, make_prompt
from agents.observation import Observation
from community.errors import CommunityError
from community.recorded.comparing import first_difference
from community.recorded.record import Record
from community.run_folder import RunFolder
from community.seeing import past_sight
from trainer.errors import TrainerError

_MARK = re.compile(r' mark="[0-9a-f]+"| [0-9a-f]{12}(?=>)')
"""Marks of quotations derive from what is quoted: they differ wherever that does."""


def prompt_of(observation: Observation, means: Means) -> Prompt:
    """Return what a mind that asks a model is shown, as `agents.minds.language_mind` makes it."""
    money = means.account.in_words(means.agent, means.role)
    return make_prompt(observation, tokens=means.options.prompt_tokens, money=money)


def how_it_differs(record: Record, agent: str, turn: int, prompt: Prompt) -> str:
    """Say how `prompt` differs from what was shown in a turn of the record; empty if it does not.

    Nothing is said of a turn without an answer: what was shown in it is not on record.
    """
    seen = next((each.seen for each in record.answers(agent, turn) if each.seen), {})
    now = prompt.fingerprint()
    differing = [part for part in seen if seen[part] != now.get(part)]
    if not differing:
        return ""
    part = differing[0]
    parts = f"part {part!r}" + (f" (and {', '.join(differing[1:])})" if differing[1:] else "")
    return (
        f"turn {turn} of {agent}: what it is shown is not what it was shown in {record.name}; "
        f"{parts} differs: {_where(record, agent, turn, part, prompt)}"
    )


def _where(record: Record, agent: str, turn: int, part: str, prompt: Prompt) -> str:
    """Name the first line that differs, if what was shown can be made again."""
    then = _shown(record, agent, turn)
    if then is None:
        return "what it said is not on record, only its hash"
    if then.fingerprint().get(part) not in [
        each.seen.get(part) for each in record.answers(agent, turn)
    ]:
        return "what it said cannot be made again from the record"
    if part == "tools":
        return "other tools"
    old, new = (_MARK.sub("", each.parts[part]) for each in (then, prompt))
    return first_difference(old, new)


def _shown(record: Record, agent: str, turn: int) -> Prompt | None:
    """Return the prompt of a turn of the record, made again; None where its folder is not here."""
    if record.folder is None:
        return None
    folder, found = RunFolder(record.folder), list[Prompt]()

    def look() -> None:  # in a thread of its own: the caller's loop may be any
        try:
            sight = asyncio.run(past_sight(folder, agent, turn))
        except (CommunityError, TrainerError):
            return
        found.append(sight.prompt)

    thread = threading.Thread(target=look, name="what was shown")
    thread.start()
    thread.join()
    return found[0] if found else None
