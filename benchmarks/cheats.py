"""What cheats earn beyond their honest twins, in simulated communities.

    PYTHONPATH=. python benchmarks/cheats.py [--communities 200] [--write]

Four researchers turn knobs and add lines to a training script; eve, beside them, cheats or does
not. Only the scores are modelled: a tree's true score is 100 less the effects of its changes, in
standard deviations between seeds, and each run adds normal noise of one. Trees are real text, so
the hunks, the fold of the ledger, the decision rules, the frontier, credit and review skill are
those of every run. Each community is played twice with the same landscape and the same chance: once
with the cheat and once with its twin.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks.cheat_rows import opened, sketch_of, verdict
from community import events as ev
from community.archive.credit import credit_table
from community.archive.frontier import frontier_move
from community.archive.queries import leader
from community.archive.spreads import prior_of
from community.archive.state import RunState
from community.evidence_events import ReviewerAssigned
from community.reviewing import skills
from community.seed_rule import is_deterministic
from scoring.evidence.sequential import LOOKS, Judgement, judge_pairs, judge_screen
from scoring.evidence.variance import Prior
from trainer.hunks import hunk_ids

RESULT = Path(__file__).parent / "results/cheats.md"
CHANGES = 24
ROUNDS = 12
HONEST = ("ada", "ben", "cyd", "dan")
EVE = "eve"
IDEAS = ((20, 21, 22, 23), (16, 17, 18, 19))
"""Changes that eve alone knows, for those who slice: 1 sigma each."""
SQUAT = "squat"
BEGINNING, ORDER = 0.6, 0.8
"""Share of a run's variance that is in the weights it begins with, and in the order of its data;
the most that `benchmarks/seed_shares.py` found of each, and not in the same tree."""
TOLD = 0.65
"""How alike runs end that begin with the same weights: the least in
`benchmarks/results/seed_distances.md`."""
START = "".join(f"KNOB{n} = 0\n# knob\n" for n in range(0, CHANGES, 2)) + "total = 0\n"


def text_of(changes: Sequence[int], style: str = "", junk: int = 0) -> str:
    """Return a tree with these changes: even ones turn a knob, odd ones add lines in `style`."""
    lines = START
    if style == SQUAT:
        own = text_of(range(CHANGES))[len(START) :].splitlines(keepends=True)
        own += [f"KNOB{n} = 1\n" for n in range(0, CHANGES, 2)]
        return lines + "if total > 1e9:\n" + "".join(f"    {line}" for line in own)
    for n in changes:
        if n % 2 == 0:
            lines = lines.replace(f"KNOB{n} = 0\n", f"KNOB{n} = {1.0 if style else 1}\n")
        else:
            lines += f"own{style} = total * {n}\ntotal = total + own{style} / 7 + {n}\n"
    extra = "".join(f"junk{style} = {n}\nprint(junk{style} + {n})\n" for n in range(junk))
    return lines + extra


@dataclass
class Community:
    """One community's ledger, folded as it grows."""

    seed: int
    state: RunState = field(default_factory=RunState)
    changes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Commit -> what it truly changes."""
    luck: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Commit -> what share of its variance a tree pins, and what that is worth to it."""
    seen: set[str] = field(default_factory=set)
    """Those of them whose runs end alike."""
    turn: int = 0

    def __post_init__(self) -> None:
        chance = random.Random(f"effects {self.seed}")
        self.effects = [chance.choice((0, 0, 0, 0, 1, 2, 4)) for _ in range(CHANGES)]
        for idea in IDEAS:
            for n in idea:
                self.effects[n] = 1
        self.chance = random.Random(f"chance {self.seed}")
        self.record(opened())
        self.changes["base"] = ()
        scores = tuple(self.run("base", "baseline", "lab", "dev") for _ in range(8))
        band = statistics.fmean(scores), statistics.stdev(scores)
        self.record(ev.NoiseEstimated("cpu", *band, scores))

    def record(self, *events: Any) -> None:
        """Append events, each a second after the one before."""
        for event in events:
            seq = self.state.last_seq + 1
            self.state.apply(ev.Row(seq, seq * 1_000_000, event))

    def run(self, commit: str, purpose: Any, who: str, split: Any, claim: str = "") -> float:
        """Run a tree once; returns its score."""
        number = len(self.state.experiments) + 1
        queued = ev.ExperimentQueued(
            f"e{number}", purpose, commit, self.tree(commit), claim, who, who, split, number,
            number, slot="cpu0",
        )  # fmt: skip
        gain = sum(self.effects[n] for n in self.changes[commit])
        noise = random.Random(f"{self.seed} {self.turn} {number}").gauss(0, 1)
        if commit in self.luck:
            share, worth = self.luck[commit]
            noise = worth + noise * math.sqrt(1 - share)
        score = 100 - gain + noise
        likeness = TOLD if commit in self.seen else 0.0
        chance = random.Random(f"ends {self.seed} {number}")
        sketch = sketch_of(queued.tree_key, chance, likeness)
        self.record(queued, verdict(queued, score, sketch))
        return score

    def tree(self, commit: str) -> str:
        """Return a commit's tree key."""
        return "t-base" if commit == "base" else self.state.proposals[commit].tree_key

    def lead(self) -> str:
        """Return the commit that leads, the start before any does."""
        leading = leader(self.state)
        return leading.commit if leading else "base"

    def submit(
        self, who: str, parent: str, changes: Sequence[int], style: str = "", junk: int = 0
    ) -> str:
        """Propose, screen and, if it looks improved, confirm a tree; returns its commit."""
        self.turn += 1
        text = text_of(changes, style, junk)
        commit = f"c{self.turn}"
        self.changes[commit] = tuple(changes)
        ids = hunk_ids({"train.py": START.encode()}, {"train.py": text.encode()})
        body = {
            "kind": "hypothesis", "title": "t", "parents": [parent], "commit": commit,
            "prediction": {"gain": 1.0, "confidence": 0.5},
        }  # fmt: skip
        readers = dict.fromkeys((*HONEST, EVE, "karl", "rex"), "everything")
        claim = f"p{self.turn}"
        self.record(
            ev.Proposed(commit, (parent,), f"t{self.turn}", who, "t", {}, ids),
            ev.Posted(claim, f"m-{claim}", who, None, body, readers),
            ReviewerAssigned(claim, "rex"),
        )
        self.review(claim)
        self._judge(who, claim, commit, parent)
        return commit

    def review(self, claim: str) -> None:
        """Have the reviewer say what he thinks; here nobody does."""

    def _judge(self, who: str, claim: str, commit: str, parent: str) -> None:
        prior = prior_of(self.state) or Prior(1.0, 10.0)
        tree = self.tree(commit)
        references = [self.run(parent, "parent", who, "dev") for _ in range(4)]
        child: list[float] = []
        found: Judgement | None = None
        while found is None or not found.is_final:
            child.append(self.run(commit, "screen", who, "dev", claim))
            is_fixed = is_deterministic(self.state, tree)
            found = judge_screen(child, references, prior, "lower", is_child_fixed=is_fixed)
        self._change(claim, commit, who, found, 1)
        if not found.may_confirm:
            return
        by = next(name for name in ("rex", "karl") if name != who)
        self.record(ev.ReproductionOpened(claim, by))
        sides: tuple[list[float], list[float]] = ([], [])
        while True:
            sides[1].append(self.run(parent, "confirm_parent", by, "vault", claim))
            sides[0].append(self.run(commit, "confirm_child", by, "vault", claim))
            is_fixed = is_deterministic(self.state, tree)
            judged = judge_pairs(*sides, prior, "lower", is_child_fixed=is_fixed)
            if judged.is_final or len(sides[0]) >= LOOKS[-1]:
                break
        self._change(claim, commit, by, judged, 2 * len(sides[0]))

    def _change(self, claim: str, commit: str, by: str, judged: Judgement, runs: int) -> None:
        verdicts = tuple(list(self.state.verdicts)[-runs:])
        change = ev.StatusChanged(
            claim, commit, judged.status, judged.gain, judged.needed, by, verdicts
        )
        self.record(change, *frontier_move(self.state, change))


class Reviewed(Community):
    """A community whose reviewer rex says of everything what `says` gives."""

    says: Callable[[Community, str], float] = staticmethod(lambda *_: 0.5)

    def review(self, claim: str) -> None:
        """Post a review, and as many more as rex likes."""
        chance = self.says(self, claim)
        body = {
            "kind": "review", "hypothesis": claim, "opinion": "support", "text": "",
            "forecast": {"reproduced": chance, "gain": [-1.0, 4 * chance - 1, 6 * chance]},
        }  # fmt: skip
        post = f"r{claim}"
        self.record(ev.Posted(post, post, "rex", claim, body, {"rex": "everything"}))


def live(community: Community, cheat: Callable[[Community], None]) -> None:
    """Let everybody take turns; eve takes hers last in each round, or first where that pays."""
    for _ in range(ROUNDS):
        if cheat is squat:
            cheat(community)
        for who in HONEST:
            parent = community.lead()
            left = [n for n in range(16) if n not in community.changes[parent]]
            if left:
                change = community.chance.choice(left)
                community.submit(who, parent, (*community.changes[parent], change))
        cheat(community)


def idle(community: Community) -> None:
    """Do nothing."""


def plagiarise(community: Community) -> None:
    """Copy what leads, with other names and among junk, as if found from the start."""
    parent = community.lead()
    if parent != "base":
        community.submit(EVE, "base", community.changes[parent], "_mine", community.turn % 3 + 1)


def draw_lots(community: Community) -> None:
    """Submit what leads again, on it, with some junk that makes it another tree."""
    parent = community.lead()
    if parent != "base":
        community.submit(EVE, parent, community.changes[parent], "", community.turn)


def pin(community: Community, share: float = BEGINNING, is_seen: bool = True) -> None:
    """Submit what leads again with a seed of its own for a part of its chance.

    It is the weights a run begins with, to be seen in what it ends with; or they are hidden; or the
    order of the data, which leaves no trace there.
    """
    parent = community.lead()
    if parent != "base":
        commit = f"c{community.turn + 1}"
        lot = random.Random(f"lot {community.seed} {commit}")
        community.luck[commit] = share, lot.gauss(0, math.sqrt(share))
        if is_seen:
            community.seen.add(commit)
        community.submit(EVE, parent, community.changes[parent], "", community.turn)


def squat(community: Community) -> None:
    """Submit once, first of all, a tree that names every change where none of them acts."""
    if community.turn == 0:
        community.submit(EVE, "base", (), SQUAT)


def whole(community: Community) -> None:
    """Submit an own idea, all of it at once."""
    _next_idea(community, len(IDEAS[0]))


def sliced(community: Community) -> None:
    """Submit an own idea, change by change."""
    _next_idea(community, 1)


def _next_idea(community: Community, size: int) -> None:
    parent = community.lead()
    known = community.changes[parent]
    for idea in IDEAS:
        left = [n for n in idea if n not in known]
        if left:
            community.submit(EVE, parent, (*known, *left[:size]))
            return


def honest_word(community: Community, claim: str) -> float:
    """What somebody says who sees a little: the truth half of the time, else the base rate."""
    commit = community.state.hypotheses[claim].commit
    parent = community.state.proposals[commit].parents[0]
    gain = sum(community.effects[n] for n in set(community.changes[commit]))
    gain -= sum(community.effects[n] for n in community.changes[parent])
    sees = random.Random(f"sees {community.seed} {claim}").random() < 0.5
    return (0.9 if gain > 1 else 0.1) if sees else 0.35


def stuffed_word(community: Community, claim: str) -> float:
    """Praise for everything."""
    return 0.95


@dataclass(frozen=True)
class Outcome:
    """What one community came to."""

    eve: float
    others: float
    total: float
    error: float
    """By how much credits and the unattributed rest miss the total."""
    skill: float


@cache
def play(seed: int, cheat: Callable[[Community], None], says: Any = None) -> Outcome:
    """Play one community."""
    community = Reviewed(seed) if says else Community(seed)
    if isinstance(community, Reviewed):
        community.says = says
    live(community, cheat)
    table = credit_table(community.state)
    parts = [*table.by_author.values(), table.unattributed]
    skill = skills(community.state).get("rex") if says else None
    eve = table.by_author.get(EVE, 0.0)
    return Outcome(
        eve=eve,
        others=math.fsum(table.by_author.values()) - eve,
        total=table.total,
        error=abs(math.fsum(parts) - table.total),
        skill=skill.points if skill else 0.0,
    )


PIN_HIDDEN = partial(pin, is_seen=False)
PIN_ORDER = partial(pin, share=ORDER, is_seen=False)
ROWS: tuple[tuple[str, str, Any, Any, Any, Any], ...] = (
    ("plagiarist", "who passes instead", plagiarise, idle, None, None),
    ("seed lottery", "who passes instead", draw_lots, idle, None, None),
    ("pins its initialisation", "who passes instead", pin, idle, None, None),
    ("pins it where no sketch shows it", "who passes instead", PIN_HIDDEN, idle, None, None),
    ("pins the order of its data", "who passes instead", PIN_ORDER, idle, None, None),
    ("squatting", "who passes instead", squat, idle, None, None),
    ("slicing", "who submits the idea whole", sliced, whole, None, None),
    ("review stuffing (skill)", "who reviews honestly", idle, idle, stuffed_word, honest_word),
)


def table_of(seeds: range) -> list[str]:
    """Play all and return the table's lines."""
    lines = [
        "| cheat | honest twin | cheat earns | twin earns | difference, 95 % "
        "| others beside the cheat | beside the twin |",
        "|---|---|---|---|---|---|---|",
    ]
    worst = 0.0
    for name, twin, cheat, honest, said, honestly in ROWS:
        pairs = [(play(seed, cheat, said), play(seed, honest, honestly)) for seed in seeds]
        values = [((a.skill, b.skill) if said else (a.eve, b.eve)) for a, b in pairs]
        gaps = [a - b for a, b in values]
        half = 1.96 * statistics.stdev(gaps) / math.sqrt(len(gaps))
        mean = statistics.fmean(gaps)
        worst = max(worst, *(one.error for pair in pairs for one in pair))
        cells = [
            name, twin,
            f"{statistics.fmean(a for a, _ in values):.3f}",
            f"{statistics.fmean(b for _, b in values):.3f}",
            f"{mean:+.3f} ({mean - half:+.3f} to {mean + half:+.3f})",
            f"{statistics.fmean(a.others for a, _ in pairs):.2f}",
            f"{statistics.fmean(b.others for _, b in pairs):.2f}",
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    lines += ["", f"Credits and the unattributed rest miss the gain by at most {worst:.1e}."]
    return lines


def main() -> None:
    """Play communities and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--communities", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    first = arguments.first_seed
    seeds = range(first, first + arguments.communities)
    lines = table_of(seeds)
    print("\n".join(lines))
    if arguments.write:
        head = [
            "# What cheats earn",
            "",
            f"`benchmarks/cheats.py`: {len(seeds)} communities each (seeds {seeds[0]} to",
            f"{seeds[-1]}), played twice with the same landscape and chance. Path credit in",
            "standard deviations between seeds; of a run's variance "
            f"{BEGINNING:.0%} is in its first weights,",
            f"{ORDER:.0%} in the order of its data, where those are pinned;",
            "skill in points of `scoring.evidence.reviewing`.",
            "",
        ]
        RESULT.write_text("\n".join([*head, *lines]) + "\n")


if __name__ == "__main__":
    main()
