"""Visibility: what each edge lets through of each kind of post, and what it must not."""

from __future__ import annotations

import random
import time
from typing import Any, get_args

import pytest

from forum.codec import decode_post, encode
from forum.messages import Carries, Prediction
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


KNOBS = {"MATRIX_LR": 0.0137, "DEPTH": 4, "ACTIVATION": "gelu", "TIED": True}


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (
            f"raise MATRIX_LR 0.002 -> 0.0137, set ACTIVATION relu2 -> gelu on {PARENT[:7]} (tpe)",
            "raise MATRIX_LR … -> …, set ACTIVATION … -> … on … (tpe)",
        ),
        ("lower WIDTH 48 -> 32", "lower WIDTH … -> …"),
        ("DEPTH=4, MATRIX_LR: 1.37e-2; TIED = True", "DEPTH=…, MATRIX_LR: …; TIED = …"),
        ("DEPTH from 3 to 4, DEPTH 12", "DEPTH from … to …, DEPTH …"),
        (
            "DEPTH matters; WIDTH 48 and DEPTH_2 5 are other knobs, from 12 results I expect +0.1",
            "DEPTH matters; WIDTH 48 and DEPTH_2 5 are other knobs, from 12 results I expect +0.1",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["hypothesis", "finding", "failure"])
def test_values_of_knobs_are_blanked_in_words_below_diff(
    kind: str, words: str, seen: str, bodies: dict[str, Any], make_post: Any
) -> None:
    """A summary names the knobs; the values that the built-in minds write beside them stay."""
    fields = ("title", "rationale") if kind == "hypothesis" else ("text",)
    body = bodies[kind].model_copy(update={"knobs": KNOBS, **dict.fromkeys(fields, words)})
    for carries, expected in (("summary", seen), ("diff", words)):
        thinned = thin(make_post(body), carries).body
        assert [getattr(thinned, field) for field in fields] == [expected] * len(fields)


def test_names_that_are_no_constants_are_not_searched_for(
    bodies: dict[str, Any], make_post: Any
) -> None:
    """Nor do they make the search slow: a text of spaces, and knobs named by spaces."""
    knobs = {" " * length: 4 for length in range(1, 7)}
    for words in ("so:    = 4, = 4", " " * 4_000):
        body = bodies["finding"].model_copy(update={"knobs": knobs, "text": words})
        begun_s = time.process_time()
        assert thin(make_post(body), "summary").body.text == words
        assert time.process_time() - begun_s < 1.0


def random_words(chance: random.Random, length: int) -> str:
    """Return `length` characters of what blanking looks for, and of what it must not fall over."""
    pieces = (
        COMMIT[:7], PARENT[:7], PARENT, COMMIT.upper(), *KNOBS, "4", "0.0137", "->", "→", "=", ",",
        " ", " to ", " is ", "-", ".", "\n", "é", "😀", "…", "raise",
    )  # fmt: skip
    text = "".join(chance.choice(pieces) + chance.choice(("", " ")) for _ in range(length))
    return text[:length]


def random_body(chance: random.Random, body: Any) -> Any:
    """Return `body` with its texts filled to the brim; validated, as a decoded draft is."""
    long, short = random_words(chance, 4_000), random_words(chance, 300)
    full = {
        "title": short, "rationale": long, "text": short if body.kind == "claim" else long,
        "log_tail": long, "knobs": KNOBS, "commit": COMMIT, "parents": (PARENT, COMMIT[::-1]),
        "patch": "+x\n" * 20_000, "prediction": Prediction(gain=0.1, confidence=0.5),
    }  # fmt: skip
    known = {name: value for name, value in full.items() if hasattr(body, name)}
    return type(body).model_validate({**body.model_dump(), **known})


def test_whatever_an_edge_carries_survives_the_wire(bodies: dict[str, Any], make_post: Any) -> None:
    """No thinned copy outgrows a bound: each arrives, and as the ledger would give it out."""
    chance = random.Random(11)
    arrived = 0
    for _ in range(20):
        for kind in FIRST_LEVEL:
            post = make_post(random_body(chance, bodies[kind]))
            for carries in LEVELS:
                copy = thin(post, carries)
                if copy is not None:
                    assert decode_post(encode(copy)) == copy
                    assert thin(decode_post(encode(post)), carries) == copy
                    arrived += 1
    assert arrived == 20 * sum(len(LEVELS) - LEVELS.index(each) for each in FIRST_LEVEL.values())


def test_a_full_title_with_a_short_commit_does_not_grow(
    bodies: dict[str, Any], make_post: Any
) -> None:
    """Seven characters are replaced by fewer: 300 stay at most 300."""
    title = f"merge {PARENT[:7]} into {COMMIT[:7]} ".ljust(300, "x")
    copy = thin(make_post(bodies["hypothesis"].model_copy(update={"title": title})), "summary")
    assert copy.body.title.startswith("merge … into … x")
    assert decode_post(encode(copy)) == copy


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
