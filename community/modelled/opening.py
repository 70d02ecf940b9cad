"""Opening what modelled experiments are run with: the model in place of sandbox and scorer.

Everything else is what real runs have: the repository, the pool with its leases, the texts' keys
and diffs. The secret, and with it all chance, derives from the run's seed: there is nobody here to
whom it would have to be unknown.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

import community.landscapes
import community.modelled
from agents.minds.catalogue import make_mind
from agents.minds.mind import Mind
from community.clock import wall_stamp
from community.errors import ModelError
from community.events import RunOpened
from community.modelled.circumstances import devices_of, names
from community.modelled.minds import PacedMind, Waves
from community.modelled.parameters import parameters_hash
from community.modelled.parts import KeptTrees, ModelledExecutor, ModelledScorePhase
from community.modelled.tasks import ModelledTask, modelled_task
from community.run_folder import RunFolder
from community.run_secret import secret_hash
from community.scenario import Member, Scenario
from community.scheduler import Bench
from community.world import Opening, must_match, open_repository
from trainer.devices import Slot
from trainer.experiment import Budget
from trainer.gpu_pool import GpuPool
from trainer.remembered_texts import RememberedTexts
from trainer.texts import TrustedTexts
from trainer.tree_key import tree_key

DEVICE_CLASS: Final = "modelled"
"""Of every modelled run: what is computed does not depend on the machine, nor on how many devices
share the work."""
_MUST_AGREE: Final = {
    "task": "task",
    "lock_hash": "the model's parameters",
    "trainer_hash": "the program that models",
    "secret_hash": "the seed",
    "slots": "the modelled devices",
    "baseline_tree_key": "the start tree or the budget",
}


@asynccontextmanager
async def open_modelled(
    scenario: Scenario, scenario_text: str, folder: RunFolder, known: RunOpened | None
) -> AsyncIterator[Opening]:
    """Open what a run in virtual time is made with; arguments as `community.world.open_world`.

    Raises:
        TaskError: the task folder is not whole.
        ModelError: the task is no modelled one, or its parameters cannot be used.
        ResumeError: the parameters, or the program, differ from the resumed run's.
    """
    modelled = modelled_task(scenario)
    task, section = modelled.task, modelled.section
    repository, baseline = open_repository(folder, task)
    opened = _first_row(scenario, scenario_text, folder, modelled, baseline)
    if known is not None:
        must_match(known, opened, _MUST_AGREE)
        opened = known
    trees = KeptTrees()
    bench = Bench(
        task=task,
        budget=Budget(opened.budget_kind, opened.budget_amount),
        repository=repository,
        texts=RememberedTexts(TrustedTexts()),
        folder=folder,
        pool=GpuPool([Slot(name, "modelled", frozenset()) for name in opened.slots]),
        executor=ModelledExecutor(modelled.model, trees),
        score_phase=ModelledScorePhase(modelled.model, trees),
        lock_hash=opened.lock_hash,
        corpus_hash=opened.corpus_hash,
        device_class=opened.device_class,
        life_class=opened.device_class,
        epoch_s=0,
        workspaces=trees,
        measured_by="model",
    )

    waves = _waves(scenario, bench.budget) if section.waves else None

    def mind_of(member: Member) -> Mind:
        return PacedMind(make_mind(member.mind), section, waves)

    board = scenario.board.model_copy(update={"broker": "memory", "credentials": None})
    secret = run_secret(scenario.run.seed)
    yield Opening(bench, opened, secret, board, host_facts(), mind_of, is_followed=False)


def run_secret(seed: int) -> bytes:
    """Return the secret of a modelled run."""
    return hashlib.sha256(f"run secret/{seed}".encode()).digest()


def _waves(scenario: Scenario, budget: Budget) -> Waves:
    """Return the waves of a run in which all are one mind's hands; patience is ten budgets."""
    return Waves(len(scenario.members()), 10 * max(budget.amount, 1.0))


def slots_of(scenario: Scenario, modelled: ModelledTask) -> tuple[str, ...]:
    """Return the devices by name: the model's, else as many as the pool says, one for everybody.

    Raises:
        ModelError: the pool and the model count differently.
    """
    asked, devices = scenario.pool.slots, devices_of(modelled.section)
    if not devices:
        count = len(scenario.members()) if asked == "auto" else asked
        return tuple(f"device-{number}" for number in range(1, count + 1))
    found = [name for device in devices for name in names(device)]
    if asked not in ("auto", len(found)):
        raise ModelError([f"model.devices are {len(found)} in all, and pool.slots says {asked}"])
    if len(set(found)) < len(found):
        raise ModelError(["two entries of model.devices have one name; give each its own"])
    return tuple(found)


def host_facts() -> dict[str, str]:
    """Return what the ledger notes of this machine; no time of day, which is none of this world."""
    return {
        "started": wall_stamp(),
        "host": platform.node(),
        "python": platform.python_version(),
    }


def program_hash() -> str:
    """Return the SHA-256 of the files by which scores are modelled."""
    folders = [Path(package.__path__[0]) for package in (community.landscapes, community.modelled)]
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def _first_row(
    scenario: Scenario, text: str, folder: RunFolder, modelled: ModelledTask, baseline: str
) -> RunOpened:
    task, seed = modelled.task, scenario.run.seed
    budget = task.budget
    if (asked := scenario.budget) is not None:
        budget = Budget("device_seconds" if asked.kind == "auto" else asked.kind, asked.amount)
    lock = parameters_hash(modelled.section, modelled.seed)
    secret = secret_hash(run_secret(seed))
    told = {f"model/{name}": str(each) for name, each in modelled.section.scored_by().items()}
    return RunOpened(
        run_id=folder.run_id,
        scenario=text,
        task=task.name,
        seed=seed,
        version=version("research-community"),
        metric=task.metric,
        unit=task.unit,
        direction=task.direction,
        budget_kind=budget.kind,
        budget_amount=budget.amount,
        slots=slots_of(scenario, modelled),
        device_class=DEVICE_CLASS,
        lock_hash=lock,
        corpus_hash=hashlib.sha256(f"landscape/{modelled.seed}".encode()).hexdigest(),
        baseline_commit=baseline,
        baseline_tree_key=tree_key(
            task.start, lock_hash=lock, budget=budget, device_class=DEVICE_CLASS
        ),
        host=host_facts(),
        trainer_hash=program_hash(),
        isolation="none",
        secret_hash=secret,
        manifest={**told, "model/landscape_seed": str(modelled.seed), "secret": secret},
        measured_by="model",
    )
