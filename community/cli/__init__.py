"""The command line: ``community run``, ``show``, ``report``, ``export``, ``watch``, ``doctor`` ...

One file per group of commands. Starting up stays quick: torch, the broker, Optuna, matplotlib and
Textual are imported inside the commands that need them, so this package's own imports are light.
"""

from __future__ import annotations

from community.cli.application import main

__all__ = ["main"]
