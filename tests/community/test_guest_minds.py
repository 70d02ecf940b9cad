"""A mind that joins from elsewhere pays for itself, up to what its owner says."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agents.errors import MindError, OutOfFundsError, PriceError, UnknownMindError
from agents.minds.mind import PaidMind
from community.guest_minds import GuestMinds

sys.path += [str(Path(__file__).parent.parent / name) for name in ("agents", "contracts")]
from mind_stage import PRICE, SEEN, WORLD, ModelLab, mind_name
from model_servers import USED, Say, serving

WAIT = Say(calls=(("wait", {"seconds": 3}),))


def prices_in(place: Path, name: str) -> Path:
    """Write a file with a price for `name`."""
    file = place / "prices.toml"
    lines = [f"{key} = {value}" for key, value in PRICE.model_dump().items()]
    file.write_text("\n".join([f'["{name}"]', *lines]))
    return file


def test_what_costs_money_needs_a_limit(monkeypatch):
    """No limit, no key, no price: refused before anybody hears of it; policies need none."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(MindError, match="ANTHROPIC_API_KEY"):
        GuestMinds("anthropic:claude-haiku-5-5", 1.0, None)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-something")
    with pytest.raises(MindError, match="--usd"):
        GuestMinds("anthropic:claude-haiku-5-5", None, None)
    with pytest.raises(PriceError, match="has no price"):
        GuestMinds("anthropic:unheard-of", 1.0, None)
    with pytest.raises(PriceError, match="nowhere"):
        GuestMinds("anthropic:claude-haiku-5-5", 1.0, Path("nowhere.toml"))
    assert GuestMinds("policy:greedy", None, None).make("eve", "exploiter")
    with pytest.raises(UnknownMindError):
        GuestMinds("policy:gredy", None, None).make("eve", "exploiter")


async def test_it_tells_what_a_turn_cost_and_stops_at_its_limit(monkeypatch, tmp_path):
    """The account outlives a seat that is taken again."""
    async with serving("openai-compatible", lambda body, number: WAIT) as served:
        name = mind_name("openai-compatible", served.url, monkeypatch)
        minds = GuestMinds(name, 0.2, prices_in(tmp_path, name))
        lab = ModelLab(WORLD, "ada")
        first = minds.make("eve", "explorer")
        assert isinstance(first, PaidMind)
        await first.decide(SEEN, lab)
        assert first.usd == PRICE.micro_usd(USED) / 1e6
        again = minds.make("eve", "explorer")

        async def go_on() -> None:
            for turn in range(1, 40):
                await again.decide(replace(SEEN, turn=turn), lab)

        with pytest.raises(OutOfFundsError):
            await go_on()
        await minds.aclose()
    assert first.usd < again.usd <= 0.2
