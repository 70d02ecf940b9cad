"""A verdict of a real run is taken back, and the run goes on: what was open is measured again."""

from __future__ import annotations

import json
from pathlib import Path

from e2e_life import Life, call, state_of
from e2e_scenarios import scenario_text

AGENTS = ("ada explorer social", "grace exploiter greedy", "marie reproducer verify")


def test_a_struck_screen_is_made_again_by_the_next_life(tmp_path: Path, small: Path) -> None:
    """Struck by hand after the end; resumed under a new limit, another run takes its place."""
    text = scenario_text(small, AGENTS, stop={"experiments": 8})
    (tmp_path / "mine.toml").write_text(text)
    life = Life.begin("mine.toml", cwd=tmp_path)
    assert life.finish(150) == 0, life.text[-4000:]
    before = state_of(life.folder)
    claim = next(
        claim
        for claim in before.hypotheses.values()
        if claim.changes and not claim.confirmations and claim.status != "measured"
    )
    screen = claim.changes[0][1].verdicts[0]
    struck = call(
        *("retract", "run", screen[:6], "--why", "a test", "--by", "eve", "--yes"), cwd=tmp_path
    )
    assert struck.returncode == 0, struck.stdout
    assert f"{claim.post_id}: {claim.status.replace('_', ' ')} -> open again" in struck.stdout
    assert state_of(life.folder).hypotheses[claim.post_id].awaits_screen
    assert "[retracted]" in (life.folder / "results.tsv").read_text()
    life = Life.begin("--resume", "--experiments", "24", cwd=tmp_path)
    assert life.finish(150) == 0, life.text[-4000:]
    after = state_of(life.folder)
    again = after.hypotheses[claim.post_id]
    assert not again.awaits_screen
    assert not {screen}.intersection(again.changes[-1][1].verdicts)
    screens = [e for e in again.experiments if after.experiments[e].queued.purpose == "screen"]
    assert [after.experiments[name].is_retracted for name in screens][:2] == [True, False]
    heard = [r.posted for r in after.posts.values() if r.posted.author == "lab"]
    assert "measured" in [p.body["evidence"]["status"] for p in heard if p.thread == again.post_id]
    shown = json.loads(call("show", "run", "--json", cwd=tmp_path).stdout)
    assert shown["retractions"][0]["verdict"] == screen
