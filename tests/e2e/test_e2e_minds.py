"""Models, a coding agent, an MCP client and policies in one run that is ended in the middle.

Nothing is paid or run twice, the ledger's sums are the servers' own, what the client had asked for
goes on, and the key is nowhere. A short run is killed once; one of fifty experiments (slow) is told
to end by SIGTERM first, and killed after that.
"""

from __future__ import annotations

import itertools
import re
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e_life import Life, recorded, state_of
from mixed_community import CAP_USD, CLIENT, MODELS, PRICE, Books, client_of, mixed

from agents.prices import MICRO_USD, Usage
from community.archive.state import RunState
from community.archive.state_records import HypothesisState
from community.events import AttemptEnded, AttemptStarted, Row, RunResumed, TurnTaken
from community.forum_events import SeatTaken
from community.mind_events import Answered, MindsPrepared, SpendReserved, SpendSettled
from community.run_folder import RunFolder
from community.tui.app import WatchApp
from community.tui.pictures.thread import thread_picture
from community.tui.scene import Scene

sys.path.append(str(Path(__file__).parent.parent / "contracts"))
sys.path.append(str(Path(__file__).parent.parent / "community"))
from canary import everything_in, leaks
from cli_calls import community
from tui_pilot import press, screen_text, until_shown


@dataclass(frozen=True)
class Plan:
    """How long a run goes on, and how it is ended on the way."""

    experiments: int
    """At least."""
    ends: tuple[tuple[int, signal.Signals], ...]
    """(after so many experiments, by what), once all have proposed, and the client and a model
    both wait for something."""

    @property
    def is_long(self) -> bool:
        """Whether there is time for more minds."""
        return self.experiments >= 50


SHORT = Plan(9, ((2, signal.SIGKILL),))
FIFTY = Plan(52, ((14, signal.SIGTERM), (32, signal.SIGKILL)))
MORE = 3
"""Experiments after the last end: fewer than a confirmation takes."""


@dataclass(frozen=True)
class Ended:
    """The run, and what the servers counted."""

    plan: Plan
    folder: Path
    state: RunState
    books: Books
    held: frozenset[str]
    """The client's hypotheses that were being measured when the run was ended."""
    printed: str


def _is_open(claim: HypothesisState) -> bool:
    """Whether it waits for its first word."""
    return bool(claim.experiments) and claim.awaits_screen


def _is_moment(state: RunState, experiments: int) -> bool:
    """Whether to end it now would hit the client, a model and somebody's experiment."""
    claims = [each for each in state.hypotheses.values() if each.experiments]
    proposers = {name for name, agent in state.agents.items() if agent.role != "reproducer"}
    return (
        state.experiments_done >= experiments
        and proposers <= {each.proposer for each in claims}
        and bool(state.minds.under_way)
        and any(each.proposer == CLIENT and _is_open(each) for each in claims)
    )


def _await_moment(life: Life, experiments: int) -> None:
    seq = max((row.seq for row in recorded(life.folder)), default=0)

    def is_it(row: Row) -> bool:
        is_news = isinstance(row.event, (SpendReserved, AttemptStarted))
        return is_news and _is_moment(state_of(life.folder), experiments)

    assert life.await_row(is_it, 300, after_seq=seq) is not None, life.text


def _live(where: Path, plan: Plan) -> Iterator[frozenset[str]]:
    """Run it through all its lives; yields what of the client's was open at each end."""
    life = Life.begin("mine.toml", cwd=where)
    for number, (experiments, end) in enumerate(plan.ends, start=1):
        _await_moment(life, experiments)
        life.process.send_signal(end)
        code = life.finish(30)
        life.kill()
        assert code == (-9 if end == signal.SIGKILL else 143), life.text
        state = state_of(life.folder)
        claims = state.hypotheses.values()
        yield frozenset(c.post_id for c in claims if c.proposer == CLIENT and _is_open(c))
        last = () if number < len(plan.ends) else (
            "--experiments", str(max(plan.experiments, state.experiments_admitted + MORE))
        )  # fmt: skip
        life = Life.begin("--resume", *last, cwd=where)
    assert life.finish(300) == 0, life.text[-4000:]


def _shown(monkeypatch: pytest.MonkeyPatch, where: Path) -> str:
    """Return what all commands that look at runs print of it."""
    monkeypatch.chdir(where)
    looks = (
        ("show", "run"), ("show", "run", "--json"), ("report", "run"), ("estimate", "mine.toml"),
        ("prompt", "mine.toml", "--agent", "bob"), ("export", "run", "--out", "exported"),
        ("prompt", "run", "--agent", "nobody", "--turn", "0"),
        *(("prompt", "run", "--agent", name, "--turn", turn) for name, turn in
          (("ada", "0"), ("ada", "1"), ("fay", "0"))),
    )  # fmt: skip
    return "".join(community(*look).output for look in looks)


@pytest.fixture(scope="module", params=[SHORT, pytest.param(FIFTY, marks=pytest.mark.slow)],
                ids=["short", "fifty"])  # fmt: skip
def ended(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, small: Path
) -> Iterator[Ended]:
    """Give a finished run that was ended while models were asked, and resumed."""
    plan: Plan = request.param
    where = tmp_path_factory.mktemp("minds")
    with mixed(where, small, is_long=plan.is_long) as books:
        with client_of(where / "run"):
            held = frozenset[str]().union(*_live(where, plan))
        with pytest.MonkeyPatch.context() as place:
            shown = _shown(place, where)
        text = (where / "run.txt").read_text()
        folder = where / "run"
        yield Ended(plan, folder, state_of(folder), books, held, text + shown)


def _events(ended: Ended, *kinds: type) -> list:
    return [row.event for row in recorded(ended.folder) if isinstance(row.event, kinds)]


def test_all_take_part_like_everybody(ended: Ended) -> None:
    """Their hypotheses are measured, each API was asked, and the run came to its end."""
    minds = {agent.name: agent.mind for agent in ended.state.agents.values()}
    proposers = {claim.proposer for claim in ended.state.hypotheses.values() if claim.changes}
    models = {*MODELS} & {*minds}
    assert {*models, CLIENT} <= proposers
    assert ended.state.stop_reason == "experiments"
    assert ended.state.experiments_done >= ended.plan.experiments - 2
    assert {e.model for e in _events(ended, SpendReserved)} == {minds[name] for name in models}


def test_what_the_client_had_asked_for_goes_on_in_its_name(ended: Ended) -> None:
    """Its proposals were being measured at each end; they have their verdicts, and it its seat."""
    claims = [ended.state.hypotheses[post] for post in ended.held]
    assert claims
    assert {claim.proposer for claim in claims} == {CLIENT}
    assert all(claim.changes for claim in claims)
    resumed = [row.seq for row in recorded(ended.folder) if isinstance(row.event, RunResumed)]
    assert len(resumed) == len(ended.plan.ends)
    taken = [row for row in recorded(ended.folder) if isinstance(row.event, SeatTaken)]
    assert {row.event.mind for row in taken} == {"mcp"}
    assert taken[-1].seq > resumed[-1]


def test_nothing_is_paid_twice(ended: Ended) -> None:
    """A turn has one first answer; what was under way at a kill is lost, and stays spent."""
    rows = recorded(ended.folder)
    answers = Counter((e.agent, e.turn, e.round) for e in _events(ended, Answered))
    turns = Counter((e.agent, e.turn) for e in _events(ended, TurnTaken))
    calls = Counter(e.call_id for e in _events(ended, SpendSettled))
    for counted in (answers, turns, calls):
        assert set(counted.values()) == {1}
    for bill, answer in itertools.pairwise(rows):  # one transaction: a kill finds both
        if isinstance(bill.event, SpendSettled) and bill.event.outcome == "ok":
            assert isinstance(answer.event, Answered)
            assert (answer.at_us, answer.event.agent) == (bill.at_us, bill.event.agent)
    lost: set[str] = set()
    for end in (row.seq for row in rows if isinstance(row.event, RunResumed)):
        before = [row.event for row in rows if row.seq < end]
        lost |= {e.call_id for e in before if isinstance(e, SpendReserved)}
        lost -= {e.call_id for e in before if isinstance(e, SpendSettled) and e.outcome != "lost"}
    settled = {e.call_id: e for e in _events(ended, SpendSettled)}
    assert {name for name, e in settled.items() if e.outcome == "lost"} == lost
    assert ended.state.minds.under_way == {}
    asked = {e.call_id: e for e in _events(ended, SpendReserved)}
    unheard = Counter(
        (asked[name].agent, asked[name].turn)
        for name, e in settled.items()
        if e.outcome in ("lost", "cut")
    )
    heard = Counter((e.agent, e.turn) for e in _events(ended, Answered))
    paid = Counter((each.agent, each.turn) for each in ended.books.paid)
    assert paid <= heard + unheard  # no turn is billed for again after its answer was heard


def test_nothing_is_run_twice(ended: Ended) -> None:
    """An attempt ends once, and an experiment is done after one that came to its end."""
    attempts = Counter((e.experiment_id, e.attempt) for e in _events(ended, AttemptEnded))
    assert set(attempts.values()) == {1}
    whole = Counter(e.experiment_id for e in _events(ended, AttemptEnded) if e.outcome == "ok")
    assert set(whole.values()) == {1}
    measured = Counter(
        claim.commit for claim in ended.state.hypotheses.values() if claim.experiments
    )
    assert set(measured.values()) == {1}


def _usages(ended: Ended, *outcomes: str) -> Counter[Usage]:
    return Counter(
        Usage(e.input, e.output, e.cache_read, e.cache_write)
        for e in _events(ended, SpendSettled)
        if e.outcome in outcomes
    )


def test_what_was_settled_is_what_the_servers_counted(ended: Ended) -> None:
    """All answers that arrived, at their price, and no others; those that were cut are in doubt."""
    theirs = Counter(each.usage for each in ended.books.paid)
    assert set(theirs.values()) == {1}
    mine = _usages(ended, "ok")
    assert mine <= theirs
    settled = _events(ended, SpendSettled)
    in_doubt = [e for e in settled if e.outcome in ("lost", "cut")]
    assert sum((theirs - mine).values()) <= len(in_doubt)
    assert sum(e.micro_usd for e in settled if e.outcome == "ok") == sum(map(PRICE.micro_usd, mine))
    asked = len(_events(ended, SpendReserved))
    assert asked - len(in_doubt) <= ended.books.requests <= asked
    assert ended.state.minds.taken_micro_usd <= CAP_USD * MICRO_USD


def test_prices_and_prompts_are_pinned(ended: Ended) -> None:
    """Once, before the first call."""
    (first,) = _events(ended, MindsPrepared)
    assert "system.md" in first.prompts
    assert len(first.prices) == 2 + ended.plan.is_long


def test_what_a_mind_saw_can_be_shown_again(ended: Ended) -> None:
    """Rebuilt from the ledger, turns are what their recorded hashes say.

    Of one the live part may be told to have been otherwise: a post was on its way just then.
    """
    assert ended.printed.count("You are ada") == 2
    assert ended.printed.count("You are fay") == 1
    assert re.findall(r"not as it was shown then: (.*)", ended.printed) in ([], ["live"])


def test_the_key_is_nowhere(ended: Ended) -> None:
    """No form of it: in rows, commits, logs, transcripts, reports, exports, or what was printed."""
    assert not leaks(ended.printed)
    found = [*everything_in(ended.folder.parent)]
    assert sum("object" in where for where, _ in found) > 20
    assert sum("ledger.db: " in where for where, _ in found) > 100
    assert {"exported", "report"} <= {part for where, _ in found for part in where.split("/")}
    assert not [(where, leaks(data)) for where, data in found if leaks(data)]


def test_candidate_code_sees_no_key_of_ours(ended: Ended) -> None:
    """It prints its environment and all that it finds of processes; the log of that is there."""
    logs = (data for where, data in everything_in(ended.folder) if "jobs" in where)
    seen = b"".join(data for data in logs if b"SPY" in data)
    assert b"SPY [" in seen
    assert b"/proc/1/environ" in seen or b"/proc/self/mountinfo" in seen
    assert b"API_KEY" not in seen
    assert not leaks(seen)


async def test_the_terminal_shows_no_key(ended: Ended) -> None:
    """On no screen, nor in what is copied from one."""
    app = WatchApp(RunFolder(ended.folder))
    async with app.run_test(size=(160, 48)) as pilot:
        await until_shown(pilot, app, ended.state.last_seq)
        for key in "1234567":
            await press(pilot, app, key)
            assert not leaks(screen_text(app) + app.export_screenshot())
        scene = Scene(app.fold.told, ended.state.last_us, False, 0, False, False, {})
        for post_id in ended.state.posts:
            picture = thread_picture(scene, post_id)
            assert not leaks("\n".join([picture.patch, *(each.plain for each in picture.lines)]))
