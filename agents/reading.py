"""Reading: the part of the lab that a mind is handed while it thinks.

A mind that held the whole lab could run experiments past its role, its quota and the board. What it
holds instead answers `read_tree` and, where the role may merge, `merge`. It is no sandbox: a mind
is code of this process, and one that goes looking through Python's insides will find everything.
"""

from __future__ import annotations

from collections.abc import Mapping

from agents.errors import NoRightError
from agents.lab import Lab, LabReader, Merged
from agents.roles import Role


def reading_view(lab: Lab, role: Role) -> LabReader:
    """Return what a mind in `role` may use of `lab`; the lab is no attribute of it."""

    class ReadingView:
        """Passes on what reads, and nothing else."""

        __slots__ = ()

        async def read_tree(self, commit: str) -> Mapping[str, str]:
            """Return the editable files of `commit` by path."""
            return await lab.read_tree(commit)

        async def merge(self, first: str, second: str) -> Merged:
            """Merge two visible commits three ways."""
            if "merge" not in role.rights:
                raise NoRightError(f"role {role.name!r} has no right to merge; build on one commit")
            return await lab.merge(first, second)

    return ReadingView()
