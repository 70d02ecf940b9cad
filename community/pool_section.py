"""The devices that a scenario asks for: here, or on the nodes of a cluster. Records only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _slots(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError('give "auto" or a whole number of slots, at least 1')


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if value != "auto" and not (host and colon and port.isdigit() and "/" not in value):
        raise ValueError(
            'give "auto" or "host:port" of the head node, and start the run there (the port is '
            "6379 unless `ray start` was told another; ray:// is not used)"
        )
    return value


class PoolSection(BaseModel):
    """The devices that are shared."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    slots: Annotated[Literal["auto"] | int, BeforeValidator(_slots)] = "auto"
    """``auto``: one slot per GPU for a budget in ``device_seconds``, else one per processor; or a
    number of slots."""
    backend: Literal["local", "ray"] = "local"
    """Where slots are: on this machine, or on the nodes of a Ray cluster."""
    address: Annotated[str, AfterValidator(_address)] = "auto"
    """Of the Ray cluster: ``auto`` (the one this machine is part of) or ``host:port``."""
    gpus: Annotated[float, Field(ge=0, le=1)] | None = None
    """GPUs that a slot takes of a node; None: one for a budget in ``device_seconds`` where there
    are any, else none."""
    share_gpus: bool = False
    """Whether `gpus` may be a fraction: then the jobs on one GPU slow one another down."""
    cpus: Annotated[int, Field(ge=1)] = 1
    """Processors that a slot takes of a node."""
    dollars_per_device_hour: Annotated[float, Field(ge=0)] | None = None
    """What an hour of one slot costs; ``community estimate`` reckons with it."""

    @model_validator(mode="after")
    def _is_whole(self) -> PoolSection:
        if self.gpus is not None and 0 < self.gpus < 1:
            if not self.share_gpus:
                raise ValueError(
                    f"{self.gpus:g} of a GPU: jobs that share one slow one another down, and their "
                    "times compare less; if that is meant, set share_gpus = true"
                )
            if abs(1 / self.gpus - round(1 / self.gpus)) > 1e-9:
                raise ValueError(
                    f"{self.gpus:g} of a GPU: give 1/2, 1/4 or such a part (0.5, 0.25)"
                )
        return self
