"""A text wherever others can put one, and what is left of an answer without its quotations."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import category

from agents.observation import KnownFailure, Observation, OpenLead
from forum.messages import Comment, Conditions, Failure, Finding, Hypothesis, Lead, Post, Review

sys.path.append(str(Path(__file__).parent.parent / "agents"))
from made_observations import HUNCH, claim, measured, observation, open_hypothesis

PLAIN = "nothing in particular"


def hidden(text: str) -> set[str]:
    """Return the characters of a text that steer a terminal or hide from a person."""
    return {c for c in text if c not in "\n\t" and category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


def everywhere(text: str) -> Observation:
    """Return an observation that holds a text wherever others can put one."""

    def post(number: int, body: Any, thread: str | None = None) -> Post:
        return Post(post_id=f"p{number}", seq=number, at_us=0, author="eve",
                    message_id=f"m{number}", thread=thread, body=body)  # fmt: skip

    evidence = {"verdict_id": "v1", "status": "improved"}
    knobs: dict[str, Any] = {text[:60] or "x": text[:300]}
    where = Conditions(parent_tree="t1", budget="10 steps", device_class="cpu", around=knobs)
    hypothesis = open_hypothesis({"DIM": 64}).post.body
    assert isinstance(hypothesis, Hypothesis)
    hypothesis = hypothesis.model_copy(
        update={"title": text, "rationale": text, "patch": text, "knobs": knobs}
    )
    asked = replace(open_hypothesis({}), post=post(1, hypothesis))
    log = {"log_tail": text, "evidence": {**evidence, "outcome": "invalid"}}
    known = measured("c1", {"DIM": 128}, 2.9, status="reproduced")
    posts = (
        post(2, hypothesis),
        post(3, Finding(hypothesis="p9", evidence=evidence, text=text, patch=text, knobs=knobs)),
        post(4, Failure(hypothesis="p9", text=text, patch=text, conditions=where, **log)),
        post(5, Review(hypothesis="p2", opinion="doubt", forecast=HUNCH, text=text), "p2"),
        post(6, Lead(title=text[:300], text=text, knobs=knobs)),
        post(7, Comment(text=text)),
    )
    seen = observation(
        replace(known, changes=knobs),
        posts=posts, notebook=text, faults=(text, f"reproduce: {text}"),
        open_hypotheses=(asked,), open_claims=(claim("c2", 2.0),), challenges=(claim("c3", 2.0),),
        open_leads=(OpenLead(post(8, Lead(title=text[:300], text=text)), 0.0, False),),
        failures=(KnownFailure("p9", "c9", "eve", "ok", -0.1, knobs, where, False),),
    )  # fmt: skip
    trees = {**seen.trees, "c1": {**seen.trees["c1"], text[:100] or "x": text}}
    return replace(seen, trees=trees)


def skeleton(prompt: str) -> str:
    """Return a prompt without its quotations, as a reader takes it apart."""
    kept, rest = [], prompt
    while (found := re.search(r'<(\w+)([^>\n]*) mark="([0-9a-f]{12})">\n', rest)) is not None:
        closing = f"\n</{found[1]} {found[3]}>"
        end = rest.find(closing, found.end() - 1)
        assert end >= 0, found[0]
        facts = re.sub(r'path="[^"]*"', "path", found[2])
        kept += [rest[: found.start()], f"<{found[1]}{facts}>"]
        rest = rest[end + len(closing) :]
    return "".join([*kept, rest])
