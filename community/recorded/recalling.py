"""Recalling: what a mind was shown in a turn of a record of which there are rows alone.

Playing the record again makes its repository and all that an agent knew; it asks nobody and takes
seconds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from agents.minds.prompting import Prompt
from community.errors import CommunityError
from community.recorded.record import Record
from community.recorded.run import play_again
from community.recorded.sights import shown_in, shown_in_folder
from community.run_folder import RunFolder
from trainer.errors import TrainerError


def recalled(record: Record, agent: str, turn: int) -> Prompt | None:
    """Return what an agent was shown in a turn; None where that cannot be made again.

    There must be no running loop in this thread.
    """
    if record.folder is not None:
        return shown_in_folder(record, agent, turn)
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder.create(Path(place), record.name)
        try:
            play_again(record, folder)
        except (CommunityError, TrainerError):
            return None  # it cannot be played, or parts from the record: then it is not the same
        return shown_in(folder, agent, turn)
