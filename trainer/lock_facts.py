"""What of the trainer decides whether a score can be believed, for the lock manifest.

Names and numbers people can read, and files to be hashed. It hashes and compares nothing itself;
next: `community.task_lock` puts it beside what `scoring.lock` tells.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from trainer import limits
from trainer.sandbox import mounts, seccomp, view
from trainer.task import Task

_FILES = (
    *("artefact.py", "experiment.py", "harness.py", "hosting.py", "keeper.py", "launch.py"),
    *("left_data.py", "limits.py", "patch_policy.py", "text_measure.py", "train_phase.py"),
    *("tree_key.py", "seed_gate.py", "sketch.py", "zygote.py"),
)
"""What seeds, counts, confines and reads a candidate; the sandbox comes on top."""
_OWN_PID = 2
"""Stands for the process's own id in a filter that is hashed; the real one differs by process."""
_LINK = 3
"""Likewise for the descriptor that the answering filter lets a listener pass through."""


def lock_files() -> dict[str, Path]:
    """Return the trainer's files that decide a score, by their name in the manifest."""
    root = Path(__file__).parent
    files = {f"trainer/{name}": root / name for name in _FILES}
    sandbox = {f"trainer/sandbox/{p.name}": p for p in (root / "sandbox").glob("*.py")}
    return dict(sorted({**files, **sandbox}.items()))


def lock_facts(task: Task) -> dict[str, str]:
    """Return the caps of a task, what sandboxes show, and the filters' hashes."""
    bounded = bool(task.constraints or task.guards)
    caps = ("tree", "patch", "literal", "novel", "artefact", "memory")
    facts = {
        "task/kind": task.kind,
        "task/metric": f"{task.metric}, {task.unit}, {task.direction} is better",
        "task/editable": " ".join(task.editable),
        "task/leaves": task.leaves,
        "task/noise": task.noise,
        **({"task/aim": repr(task.aim)} if task.aim is not None else {}),
        **({"task/picture": task.artifact.picture} if task.artifact is not None else {}),
        "task/block": str(task.block),
        "task/vocab": str(task.vocab),
        "task/answers": task.answers,
        **({"task/bounds": f"{task.constraints}, {task.guards}"} if bounded else {}),
        "limits/patch_files": str(task.patch_files),
        **{f"limits/{cap}_bytes": str(getattr(task, f"{cap}_bytes")) for cap in caps},
        "limits/open_files": str(limits.OPEN_FILES),
        "limits/file_bytes": str(limits.FILE_BYTES),
        "limits/scratch_bytes": str(limits.SCRATCH_BYTES),
        "limits/threads": str(limits.THREADS),
        "sandbox/packages": " ".join(view.PACKAGES),
        "sandbox/packages_cuda": " ".join(view.CUDA_PACKAGES),
        "sandbox/never": " ".join(sorted(view.NEVER)),
        "sandbox/devices": " ".join(mounts.PLAIN_DEVICES),
    }
    for family in seccomp.FAMILIES:
        for kind, is_cuda in (("cpu", False), ("cuda", True)):
            for phase, link in (("train", None), ("answer", _LINK)):
                program = seccomp.filter_bytes(family, _OWN_PID, cuda=is_cuda, link=link)
                name = f"seccomp/{family}/{phase}_{kind}"
                facts[name] = hashlib.sha256(program).hexdigest()
    return dict(sorted(facts.items()))
