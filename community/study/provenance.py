"""What a study's results were made with: hashes of the program's files, of its tasks, of libraries.

Only what can change a result counts, so that a new colour in a figure does not void a night of
runs: commands, screens, reports and the study's own statistics are left out.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from community.errors import StudyDiffersError, StudyError
from trainer.task import find_task

ROOT: Final = Path(__file__).resolve().parent.parent.parent
_PACKAGES: Final = ("agents", "community", "forum", "scoring", "trainer")
_KINDS: Final = (".py", ".md", ".json", ".toml")
"""Endings of files that decide: programs, prompts, and what minds say."""
_VIEWS: Final = frozenset({"attack", "classics", "cli", "report", "show", "tui"})
"""Packages of `community` that look at runs, or are about something else."""
_OF_CLASSICS: Final = frozenset({"classics", "landscapes", "topology", "scenario.py"})
"""What a classic model is made of."""
_OF_STUDIES: Final = frozenset(
    {"classic_runs", "curves", "records", "running", "telemetry", "trace"}
)
"""Files of `community.study` by which a record is made."""
_LIBRARIES: Final = (
    *("cmaes", "networkx", "numba", "numpy", "optuna", "pydantic", "pygit2", "scikit-learn"),
    *("scipy", "statsmodels", "torch"),
)
NAMED = 6
"""Changed files that a refusal names."""


def program_facts(tasks: Iterable[str] = ()) -> dict[str, str]:
    """Return what the program consists of, by name: files, tasks' files and libraries.

    Args:
        tasks: Names or paths of the task folders that are worked on; none of a classic model.
    """
    chosen = set(tasks)
    files = [
        path
        for package in _PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in _KINDS and _decides(path.relative_to(ROOT), is_classic=not chosen)
    ]
    files += (ROOT / "scenarios" / "roles").glob("*.toml")
    facts = {path.relative_to(ROOT).as_posix(): _hash(path) for path in files}
    for task in sorted(chosen):
        folder = find_task(task, Path.cwd())
        inside = (path for path in folder.rglob("*") if path.is_file())
        own = [path for path in inside if "__pycache__" not in path.parts]
        facts |= {f"task {task}: {path.relative_to(folder)}": _hash(path) for path in own}
    facts |= {f"library {name}": _version(name) for name in _LIBRARIES}
    python = ".".join(platform.python_version_tuple()[:2])
    facts |= {"python": python, "processor": platform.machine()}
    return dict(sorted(facts.items()))


def facts_hash(facts: Mapping[str, str]) -> str:
    """Return one hash of `program_facts`."""
    return hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode()).hexdigest()[:16]


def must_be_the_same(
    before: Mapping[str, str], now: Mapping[str, str], folder: Path, command: str
) -> None:
    """Refuse to go on with results that another program made.

    Args:
        before: Facts of the program that made them.
        now: Of this one.
        folder: Where the results are.
        command: What was typed, for the message.

    Raises:
        StudyDiffersError: something differs; the message names what, and says what to do.
    """
    names = before.keys() | now.keys()
    changed = sorted(name for name in names if before.get(name) != now.get(name))
    if not changed:
        return
    named = ", ".join(_said(name, before, now) for name in changed[:NAMED])
    more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
    raise StudyDiffersError(
        f"the results in {folder} were made by another program: {named}{more}. Results of two "
        f"programs do not mix: bring those files back (git stash, git checkout) to go on, or begin "
        f"anew: `{command}` with another --out, or after you have deleted {folder}"
    )


def read_facts(path: Path) -> dict[str, str]:
    """Return the facts that `path` keeps.

    Raises:
        StudyError: it cannot be read.
    """
    try:
        return {str(key): str(value) for key, value in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise StudyError(f"{path} cannot be read ({error}); begin anew with --out DIR") from error


def _said(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    if name.startswith("library ") or name in ("python", "processor"):
        return f"{name} ({before.get(name, 'none')}, now {now.get(name, 'none')})"
    if name not in now:
        return f"{name} (gone)"
    return f"{name} (new)" if name not in before else name


def _decides(path: Path, *, is_classic: bool) -> bool:
    """Whether a file, by its path from the root, decides what a run comes to."""
    package, *rest = path.parts
    if "__pycache__" in rest:
        return False
    if package != "community":
        return not is_classic
    if rest[0] == "study":
        return path.stem in _OF_STUDIES
    if is_classic:
        return rest[0] in _OF_CLASSICS
    return rest[0] not in _VIEWS


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
