"""Forty real experiments on nanolm whose trees differ but act alike: none may be reproduced.

    python benchmarks/aa_nanolm.py [--budget 3] [--write]

A/A tests: twenty trees take some further draws from the generator before they train, twenty have
independent lines in another order. All else is the start's, and no code here or in the community
knows which trees these are. Every hypothesis is drawn for confirmation, so that each one gets its
chance to pass by luck, also those whose screen came out badly. Resumable.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

from agents.actions import Action, Run, Wait
from agents.lab import LabReader
from agents.minds.catalogue import add_mind
from agents.observation import Observation
from community.archive.ledger import LedgerReader
from community.archive.state import RunState
from community.events import Row
from community.loading import read_scenario
from community.run import run_community
from community.run_folder import RunFolder
from forum.messages import Prediction

RESULT = Path(__file__).parent / "results/aa_nanolm.md"
TREES = 40
PROPOSERS = 4
OPEN = frozenset({"measured", "improved"})
"""Not the end of a hypothesis that was drawn; undecided may be, once it was confirmed."""
SCENARIO = """\
run = {{ task = "nanolm", seed = {seed} }}
budget = {{ kind = "cpu_seconds", amount = {budget} }}
board = {{ broker = "memory" }}
topology = {{ family = "complete" }}
noise = {{ baseline_runs = 8 }}
reviews = {{ settle_share = 1.0 }}
lab = {{ reproduce_after = 0, confirm_share = 1.0 }}

[[agents]]
name = "twin"
role = "explorer"
mind = "bench:twin"
count = {proposers}

[[agents]]
name = "karl"
role = "reviewer"
mind = "policy:judge"

[[agents]]
name = "marie"
role = "reproducer"
mind = "policy:verify"
"""


def twin_of(text: str, number: int) -> tuple[str, str]:
    """Return (title, text) of the `number`-th tree that acts like the one with this `text`."""
    if number % 2 == 0:
        draws = number // 2 + 1
        begin = "    model.to(run.device).train()\n"
        assert begin in text
        changed = text.replace(begin, f"{begin}    torch.rand({draws})\n")
        return f"draw {draws} numbers before training", changed
    knob = re.compile(r"# [^\n]*\n[A-Z_0-9]+ = [^\n]*\n")
    found = list(knob.finditer(text, 0, text.index("# ---- the model")))
    order = [each.group() for each in found]
    Random(number).shuffle(order)
    changed = text[: found[0].start()] + "".join(order) + text[found[-1].end() :]
    return f"knobs in another order ({number})", changed


class Twin:
    """Proposes one tree after the other that acts like the start."""

    async def decide(self, observation: Observation, lab: LabReader) -> Sequence[Action]:
        """Answer with the next of this agent's trees, or wait for ever."""
        place = int(observation.agent.rpartition("-")[2]) - 1
        number = PROPOSERS * observation.turn + place
        if number >= TREES:
            return [Wait(300.0)]
        briefing = observation.briefing
        text = (await lab.read_tree(briefing.baseline_commit))[briefing.knobs_path]
        title, changed = twin_of(text, number)
        return [
            Run(
                parents=(briefing.baseline_commit,),
                files={briefing.knobs_path: changed},
                title=title,
                rationale="Nothing should come of it.",
                prediction=Prediction(gain=0.0, confidence=0.5),
            )
        ]


def is_settled(state: RunState) -> bool:
    """Whether every tree was screened and had its confirmation."""
    claims = [claim for claim in state.hypotheses.values() if claim.title]
    return len(claims) == TREES and all(
        claim.status not in OPEN
        and claim.reproduction_by is None
        and (claim.confirmations or not claim.changes[-1][1].verdicts)
        for claim in claims
    )


async def live(base: Path, seed: int, budget: float) -> Path:
    """Run the community until everything is settled; returns its ledger."""
    file, folder = base / "aa_nanolm.toml", base / "run"
    file.write_text(SCENARIO.format(seed=seed, budget=budget, proposers=PROPOSERS))
    loaded = read_scenario(str(file))
    is_resumed = (folder / "ledger.db").exists()
    place = RunFolder.open(folder) if is_resumed else RunFolder.create(base, "run")
    state, settled = RunState(), asyncio.Event()

    def follow(row: Row) -> None:
        state.apply(row)
        if row.event.kind == "status_changed":
            told = Counter(claim.status for claim in state.hypotheses.values())
            print(f"{state.experiments_done} experiments, {dict(told)}", flush=True)
        if is_settled(state):
            settled.set()

    run = asyncio.create_task(
        run_community(loaded.scenario, loaded.text, place, is_resumed=is_resumed, on_row=follow)
    )
    waiting = asyncio.create_task(settled.wait())
    await asyncio.wait({run, waiting}, return_when=asyncio.FIRST_COMPLETED)
    run.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await run
    waiting.cancel()
    return place.ledger


def table(state: RunState) -> str:
    """Return one line per tree, and what came out."""
    assert state.noise is not None
    lines = [
        "| tree | screen: gain | t | status after it | pairs | gain on vault | t | status |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for claim in state.hypotheses.values():
        first = claim.changes[0][1]
        last = claim.confirmations[-1] if claim.confirmations else None
        cells = [claim.title, number(first.gain), number(first.t), first.status]
        cells += [str(last.pairs), number(last.gain), number(last.t)] if last else ["0", "", ""]
        lines.append("| " + " | ".join([*cells, claim.status]) + " |")
    tally = Counter(claim.status for claim in state.hypotheses.values())
    first_words = Counter(claim.changes[0][1].status for claim in state.hypotheses.values())
    lines += [
        "",
        f"{len(state.hypotheses)} trees in {state.experiments_done} experiments of "
        f"{state.opened.budget_amount if state.opened else 0:g} CPU-seconds; baseline "
        f"{state.noise.mean:.4f} ± {state.noise.sigma:.4f} on dev.",
        f"After the screen: {dict(first_words)}. In the end: {dict(tally)}. "
        f"Reproduced: {tally['reproduced']}.",
    ]
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Return a cell."""
    return "" if value is None else f"{value:+.3f}"


def main() -> None:
    """Run what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--base", type=Path, default=Path("runs/aa_nanolm"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--budget", type=float, default=3.0, help="CPU-seconds of a run")
    parser.add_argument("--write", action="store_true", help="keep the table")
    options = parser.parse_args()
    options.base.mkdir(parents=True, exist_ok=True)
    add_mind("bench:twin", Twin, frozenset({"propose"}))
    ledger = asyncio.run(live(options.base, options.seed, options.budget))
    with LedgerReader(ledger) as reader:
        text = table(RunState.from_rows(reader.rows()))
    print(text)
    if options.write:
        RESULT.write_text(f"# aa_nanolm\n\n{text}\n")


if __name__ == "__main__":
    main()
