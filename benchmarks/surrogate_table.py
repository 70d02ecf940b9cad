"""Do communities on the surrogate come to what they came to in earnest? A seed left out at a time.

    python benchmarks/surrogate_table.py --write

For each of the paired seeds of `research_efficiency` a surrogate of nanolm is fitted on the ledgers
of all other seeds, and the arms of that seed live on it in virtual time: on its mean, and on some
draws of what the ledgers leave open. Printed are the table that was measured and the one that was
modelled, how many pairs of arms come out in the same order, and the surrogate's error on the seed
it had not seen. The committed ledgers were made under an older decision rule (six confirming runs,
no references or sentinels), so the arms differ a little in what they may spend.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from research_efficiency import ARMS, curve, kept, reference, scenario, table

from agents.knobs import load_knobs
from community.archive.row_file import read_state
from community.archive.state import RunState
from community.loading import load_scenario
from community.modelled.surrogate.fit import fit
from community.modelled.surrogate.landscape import Landscape
from community.modelled.surrogate.ledgers import Trees, read_evidence
from community.modelled.surrogate.model_file import load, write
from community.modelled.surrogate.space import Space
from community.virtual.run import run_virtual
from trainer.task import find_task, load_task

OUT = Path(__file__).parent / "results" / "surrogate_table.md"
SHIPPED = find_task("nanolm_surrogate", Path.cwd())
NANOLM = load_task(find_task("nanolm", Path.cwd()))
FOLDS = 3


def trees() -> Trees:
    """Return what reads nanolm's trees."""
    assert NANOLM.knobs_toml is not None
    assert NANOLM.knobs_path is not None
    start = NANOLM.start
    knobs = load_knobs(NANOLM.knobs_toml, start[NANOLM.knobs_path].decode())
    return Trees(start, NANOLM.knobs_path, knobs)


def task_without(seed: int, seeds: Sequence[int], base: Path) -> Path:
    """Return a task folder whose surrogate has not seen a seed; it is fitted once."""
    folder = base / f"without-{seed}" / "nanolm_surrogate"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("task.toml", "brief.md"):
        shutil.copyfile(SHIPPED / name, folder / name)
    if not (folder / "model.json").exists():
        others = [kept(arm, each) for arm in ARMS for each in seeds if each != seed]
        reader = trees()
        model = fit(read_evidence(others, reader), Space(reader.knobs), folds=FOLDS)
        write(model, folder / "model.json")
    return folder


def error_on(seed: int, folder: Path) -> tuple[float, float]:
    """Return the surrogate's RMSE on a seed it has not seen, and that of predicting its mean.

    The held-out text's offset, the same for all, is taken out of both: no gain rests on it.
    """
    model, landscape = load(folder / "model.json"), Landscape(load(folder / "model.json"))
    seen = set(model.settings())
    evidence = read_evidence([kept(arm, seed) for arm in ARMS], trees())
    errors: list[float] = []
    scores: list[float] = []
    for split in ("dev", "vault"):
        fresh = [
            (each.score, landscape.cost(each.values))
            for each in evidence.measured
            if each.split == split and each.score is not None and each.values not in seen
        ]
        observed, predicted = np.array(fresh).T
        off = observed - predicted
        errors += (off - np.median(off)).tolist()
        scores += (observed - observed.mean()).tolist()
    return float(np.sqrt(np.mean(np.square(errors)))), float(np.std(scores))


def live(arm: str, seed: int, folder: Path, landscape: int | None) -> RunState:
    """Run one arm in virtual time; `landscape` None is the mean of all."""
    text = scenario(arm, seed).replace(
        f'task = "nanolm", seed = {seed}',
        f'task = "{folder}", seed = {seed}, time = "virtual"',
    )
    model = '{ tree = "knobs" }'
    if landscape is not None:
        model = f'{{ tree = "knobs", posterior = "draw", landscape_seed = {landscape} }}'
    file = folder.parent / "arm.toml"
    file.write_text(text.replace("\n\n[[agents]]", f"\nmodel = {model}\n\n[[agents]]", 1))
    return run_virtual(load_scenario(str(file)), file.read_text()).state


def curves_of(states: dict[int, dict[str, RunState]]) -> dict[str, np.ndarray]:
    """Return each arm's gains over experiments, shape (seeds, experiments + 1)."""
    baselines = {seed: reference(list(arms.values())) for seed, arms in states.items()}
    return {
        arm: np.stack([curve(states[seed][arm], baselines[seed]) for seed in states])
        for arm in ARMS
    }


def agreement(real: dict[str, np.ndarray], modelled: dict[str, np.ndarray]) -> str:
    """Say how far two tables order the arms alike."""
    one = {arm: float(values[:, -1].mean()) for arm, values in real.items()}
    other = {arm: float(values[:, -1].mean()) for arm, values in modelled.items()}
    pairs = list(combinations(ARMS, 2))
    alike = sum((one[a] - one[b]) * (other[a] - other[b]) > 0 for a, b in pairs)
    across = float(np.corrcoef(list(one.values()), list(other.values()))[0, 1])
    return f"{alike} of {len(pairs)} pairs of arms in the same order; correlation {across:.2f}"


def main() -> None:
    """Fit, run, print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=5, help="paired seeds 1 to N")
    parser.add_argument("--draws", type=int, default=4, help="landscapes drawn for each seed")
    parser.add_argument("--base", type=Path, default=Path("runs/surrogate_table"))
    parser.add_argument("--write", action="store_true", help="keep the tables")
    options = parser.parse_args()
    seeds, base = range(1, options.seeds + 1), options.base.absolute()
    real = curves_of({s: {arm: read_state(kept(arm, s)) for arm in ARMS} for s in seeds})
    folders = {seed: task_without(seed, seeds, base) for seed in seeds}
    errors = {seed: error_on(seed, folders[seed]) for seed in seeds}
    on_mean: dict[int, dict[str, RunState]] = {}
    found: list[dict[str, np.ndarray]] = []
    for draw in (None, *range(options.draws)):
        states: dict[int, dict[str, RunState]] = {}
        for seed in seeds:
            landscape = None if draw is None else 1000 * seed + draw
            states[seed] = {arm: live(arm, seed, folders[seed], landscape) for arm in ARMS}
            print(f"landscape {draw}, seed {seed}: done", flush=True)
        if draw is None:
            on_mean = states
        else:
            found.append(curves_of(states))
    expected = curves_of(on_mean)
    drawn = {arm: np.concatenate([each[arm] for each in found]) for arm in ARMS}
    lines = ["# surrogate_table", "", "Measured, in earnest:", "", table(real)]
    lines += ["", "Modelled, on the mean of a surrogate that had not seen the seed:", ""]
    lines += [table(expected), "", agreement(real, expected) + ".", ""]
    lines += [f"Modelled, on {options.draws} draws of it for each seed:", "", table(drawn), ""]
    lines += [agreement(real, drawn) + ".", ""]
    lines += ["Of the surrogate on the seed it had not seen, settings it had seen left out:", ""]
    lines += ["| seed | RMSE | of the mean |", "|---|---|---|"]
    lines += [f"| {seed} | {rmse:.3f} | {mean:.3f} |" for seed, (rmse, mean) in errors.items()]
    lines += ["", "Measured under an older decision rule (six confirming runs; no references, no"]
    lines += [
        "sentinels), modelled under the present one: some five hypotheses fewer in forty runs."
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        OUT.write_text(text)
        data = {arm: [real[arm][:, -1].tolist(), expected[arm][:, -1].tolist()] for arm in ARMS}
        OUT.with_suffix(".json").write_text(json.dumps(data) + "\n")


if __name__ == "__main__":
    main()
