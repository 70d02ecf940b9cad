"""Loading a task's ``locked/grade.py`` in the scorer's worker, from its private copy."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def load_grader(path: Path) -> ModuleType:
    """Import a task's grade.py by its path.

    Raises:
        ImportError: it is no Python module.
        Exception: whatever it raises.
    """
    spec = importlib.util.spec_from_file_location("locked_grade", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules["locked_grade"] = module
    spec.loader.exec_module(module)
    return module
