"""A whole run through the public face: what it leaves, what is shown of it, who heard whom."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e_life import Life, call, recorded, state_of, survivors
from e2e_scenarios import SEAL_RUNS, scenario_text

from community.archive.export import results_tsv
from community.archive.state import RunState
from community.events import AgentJoined, Posted, VerdictGiven
from trainer.repository import Repository

AGENTS = ("ada explorer social", "grace exploiter greedy", "alan explorer random",
          "marie reproducer verify")  # fmt: skip
EXPERIMENTS = 10


@dataclass(frozen=True)
class Finished:
    """A run that came to its end."""

    folder: Path
    state: RunState
    text: str
    task: Path


def _finish(where: Path, task: Path, family: str, broker: str, *more: str) -> Finished:
    text = scenario_text(
        task,
        AGENTS,
        stop={"experiments": EXPERIMENTS},
        topology={"family": family},
        board={"broker": broker},
    )
    (where / "mine.toml").write_text(text)
    life = Life.begin("mine.toml", *more, cwd=where)
    assert life.finish(120) == 0, life.text[-4000:]
    return Finished(life.folder, state_of(life.folder), life.text, task)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory, small: Path) -> Finished:
    """Give a finished run on a ring, talking over MQTT."""
    return _finish(tmp_path_factory.mktemp("ring"), small, "ring", "embedded")


@pytest.fixture(scope="module")
def isolated(tmp_path_factory: pytest.TempPathFactory, small: Path, ring: Finished) -> Finished:
    """Give a finished run of the same seed and secret in which nobody hears anybody."""
    shared = ("--secret-from", str(ring.folder))
    return _finish(tmp_path_factory.mktemp("isolated"), small, "isolated", "memory", *shared)


def test_the_secret_is_told_by_its_hash_and_revealed_at_the_end(
    ring: Finished, isolated: Finished
) -> None:
    """First and last row agree, so that anybody can draw the blocks again; an arm may share it."""
    for run in (ring, isolated):
        assert run.state.opened is not None
        assert run.state.stopped is not None
        secret = bytes.fromhex(run.state.stopped.secret)
        assert hashlib.sha256(secret).hexdigest() == run.state.opened.secret_hash
        assert (run.folder / "scorer.secret").read_text() == f"{secret.hex()}\n"
        assert secret.hex() not in run.text
    assert isolated.state.opened.secret_hash == ring.state.opened.secret_hash  # type: ignore[union-attr]


def test_a_run_ends_by_its_limit_with_every_experiment_measured(ring: Finished) -> None:
    """As many experiments as asked for, each with a verdict, and the stop on record."""
    assert ring.state.stop_reason == "experiments"
    assert ring.state.experiments_admitted == EXPERIMENTS == ring.state.experiments_done
    assert ring.state.pending() == []
    assert {v.outcome for v in ring.state.verdicts.values()} == {"ok"}
    assert {v.isolation for v in ring.state.verdicts.values()} == {"full"}
    assert any(h.status == "reproduced" for h in ring.state.hypotheses.values()), ring.text


def test_what_leads_in_the_end_is_measured_on_the_seal(ring: Finished) -> None:
    """When all else is done: the baseline and the leader, as often as asked; counted nowhere."""
    state = ring.state
    assert state.evidence.finals is not None
    commits = state.evidence.finals.commits
    assert commits[0] == state.frontier[-1][1].commit
    runs = [e for e in state.experiments.values() if e.queued.split == "seal"]
    base = state.opened.baseline_commit if state.opened else ""
    measured = Counter(run.queued.commit for run in runs)
    assert measured == dict.fromkeys((base, *commits), SEAL_RUNS)
    began = min(run.queued_at_us for run in runs)
    assert all((e.verdict_us or 0) <= began for e in state.experiments.values() if e not in runs)
    assert (state.experiments_admitted, state.pending()) == (EXPERIMENTS, [])
    record = json.loads(call("show", str(ring.folder), "--json", cwd=ring.folder).stdout)
    seal = record["seal"]
    assert (seal["commit"], seal["runs"], seal["reason"]) == (commits[0], SEAL_RUNS, "")
    assert 2.0 < seal["score"] < seal["baseline"] < 9.0
    assert seal["score"] not in (record["best"]["score"], record["baseline"]["vault_mean"])


def test_a_run_leaves_what_the_folder_promises(ring: Finished) -> None:
    """The log of every job, artefacts of the commit that leads, the table, the report."""
    leader = ring.state.frontier[-1][1].hypothesis
    for experiment in ring.state.experiments.values():
        job = ring.folder / "jobs" / f"{experiment.queued.experiment_id}-1"
        assert "bits/byte" in (job / "log.txt").read_text()
        queued = experiment.queued
        if queued.hypothesis == leader and queued.purpose == "confirm_child":
            assert (job / "artefact.safetensors").stat().st_size > 1000
    table = (ring.folder / "results.tsv").read_text()
    assert table == results_tsv(ring.state)
    lines = table.splitlines()
    assert lines[0] == "commit\tval_bpb\tmemory_gb\tstatus\tdescription"
    assert lines[1].endswith("\tkeep\tbaseline")
    page = (ring.folder / "report" / "index.html").read_text()
    assert "<svg" in page or "data:image/" in page


def test_a_run_leaves_a_lineage_that_git_reads(ring: Finished) -> None:
    """The repository is sound, and every proposal is in the graph below its parents."""
    git = ["git", f"--git-dir={ring.folder / 'repo.git'}", "-c", "safe.directory=*"]

    def say(*arguments: str) -> str:
        done = subprocess.run([*git, *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    assert "missing" not in say("fsck", "--full", "--strict")
    graph = say("log", "--graph", "--all", "--oneline", "--no-abbrev-commit")
    assert graph.count("\n") >= 1 + len(ring.state.hypotheses)
    for claim in ring.state.hypotheses.values():
        assert claim.commit in graph
        parents = say("rev-parse", f"{claim.commit}^@").split()
        assert tuple(parents) == claim.parents
    best = say("rev-parse", "best").strip()
    assert best == ring.state.frontier[-1][1].commit


def test_show_tells_a_script_what_it_needs(ring: Finished) -> None:
    """`community show --json` names baseline, best, experiments and the pool's use."""
    done = call("show", str(ring.folder), "--json", cwd=ring.folder)
    assert done.returncode == 0, done.stdout
    record = json.loads(done.stdout)
    state = ring.state
    assert state.noise is not None
    assert record["baseline"]["mean"] == state.noise.mean
    assert record["baseline"]["sigma"] == state.noise.sigma > 0
    assert record["best"]["score"] == state.frontier[-1][1].score
    assert record["best"]["status"] == "reproduced"
    assert record["best"]["commit"] == state.frontier[-1][1].commit
    assert record["experiments"] == EXPERIMENTS
    assert 0.2 < record["pool"]["busy_share"] <= 1


def test_the_exported_patch_applies_to_the_start_tree(ring: Finished, tmp_path: Path) -> None:
    """`git apply best.patch` in a copy of start/ gives the best commit's tree."""
    out, tree = tmp_path / "out", tmp_path / "tree"
    done = call("export", str(ring.folder), "--out", str(out), cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    tree.mkdir()
    (tree / "train.py").write_bytes((ring.task / "start" / "train.py").read_bytes())
    subprocess.run(["git", "apply", str(out / "best.patch")], cwd=tree, check=True)
    repository = Repository.open(ring.folder / "repo.git", writer=False)
    best = repository.read(ring.state.frontier[-1][1].commit)
    assert {"train.py": (tree / "train.py").read_bytes()} == best


def test_posts_reach_neighbours_and_nobody_else(ring: Finished) -> None:
    """On the ring a post goes to its author and to those who hear the author."""
    hears = {r.event.agent: r.event.hears for r in recorded(ring.folder)
             if isinstance(r.event, AgentJoined)}  # fmt: skip
    assert all(len(neighbours) == 2 for neighbours in hears.values())
    posts = [r.event for r in recorded(ring.folder) if isinstance(r.event, Posted)]
    assert {p.author for p in posts} >= {"ada", "grace", "alan"}
    for post in posts:
        if post.author != "lab":
            listeners = {name for name, heard in hears.items() if post.author in heard}
            assert set(post.readers) == listeners | {post.author}


def test_isolated_agents_receive_their_own_posts_and_the_labs_answer(isolated: Finished) -> None:
    """Without edges nothing reaches anybody but its author; the lab answers the proposer alone."""
    state = isolated.state
    assert len(state.posts) >= EXPERIMENTS // 2
    for record in state.posts.values():
        post = record.posted
        if post.author == "lab":
            assert set(post.readers) == {state.hypotheses[post.thread or ""].author}
        else:
            assert set(post.readers) == {post.author}
    for agent in ("ada", "grace", "alan", "marie"):
        assert state.readable(agent) <= {
            *(c for c, p in state.proposals.items() if p.author == agent),
            state.opened.baseline_commit if state.opened else "",
        }


def test_a_seed_repeats_its_baseline_to_the_last_digit(ring: Finished, isolated: Finished) -> None:
    """With a budget of steps, two runs of one seed and one secret measure the same numbers."""
    assert ring.state.noise is not None
    assert isolated.state.noise is not None
    assert ring.state.opened is not None
    key = ring.state.opened.baseline_tree_key

    def by_seed(state: RunState) -> dict[int, float | None]:
        return {v.seed: v.score for v in state.verdicts_by_tree[key, "dev"]}

    assert by_seed(ring.state) == by_seed(isolated.state)
    assert ring.state.noise.sigma == pytest.approx(isolated.state.noise.sigma, rel=1e-12)


@pytest.mark.timeout(400)
def test_its_gains_are_measured_at_another_size(ring: Finished, tmp_path: Path) -> None:
    """Killed in the middle and taken up again: every tree has its runs once, at both sizes."""
    out = tmp_path / "deeper"
    words = ("transfer", str(ring.folder), "--depth", "2", "--seeds", "2", "--groups", "1",
             "--out", str(out))  # fmt: skip
    killed = Life.of(*words, cwd=tmp_path, output=tmp_path / "1.txt", folder=out / "before")
    assert killed.await_row(lambda row: isinstance(row.event, VerdictGiven), 120), killed.text
    killed.kill()
    assert survivors(within_s=2.0) == []
    done = call(*words, cwd=tmp_path, timeout_s=150)
    assert done.returncode == 0, done.stdout
    found = json.loads((out / "transfer.json").read_text())
    assert (found["run"], found["leader"]) == ("run", ring.state.frontier[-1][1].commit)
    for name, depth in (("before", 1), ("after", 2)):
        state = state_of(out / name)
        runs = [e for e in state.experiments.values() if e.queued.purpose == "transfer"]
        counts = Counter(run.queued.commit for run in runs)
        assert set(counts.values()) == {2}
        assert all(run.verdict and run.verdict.outcome == "ok" for run in runs)
        repository = Repository.open(out / name / "repo.git", writer=False)
        trees = [repository.read(commit)["train.py"].decode() for commit in counts]
        assert all(f"\nDEPTH = {depth}\n" in text for text in trees)
        assert found[name]["whole"]["low"] < found[name]["whole"]["high"]
    assert "<svg" in (out / "index.html").read_text()
    again = call(*words, cwd=tmp_path)
    assert again.stdout.splitlines()[-2:] == done.stdout.splitlines()[-2:]
    other = call(*words, "--seeds", "3", cwd=tmp_path)
    assert other.returncode == 2
    assert "another transfer" in other.stdout
