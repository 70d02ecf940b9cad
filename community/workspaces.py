"""Where a job's tree lies: files in its folder where it is run, in memory where it is not."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from trainer.workspace import write_workspace


class Workspaces(Protocol):
    """Makes room for jobs."""

    def lay_out(self, folder: Path, files: Mapping[str, bytes]) -> Path:
        """Make a job's folder anew, and put its tree there.

        Args:
            folder: The job's; what an earlier life left in it goes.
            files: Content by path.

        Returns:
            Where the tree lies, for `trainer.experiment.Job.workspace`.

        Raises:
            WorkspaceError: it cannot be written.
        """
        ...


class FolderWorkspaces:
    """The real ones: plain files that a sandbox mounts."""

    def lay_out(self, folder: Path, files: Mapping[str, bytes]) -> Path:
        """Write the tree below `folder`."""
        shutil.rmtree(folder, ignore_errors=True)  # a power cut may keep it and lose its row
        folder.mkdir(parents=True)
        return write_workspace(files, folder / "tree")
