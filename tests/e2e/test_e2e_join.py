"""Researchers in other processes: with nothing but a credential they take part in a real run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from e2e_life import Elsewhere, Life, call, recorded, state_of
from e2e_scenarios import scenario_text

from community.archive.state import RunState
from community.events import AttemptStarted, Noticed, Posted, Proposed, Row, TurnTaken
from community.forum_events import SeatLeft, SeatTaken
from forum.credentials import credential_path


def _said(who: str, *kinds: str) -> Callable[[Row], bool]:
    return lambda row: (
        isinstance(row.event, Posted)
        and row.event.author == who
        and row.event.body["kind"] in kinds
    )


def _begins(row: Row) -> bool:
    return isinstance(row.event, Noticed) and row.event.notice == "start"


@contextmanager
def _community(
    small: Path, place: Path, agents: tuple[str, ...], **sections: dict[str, Any]
) -> Iterator[tuple[Life, list[Elsewhere]]]:
    """Run a community; whoever joins is put into the list, and ended with the block."""
    (place / "far.toml").write_text(scenario_text(small, agents, **sections))
    life, joined = Life.begin("far.toml", cwd=place), []
    try:
        assert life.await_row(_begins, 120)
        yield life, joined
    finally:
        for each in joined:
            each.kill()
        life.kill()


def _join(life: Life, name: str, *arguments: str, log: str = "") -> Elsewhere:
    place = credential_path(life.folder / "credentials", name)
    return Elsewhere.begin(place, *arguments, log=life.output.with_name(f"{log or name}.txt"))


def _nothing_is_doubled(state: RunState, folder: Path) -> None:
    """One row for a turn, a request, a message; one report on a hypothesis from its proposer."""
    rows = [row.event for row in recorded(folder)]
    turns = Counter((e.agent, e.turn) for e in rows if isinstance(e, TurnTaken))
    asked = Counter((e.author, e.request) for e in rows if isinstance(e, Proposed) and e.request)
    said = Counter((e.author, e.message_id) for e in rows if isinstance(e, Posted))
    reports = Counter(
        (e.author, e.body["hypothesis"])
        for e in rows
        if isinstance(e, Posted) and e.body["kind"] in ("finding", "failure")
        if state.hypotheses[e.body["hypothesis"]].proposer == e.author
    )
    for counted in (turns, asked, said, reports):
        assert counted
        assert max(counted.values()) == 1
    commits = Counter(claim.commit for claim in state.hypotheses.values())
    assert max(commits.values()) == 1


def test_researchers_elsewhere_post_review_and_get_their_verdicts(
    small: Path, tmp_path: Path
) -> None:
    """One proposes and is killed in the middle, one reviews; taken up again, nothing is doubled."""
    agents = ("ada explorer random", "eve explorer remote", "rey reviewer remote")
    sections = {"stop": {"experiments": 24}, "reviews": {"reviewers": 1, "settle_share": 0.0}}
    with _community(small, tmp_path, agents, **sections) as (life, joined):
        joined += [_join(life, "eve"), _join(life, "rey", "--mind", "policy:judge")]
        first = life.await_row(_said("eve", "hypothesis"), 120)
        assert first is not None

        assert isinstance(first.event, Posted)
        first_id = first.event.post_id

        def is_training(row: Row) -> bool:
            known = state_of(life.folder).experiments
            begun = row.event.experiment_id if isinstance(row.event, AttemptStarted) else ""
            return begun in known and known[begun].queued.hypothesis == first_id

        assert life.await_row(is_training, 120)
        joined[0].kill()
        joined.append(
            _join(life, "eve", "--mind", "policy:greedy", "--role", "explorer", log="ev2")
        )
        assert life.await_row(_said("eve", "finding", "failure"), 120)
        assert life.finish(240) == 0
        assert joined[1].finish(30) == 0
        assert joined[2].finish(30) == 0
        assert "the run is over" in joined[2].text
        assert "goes on with turn" in joined[2].text
    state = state_of(life.folder)
    _nothing_is_doubled(state, life.folder)
    mine = [claim for claim in state.hypotheses.values() if claim.proposer == "eve"]
    assert mine
    assert state.hypotheses[first_id].changes  # the first life's experiment came to its verdict
    reviewed = {post.posted.author for post in state.posts.values()
                if post.posted.body["kind"] == "review"}  # fmt: skip
    assert reviewed == {"rey"}
    assert not [r for _, r in state.refusals if r.what == "request"]
    minds = [e.mind for e in _events(life, SeatTaken) if e.agent == "eve"]
    assert minds == ["policy:social", "policy:greedy"]


def _events(life: Life, kind: type[Any]) -> list[Any]:
    return [row.event for row in recorded(life.folder) if isinstance(row.event, kind)]


def test_a_researcher_elsewhere_outlives_a_kill_of_the_run(small: Path, tmp_path: Path) -> None:
    """Broker and run are gone and come again: he tells, tries on, and goes on; nothing doubled."""
    agents = ("eve explorer remote", "zoe explorer remote")
    with _community(small, tmp_path, agents, stop={"experiments": 12}) as (life, joined):
        joined.append(_join(life, "eve", "--mind", "policy:random"))
        assert life.await_row(_said("eve", "hypothesis"), 120)
        life.kill()
        joined[0].await_line("has no connection to the broker", 60)
        again = Life.begin("--resume", cwd=tmp_path)
        try:
            assert again.finish(240) == 0
        finally:
            again.kill()
        assert joined[0].finish(30) == 0
    state = state_of(life.folder)
    _nothing_is_doubled(state, life.folder)
    assert {claim.proposer for claim in state.hypotheses.values()} == {"eve"}
    kinds = [type(e) for e in _events(life, SeatTaken | SeatLeft) if e.agent == "eve"]
    assert kinds == [SeatTaken, SeatLeft, SeatTaken, SeatLeft]
    assert state.stop_reason == "experiments"


def test_of_two_with_one_credential_the_newer_sits_and_others_are_refused(
    small: Path, tmp_path: Path
) -> None:
    """And a run in which only agents elsewhere may propose waits for them."""
    with _community(small, tmp_path, ("eve explorer remote",)) as (life, joined):
        wrong = tmp_path / "wrong.json"
        credential = json.loads(credential_path(life.folder / "credentials", "eve").read_text())
        wrong.write_text(json.dumps(credential | {"password": "guessed"}))
        wrong.chmod(0o600)
        refused = call("join", "--credential", str(wrong), cwd=tmp_path)
        assert refused.returncode == 2
        assert "refuses 'eve'" in refused.stdout
        person = next((life.folder / "credentials").glob("~*.json"))
        assert call("join", "--credential", str(person), cwd=tmp_path).returncode == 2
        role = call("join", "--credential", str(_credential(life)), "--role", "reviewer",
                    cwd=tmp_path)  # fmt: skip
        assert role.returncode == 2
        assert "has eve as explorer" in role.stdout
        joined.append(_join(life, "eve"))
        joined[0].await_line("turn 0", 60)
        joined.append(_join(life, "eve", log="second"))
        assert joined[0].finish(60) == 2
        assert "another process took the seat" in joined[0].text
        joined[1].await_line("hypothesis", 60)
        joined[1].interrupt()
        assert joined[1].finish(30) == 130
        assert life.process.poll() is None  # nobody is there, and the run goes on
    farewells = [e.why for e in _events(life, SeatLeft)]
    assert farewells == ["it expected another role", "another process took the seat", "left"]


def _credential(life: Life) -> Path:
    return credential_path(life.folder / "credentials", "eve")


@pytest.mark.parametrize("broker", ["memory", "mqtt://127.0.0.1:1883"])
def test_a_remote_mind_needs_a_broker_with_logins(small: Path, tmp_path: Path, broker: str) -> None:
    """A scenario that could not seat it is refused before anything begins."""
    text = scenario_text(small, ("eve explorer remote",), board={"broker": broker})
    (tmp_path / "far.toml").write_text(text)
    checked = call("scenario", "check", "far.toml", cwd=tmp_path)
    assert checked.returncode == 2
    assert "remote mind needs" in checked.stdout
