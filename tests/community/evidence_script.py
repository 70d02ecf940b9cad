"""A scripted run that has everything the rules of evidence bring: for tests of views, not of rules.

Scores are drawn from a fixed seed about stated true values; statuses, intervals and alarms are what
the script says, not what a rule decided.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from statistics import fmean

from archive_script import S, ended, opened, verdict

from community import events as ev
from community import evidence_events as evidence

SIGMA = 0.03
START = {"dev": 3.30, "vault": 3.36, "seal": 3.33}
"""True mean of the unmodified start on each split."""
PEOPLE = ("ada", "ben", "cyd", "eve")
BASE = "b" * 40


def commit_of(name: str) -> str:
    """Return the commit of a hypothesis of the script."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest() if name else BASE


@dataclass
class Script:
    """Writes rows one after the other: each call is some seconds of a run on two slots."""

    events: list[ev.Row] = field(default_factory=list)
    at: int = 0
    jobs: int = 0
    gains: dict[str, float] = field(default_factory=lambda: {"": 0.0})
    """True gain over the start, by hypothesis; the start is nameless."""
    hunks: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"": ()})
    draws: random.Random = field(default_factory=lambda: random.Random(4))
    leader: str = ""
    measured: dict[str, int] = field(default_factory=dict)

    def tell(self, *events: ev.Event) -> None:
        """Append rows at the present second."""
        for event in events:
            self.events.append(ev.Row(len(self.events) + 1, self.at * S, event))

    def run(
        self,
        purpose: ev.Purpose,
        tree: str,
        split: str,
        slot: str,
        *,
        of: str = "",
        by: str = "lab",
        pair: int = 0,
        drift: float = 0.0,
        is_broken: bool = False,
    ) -> tuple[str, float]:
        """Run one experiment for eleven seconds; returns its verdict's id and its score."""
        self.jobs += 1
        name = f"{'b' if purpose == 'baseline' else 'e'}{self.jobs:04}"
        n = self.measured[tree] = self.measured.get(tree, 0) + 1
        queued = ev.ExperimentQueued(
            name, purpose, commit_of(tree), f"t-{tree or 'base'}", of, by, by, split,  # type: ignore[arg-type]
            n, self.jobs, pair, slot,
        )  # fmt: skip
        score = START[split] - self.gains[tree] + self.draws.gauss(drift, SIGMA)
        self.tell(queued, ev.AttemptStarted(name, 1, slot))
        begin = self.at
        self.at += 11
        spans = (begin, begin + 10), (begin + 10, begin + 11)
        outcome = "invalid" if is_broken else "ok"
        self.tell(ended(name, slot, *spans, outcome=outcome))
        given = verdict(queued, None if is_broken else round(score, 4))
        self.tell(ev.VerdictGiven(**{**_fields(given), "slot": slot}))
        return given.verdict_id, score

    def propose(self, name: str, author: str, parent: str, gain: float, title: str = "") -> None:
        """Post a hypothesis; the clerk asks somebody else for a review."""
        self.gains[name] = self.gains[parent] + gain
        parents = (commit_of(parent),)
        hunks = self.hunks[name] = (*self.hunks[parent], f"h-{name}")
        self.tell(ev.Proposed(commit_of(name), parents, f"t-{name}", author, title, {}, hunks))
        body = {
            "kind": "hypothesis", "title": title or f"idea {name}", "rationale": "",
            "parents": list(parents), "knobs": {}, "commit": commit_of(name), "patch": "",
            "prediction": {"gain": 0.05, "confidence": 0.5},
        }  # fmt: skip
        self.tell(ev.Posted(name, f"m-{name}", author, None, body, {}))
        reviewer = PEOPLE[(PEOPLE.index(author) + 1) % len(PEOPLE)]
        self.tell(evidence.ReviewerAssigned(name, reviewer))
        said = {
            "kind": "review", "hypothesis": name, "opinion": "support", "text": "",
            "prediction": {"gain": 0.04, "confidence": 0.6},
            "forecast": {"reproduced": 0.6, "gain": [0.0, 0.04, 0.1]},
        }  # fmt: skip
        self.tell(ev.Posted(f"r-{name}", f"m-r-{name}", reviewer, name, said, {}))

    def screen(self, name: str, author: str, status: str, parent: str = "") -> None:
        """Screen a hypothesis, beside two reference runs of a declared parent."""
        slot = self._slot()
        own, score = self.run("screen", name, "dev", slot, of=name, by=author)
        beside = [self.run("parent", parent, "dev", slot, of=name) for _ in range(2)]
        gain = fmean(other for _, other in beside) - score
        half = 2.2 * SIGMA * 1.5**0.5
        self.tell(
            ev.StatusChanged(
                name, commit_of(name), status, gain, 3 * half / 2.2, author,
                (own, *(v for v, _ in beside)), gain / half * 2.2, gain - half, gain + half,
            )
        )  # fmt: skip

    def confirm(
        self, name: str, by: str, status: str, pairs: int, parent: str = "", p: float = 1e-4
    ) -> None:
        """Confirm a hypothesis by so many interleaved pairs."""
        slot = self._slot()
        self.tell(ev.ReproductionOpened(name, by))
        verdicts: list[str] = []
        gains, scores = [], []
        for pair in range(1, pairs + 1):
            v, base = self.run("confirm_parent", parent, "vault", slot, of=name, by=by, pair=pair)
            w, own = self.run("confirm_child", name, "vault", slot, of=name, by=by, pair=pair)
            gains.append(base - own)
            scores.append(own)
            verdicts += [v, w]
        gain, half = fmean(gains), 2.1 * SIGMA * (2 / pairs) ** 0.5
        self.tell(
            ev.StatusChanged(
                name, commit_of(name), status, gain, 0.0, by, tuple(verdicts),
                gain / half * 2.1, gain - half, gain + half, p, pairs,
            )
        )  # fmt: skip
        if status == "reproduced" and self.gains[name] > self.gains[self.leader]:
            self.leader = name
            self.tell(ev.FrontierMoved(commit_of(name), name, fmean(scores)))

    def fall(self, name: str, status: str, low: float, high: float, pairs: int) -> None:
        """Take a reproduced hypothesis' status away, by later pairs."""
        mean = (low + high) / 2
        self.tell(
            ev.StatusChanged(
                name, commit_of(name), status, mean, 0.0, "lab", (), 0.4, low, high, 0.35, pairs
            )
        )

    def _slot(self) -> str:
        return f"cpu{self.jobs % 2}"


def _fields(record: ev.VerdictGiven) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__slots__}


def _research(script: Script) -> None:
    """Three confirmed steps, one contested and one retracted result, and what failed."""
    script.propose("p1", "ada", "", 0.30, "learning rate 5e-4 -> 1e-2, betas 0.8/0.95")
    script.screen("p1", "ada", "improved")
    script.confirm("p1", "ben", "reproduced", 2)
    for number, author in ((2, "ben"), (3, "cyd")):
        script.propose(f"p{number}", author, "", -0.05 * number + 0.1)
        script.screen(f"p{number}", author, "undecided" if number == 2 else "not_improved")
    script.propose("p4", "ada", "p1", 0.14, "a shorter context of 64 and a batch of 16")
    script.screen("p4", "ada", "improved", "p1")
    script.run("sentinel", "p1", "dev", "cpu0")
    script.confirm("p4", "cyd", "reproduced", 4, "p1", 4e-4)
    script.propose("p5", "eve", "", 0.0)
    script.run("screen", "p5", "dev", "cpu1", of="p5", by="eve", is_broken=True)
    script.tell(ev.StatusChanged("p5", commit_of("p5"), "not_improved", None, None, "eve", ()))
    script.propose("p6", "ben", "p1", 0.03, "a wider embedding")
    script.screen("p6", "ben", "improved", "p1")
    script.confirm("p6", "eve", "undecided", 8, "p1", 0.03)
    script.run("sentinel", "p4", "dev", "cpu1")
    script.propose("p7", "cyd", "p4", 0.17, "Muon for the matrices, AdamW for the rest")
    script.screen("p7", "cyd", "improved", "p4")
    script.confirm("p7", "lab", "reproduced", 2, "p4")
    script.propose("p8", "eve", "p7", 0.05, "drop the softcap")
    script.screen("p8", "eve", "improved", "p7")
    script.confirm("p8", "ada", "reproduced", 8, "p7", 4e-3)
    script.fall("p8", "contested", -0.012, 0.041, 10)
    script.propose("p9", "ada", "p4", 0.06, "tie the head to the embedding")
    script.screen("p9", "ada", "improved", "p4")
    script.confirm("p9", "eve", "reproduced", 4, "p4", 2e-3)
    script.fall("p9", "retracted", -0.071, -0.013, 6)
    rests = ("commit:" + commit_of("p9"), "credit:ada", "review:r-p9")
    script.tell(evidence.ClaimRetracted("p9", "two more pairs refuted it", "lab", rests))
    screened = next(
        row.event
        for row in script.events
        if isinstance(row.event, ev.VerdictGiven) and row.event.commit == commit_of("p3")
    )
    why = "measured beside a compiler"
    script.tell(evidence.VerdictRetracted(screened.verdict_id, why, "eve", ("hypothesis:p3",)))
    script.tell(ev.StatusChanged("p3", commit_of("p3"), "measured", None, None, "eve", ()))


def _drift(script: Script) -> None:
    """Sentinels on one slot leave their band; fresh references end the alarm."""
    for index in range(4):
        script.run("sentinel", "p7", "dev", f"cpu{index % 2}")
    for _ in range(4):
        script.run("sentinel", "p7", "dev", "cpu1", drift=4 * SIGMA)
    script.tell(evidence.AlarmRaised("a1", "drift", "cpu", "cpu1", "the CUSUM passed 5 sigma"))
    script.tell(ev.Noticed("alarm", "a1: the CUSUM passed 5 sigma; nothing is decided for now"))
    for index in range(4):
        script.run("parent", "p7", "dev", f"cpu{index % 2}")
    script.tell(evidence.AlarmCleared("a1", "fresh references on both slots"))
    for index in range(4):
        script.run("sentinel", "p7", "dev", f"cpu{index % 2}")


def _late(script: Script) -> None:
    """What a run ends with: many small tries, one more step."""
    for number in range(10, 22):
        author = PEOPLE[number % 4]
        script.propose(f"p{number}", author, "p7", script.draws.uniform(-0.15, 0.03))
        status = "undecided" if number % 5 == 0 else "not_improved"
        script.screen(f"p{number}", author, status, "p7")
    script.propose("p22", "ben", "p7", 0.09, "embedding learning rate 0.2, no weight decay")
    script.screen("p22", "ben", "improved", "p7")
    script.confirm("p22", "eve", "reproduced", 2, "p7", 2e-4)


def _finals(script: Script) -> None:
    """Runs of the leader without each of its changes, on vault; then the last runs, on seal."""
    leaders = ("p22", "p7", "p4")
    script.tell(evidence.FinalsOpened(tuple(commit_of(name) for name in leaders)))
    names = {"p1": 0.30, "p4": 0.14, "p7": 0.17, "p22": 0.09}
    for name, gain in names.items():
        made, kept = f"p22-{name}", tuple(h for h in script.hunks["p22"] if h != f"h-{name}")
        script.gains[made] = script.gains["p22"] - gain
        without = {"without": [f"h-{name}"]}
        script.tell(
            ev.Proposed(
                commit_of(made), (commit_of("p22"),), f"t-{made}", "lab", made, without, kept
            )
        )
    for turn in range(1, 5):
        for made in ("p22", *(f"p22-{name}" for name in names)):
            script.run("credit", made, "vault", "cpu0", pair=turn)
    for turn in range(1, 5):
        for name in ("", *leaders):
            script.run("seal", name, "seal", "cpu1", pair=turn)


def whole(*, until: str = "end") -> list[ev.Row]:
    """Return the run's rows; `until` is ``calibrated``, ``research``, ``alarm`` or ``end``."""
    script = Script()
    scenario = "run = { task = 'nanolm' }\nstop = { experiments = 200 }\n"
    script.tell(opened(scenario=scenario, baseline_commit=BASE, isolation="full"))
    roles = ("explorer", "reproducer", "reviewer", "synthesiser")
    for name, role in zip(PEOPLE, roles, strict=True):
        script.tell(ev.AgentJoined(name, role, "policy:social", PEOPLE))
    base = [script.run("baseline", "", "dev", f"cpu{n % 2}")[1] for n in range(8)]
    script.tell(ev.NoiseEstimated("cpu", fmean(base), SIGMA, tuple(base)))
    if until != "calibrated":
        _research(script)
    if until in ("alarm", "end"):
        _drift(script)
    if until == "end":
        _late(script)
        _finals(script)
        script.tell(ev.RunStopped("experiments"))
    if until == "alarm":
        told = [row for row in script.events if not isinstance(row.event, evidence.AlarmCleared)]
        return [ev.Row(seq, row.at_us, row.event) for seq, row in enumerate(told, start=1)]
    return script.events
