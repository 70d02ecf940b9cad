"""Claims where scores are facts: one run to screen, one of each side to confirm, best over best."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from bench_script import calibrated, house, scenario_of, screened

from community.chronicle import Chronicle
from community.report.picture import best_picture_svg
from community.run_folder import RunFolder
from trainer.repository import Repository


@pytest.mark.parametrize(
    ("rate", "width", "screen", "word", "gain"),
    [
        (1.5, 4, "improved", "reproduced", 0.48),  # 2.5 in both runs; the start's best is 2.98
        (1.5, 5, "improved", "undecided", 0.48),  # 2.5, and 3.0 when somebody else runs it
        (1.021, 4, "improved", "reproduced", 0.001),  # a twentieth of the spread is enough
        (1.01, 4, "not_improved", "", -0.01),  # better than the start's mean, not than its best
    ],
)
async def test_a_claim_of_facts_from_its_screen_to_its_word(
    chronicle: Chronicle,
    repository: Repository,
    tmp_path: Path,
    rate: float,
    width: int,
    screen: str,
    word: str,
    gain: float,
) -> None:
    """No run of the parent beside the screen; the first result stands whatever the next one is."""
    calibrated(chronicle)
    state = chronicle.state
    assert state.opened is not None
    state.opened = replace(state.opened, manifest={"task/noise": "exact"})
    async with house(chronicle, repository, tmp_path, scenario_of()) as home:
        claim = state.hypotheses[await screened(home, "ada", rate, width)]
        assert claim.status == screen
        assert claim.gain == pytest.approx(gain)
        purposes = Counter(e.queued.purpose for e in state.experiments.values())
        assert (purposes["screen"], purposes["parent"]) == (1, 0)
        if word:
            reproductions = home.institution._reproductions
            assert reproductions.open(claim.post_id, "cleo") == ""
            await reproductions.carry_out(claim.post_id)
            assert (claim.status, claim.gain) == (word, pytest.approx(gain))
            purposes = Counter(e.queued.purpose for e in state.experiments.values())
            assert (purposes["confirm_child"], purposes["confirm_parent"]) == (1, 1)
        assert state.mean_score(claim.tree_key, "vault") == pytest.approx(4 - rate)
    assert {e.attempts[-1].ended.gate_cpu_s for e in state.experiments.values()
            if e.attempts and e.attempts[-1].ended} == {0.0}  # fmt: skip
    assert best_picture_svg(state, RunFolder(tmp_path)) == ""  # nothing here left data
