"""Sights: whether a mind is shown what it was shown when its answer was recorded.

An answer holds the hash of each part of the prompt it was given to. Where the record's run folder
is at hand, what was shown is rebuilt from it, so that the first line that differs can be named.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable

from agents.minds.means import Means
from agents.minds.prompting import Prompt, make_prompt
from agents.observation import Observation
from community.errors import CommunityError
from community.events import RunOpened
from community.recorded.comparing import first_difference
from community.recorded.record import Record
from community.run_folder import RunFolder
from community.seeing import past_sight
from community.task_lock import differences
from trainer.errors import TrainerError

Recall = Callable[[Record, str, int], Prompt | None]
"""(record, agent, turn) -> what was shown in that turn, where it can be made again."""
_MARK = re.compile(r' mark="[0-9a-f]+"| [0-9a-f]{12}(?=>)')
"""Marks of quotations derive from what is quoted: they differ wherever that does."""


def prompt_of(observation: Observation, means: Means) -> Prompt:
    """Return what a mind that asks a model is shown, as `agents.minds.language_mind` makes it."""
    money = means.account.in_words(means.agent, means.role)
    return make_prompt(observation, tokens=means.options.prompt_tokens, money=money)


def how_it_differs(
    record: Record, agent: str, turn: int, prompt: Prompt, recall: Recall | None = None
) -> str:
    """Say how `prompt` differs from what was shown in a turn of the record; empty if it does not.

    Of each part that differs the first line that does. Nothing is said of a turn without an answer:
    what was shown in it is not on record.

    Args:
        record: What was.
        agent: Whose turn it is.
        turn: Its number.
        prompt: What is shown now.
        recall: Makes again what was shown then; by default from the record's run folder.
    """
    seen = next((each.seen for each in record.answers(agent, turn) if each.seen), {})
    now = prompt.fingerprint()
    differing = [part for part in now if seen.get(part, now[part]) != now[part]]
    if not differing:
        return ""
    then = (recall or shown_in_folder)(record, agent, turn)
    told = "; ".join(
        f"part {part!r} differs: {_where(part, seen[part], then, prompt)}" for part in differing
    )
    what = f"turn {turn} of {agent}: what it is shown is not what it was shown in {record.name}"
    return f"{what}; {told}"


def other_circumstances(then: RunOpened, now: RunOpened) -> str:
    """Say in what two runs began differently that decides what scores come to; empty for nothing.

    Times, and who was quicker, are never the same, and are not spoken of.
    """
    files = [str(each) for each in differences(then.manifest, now.manifest)]
    files = [each for each in files if not each.startswith("secret")]
    found = [f"what scores rest on ({'; '.join(files[:3])})"] if files else []
    for what, old, new in (
        ("the machine", then.device_class, now.device_class),
        ("the held-out text", then.corpus_hash[:12], now.corpus_hash[:12]),
        ("which of it is asked for", then.secret_hash[:12], now.secret_hash[:12]),
        ("the start", then.baseline_commit[:12], now.baseline_commit[:12]),
    ):
        if old != new:
            found.append(f"{what} ({old!r} then, {new!r} now)")
    return f"the runs differ in {', '.join(found)}" if found else ""


def _where(part: str, seen: str, then: Prompt | None, now: Prompt) -> str:
    """Name the first line that differs, if what was shown can be made again."""
    if then is None:
        return "what it said is not on record, only its hash"
    if then.fingerprint()[part] != seen:
        return "what it said cannot be made again from the record"
    if part == "tools":
        return "other tools"
    old, new = (_MARK.sub("", each.parts[part]) for each in (then, now))
    return first_difference(old, new)


def shown_in_folder(record: Record, agent: str, turn: int) -> Prompt | None:
    """Return the prompt of a turn of the record, made again; None where its folder is not here."""
    return None if record.folder is None else shown_in(RunFolder(record.folder), agent, turn)


def shown_in(folder: RunFolder, agent: str, turn: int) -> Prompt | None:
    """Return the prompt of a turn of a run, made again; None where that cannot be."""
    found = list[Prompt]()

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
