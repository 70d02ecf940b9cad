"""Calibration: baseline runs dealt to the slots, one calibration for each class of device."""

from __future__ import annotations

from pathlib import Path

from bench_script import house, scenario_of

from community.archive.ledger import Ledger
from community.archive.state import RunState
from community.calibration import calibrate, share_baseline
from community.chronicle import Chronicle
from community.clock import RunClock
from community.opening import KERNEL_S, timed_class
from trainer.reference_kernel import kernel_bin
from trainer.repository import Repository

SLOTS = ("cpu0", "cpu1")
FAST, SLOW = "cpu, kernel 9.5 ms", "cpu, kernel 12 ms"


def _runs(state: RunState) -> list[tuple[str, str]]:
    """Return (slot, device class) of the baseline's runs."""
    verdicts = [e.verdict for e in state.experiments.values() if e.is_baseline]
    return [(v.slot, v.device_class) for v in verdicts if v is not None]


async def _calibrated(
    chronicle: Chronicle, repository: Repository, folder: Path, life_class: str
) -> None:
    chronicle.state.noise = chronicle.state.noise if chronicle.state.experiments else None
    async with house(chronicle, repository, folder, scenario_of(), life_class=life_class) as home:
        await calibrate(chronicle, home.scheduler, home.bench, 4)


async def test_every_slot_gets_its_share(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Four runs on two slots are two each, pinned, so that both have references from the start."""
    await _calibrated(chronicle, repository, tmp_path, FAST)
    assert sorted(_runs(chronicle.state)) == [(s, FAST) for s in ("cpu0", "cpu0", "cpu1", "cpu1")]
    assert [e.queued.slot for e in chronicle.state.experiments.values()] == [*SLOTS, *SLOTS]


async def test_a_life_on_a_machine_of_another_speed_is_calibrated_again(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """Once for each class; the noise on record is that of the life that goes on."""
    for life_class in (FAST, FAST, SLOW, SLOW):
        await _calibrated(chronicle, repository, tmp_path, life_class)
    assert [place for _, place in _runs(chronicle.state)] == [FAST] * 4 + [SLOW] * 4
    assert chronicle.state.noise is not None
    assert chronicle.state.noise.device_class == SLOW


async def test_a_shared_baseline_is_taken_over_and_stands_for_its_own_class(
    chronicle: Chronicle, repository: Repository, tmp_path: Path
) -> None:
    """The machine is the same; where its speed is not, the arm measures for itself."""
    await _calibrated(chronicle, repository, tmp_path, FAST)
    opened = chronicle.state.opened
    assert opened is not None
    ledger = Ledger.create(tmp_path / "arm.db")
    arm = Chronicle(ledger, RunClock())
    arm.record(opened)
    assert share_baseline(arm, chronicle.state)
    assert _runs(arm.state) == _runs(chronicle.state)
    for life_class, runs in ((FAST, 4), (SLOW, 8)):
        async with house(
            arm, repository, tmp_path / "arm", scenario_of(), life_class=life_class
        ) as home:
            await calibrate(arm, home.scheduler, home.bench, 4)
        assert len(_runs(arm.state)) == runs
    ledger.close()


async def test_the_opening_says_how_fast_the_machine_was(chronicle: Chronicle) -> None:
    """The first row keeps the machine's own class; a resume within 5 % keeps the bin."""
    known = chronicle.state.opened
    assert known is not None
    readings = iter((0.0100, 0.0104, 0.0120))

    async def read() -> float:
        return next(readings)

    first, known = await timed_class(known, read, None)
    assert (known.device_class, known.host[KERNEL_S]) == ("cpu", "0.010000")
    assert first == f"cpu, {kernel_bin(0.0100)}"
    assert await timed_class(known, read, None) == (first, known)
    assert await timed_class(known, read, None) == (f"cpu, {kernel_bin(0.0120)}", known)
