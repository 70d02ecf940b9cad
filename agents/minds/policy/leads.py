"""Leads, by minds without a model: what is promising and not one's own to try, and following one.

A lead is a change of knobs. Who cannot or does not try what visible evidence speaks for points at
it, one lead at a time; who proposes looks first whether a lead that nobody holds is expected to
help, claims it, and follows it on the best commit he can see. The same two actions are there for
every mind (`agents.actions.PostLead`, `ClaimLead`).
"""

from __future__ import annotations

from random import Random

from agents.actions import ClaimLead, PostLead, Run
from agents.knobs import unfit
from agents.minds.policy.copying import Candidate, copies_of
from agents.minds.policy.proposing import in_words, proposal, short
from agents.minds.policy.surrogate import Surrogate
from agents.minds.policy.view import Point, View, differences
from agents.observation import OpenLead
from forum.messages import Lead

SURE_SIGMAS = 1.0
"""What a lead promises at least over the best commit, doubt taken off, in noise deviations."""


def lead_of(view: View, surrogate: Surrogate, rng: Random) -> PostLead | None:
    """Return the best of what others' good changes promise together, if that is worth a lead.

    None while a lead of one's own is open, without the right to one, and where nothing is promising
    that is neither measured, nor on its way, nor somebody's lead.
    """
    seen = view.observation
    is_heard = any(point.known.author not in (seen.agent, "lab") for point in view.points)
    if "lead" not in seen.rights or not is_heard or any(lead.is_mine for lead in seen.open_leads):
        return None
    best = view.best()
    pointed_at = [_change(view, lead, best) for lead in seen.open_leads]
    candidates = [
        each
        for each in copies_of(view, best, rng)
        if each.changes
        and each.changes not in pointed_at
        and not view.is_closed(best.setting, each.changes)
    ]
    if not candidates:
        return None
    settings = [(best.setting, each.changes) for each in candidates]
    gains, deviations = surrogate.gains(best.setting, settings)
    sure = gains - deviations
    chosen = max(range(len(candidates)), key=lambda i: sure[i])
    if sure[chosen] < SURE_SIGMAS * view.sigma:
        return None
    return _lead(view, candidates[chosen], best, float(gains[chosen]), float(deviations[chosen]))


def following(view: View, surrogate: Surrogate, policy: str) -> ClaimLead | Run | None:
    """Return the next step on a lead: the run of one that is held, or a claim of the best other.

    A lead is worth a claim where a gain is expected of it. One's own is left to others.
    """
    best = view.best()
    promising: list[tuple[float, int, OpenLead]] = []
    for index, lead in enumerate(view.observation.open_leads):
        changes = _change(view, lead, best)
        if lead.is_mine or not changes or view.is_closed(best.setting, changes):
            continue
        if lead.held_s:
            because = f"I follow the lead {lead.post.post_id} of {lead.post.author}."
            run = proposal(view, surrogate, best, changes, policy=policy, because=because)
            if run is not None:
                return _led(run, lead)
            continue
        gain, deviation = surrogate.gain(best.setting, {**best.setting, **changes})
        if gain > 0.0:
            promising.append((gain - deviation, -index, lead))
    if not promising:
        return None
    return ClaimLead(max(promising, key=lambda each: each[:2])[2].post.post_id)


def _led(run: Run, lead: OpenLead) -> Run:
    return Run(
        run.parents, run.files, run.title, run.rationale, run.prediction, run.knobs,
        lead=lead.post.post_id,
    )  # fmt: skip


def _change(view: View, lead: OpenLead, base: Point) -> dict[str, bool | int | float | str]:
    """Return what a lead changes of `base`; nothing where it names no knobs, or odd ones."""
    body = lead.post.body
    by_name = {knob.name: knob for knob in view.knobs}
    if not isinstance(body, Lead) or not body.knobs:
        return {}
    if any(name not in by_name or unfit(by_name[name], v) for name, v in body.knobs.items()):
        return {}
    return differences(base.setting, {**base.setting, **body.knobs})


def _lead(view: View, each: Candidate, best: Point, gain: float, deviation: float) -> PostLead:
    unit = view.observation.briefing.unit
    return PostLead(
        title=f"{in_words(best, each.changes)} on {short(best)}",
        text=(
            f"{each.because} I expect a gain of {gain:+.4f} ± {deviation:.4f} {unit} and do not "
            "try it myself."
        ),
        knobs=dict(each.changes),
    )
