"""Which devices the experiments of a task get: cards or processors, or a refusal in words."""

from __future__ import annotations

from typing import Literal

from trainer.devices import Slot, find_gpus, find_slots
from trainer.errors import DeviceError
from trainer.experiment import BudgetKind
from trainer.task import Task


def slots_for(
    task: Task, kind: BudgetKind, slots: Literal["auto"] | int = "auto"
) -> tuple[Slot, ...]:
    """Cut this machine's devices into slots for the experiments of `task`.

    Args:
        task: Whose; one that is made for cards gets cards, whatever its budget.
        kind: Of the budget. Processor time and steps say nothing about a card, so they are spent
            on processors; seconds of a device on cards where there are any.
        slots: As in `trainer.devices.find_slots`.

    Raises:
        DeviceError: the task is made for cards and there is none, or as `find_slots`.
    """
    if task.device != "cuda":
        return find_slots(slots, device="auto" if kind == "device_seconds" else "cpu")
    if not find_gpus():
        raise DeviceError(
            f"task {task.name} trains on a CUDA device, and there is none here that the installed "
            "torch can use: `nvidia-smi -L` has to list a card, CUDA_VISIBLE_DEVICES must not hide "
            "it, and torch must be a CUDA build (`community doctor` says which it is). Without a "
            "card run nanolm, the same program at the size of a processor"
        )
    return find_slots(slots, device="cuda")
