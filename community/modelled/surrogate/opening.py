"""Opening a surrogate for a run: its file, and the real task that it stands for."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from agents.constants import find_constants
from community.errors import ModelFileError
from community.modelled.circumstances import devices_of, names
from community.modelled.parameters import SurrogateSection
from community.modelled.surrogate.model_file import ModelFile, dump, load
from community.modelled.surrogate.task import Choices, Surrogate
from trainer.task import Task, find_task, load_task


def open_surrogate(
    section: SurrogateSection, seed: int, task: Task, budget: tuple[str, float]
) -> tuple[Surrogate, str]:
    """Return the surrogate, and the SHA-256 (hex) of what was learnt.

    Args:
        section: The parameters.
        seed: The landscape's.
        task: Of kind ``landscape``.
        budget: Kind and amount of what one experiment may spend.

    Raises:
        TaskError: the real task cannot be found or is not whole.
        ModelFileError: the file cannot be used, or was learnt from another task, metric or budget.
    """
    path = task.folder / section.fitted
    model = load(path)
    digest = hashlib.sha256(dump(model).encode()).hexdigest()
    if section.fitted_sha256 not in ("", digest):
        raise ModelFileError(f"{path} hashes to {digest}, and fitted_sha256 says otherwise")
    real = load_task(find_task(section.of, task.folder))
    must_be_one = {
        "task": (model.task, real.name),
        "metric": (model.metric, task.metric),
        "direction": (model.direction, task.direction),
        "budget": ((model.budget.kind, model.budget.amount), budget),
    }
    for name, (learnt, asked) in must_be_one.items():
        if learnt != asked:
            raise ModelFileError(
                f"{path} was learnt with {name} = {learnt}, and this run has {asked}; a surrogate "
                "knows nothing of others"
            )
    if real.knobs_toml is None or real.knobs_path is None:
        raise ModelFileError(f"task {real.name} has no knobs, so {path} cannot stand for it")
    return _made(_Parts(model, digest, real), section, seed), digest


class _Parts:
    """What a surrogate is made of, equal where its hashes are: for the cache."""

    def __init__(self, model: ModelFile, digest: str, real: Task) -> None:
        self.model, self.real = model, real
        self._key = (digest, tuple(sorted(real.start.items())), real.knobs_toml, real.knobs_path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Parts) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=8)
def _made(parts: _Parts, section: SurrogateSection, seed: int) -> Surrogate:
    """Make a surrogate once: a study runs many arms on one landscape."""
    real = parts.real
    choices = Choices(
        posterior=section.posterior,
        landscape_seed=seed,
        noise=section.noise,
        duration_s=section.duration_s,
        crash=section.crash,
        devices={name: device for device in devices_of(section) for name in names(device)},
    )
    path, knobs_toml = real.knobs_path or "", real.knobs_toml or ""
    start = real.start if section.tree == "whole" else {path: _knobs_alone(real.start[path])}
    return Surrogate(parts.model, start, knobs_toml, path, choices)


def _knobs_alone(content: bytes) -> bytes:
    """Return a file's constants with the comment above each, which keeps edits of two apart."""
    text = content.decode()
    places, _ = find_constants(text)
    kept: list[str] = []
    before = ""
    for line in text.splitlines():
        name = line.partition("=")[0].strip()
        if name in places:
            kept += [before if before.startswith("#") else f"# {name}", line]
        before = line
    return "".join(f"{line}\n" for line in kept).encode()
