"""Visibility: what each edge lets through of each kind of post, and what it must not."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from forum.codec import encode
from forum.messages import Carries
from forum.visibility import carries_diff, thin

COMMIT = "4f1c9d2e8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d"
PARENT = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
LEVELS = get_args(Carries)
FIRST_LEVEL = {
    "hypothesis": "summary",
    "finding": "score",
    "failure": "score",
    "review": "everything",
    "lead": "summary",
    "claim": "score",
    "comment": "summary",
}


@pytest.mark.parametrize("kind", FIRST_LEVEL)
@pytest.mark.parametrize("carries", LEVELS)
def test_a_kind_is_carried_from_its_level_on(
    kind: str, carries: Carries, bodies: dict[str, Any], make_post: Any
) -> None:
    """Below its level a kind does not exist for the reader; above, identity and order survive."""
    post = make_post(bodies[kind], seq=5)
    thinned = thin(post, carries)
    is_carried = LEVELS.index(carries) >= LEVELS.index(FIRST_LEVEL[kind])
    assert (thinned is not None) == is_carried
    if thinned is not None:
        assert (thinned.post_id, thinned.seq, thinned.author) == ("p5", 5, "ada")
        assert thinned.body.kind == kind


@pytest.mark.parametrize("kind", ["finding", "failure"])
def test_score_carries_the_evidence_and_nothing_else(
    kind: str, bodies: dict[str, Any], make_post: Any
) -> None:
    """Status, verdict id and number; no words, no knobs, no commits, no logs."""
    body = thin(make_post(bodies[kind]), "score").body
    assert body.evidence == bodies[kind].evidence
    assert body == type(body)(hypothesis="p1", evidence=bodies[kind].evidence)


@pytest.mark.parametrize("kind", ["hypothesis", "finding", "failure"])
def test_summary_carries_words_and_knob_names(
    kind: str, bodies: dict[str, Any], make_post: Any
) -> None:
    """Names of knobs without values, and nothing by which the tree could be had."""
    body = thin(make_post(bodies[kind]), "summary").body
    assert body.knob_names == ("LEARNING_RATE", "DEPTH")
    assert (body.knobs, body.parents, body.commit, body.patch) == ({}, (), "", "")
    if kind == "hypothesis":
        assert (body.title, body.rationale) == ("t", "r")
        assert body.prediction == bodies[kind].prediction
    else:
        assert (body.text, body.log_tail) == ("words", "")


def test_summary_carries_a_leads_knob_names(bodies: dict[str, Any], make_post: Any) -> None:
    """A lead's values belong to the diff."""
    lead = make_post(bodies["lead"])
    assert (thin(lead, "summary").body.knobs, thin(lead, "summary").body.knob_names) == (
        {},
        ("DEPTH",),
    )
    assert thin(lead, "diff").body.knobs == {"DEPTH": 4}


@pytest.mark.parametrize("kind", ["hypothesis", "finding", "failure"])
def test_diff_adds_values_patch_and_commit(
    kind: str, bodies: dict[str, Any], make_post: Any
) -> None:
    """Everything needed to copy, merge or reproduce; logs still stay behind."""
    full = bodies[kind]
    body = thin(make_post(full), "diff").body
    assert (body.knobs, body.parents, body.commit, body.patch) == (
        full.knobs,
        full.parents,
        full.commit,
        full.patch,
    )
    assert getattr(body, "log_tail", "") == ""


@pytest.mark.parametrize("kind", FIRST_LEVEL)
def test_everything_loses_nothing(kind: str, bodies: dict[str, Any], make_post: Any) -> None:
    """The widest edge carries the post as recorded, knob names filled in."""
    full = bodies[kind]
    expected = full
    if hasattr(full, "knob_names"):
        expected = full.model_copy(update={"knob_names": tuple(full.knobs)})
    assert thin(make_post(full), "everything").body == expected


@pytest.mark.parametrize("kind", ["hypothesis", "finding", "failure"])
@pytest.mark.parametrize("carries", ["score", "summary"])
def test_commits_do_not_leak_below_diff(
    kind: str, carries: Carries, bodies: dict[str, Any], make_post: Any
) -> None:
    """Not in a field and not in the words, abbreviated or in capitals."""
    words = f"builds on {PARENT[:8]}, made {COMMIT.upper()}; deadbeef stays"
    fields = ("title", "rationale") if kind == "hypothesis" else ("text",)
    body = bodies[kind].model_copy(update=dict.fromkeys(fields, words))
    thinned = thin(make_post(body), carries)
    if thinned is None:
        return
    seen = encode(thinned).decode().lower()
    assert COMMIT[:7] not in seen
    assert PARENT[:7] not in seen
    assert ("deadbeef" in seen) == (carries == "summary")


def test_an_authors_own_knob_names_are_overwritten(bodies: dict[str, Any], make_post: Any) -> None:
    """What an author claims in knob_names is not passed on."""
    body = bodies["hypothesis"].model_copy(update={"knob_names": ("LIES",)})
    assert thin(make_post(body), "summary").body.knob_names == ("LEARNING_RATE", "DEPTH")


def test_a_score_edge_carries_a_claim_without_its_words(
    bodies: dict[str, Any], make_post: Any
) -> None:
    """That somebody takes it travels everywhere, what he says about it does not."""
    claim = make_post(bodies["claim"])
    assert (thin(claim, "score").body.target, thin(claim, "score").body.text) == ("p1", "")
    assert thin(claim, "summary").body.text == "mine"


def test_only_diff_and_everything_give_access_to_commits() -> None:
    """The lab serves trees by this rule."""
    assert [level for level in LEVELS if carries_diff(level)] == ["diff", "everything"]
