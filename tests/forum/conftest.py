"""Fixtures and sample messages of the forum's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from forum.broker import EmbeddedBroker
from forum.messages import (
    Claim,
    Comment,
    Draft,
    Evidence,
    Failure,
    Finding,
    Forecast,
    Hypothesis,
    Lead,
    Post,
    Prediction,
    Review,
)

COMMIT = "4f1c9d2e8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d"
PARENT = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"


def _patched() -> dict[str, Any]:
    return {
        "parents": (PARENT,),
        "knobs": {"LEARNING_RATE": 0.02, "DEPTH": 3},
        "commit": COMMIT,
        "patch": "--- a\n+++ b\n",
    }


def _bodies() -> dict[str, Any]:
    evidence = Evidence(verdict_id="v1", score=2.5, status="improved", gain=0.1)
    result = {"hypothesis": "p1", "evidence": evidence, "text": "words", "log_tail": "log"}
    prediction = Prediction(gain=0.1, confidence=0.7)
    forecast = Forecast(reproduced=0.4, gain=(-0.1, 0.1, 0.2))
    return {
        "hypothesis": Hypothesis(title="t", rationale="r", prediction=prediction, **_patched()),
        "finding": Finding(**result, **_patched()),
        "failure": Failure(**result, **_patched()),
        "review": Review(hypothesis="p1", opinion="support", forecast=forecast, text="good"),
        "lead": Lead(title="try", text="this", knobs={"DEPTH": 4}),
        "claim": Claim(target="p1", text="mine"),
        "comment": Comment(text="hello"),
    }


@pytest.fixture
def bodies() -> dict[str, Any]:
    """Give one full body of each kind."""
    return _bodies()


@pytest.fixture
def make_post() -> Any:
    """Give a function from body and sequence number to a post."""

    def make(body: Any, seq: int = 1) -> Post:
        return Post(post_id=f"p{seq}", seq=seq, at_us=0, author="ada", message_id="m", body=body)

    return make


@pytest.fixture
def make_draft() -> Any:
    """Give a function from message id to a draft."""

    def make(message_id: str = "m1", text: str = "hello") -> Draft:
        return Draft(message_id=message_id, body=Comment(text=text))

    return make


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broker() -> AsyncIterator[EmbeddedBroker]:
    """Run one embedded broker per module, with three agents."""
    async with await EmbeddedBroker.start("r1", ["ada", "ada-1", "bob"]) as running:
        yield running
