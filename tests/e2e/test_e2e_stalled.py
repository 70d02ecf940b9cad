"""A run whose only proposer's model is away stops with a code of its own, and goes on later."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

from e2e_life import Life, recorded, state_of
from e2e_scenarios import scenario_text
from mixed_community import served_by_threads

from community.events import RunStopped, TurnTaken, VerdictGiven
from community.evidence_events import FinalsOpened
from community.mind_events import Answered, SpendReserved, SpendSettled
from community.stalling import SILENT

sys.path.append(str(Path(__file__).parent.parent / "contracts"))
from model_servers import Say, Status


def test_a_provider_that_is_down_for_good_ends_it_and_back_again_it_goes_on(
    small: Path, tmp_path: Path
) -> None:
    """75: nothing is sealed or revealed; then the same turn is asked again, and answered once."""
    is_down = True

    def script(body, number):
        if is_down:
            return Status(503, "back soon")
        found = re.search(r"HEAD_LR = ([0-9.e-]+)\\n", json.dumps(body))
        assert found is not None
        edit = {"path": "train.py", "how": "replace", "search": f"HEAD_LR = {found[1]}\n"}
        edit["text"] = f"HEAD_LR = {2 * float(found[1]):.6g}\n"
        proposal = {
            "title": "faster", "rationale": "", "parent": "", "edits": [edit], "gain": 0.1,
            "confidence": 0.7, "lead": "", "insists": True,
        }  # fmt: skip
        return Say(calls=(("propose", proposal),))

    with served_by_threads("openai-compatible", script) as served:
        agents = (f"ada explorer openai-compatible:m@{served.url}/v1", "rey reviewer judge")
        text = scenario_text(
            small, agents, stop={"experiments": 1}, pool={"slots": 1}, board={"broker": "memory"},
            lab={"await_models_s": 0.5}, credit={"share": 0.0}, spend={"calls": 50},
        )  # fmt: skip
        text = text.replace("calls = 50", 'calls = 50, prices = { "openai-compatible:*" = "free" }')
        (tmp_path / "mine.toml").write_text(text)
        life = Life.begin("mine.toml", cwd=tmp_path)
        assert life.finish(90) == 75, life.text
        assert "back soon" in life.text
        assert "community run --resume" in life.text
        first = [row.event for row in recorded(life.folder)]
        assert first[-1] == RunStopped(SILENT)  # its secret is kept
        assert not any(isinstance(event, (FinalsOpened, Answered)) for event in first)
        is_down = False
        again = Life.begin("--resume", cwd=tmp_path)
        assert again.finish(90) == 0, again.text
        events = [row.event for row in recorded(life.folder)]
        asked = [event for event in events if isinstance(event, SpendReserved)]
        assert len(asked) == len(served.requests)
    assert state_of(life.folder).stop_reason == "experiments"
    assert Counter(e.turn for e in events if isinstance(e, Answered))[0] == 1
    assert [e.outcome for e in events if isinstance(e, SpendSettled)].count("ok") >= 1
    assert any(isinstance(e, TurnTaken) and "run" in e.actions for e in events)
    assert any(isinstance(e, VerdictGiven) and e.experiment_id == "e0001" for e in events)
